"""Have the pipeline run on a folder of pictures, or on a data set of the catalogue.

Says what it takes for what in the folder, copies it to data/NAME/raw under `dvc add` (and replaces
what is there), and writes the params.yaml that suits the pictures, out of presets/. Without a
folder the pictures in data/NAME/raw are taken. All that it chose stands in params.yaml; seed,
threads, device, numerics and compare.language stay as they are; with pictures of one's own
preprocess.groups and .conflicts, too, and of the same ones .fit, .repeats, .test_share and
compare.rope.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import stages  # noqa: F401 (pins the numerics, before anything else imports NumPy)

# isort: split
import numpy as np
from dvc.utils.hydra import apply_overrides
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from taller.common import files, params
from taller.common.numerics import test_seed
from taller.common.stage import one_line
from taller.common.terminal import UserError, bar, printable
from taller.datasets import dataset, folder, pictures, splits
from taller.report.language import Language, LanguageName
from taller.sources import catalogue
from tools import duration, prepare

PRESETS = Path(__file__).parents[1] / "presets"
WORK = Path(".cache/use")  # git ignores it; data/ is on the same disk
GENERAL = {
    "seed": params.Seed, "threads": params.Threads,
    "device": params.Device, "numerics": params.Numerics, "compare.language": LanguageName,
}  # fmt: skip
# With pictures of one's own, unless params.yaml was another set's; and with the same ones again.
OWN = folder.Params.model_fields
STAYING = {f"preprocess.{key}": OWN[key].annotation for key in ("groups", "conflicts")}
SAME = {
    "preprocess.fit": pictures.Fit, "preprocess.repeats": params.Repeats,
    "preprocess.test_share": float, "compare.rope": float,
}  # fmt: skip
SAMPLE = 200  # pictures that are opened to see their sizes
SMALL = 64  # pixels of the longer side up to which grey pictures are like MNIST's
MANY = 1000  # pictures from which on tuning all layers, and its control, are worth their time
LITE0 = "efficientnet_lite0"
UNEQUAL = 1.5  # how often the largest class has the smallest, for balanced accuracy to decide


@dataclass(frozen=True)
class Sample:
    """What some pictures, taken evenly from all, are like."""

    smallest: tuple[int, int]  # width and height, in pixels
    largest: tuple[int, int]
    small: bool  # whether all are grey, and none is larger than `SMALL`
    longest: int = 0  # the longest side of all
    square: bool = True  # whether all are
    closed: Sequence[str] = ()  # what is no picture, or a damaged one


def use(name: str, source: Path | None = None, every: bool = False, network: str = LITE0) -> None:
    """Make `name` the data set of params.yaml, and say how.

    Parameters
    ----------
    name : str
        Of the catalogue, or any other for pictures of one's own.
    source : Path, optional
        A folder of pictures, which stays as it is. Without it data/NAME/raw is taken.
    every : bool
        Whether what takes long takes part with few pictures, too.
    network : str
        `LITE0` or "resnet18": whose weights of ImageNet's fine-tuning of photographs starts from.

    Raises
    ------
    UserError
        For a name that cannot be, a folder that cannot be understood, pictures in data/NAME/raw
        that DVC does not have. params.yaml is then as before.
    """
    check(name, source)
    values = {key: params.read(key, schema) for key, schema in GENERAL.items()}
    general = [f"{key}={value}" for key, value in values.items()]
    say = Language(values["compare.language"])
    if name in dataset.CLASSES:
        chosen = write_params("mnist", general, [f"dataset={name}", f"download=[{name}]"])
        print(say("use_preset", preset="presets/mnist.yaml", why=say("use_catalogue", name=name)))
        print(duration.line(chosen, 60_000, 10_000, 28, say))
        return
    raw = Path("data", name, "raw")
    root = source or raw
    before = params.read("dataset", str)
    staying = STAYING | SAME if before == name else STAYING if before in dataset.CLASSES else {}
    staying = {key: params.read(key, schema) for key, schema in staying.items()}
    grouped = staying.get("preprocess.groups", "auto") == "auto"
    look = folder.look(root, grouped=grouped)
    if look.unclear:
        raise UserError(f"{root}: {look.unclear}")
    sizes = sample(root, look.files)
    print("\n".join(describe(root, look, sizes, say, grouped)), flush=True)
    preset, overrides, reasons = choose(look.classes, sizes, every, say)
    path = PRESETS / f"{preset}.yaml"
    usual = params.load(path)["preprocess"]
    share = staying.get("preprocess.test_share", usual["test_share"])
    folds, test = choose_folds(look, share, usual["folds"], values["seed"])
    if source:
        copy(source, raw)
    if (added := dvc("add", str(raw))).returncode:
        reason = added.stderr.strip().rpartition("\n")[2]
        raise UserError(f"dvc add {raw}: expected it to end well, found: {reason}")
    for key, value in staying.items():
        if value != params.read(key, Any, path):
            overrides.append(f"{key}={value}")
            reasons.append(f"  {key}: {say('use_staying', value=value)}")
    if folds < usual["folds"]:
        overrides.append(f"preprocess.folds={folds}")
        reasons.append(f"  preprocess.folds: {say('use_folds', folds=folds)}")
    chosen = write_params(preset, [*general, f"dataset='{name}'"], overrides, network)
    print(with_network("\n".join(reasons), network))
    train = len(look.files) - test
    print(duration.line(chosen, train, test, chosen["preprocess"]["image_size"], say))


def check(name: str, source: Path | None) -> None:
    """Raise a `UserError` where it cannot be done, before anything is written."""
    try:
        TypeAdapter(params.DatasetName).validate_python(name)
    except ValidationError:
        raise UserError(
            "DATASET: expected a name of letters, digits, spaces, _, . and -, not train or test, "
            f"found {printable(name)}"
        ) from None
    prepare.check_git()
    raw = Path("data", name, "raw")
    if name in catalogue.ITEMS and (source or name not in dataset.CLASSES):
        raise UserError(f"DATASET: expected a name that the catalogue lacks, found {name}")
    if name in dataset.CLASSES:
        return
    if not (source or raw).is_dir():
        raise UserError(
            f"{source or raw}: expected a folder of pictures, found none; give FROM= or dvc pull"
        )
    if raw.is_symlink():
        raise UserError(f"{raw}: expected a folder, found a link: delete it, and give FROM=")
    if not source:
        return
    inner, outer = sorted((raw.resolve(), source.resolve()), key=lambda one: -len(one.parts))
    if inner.is_relative_to(outer):
        raise UserError(f"{source}: expected a folder apart from {raw}, which is used without FROM")
    # What is there will be gone: `dvc checkout` must be able to bring it back.
    if not raw.exists() or not (code := dvc("status", "--quiet", f"{raw}.dvc").returncode):
        return
    if code > 1 and raw.with_suffix(".dvc").exists():  # where pictures are others it is 1
        raise UserError(f"dvc status {raw}.dvc: expected it to end well; does another DVC run?")
    raise UserError(f"{raw}: expected what DVC has, found other pictures; run dvc add {raw}")


def dvc(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True)


def sample(root: Path, names: Sequence[str]) -> Sample:
    """Open some of the pictures `names` in a folder; a `UserError` where none can be opened."""
    sizes, small, closed = [], True, []
    for name in names[:: max(1, len(names) // SAMPLE)]:
        try:
            with Image.open(root / name, formats=pictures.FORMATS) as image:
                sizes.append(image.size)
                small = small and max(image.size) <= SMALL and is_grey(image)
        except Exception:  # whatever Pillow makes of it; preprocess names every file
            closed.append(name)
    if not sizes:
        pictures.pixels(root / names[0], 8, 1)  # says why: HEIC, or damaged
    sizes.sort(key=lambda size: (size[0] * size[1], size))
    square = all(width == height for width, height in sizes)
    return Sample(sizes[0], sizes[-1], small, max(map(max, sizes)), square, closed)


def is_grey(image: Image.Image) -> bool:
    """Whether no pixel of a picture has a colour."""
    levels = np.asarray(image.convert("RGB"))
    return bool((levels == levels[..., :1]).all())


def describe(
    root: Path, look: folder.Look, sizes: Sample, say: Language, grouped: bool = True
) -> list[str]:
    """What the folder is taken for: five lines."""
    parts = [
        say("as_part", names=", ".join(names), part=say(f"part_{part}"))
        for part, names in look.parts.items()
    ]
    parts += [say("as_drawn")] * ("test" not in look.parts)
    classes = [f"{name} ({train} + {test})" for name, (train, test) in look.classes.items()]
    groups = say("use_no_groups")
    if look.groups:
        where, count = look.groups
        groups = say("use_groups", count=count, where=say.term(where))
        groups += "" if grouped else say("use_groups_left")
    left_out = [
        f"{count} {say.term(kind)} ({printable(one)})"
        for kind, (count, one) in look.left_out.items()
    ]
    smallest, largest = ("{} × {}".format(*size) for size in (sizes.smallest, sizes.largest))
    examples = ", ".join(look.files[:: -(-len(look.files) // 3)])
    closed = f"{len(sizes.closed)} ({printable(sizes.closed[0])})" if sizes.closed else ""
    return [
        f"{root}: {'; '.join(parts)}",
        say("use_classes", count=len(classes), classes=few(classes, 6, say)),
        groups,
        say("use_sizes", smallest=smallest, largest=largest, names=examples)
        + (say("use_closed", count=closed) if closed else ""),
        say("use_left_out", kinds=few(left_out, 4, say) or say("use_nothing")),
    ]


def choose_folds(look: folder.Look, share: float, folds: int, seed: int) -> tuple[int, int]:
    """The number of folds, up to `folds`, that the pictures allow, and the test's pictures.

    The test is drawn as `preprocess` draws it if no two files are equal; a `UserError` says why
    there cannot be one.
    """
    test, names = look.test, [*look.classes]
    for number in range(folds, 1, -1):
        if look.test is None:
            try:
                test = splits.choose_test(
                    look.labels, names, look.numbers, share, number, test_seed(seed)
                )
            except UserError:
                if number == 2:
                    raise
                continue
        least = int(np.bincount(look.labels[~test]).min())
        groups = number if look.numbers is None else len(np.unique(look.numbers[~test]))
        if number <= min(least, groups):
            break
    return number, int(test.sum())


def few(items: Sequence[str], most: int, say: Language) -> str:
    """At most so many of them, and how many more there are."""
    more = say("use_more", count=len(items) - most) if len(items) > most else ""
    return ", ".join(items[:most]) + more


def copy(source: Path, raw: Path) -> None:
    """Replace `raw` by a copy of the folder, once all of it is copied; hidden files stay behind."""
    part = WORK / "raw"
    make_writable(part)
    shutil.rmtree(part, ignore_errors=True)  # of a run that was stopped
    total = sum(len(names) for _, _, names in os.walk(source, followlinks=True))
    with bar(total, "copied", "file") as progress:

        def copy_one(file: str, target: str) -> None:
            shutil.copyfile(file, target)
            progress.update(1)

        hidden = shutil.ignore_patterns(".*")
        shutil.copytree(source, part, ignore=hidden, copy_function=copy_one)
    make_writable(part)  # folders have the rights of the originals
    raw.parent.mkdir(parents=True, exist_ok=True)
    if raw.exists():
        shutil.rmtree(raw)
    part.rename(raw)


def make_writable(root: Path) -> None:
    """Let a tree of folders, if it is there, be renamed and deleted."""
    for path, _, _ in os.walk(root):
        os.chmod(path, 0o755)


def choose(
    classes: Mapping[str, tuple[int, int]], sizes: Sample, every: bool, say: Language
) -> tuple[str, list[str], list[str]]:
    """The preset that suits the pictures, what is changed in it, and why, in lines to print."""
    counts = [sum(both) for both in classes.values()]
    total, times = sum(counts), max(counts) / max(1, min(counts))
    metric = "balanced_accuracy" if times > UNEQUAL else "accuracy"
    overrides = [f"compare.metric={metric}"]
    why = say("use_metric", metric=metric, times=say.number(times, 1))
    reasons = [f"  compare.metric: {why}"]
    if sizes.small:
        side = max(8, sizes.longest)
        overrides += ["curve.sections=[]", "download=[]", f"preprocess.image_size={side}"]
        if not sizes.square:
            overrides.append("preprocess.fit=pad")
            reasons.append(f"  preprocess.fit: {say('use_pad')}")
        why = say("use_grey", pixels=SMALL)
        first = say("use_preset", preset="presets/mnist.yaml", why=why)
        return "mnist", overrides, [first, *reasons]
    epochs = 120 if total < 1000 else 40 if total < 5000 else 20  # tried: 400, 2,500, 10,000
    overrides.append(f"kfold_train.cnn.epochs={epochs}")
    if every or total >= MANY:
        long = say("use_many" if total >= MANY else "use_asked")
    else:
        long = say("use_few", images=MANY)
        overrides += ["~finetune.lite0_todo", "~finetune.control", "~pretrain.lite0_azar"]
        overrides.append("compare.pairs=[lite0-cnn]")
    why = say("use_large", pixels=SMALL)
    return "photographs", overrides, [
        say("use_preset", preset="presets/photographs.yaml", why=why),
        f"  kfold_train.cnn.epochs: {say('use_epochs', epochs=epochs, images=total)}",
        f"  {say('use_long', why=long)}",
        *reasons,
    ]  # fmt: skip


def write_params(
    preset: str, general: Sequence[str], overrides: Sequence[str] = (), network: str = LITE0
) -> dict:
    """Write params.yaml out of a preset, and return what it has; params.yaml.bak is the old one.

    With another `network` the sections of Lite0, in preset and `overrides`, are that network's
    and have its name.
    """
    new, old = WORK / "params.yaml", Path(params.PARAMS_FILE)
    text = (PRESETS / f"{preset}.yaml").read_text("utf-8")
    files.write_text(new, with_network(text, network))
    apply_overrides(new, [*general, *(with_network(one, network) for one in overrides)])
    if new.read_bytes() != old.read_bytes():  # twice the same: the copy is still the older one
        shutil.copyfile(old, f"{old}.bak")
    new.replace(old)
    return params.load()


def with_network(text: str, network: str) -> str:
    """A text on Lite0's sections, for those of another network; comments explain both names."""
    return text if network == LITE0 else re.sub(rf"{LITE0}(?! \()|\blite0", network, text)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.use",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("source", metavar="FOLDER", nargs="?", type=Path, help="of pictures")
    parser.add_argument(
        "--all", dest="every", action="store_true", help="add the networks that take long"
    )
    parser.add_argument(
        "--network", choices=[LITE0, "resnet18"], default=LITE0,
        help="the network with ImageNet's weights that is fine-tuned on photographs",
    )  # fmt: skip
    asked = parser.parse_args()
    with one_line("use"):
        # Not every shell does it behind FROM=.
        use(asked.name, asked.source and asked.source.expanduser(), asked.every, asked.network)


if __name__ == "__main__":
    main()
