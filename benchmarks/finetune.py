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
from taller.data.dataset import Dataset
from taller.data.origin import Network
from taller.models import backbones, bases, store, surgery
from taller.models.store import Classifier
from taller.program import params
from taller.training import engine, numerics
from taller.training.batches import Batches

CPU = torch.device("cpu")


def one_pass(data: Dataset, base: Classifier, pixels: int, threads: int) -> float:
    """Seconds that the whole network takes over all images, in evaluation mode."""
    network = base.network.to(memory_format=torch.channels_last)
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    scaling = base.scaling.suited(data.shape, pixels)
    batches = Batches(images, labels, torch.arange(len(data)), 250, CPU, scaling)
    with numerics.threads(threads):
        start = time.perf_counter()
        engine.predict(network, batches.inputs_only())
        return time.perf_counter() - start


def main() -> None:
    settings = params.read("finetune", finetune.Params)
    threads = params.read("threads", params.Threads)
    data = dataset.load(Path("data/processed/train.npz"))
    network, models = params.read("pretrain.network", Network), Path("modelos")
    stored = bases.places(models, network)
    base = store.load(stored[0], backbones.ARCHITECTURES)
    module = backbones.ARCHITECTURES[base.architecture]
    pixels = finetune.of_network(settings, module, data, base.scaling).image_size
    forward = one_pass(data, base, pixels, threads)

    passed = 0

    def count(_: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
        nonlocal passed
        passed += len(inputs[0])

    cut = surgery.cut

    def counting_cut(*arguments):
        frozen, trained = cut(*arguments)
        if len(frozen):
            frozen.register_forward_pre_hook(count)
        return frozen, trained

    surgery.cut = counting_cut
    with tempfile.TemporaryDirectory() as folder:
        # The stage writes beside what it starts from.
        for here, there in zip(stored, bases.places(Path(folder), network), strict=True):
            there.symlink_to(here.absolute())
        start = time.perf_counter()
        finetune.finetune(
            settings, network, params.read("seed", params.Seed), threads, "cpu",
            models=Path(folder), results=Path(folder, "r"), cache=Path(folder, "c"),
        )  # fmt: skip
        whole = time.perf_counter() - start
    fits = int(np.load("data/processed/folds.npy").max()) + 2
    print(f"one forward pass over {len(data)} images: {forward:.1f} s")
    print(f"the whole stage, {fits} fits of {settings.epochs} epochs: {whole:.1f} s")
    print(f"images through the frozen layers: {passed} ({passed / len(data):.4f} per image)")
    print(f"allowed, 1.3 passes and 20 s: {1.3 * forward + 20:.1f} s")


if __name__ == "__main__":
    main()
