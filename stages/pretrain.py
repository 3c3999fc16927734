"""Make the networks that `finetune` starts from: one for each repeat of the folds.

Their weights come from ImageNet (the file that `download` got: one for all repeats), from training
here on drawn letters, or from nowhere, as `pretrain.source` says. Writes the networks, a JSON that
tells where the weights come from and how well they know what they were trained on, and letters.
"""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import torch
from pydantic import Field
from torch import nn

from taller.data import dataset, glyphs, origin
from taller.data.origin import Download, Network, Source
from taller.models import backbones, bases, store
from taller.models.scaling import Scaling
from taller.program import cli, files, params, seeds
from taller.program.errors import Problem
from taller.program.params import Device, Repeats, Seed, Threads
from taller.training import cost, journal, letters, numerics

SAMPLE = 100  # letters to look at


class Params(params.Section):
    source: Source
    network: Network
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
    models: Path = Path("modelos"),
    results: Path = Path("resultados"),
    cache: Path = Path(".cache"),
) -> None:
    imagenet = origin.told(pretrained)
    source, network = settled(params, imagenet)
    module, (model, others) = backbones.ALL[network], bases.places(models, params.network)
    place, traced = numerics.choose_device(device), [part.numpy() for part in glyphs.trace()]
    kept = journal.of_stage(
        "pretrain", cache / "journal", traced,
        params=params, seed=seed, threads=threads, device=place,
    )  # fmt: skip
    facts = {"requested": params.source, "source": source, "network": network}
    paths = bases.paths(model, others, 1 if source == "imagenet" else repeats)
    if source == "imagenet":
        known = module.from_imagenet(origin.in_place(pretrained, imagenet))
        save(model, module, known, module.IMAGENET)
        facts |= {"weights_sha256": imagenet["sha256"]}
    elif source == "glyphs":
        facts |= glyph_facts() | {"images": params.images, "glyph_accuracy": []}
        for repeat, path in enumerate(paths):
            with numerics.threads(threads):
                known = letters.pretrain(
                    module.build, seed=seeds.of_pretraining(seed, repeat),
                    device=place, journal=kept, name=f"repeat {repeat + 1}",
                    **params.model_dump(exclude={"source", "network"}),
                )  # fmt: skip
            save(path, module, known.network, letters.SCALING, known.names)
            facts["glyph_accuracy"].append(known.accuracy)
            print(f"pretrain: {known.accuracy:.4f} of the letters of other fonts recognised")
        step = cost.count(known.network, (1, *letters.SCALING.size)).step
        facts |= {"flops": params.images * step}
    else:
        for repeat, path in enumerate(paths):
            torch.manual_seed(seeds.of_weights(seeds.of_pretraining(seed, repeat)))
            # Nobody uses its head, and one channel is shared out to as many as the images have.
            fresh = module.build(1, (1, *letters.SCALING.size))
            save(path, module, fresh, letters.SCALING)

    bases.tell(others, len(paths))
    facts |= {"networks": len(paths), "sha256": files.sha256(model)}
    files.write_json(results / "pretrain.json", facts)
    first = "".join(twin["letters"][0] for twin in facts.get("twins", []))
    shown = letters.sample(SAMPLE, seeds.of_pretraining(seed), first)
    dataset.save(results / "muestra_letras.npz", shown)
    kept.forget()


def settled(params: Params, imagenet: Download) -> tuple[Source, Network]:
    """Where the weights come from, and of which network: what `auto` is, if it is asked for."""
    if params.source == "imagenet" and imagenet["network"] not in (None, params.network):
        found = imagenet["network"]
        raise Problem(
            f"ImageNet's weights: expected those of {params.network}, found {found}; run download"
        )
    if params.source != "auto":
        return params.source, params.network
    if not imagenet["available"]:
        print(f"pretrain: auto is glyphs here, with {backbones.ALL[params.network].NAME}")
        return "glyphs", params.network
    network = imagenet["network"]
    instead = "" if network == params.network else f"; files are called {params.network} as ever"
    print(f"pretrain: auto is imagenet here, with {backbones.ALL[network].NAME}{instead}")
    return "imagenet", network


def save(
    path: Path,
    module: ModuleType,
    network: nn.Sequential,
    scaling: Scaling,
    names: Sequence[str] = (),
) -> None:
    """Store a network of the architecture `module`."""
    state = network.cpu().state_dict()
    channels = state[f"{module.STEM}.weight"].shape[1]
    arguments = {
        "classes": len(state[f"{module.HEAD}.bias"]),
        "shape": (channels, *scaling.size),
    }
    store.save(path, module.NAME, arguments, scaling, names, state)


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
