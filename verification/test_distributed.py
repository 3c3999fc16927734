"""Fine-tuning in two processes: what one process does, with every image in one of them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from dvc.utils.hydra import apply_overrides
from in_processes import BATCH, TRAIN, cut, small_fits
from made_up import NO_IMAGENET

from stages import finetune as stage
from stages.pretrain import Params as Pretrain
from stages.pretrain import pretrain
from taller.data import dataset, idx
from taller.data.dataset import Dataset
from taller.program import cli, files, params, seeds
from taller.program.errors import Problem
from taller.training import processes
from taller.training.batches import split

ROOT = Path(__file__).parents[1]
IMAGES, EPOCHS, SECONDS = 97, 2, 240
# Small steps: with larger ones rounding grows, as it does when the images of a batch change places.
SET = {
    "finetune.trainable": "all", "finetune.image_size": 28, "finetune.batch_size": BATCH,
    "finetune.learning_rate": 1e-4, "finetune.epochs": EPOCHS, "finetune.min_steps": 0,
    "threads": 1,
}  # fmt: skip


def torchrun(folder, **environment):
    """Run the program in two processes; gives its exit status and what it printed."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, ROOT / "verification/in_processes.py"], cwd=folder, timeout=SECONDS,
        env=os.environ | environment | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def ready(mnist_raw, tmp_path_factory):
    """A folder with real images, two folds, a network without pretraining, and params."""
    folder = tmp_path_factory.mktemp("ready")
    images = idx.read(mnist_raw / "train-images-idx3-ubyte")[:IMAGES, np.newaxis]
    labels = idx.read(mnist_raw / "train-labels-idx1-ubyte")[:IMAGES].astype(np.int64)
    (folder / TRAIN).parent.mkdir(parents=True)
    dataset.save(folder / TRAIN, Dataset(images, labels, tuple("0123456789")))
    np.save(folder / TRAIN.with_name("folds.npy"), np.arange(IMAGES)[np.newaxis] % 2)
    files.write_json(folder / "pretrained.json", NO_IMAGENET)
    settings = Pretrain(
        source="none", network="resnet18", images=8000, batch_size=128, learning_rate=0.1,
        weight_decay=0.0, label_smoothing=0.0,
    )  # fmt: skip
    pretrain(settings, 5, 1, "cpu", 1, folder, folder / "modelos", folder, folder)
    shutil.copytree(folder / "modelos", folder / "cut")
    shutil.copy(ROOT / "params.yaml", folder)
    apply_overrides(folder / "params.yaml", [f"{key}={value}" for key, value in SET.items()])
    return folder


