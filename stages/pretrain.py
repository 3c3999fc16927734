"""Make the networks that `finetune` starts from: a ResNet-18 for each repeat of the folds.

Their weights come from ImageNet (the file that `download` got: one for all repeats), from training
here on drawn letters, or from nowhere, as `pretrain.source` says. Writes the networks, a JSON that
tells where the weights come from and how well they know what they were trained on, and letters.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import Field
from torch import nn

from taller.data import dataset, glyphs, origin
from taller.data.origin import Source
from taller.models import bases, resnet18, store
from taller.models.scaling import Scaling
from taller.program import cli, files, params, seeds
from taller.program.params import Device, Repeats, Seed, Threads
from taller.training import cost, journal, letters, numerics

SAMPLE = 100  # letters to look at


class Params(params.Section):
    source: Source
    # From 8,000 of the default batches letters are learnt; from half as many, hardly one in 100.
    images: int = Field(ge=8000, le=10_000_000)
    batch_size: int = Field(ge=2, le=8192)
    learning_rate: float = Field(gt=0, le=10)
    weight_decay: float = Field(ge=0, le=1)
    label_smoothing: float = Field(ge=0, lt=1)


def pretrain(
    params: Params,
    seed: Seed,
    threads: Threads,
    device: Device,
    repeats: Repeats,
    pretrained: Path = Path("data/pretrained"),
    model: Path = Path("modelos/resnet18_base.pth"),
    others: Path = Path("modelos/resnet18_bases"),
    results: Path = Path("resultados"),
    cache: Path = Path(".cache"),
) -> None:
    imagenet = origin.told(pretrained)
    source = params.source
    if source == "auto":
        source = "imagenet" if imagenet["available"] else "glyphs"
        print(f"pretrain: auto is {source} here")
    place, traced = numerics.choose_device(device), [part.numpy() for part in glyphs.trace()]
    kept = journal.of_stage(
        "pretrain", cache / "journal", traced,
        params=params, seed=seed, threads=threads, device=place,
    )  # fmt: skip
    facts = {"requested": params.source, "source": source}
    paths = bases.paths(model, others, 1 if source == "imagenet" else repeats)
    if source == "imagenet":
        network = resnet18.from_torchvision(origin.in_place(pretrained, imagenet))
        save(model, network, resnet18.IMAGENET)
        facts |= {"weights_sha256": imagenet["sha256"]}
    elif source == "glyphs":
        facts |= glyph_facts() | {"images": params.images, "glyph_accuracy": []}
        for repeat, path in enumerate(paths):
            with numerics.threads(threads):
                known = letters.pretrain(
                    resnet18.build, seed=seeds.of_pretraining(seed, repeat),
                    device=place, journal=kept, name=f"repeat {repeat + 1}",
                    **params.model_dump(exclude={"source"}),
                )  # fmt: skip
            save(path, known.network, letters.SCALING, known.names)
            facts["glyph_accuracy"].append(known.accuracy)
            print(f"pretrain: {known.accuracy:.4f} of the letters of other fonts recognised")
        step = cost.count(known.network, (1, *letters.SCALING.size)).step
        facts |= {"flops": params.images * step}
    else:
        for repeat, path in enumerate(paths):
            torch.manual_seed(seeds.of_weights(seeds.of_pretraining(seed, repeat)))
            # Nobody uses its head, and one channel is shared out to as many as the images have.
            save(path, resnet18.build(1, (1, *letters.SCALING.size)), letters.SCALING)

    bases.tell(others, len(paths))
    facts |= {"networks": len(paths), "sha256": files.sha256(model)}
    files.write_json(results / "pretrain.json", facts)
    first = "".join(twin["letters"][0] for twin in facts.get("twins", []))
    shown = letters.sample(SAMPLE, seeds.of_pretraining(seed), first)
    dataset.save(results / "muestra_letras.npz", shown)
    kept.forget()


def save(path: Path, network: nn.Sequential, scaling: Scaling, names: Sequence[str] = ()) -> None:
    state = network.cpu().state_dict()
    channels = state[f"{resnet18.STEM}.weight"].shape[1]
    arguments = {
        "classes": len(state[f"{resnet18.HEAD}.bias"]),
        "shape": (channels, *scaling.size),
    }
    store.save(path, resnet18.NAME, arguments, scaling, names, state)


def glyph_facts() -> dict[str, object]:
    """What of the letters does not hang on params: how many, in which alphabets, like what."""
    paths, places = glyphs.trace()
    shapes = glyphs.shapes(paths, places)
    return {
        "letters": int((shapes >= 0).sum()),
        "shapes": int(shapes.max()) + 1,
        "alphabets": list(glyphs.ALPHABETS),
        "alike": glyphs.ALIKE,
        "twins": glyphs.twins("0123456789"),
    }


if __name__ == "__main__":
    cli.main(pretrain)
