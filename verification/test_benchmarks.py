"""The benchmark: that its rows train the same thing, and how it counts. No time is tested."""

import importlib
import math
from contextlib import nullcontext

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import base, drawing, limit, parts, results, staged, table
from benchmarks.rows import last_layer_workshop, workshop
from benchmarks.work import Work
from taller.models import resnet18, simple_nn
from taller.models.scaling import Scaling
from taller.models.store import Classifier
from taller.program import files
from taller.training import cost

DIGIT = (1, 28, 28)


@pytest.fixture(scope="module")
def work(mnist_raw) -> Work:
    return Work(images=2000, epochs=5, folds=2, batch=16, files=str(mnist_raw))


def test_every_writer_is_on_one_side_of_each_fold(work):
    assert len(work.data) == len(set(work.rows)) == 2000
    held_out = np.concatenate([validation for _, validation in work.splits])
    assert sorted(held_out) == [*range(2000)]
    for training, validation in work.splits:
        assert not set(work.data.groups[training]) & set(work.data.groups[validation])
    assert work.trained == sum(len(training) for training, _ in work.splits) * 5


def test_torchvision_reads_the_same_images(work):
    data = workshop.mnist(work)
    for row in (0, 500, 1999):
        image, label = data[row]
        np.testing.assert_allclose(image.flatten(), work.scaled()[row], atol=1e-6)
        assert label == work.data.labels[row]


@pytest.mark.parametrize("module", ["ours", "workshop", "sklearn_mlp", "jax_vmap"])
def test_each_trains_the_network_on_every_fold(work, module, monkeypatch):
    if module == "jax_vmap":
        pytest.importorskip("jax", reason="NOT TESTED, no bench extra here")
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")  # starting others takes longer than training
    options = {"only": 2} if module == "workshop" else {}
    one_process = joblib.parallel_config("threading") if module == "sklearn_mlp" else nullcontext()
    with one_process:
        found = importlib.import_module(f"benchmarks.rows.{module}").prepare(work, **options)()
    assert len(found) == 2
    assert min(found) > 0.8 and max(found) < 0.95, found


def test_what_the_workshops_loop_freezes_is_what_ours_freezes():
    network = resnet18.build(10, DIGIT).eval()
    scaling = Scaling((0.0,), (1.0,), (28, 28))
    known = Classifier("ResNet18", network, scaling, (), DIGIT)
    theirs = last_layer_workshop.Network(base.body(known)).train()
    images = torch.rand(3, *DIGIT)
    torch.testing.assert_close(theirs.body(images), network[:-1](images), rtol=1e-4, atol=1e-5)
    trained = [name for name, one in theirs.named_parameters() if one.requires_grad]
    assert trained == ["head.weight", "head.bias"]


@pytest.mark.parametrize(
    "network", [simple_nn.build(10, DIGIT), resnet18.build(10, DIGIT)], ids=["simple_nn", "resnet"]
)
@pytest.mark.parametrize("train", [True, False], ids=["step", "answer"])
def test_the_bare_operations_are_the_networks_arithmetic(network, train):
    counted, operations = cost.count(network, DIGIT), limit.alone(network, DIGIT, 4, train)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        for first, *_ in operations:
            first()
    assert counter.get_total_flops() == 4 * (counted.step if train else counted.answer)


def test_both_ways_of_a_product_give_the_product():
    left, right = torch.rand(5, 7), torch.rand(7, 3)
    for way in limit.product(left, right):
        torch.testing.assert_close(torch.as_tensor(way()), left @ right)


def test_a_stages_seconds_are_counted_once(tmp_path, monkeypatch):
    """Writing within loading is loading; a clock changes nothing that is read or written."""
    monkeypatch.setattr(staged, "spent", {"loading": 0.0, "writing": 0.0})
    monkeypatch.setattr(files, "room", staged._block(files.room, "writing"))
    with staged.measured("loading"):
        files.write_text(tmp_path / "a", "text")
    assert staged.spent["loading"] > 0 and staged.spent["writing"] == 0
    files.write_text(tmp_path / "b", "text")
    assert staged.spent["writing"] > 0 and (tmp_path / "b").read_text() == "text"


def test_slope_of_a_power_law():
    x = [2, 5, 10, 20]
    assert results.slope(x, [3 * one**1.25 for one in x]) == pytest.approx(1.25)


def measurements(*rows: tuple) -> pd.DataFrame:
    """Of (row, round, images, seconds, accuracy)."""
    names = ("row", "round", "images", "seconds", "accuracy")
    return pd.DataFrame(
        [
            dict.fromkeys(results.COLUMNS, math.nan)
            | {"machine": "m", "part": "simple_nn", "note": ""}
            | dict(zip(names, row, strict=True))
            | {"images_per_second": row[2] / row[3]}
            for row in rows
        ]
    )


SLOW_THEN_FAST = measurements(
    # The machine is four times as fast in the second round, and a tenth so in the third.
    (parts.OURS, 1, 100, 1.0, 0.97), ("peer", 1, 100, 2.0, 0.96),
    (parts.OURS, 2, 100, 0.25, 0.97), ("peer", 2, 50, 0.4, 0.96),
    (parts.OURS, 3, 100, 10.0, 0.97), ("peer", 3, 100, 90.0, 0.96),
)  # fmt: skip


def test_ratios_are_within_rounds():
    found = results.medians(SLOW_THEN_FAST, parts.OURS)
    # 2, 3.2 and 9; the medians' own ratio would be 2.
    assert found["ratio"]["peer"] == pytest.approx(3.2)
    assert found["ratio"][parts.OURS] == 1
    assert found["seconds"]["peer"] == 2.0
    assert found["worse"].to_dict() == {parts.OURS: False, "peer": True}


def test_the_table_tells_who_is_worse_and_by_how_much_faster():
    lines = table.markdown(SLOW_THEN_FAST, ["simple_nn"]).splitlines()
    (peer,) = [line for line in lines if line.startswith("| peer")]
    assert "3.2 ×" in peer and "0.9600 (worse)" in peer


def test_the_file_has_the_columns_and_keeps_other_parts(tmp_path):
    path = tmp_path / "results.csv"
    results.start("limit", path)
    results.add({"part": "limit", "row": "a", "round": 1, "images": 10, "seconds": 4.0}, path)
    results.start("growth", path)
    results.add({"part": "growth", "row": "b", "round": 1, "note": "not installed: x"}, path)
    found = results.read(path)
    assert tuple(found) == results.COLUMNS
    assert [*found["row"]] == ["a", "b"]
    assert found["images_per_second"][0] == 2.5 and found["note"][1] == "not installed: x"
    results.start("limit", path)
    assert [*results.read(path)["row"]] == ["b"]


def test_the_picture_is_drawn_of_some_parts(tmp_path):
    growth = measurements(*[("by folds", 1, one, one * 0.1, 1.0) for one in (2, 5)])
    growth = growth.assign(part="growth", x=growth["images"])
    drawing.draw(pd.concat([SLOW_THEN_FAST, growth]), tmp_path / "drawn.png")
    assert (tmp_path / "drawn.png").stat().st_size > 10_000


def test_every_row_has_its_module_and_its_place_in_the_table():
    assert {*table.SHOWN} == {*parts.PARTS}
    for part in parts.PARTS.values():
        cases = part.cases(5)
        assert part.ours is None or cases[0].row == part.ours
        for one in cases:
            module, _, function = one.function.partition(":")
            assert hasattr(importlib.import_module(module), function), one.function