@pytest.fixture(scope="module")
def one(ready, tmp_path_factory):
    """A folder with what one process makes."""
    folder = shutil.copytree(ready, tmp_path_factory.mktemp("one") / "run")
    arguments = {
        name: params.read(key, schema, folder / "params.yaml")
        for name, (key, schema) in cli.keys(stage.finetune).items()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("LOKY_MAX_CPU_COUNT", "1")
        stage.finetune(**arguments)
        stage.finetune(**cut(arguments))
    return folder


@pytest.fixture(scope="module")
def killed(ready, tmp_path_factory):
    """A folder in which the second of two processes was killed, and what was told then."""
    folder = shutil.copytree(ready, tmp_path_factory.mktemp("two") / "run")
    # In the second epoch of the first fit.
    return folder, *torchrun(folder, KILL="5")


@pytest.fixture(scope="module")
def two(killed):
    """The same folder, and what was told, after two processes went on to the end."""
    folder, *_ = killed
    status, told = torchrun(folder)
    assert status == 0, told
    return folder, told


def test_a_process_that_is_killed_ends_the_others_which_say_so_in_a_line(killed):
    _, status, told = killed
    assert status == 1
    (line,) = (line for line in told.splitlines() if line.startswith("finetune: "))
    assert line.startswith("finetune: expected 2 processes, found that another one has ended: ")
    assert "(SIGKILL)" in told and "[rank" not in told


def test_one_process_tells_how_far_it_is_from_the_last_epoch_on(two):
    folder, told = two
    told = [line for line in told.splitlines() if line.startswith(("numerics: ", "ResNet18: "))]
    begun, on, *epochs, end = told[:8]
    assert begun.startswith("numerics: ") and end.startswith("ResNet18: accuracy ")
    assert on == "ResNet18: all images: goes on after epoch 1 of 2"
    assert [line.rpartition(" of ")[0].removeprefix("ResNet18: ") for line in epochs] == [
        "all images, epoch 2", "fold 1, epoch 1", "fold 1, epoch 2", "fold 2, epoch 1",
        "fold 2, epoch 2",
    ]  # fmt: skip
    assert len(told) == 8 + 4  # and of the network that is cut
    assert not (folder / ".cache/journal").exists()


def test_each_image_is_in_one_process_once_in_every_epoch(ready, two):
    images = dataset.load(ready / TRAIN).images
    whose = {image.tobytes(): row for row, image in enumerate(images)}
    assert len(whose) == IMAGES
    mean, std = (np.float32(store_scaling(ready)[name][0]) for name in ("mean", "std"))
    seen = []
    for rank in range(2):
        with np.load(two[0] / f"seen-{rank}.npz") as file:
            batches = [np.rint((file[name] * std + mean) * 255) for name in file.files]
        seen.append([[whose[i.astype(np.uint8).tobytes()] for i in batch] for batch in batches])
    shares = [[len(batch) for batch in batches] for batches in seen]
    # All images from the second epoch on; then, twice, those of even and odd number.
    assert shares == [
        [16, 16, 17, *2 * [16, 8], *2 * [16, 9]],
        [16, 16, 16, *2 * [16, 8], *2 * [16, 8]],
    ]
    expected = [range(IMAGES), *2 * [range(1, IMAGES, 2)], *2 * [range(0, IMAGES, 2)]]
    ends = np.cumsum([3, 2, 2, 2, 2])
    for rows, start, end in zip(expected, [0, *ends], ends, strict=False):
        found = [row for batches in seen for batch in batches[start:end] for row in batch]
        assert sorted(found) == list(rows)
    # The order of one process, too: the first half of each batch, and the second.
    order = torch.Generator().manual_seed(seeds.of_order(seeds.of_fit(42), 2))
    batches = torch.randperm(IMAGES, generator=order).split(split(IMAGES, BATCH))
    for batch, *halves in zip(batches, *seen, strict=False):
        assert batch.tolist() == [row for half in halves for row in half]


def store_scaling(folder) -> dict:
    return torch.load(folder / "modelos/resnet18_base.pth", weights_only=True)["scaling"]


def test_in_double_precision_the_weights_are_those_of_one_process_in_every_one(one, two):
    for rank in range(2):
        found = torch.load(two[0] / f"small-{rank}.pt", weights_only=True)
        for fit, (state, history) in zip(small_fits(one / TRAIN), found, strict=True):
            for key, value in fit.model.state_dict().items():
                torch.testing.assert_close(state[key], value, rtol=1e-9, atol=1e-10)
            assert history == [pytest.approx(row, rel=1e-9) for row in fit.history]


@pytest.mark.parametrize("where", ["", "cut"])
def test_the_stage_writes_what_one_process_does(ready, one, two, where):
    models, results = (where, where) if where else ("modelos", "resultados")
    for name in ("history", "scores"):
        a, b = (pd.read_csv(folder / results / f"resnet18/{name}.csv") for folder in (one, two[0]))
        pd.testing.assert_frame_equal(a, b, rtol=1e-4, atol=1e-5)
    a, b = (files.read_json(folder / results / "resnet18/fit.json") for folder in (one, two[0]))
    assert a == b
    start = state(ready / models / "resnet18_base.pth")
    a, b = (state(folder / models / "resnet18.pth") for folder in (one, two[0]))
    if where:
        front = [key for key in start if not key.startswith(("layer4", "fc"))]
        assert front and all(torch.equal(b[key], start[key]) for key in front)
    for kinds in (("weight", "bias"), ("running_mean", "running_var", "num_batches_tracked")):
        keys = [key for key in start if key.endswith(kinds) and not key.startswith("fc")]
        moved, apart = (
            sum(float((a[key] - other[key]).double().square().sum()) for key in keys) ** 0.5
            for other in (start, b)
        )
        # Rounding grows on the way, here to a hundredth of it; other gradients lead elsewhere.
        assert moved > 0 and apart < 0.05 * moved


def state(path) -> dict:
    return torch.load(path, weights_only=True)["state_dict"]


def test_processes_that_would_not_train_the_same_say_so(two):
    told = {(two[0] / f"told-{rank}").read_text("utf-8") for rank in range(2)}
    assert told == {
        "expected the same params, inputs, code and libraries on all machines, found others in "
        "process 1 than in process 0"
    }


def test_more_processes_than_images_of_a_batch_are_one_line(one, monkeypatch):
    monkeypatch.chdir(one)
    monkeypatch.setenv("WORLD_SIZE", "17")
    read = {
        name: params.read(key, schema) for name, (key, schema) in cli.keys(stage.finetune).items()
    }
    with pytest.raises(Problem) as caught:
        stage.finetune(**read)
    assert str(caught.value) == (
        "expected an image of every batch for each of 17 processes, found a batch of 16, the last "
        "of 48 images in batches of 32; start fewer processes, or change finetune.batch_size"
    )


def test_processes_that_torchrun_did_not_start_are_one_line(one, monkeypatch):
    monkeypatch.chdir(one)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setattr("sys.argv", ["finetune"])
    monkeypatch.setattr("signal.signal", lambda *_: None)  # pytest's process keeps its own
    monkeypatch.setattr(processes, "PATIENCE", 0)
    with pytest.raises(SystemExit) as ended:
        processes.main(stage.finetune)
    assert ended.value.code == (
        "finetune: expected RANK beside WORLD_SIZE=2, found nothing; start it with: "
        "torchrun --nproc-per-node 2 -m stages.finetune"
    )


def test_fewer_gpus_than_processes_are_one_line(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(Problem, match="GPU for each of this machine's 2 processes, found 1"):
        processes.choose_device("auto")
