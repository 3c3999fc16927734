"""What test_distributed.py runs in two processes, in a folder that is ready for the stage.

Each process keeps what the network's first layer sees in training. With KILL=n in the environment
the second one is killed when that is its n-th batch.
"""

from stages import finetune as stage  # pins the numerics, before anything else imports NumPy

# isort: split
import os
import signal
from collections.abc import Iterator
from functools import wraps
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from stages.finetune import finetune
from taller.data import dataset
from taller.models.layers import Conv2d
from taller.program.errors import Problem
from taller.training import engine, processes
from taller.training.batches import Batches, identity
from taller.training.engine import Recipe
from taller.training.shared_network import shared

BATCH = 32
CPU = torch.device("cpu")
TRAIN = Path("data/processed/train.npz")


def small_fits(train: Path) -> Iterator[engine.Fit]:
    """A small network in double precision, with each kind of batch normalisation."""
    from timm.layers import BatchNormAct2d  # here, as it takes seconds

    data = dataset.load(train)
    for norm in (nn.BatchNorm2d, BatchNormAct2d):

        def network(norm: type[nn.Module] = norm) -> nn.Module:
            layers = [
                nn.Conv2d(1, 6, 5, 3, bias=False), norm(6), nn.ReLU(),
                nn.Conv2d(6, 9, 3, 2, bias=False), norm(9, momentum=0.3), nn.ReLU(),
            ]  # fmt: skip
            return nn.Sequential(*layers, nn.Flatten(), nn.Linear(81, 10)).double()

        def optimizer(network: nn.Module) -> torch.optim.Optimizer:
            return torch.optim.AdamW(network.parameters(), 0.01)

        recipe = Recipe(network, optimizer, 3, "one_cycle", label_smoothing=0.1)
        prepare = in_double
        if processes.count() > 1:
            recipe, prepare = shared(recipe, in_double), identity
        images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
        train, held_out = (
            Batches(images, labels, rows, BATCH, CPU, prepare)
            # The last batch has one image more; or is of a single one, less than processes.
            for rows in (torch.arange(len(data)), torch.arange(1))
        )
        yield engine.fit(recipe, train, seed=3, device=CPU, validation=held_out)


def in_double(images: Tensor) -> Tensor:
    return images.double() / 255


def told_of_other_inputs() -> str:
    """What is said where the processes would not train the same."""
    try:
        processes.check(os.environ["RANK"], np.arange(9)[np.newaxis] % 2, 4)
    except Problem as problem:
        return str(problem)
    return "nothing"


def cut(arguments: dict[str, object]) -> dict[str, object]:
    """The same for a network whose larger part is frozen, with its files in other places."""
    params = arguments["params"].model_copy(update={"trainable": ("layer4", "fc"), "epochs": 1})
    return arguments | {"params": params, "models": Path("cut"), "results": Path("cut")}


def main() -> None:
    """All of it in turn, the stage's program last."""
    rank, kill, seen = int(os.environ["RANK"]), int(os.environ.get("KILL", 0)), []

    def see(layer: nn.Module, inputs: tuple[Tensor]) -> None:
        (images,) = inputs
        first = isinstance(layer, Conv2d) and layer.in_channels == 1
        if first and layer.training and not images.is_meta:  # what costs are counted on
            seen.append(images.numpy().copy())
            if rank == 1 and len(seen) == kill:
                os.kill(os.getpid(), signal.SIGKILL)

    @wraps(finetune)
    def all_of_it(**arguments: object) -> None:
        if not kill:
            fits = [(fit.model.state_dict(), fit.history) for fit in small_fits(TRAIN)]
            torch.save(fits, f"small-{rank}.pt")
            Path(f"told-{rank}").write_text(told_of_other_inputs(), "utf-8")
        with register_module_forward_pre_hook(see):
            finetune(**arguments)
        stage.MEMORY_LIMIT = 0
        finetune(**cut(arguments))

    processes.main(all_of_it)
    np.savez(f"seen-{rank}.npz", *seen)


if __name__ == "__main__":
    main()
