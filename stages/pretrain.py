"""Make the network that `finetune` starts from: a ResNet-18.

Its weights come from ImageNet (the file that `download` got), from training here on drawn
letters, or from nowhere, as `pretrain.source` says. Writes the network, a JSON that tells where
its weights come from and how well it knows what it was trained on, and some letters.
"""

from pathlib import Path

import torch
from pydantic import Field

from taller.data import dataset
from taller.data.weights import Source
from taller.models import resnet18, store
from taller.program import cli, files, params
from taller.program.errors import Problem
from taller.program.params import Device, Seed, Threads
from taller.training import letters, numerics, seeds

SAMPLE = 100  # letters to look at


class Params(params.Section):
    source: Source
    images: int = Field(ge=1000, le=10_000_000)
    batch_size: int = Field(ge=2, le=8192)
    learning_rate: float = Field(gt=0, le=10)
    weight_decay: float = Field(ge=0, le=1)
    label_smoothing: float = Field(ge=0, lt=1)


def pretrain(
    params: Params,
    seed: Seed,
    threads: Threads,
    device: Device,
    pretrained: Path = Path("data/pretrained"),
    model: Path = Path("modelos/resnet18_base.pth"),
    results: Path = Path("resultados"),
) -> None:
    imagenet = files.read_json(pretrained / "pretrained.json")["imagenet"]
    source = params.source
    if source == "auto":
        source = "imagenet" if imagenet["available"] else "glyphs"
        print(f"pretrain: auto is {source} here")
    facts = {"requested": params.source, "source": source}
    own_seed = seeds.of_pretraining(seed)
    if source == "imagenet":
        if not imagenet["available"]:
            raise Problem(f"{pretrained}: expected ImageNet's weights, found none; run download")
        network = resnet18.from_torchvision(pretrained / imagenet["file"])
        scaling, names = resnet18.IMAGENET, ()
        facts |= {"weights_sha256": imagenet["sha256"]}
    elif source == "glyphs":
        with numerics.threads(threads):
            known = letters.pretrain(
                resnet18.build, seed=own_seed, device=numerics.choose_device(device),
                **params.model_dump(exclude={"source"}),
            )  # fmt: skip
        network, scaling, names = known.network, letters.SCALING, known.names
        facts |= {"images": params.images, "glyph_accuracy": known.accuracy}
        print(f"pretrain: {known.accuracy:.4f} of the letters of other fonts recognised")
    else:
        torch.manual_seed(seeds.of_weights(own_seed))
        # Nobody uses its head, and one channel is shared out to however many the images have.
        network, scaling, names = resnet18.build(1, (1, *letters.SCALING.size)), letters.SCALING, ()

    state = network.cpu().state_dict()
    channels = state[f"{resnet18.STEM}.weight"].shape[1]
    arguments = {
        "classes": len(state[f"{resnet18.HEAD}.bias"]),
        "shape": (channels, *scaling.size),
    }
    store.save(model, resnet18.NAME, arguments, scaling, names, state)
    files.write_json(results / "pretrain.json", facts | {"sha256": files.sha256(model)})
    dataset.save(results / "muestra_letras.npz", letters.sample(SAMPLE, own_seed))


if __name__ == "__main__":
    cli.main(pretrain)
