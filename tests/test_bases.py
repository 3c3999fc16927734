"""Which pretrained network each repeat starts from, and what is said when they are not there."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from taller.models import bases, resnet18, store
from taller.models.scaling import Scaling
from taller.program.errors import Problem

SCALING = Scaling((0.0,), (1.0,), (28, 28))


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """Store some networks, small ones; gives what `bases.load` is called with."""
    monkeypatch.setattr(
        resnet18, "build", lambda classes, shape: nn.Sequential(OrderedDict(fc=nn.Linear(2, 3)))
    )

    def store_them(count: int, architecture: str = resnet18.NAME):
        places = tmp_path / "base.pth", tmp_path / "bases"
        bases.tell(places[1], count)
        network = resnet18.build(3, (1, 28, 28))
        for number, path in enumerate(bases.paths(*places, count)):
            state = network.state_dict() | {"fc.bias": torch.full((3,), float(number))}
            arguments = {"classes": 3, "shape": (1, 28, 28)}
            store.save(path, architecture, arguments, SCALING, "abc", state)
        return places

    return store_them


def marks(networks) -> list[float]:
    return [one.network.fc.bias[0].item() for one in networks]


def test_each_repeat_has_its_own(stored):
    assert marks(bases.load(*stored(3), repeats=3)) == [0.0, 1.0, 2.0]


def test_one_serves_all_repeats(stored):
    assert marks(bases.load(*stored(1), repeats=4)) == [0.0] * 4


def test_the_first_stands_alone_and_the_others_in_a_folder(tmp_path):
    first, *others = bases.paths(tmp_path / "base.pth", tmp_path / "bases", 3)
    assert first == tmp_path / "base.pth"
    assert others == [tmp_path / "bases/2.pth", tmp_path / "bases/3.pth"]


@pytest.mark.parametrize("made", [2, 3, 5])
@pytest.mark.parametrize("repeats", [1, 4])
def test_another_number_is_one_line(stored, made, repeats):
    with pytest.raises(Problem, match=f"bases: expected networks for {repeats} repeats") as it:
        bases.load(*stored(made), repeats=repeats)
    assert str(it.value).endswith(f"found {made}") and "\n" not in str(it.value)


def test_more_files_than_are_told_of_are_no_networks(stored):
    places = stored(3)
    bases.tell(places[1], 1)
    assert marks(bases.load(*places, repeats=2)) == [0.0, 0.0]


@pytest.mark.parametrize("lost", ["base.pth", "bases/2.pth"])
def test_one_that_is_missing_is_named(stored, lost):
    places = stored(2)
    (places[0].parent / lost).unlink()
    with pytest.raises(Problem, match=rf"{lost}: expected a model, found nothing"):
        bases.load(*places, repeats=2)


def test_networks_of_another_kind_are_refused(stored):
    with pytest.raises(Problem, match=r"expected a model \(ResNet18 or .*\), found another file"):
        bases.load(*stored(2, "SimpleNN"), repeats=2)


def test_without_the_stage_before_the_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        bases.load(tmp_path / "base.pth", tmp_path / "bases", 1)
    assert caught.value.filename == str(tmp_path / "bases/networks.json")
