"""Make the network that `finetune` starts from: a ResNet-18 with one input channel.

Its weights come from ImageNet (the file that `download` got), from training here on drawn
letters, or from nowhere, as `pretrain.source` says. Writes the network, and a JSON that tells
where its weights come from and how well it knows what it was trained on, and some letters.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from taller.data import glyphs
from taller.models import resnet18
from taller.models.scaling import Scaling
from taller.program import cli, files, params
from taller.program.errors import Problem
from taller.program.params import Device, Seed, Source, Threads
from taller.program.progress import bar
from taller.training import engine
from taller.training.engine import Batch, Recipe, choose_device

# Black stays 0: the zeros that convolutions pad with then look like more of the empty page.
GLYPHS = Scaling(mean=0.0, std=1.0)
# The averages of ImageNet's statistics over the channels: a grey image has one.
IMAGENET = Scaling(mean=0.449, std=0.226)
HELD_OUT = 4000  # letters of other fonts, for the accuracy
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
    torch.manual_seed(seed)
    if source == "imagenet":
        if not imagenet["available"]:
            raise Problem(f"{pretrained}: expected ImageNet's weights, found none; run download")
        network, scaling = resnet18.from_rgb(pretrained / imagenet["file"]), IMAGENET
        facts |= {"weights_sha256": imagenet["sha256"]}
    elif source == "glyphs":
        with engine.threads(threads):
            network, accuracy = train_on_glyphs(params, seed, choose_device(device))
        scaling = GLYPHS
        facts |= {"images": params.images, "glyph_accuracy": accuracy}
        print(f"pretrain: {accuracy:.4f} of the letters of other fonts recognised")
    else:
        network, scaling = resnet18.build(), GLYPHS

    model.parent.mkdir(parents=True, exist_ok=True)
    torch.save(
        {
            "architecture": "ResNet18",
            "arguments": {"classes": network.fc.out_features},
            "scaling": scaling.as_dict(),
            "state_dict": network.cpu().state_dict(),
        },
        model,
    )
    files.write_json(results / "pretrain.json", facts | {"sha256": files.sha256(model)})
    paths, letters = glyphs.trace()
    sample, _ = glyphs.draw(paths, letters, SAMPLE, torch.Generator().manual_seed(seed))
    np.save(results / "muestra_letras.npy", sample.numpy())


def train_on_glyphs(params: Params, seed: int, device: torch.device) -> tuple[nn.Module, float]:
    """Train on letters that are drawn as they are needed; accuracy on those of other fonts."""
    paths, letters = glyphs.trace()
    shapes = glyphs.shapes(paths, letters)
    paths, classes = paths.to(device), shapes[letters].to(device)
    pen = torch.Generator(device).manual_seed(seed)
    steps = len(engine.split(torch.arange(params.images), params.batch_size))

    def written(paths: Tensor, classes: Tensor, count: int, label: str) -> Iterator[Batch]:
        with bar(count, label, "letter") as shown:
            for part in engine.split(torch.arange(count), params.batch_size):
                images, labels = glyphs.draw(paths, classes, len(part), pen)
                yield GLYPHS(images), labels
                shown.update(len(labels))

    def optimizer(network: nn.Module) -> torch.optim.Optimizer:
        weights = [p for p in network.parameters() if p.ndim > 1]
        others = [p for p in network.parameters() if p.ndim == 1]
        return torch.optim.SGD(
            [{"params": weights, "weight_decay": params.weight_decay}, {"params": others}],
            params.learning_rate, momentum=0.9, nesterov=True, fused=True,
        )  # fmt: skip

    recipe = Recipe(
        make_model=lambda: resnet18.build(classes=int(classes.max()) + 1),
        make_optimizer=optimizer,
        epochs=1,
        batch_size=params.batch_size,
        schedule="one_cycle",
        label_smoothing=params.label_smoothing,
    )
    fit = engine.fit(
        recipe,
        lambda: written(paths, classes, params.images, "letters"),
        steps,
        seed=seed,
        device=device,
    )
    paths, letters = glyphs.trace(glyphs.HELD_OUT_FONTS)
    known = shapes[letters] >= 0
    paths, classes = paths[known].to(device), shapes[letters[known]].to(device)
    held_out, _ = engine.evaluate(fit.model, written(paths, classes, HELD_OUT, "other fonts"))
    return fit.model, held_out.accuracy


if __name__ == "__main__":
    cli.main(pretrain)
