"""What fine-tuning the last layer costs, against one pass of the images through the network.

Counts how often an image passes the frozen layers, and compares the time of the whole
`finetune` stage (five folds and a fit on all images, with the params of `params.yaml`) with
that of one forward pass over the same images with the same threads. Needs a `dvc repro`.

    python -m benchmarks.finetune
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from stages import finetune
from taller.data import dataset
from taller.models import resnet18
from taller.models.scaling import Scaling
from taller.program import params
from taller.training import engine

CPU = torch.device("cpu")


def one_pass(images: torch.Tensor, scaling: Scaling, threads: int) -> float:
    """Seconds that the whole network takes over all images, in evaluation mode."""
    network = resnet18.build().to(memory_format=torch.channels_last)
    rows = torch.arange(len(images))
    with engine.threads(threads):
        start = time.perf_counter()
        engine.predict(
            network, engine.batches(images, rows, rows, 250, device=CPU, prepare=scaling)
        )
        return time.perf_counter() - start


def main() -> None:
    settings = params.read("finetune", finetune.Params)
    threads = params.read("threads", params.Threads)
    images = torch.from_numpy(dataset.load(Path("data/processed/train.npz"))[0])
    base = torch.load("modelos/resnet18_base.pth", weights_only=True)
    forward = one_pass(images, Scaling(**base["scaling"]), threads)

    passed = 0

    def count(_: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
        nonlocal passed
        passed += len(inputs[0])

    cut = resnet18.cut

    def counting_cut(*arguments):
        frozen, trained = cut(*arguments)
        if len(frozen):
            frozen.register_forward_pre_hook(count)
        return frozen, trained

    resnet18.cut = counting_cut
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        finetune.finetune(
            settings, params.read("seed", params.Seed), threads, "cpu",
            model=Path(folder, "m.pth"), results=Path(folder, "r"), cache=Path(folder, "c"),
        )  # fmt: skip
        whole = time.perf_counter() - start
    fits = int(np.load("data/processed/folds.npy").max()) + 2
    print(f"one forward pass over {len(images)} images: {forward:.1f} s")
    print(f"the whole stage, {fits} fits of {settings.epochs} epochs: {whole:.1f} s")
    print(f"images through the frozen layers: {passed} ({passed / len(images):.4f} per image)")
    print(f"allowed, 1.3 passes and 20 s: {1.3 * forward + 20:.1f} s")


if __name__ == "__main__":
    main()
