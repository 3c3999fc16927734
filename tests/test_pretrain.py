"""Where the pretrained weights come from, and what the letters look like."""

import json
import unicodedata

import numpy as np
import pytest
import torch
from torchvision.models import resnet18 as torchvision_resnet18

from stages.pretrain import Params, pretrain
from taller.data import glyphs
from taller.models import bases, resnet18
from taller.program import files, seeds
from taller.program.errors import Problem
from taller.training import letters

PARAMS = {
    "images": 4000, "batch_size": 128, "learning_rate": 0.05, "weight_decay": 0.0005,
    "label_smoothing": 0.1,
}  # fmt: skip


HELD_OUT = 1000


@pytest.fixture(scope="module")
def traced():
    return glyphs.trace()


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the stage; gives its model file and what it says of it."""
    monkeypatch.setattr(letters, "HELD_OUT", HELD_OUT)

    def stage(source: str, imagenet: dict, name: str = "base.pth", repeats: int = 1):
        files.write_json(tmp_path / "pretrained.json", {"imagenet": imagenet})
        model = tmp_path / name
        # Fewer letters than the schema admits: enough to be above chance.
        chosen = Params.model_construct(source=source, **PARAMS)
        pretrain(chosen, 1, 2, "cpu", repeats, tmp_path, model, tmp_path / "bases", tmp_path)
        facts = json.loads((tmp_path / "pretrain.json").read_text())
        assert facts["sha256"] == files.sha256(model)
        return torch.load(model, weights_only=True), facts

    return stage


@pytest.fixture
def imagenet(tmp_path):
    """A file of torchvision's format in place, and what `download` says of it."""
    network = torchvision_resnet18(weights=None)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    facts = {"available": True, "file": "weights.pth", "sha256": "0" * 64}
    return network.state_dict(), facts


@pytest.mark.parametrize("requested", ["imagenet", "auto"])
def test_imagenets_weights_are_taken_as_they_are(run, imagenet, requested):
    state, download = imagenet
    base, facts = run(requested, download)
    assert (facts["requested"], facts["source"]) == (requested, "imagenet")
    assert facts["weights_sha256"] == download["sha256"]
    assert base["scaling"]["mean"] == [0.485, 0.456, 0.406]
    assert base["arguments"] == {"classes": 1000, "shape": [3, 224, 224]}
    assert all(torch.equal(value, state[key]) for key, value in base["state_dict"].items())


def test_weights_of_another_network_are_refused(run, imagenet, tmp_path):
    state, download = imagenet
    del state["layer4.1.conv2.weight"]
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(Problem, match=r"weights\.pth: expected layer4\.1\.conv2\.weight, found no"):
        run("imagenet", download)


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: {"state_dict": state},
        lambda state: {key: value for key, value in state.items() if key != "conv1.weight"},
        lambda state: state | {"conv1.weight": state["conv1.weight"][:, :, :3]},
        lambda state: state | {"conv1.weight": state["fc.bias"]},
        lambda state: list(state),
    ],
)
def test_weights_of_another_form_are_refused_in_one_line(run, imagenet, tmp_path, damage):
    state, download = imagenet
    torch.save(damage(state), tmp_path / "weights.pth")
    expected = r"weights\.pth: expected (the state dict of an RGB ResNet|conv1\.weight)"
    with pytest.raises(Problem, match=expected):
        run("imagenet", download)


def test_imagenet_that_is_not_there_is_one_line(run):
    with pytest.raises(Problem, match="expected ImageNet's weights, found none"):
        run("imagenet", {"available": False, "file": None})


def test_glyphs_train_to_the_same_bytes_and_better_than_chance(run, monkeypatch, capsys):
    first, facts = run("glyphs", {"available": True})
    assert (facts["requested"], facts["source"]) == ("glyphs", "glyphs")
    assert facts["images"] == PARAMS["images"]
    # 372 classes: chance is 0.003. Thirty-two steps are enough to be far above it.
    (accuracy,) = facts["glyph_accuracy"]
    assert accuracy > 0.01
    capsys.readouterr()

    drawn, draw = [], glyphs.draw

    def counted(paths, classes, count, pen):
        drawn.append(count)
        return draw(paths, classes, count, pen)

    monkeypatch.setattr(glyphs, "draw", counted)
    second, again = run("auto", {"available": False}, "again.pth")
    # Without ImageNet auto is glyphs, and says so.
    assert (again["requested"], again["source"]) == ("auto", "glyphs")
    assert "auto is glyphs here" in capsys.readouterr().out
    assert again["glyph_accuracy"] == facts["glyph_accuracy"]
    for key, value in first["state_dict"].items():
        assert torch.equal(value, second["state_dict"][key]), key
    # Just as many letters as it says, those of other fonts, and the sheet.
    assert sum(drawn) == PARAMS["images"] + HELD_OUT + 100
    assert len(drawn) == 32 + 8 + 10 + 1  # the sheet begins with the letters nearest to digits


def test_tracing_is_the_same_every_time():
    fonts = glyphs.HELD_OUT_FONTS
    for once, again in zip(glyphs.trace(fonts), glyphs.trace.__wrapped__(fonts), strict=True):
        assert torch.equal(once, again)


def test_none_is_random_weights_of_the_seed(run):
    base, facts = run("none", {"available": True})
    torch.manual_seed(seeds.of_weights(seeds.of_pretraining(1)))

    expected = resnet18.build(1, (1, 28, 28)).state_dict()
    assert facts["source"] == "none" and "glyph_accuracy" not in facts
    assert all(torch.equal(value, expected[key]) for key, value in base["state_dict"].items())


def test_every_repeat_starts_from_a_network_of_its_own(run, tmp_path):
    base, facts = run("none", {"available": True}, repeats=3)
    assert facts["networks"] == 3
    found = bases.load(tmp_path / "base.pth", tmp_path / "bases", 3)
    first = [one.network.state_dict()["conv1.weight"] for one in found]
    assert torch.equal(first[0], base["state_dict"]["conv1.weight"])
    assert not any(torch.equal(first[a], first[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
    with pytest.raises(Problem, match="expected networks for 2 repeats, found 3"):
        bases.load(tmp_path / "base.pth", tmp_path / "bases", 2)


def test_imagenets_network_is_that_of_all_repeats(run, imagenet, tmp_path):
    _, facts = run("imagenet", imagenet[1], repeats=3)
    assert facts["networks"] == 1
    assert len(bases.load(tmp_path / "base.pth", tmp_path / "bases", 3)) == 3


def test_eight_of_ten_digits_have_a_twin_among_the_letters(traced):
    found = {twin["digit"]: twin for twin in glyphs.twins("0123456789")}
    assert [d for d, twin in found.items() if twin["correlation"] <= glyphs.ALIKE] == ["4", "7"]
    assert "З" in found["3"]["letters"] and "O" in found["0"]["letters"]
    # Once more with numpy, for one digit: the best of all its glyphs with all those of letters.
    paths, letters = traced
    signs, places = glyphs.trace(signs="0123456789")
    even = torch.ones(1)
    pictures = np.stack([glyphs.write(p[None], 3 * even, 2 * even)[0].ravel() for p in paths])
    best, nearest = -1.0, None
    for sign in signs[places == 9]:
        picture = glyphs.write(sign[None], 3 * even, 2 * even)[0].numpy().ravel()
        a, b = picture - picture.mean(), pictures - pictures.mean(axis=1, keepdims=True)
        alike = b @ a / np.linalg.norm(a) / np.linalg.norm(b, axis=1)
        if alike.max() > best:
            best, nearest = alike.max(), glyphs.alphabet()[letters[alike.argmax()]]
    assert found["9"]["correlation"] == pytest.approx(best, abs=1e-4)
    assert found["9"]["letters"][0] == nearest


def test_no_letter_is_a_digit():
    for letter in glyphs.alphabet():
        assert unicodedata.category(letter).startswith("L")
        assert unicodedata.numeric(letter, None) is None


def test_letters_of_one_shape_share_a_class(traced):
    shapes = glyphs.shapes(*traced)
    place = {letter: index for index, letter in enumerate(glyphs.alphabet())}
    same = [("O", "o"), ("S", "s"), ("X", "x")]
    other = [("A", "B"), ("b", "d"), ("E", "F"), ("M", "W")]
    assert all(shapes[place[a]] == shapes[place[b]] for a, b in same)
    assert all(shapes[place[a]] != shapes[place[b]] for a, b in other)
    present = shapes[shapes >= 0].unique()
    assert torch.equal(present, torch.arange(len(present)))


def test_thinning_leaves_a_line_along_the_middle():
    ink = torch.zeros(1, 20, 30, dtype=torch.bool)
    ink[0, 6:13, 3:27] = True
    line = glyphs.thin(ink)[0]
    rows = line.nonzero()[:, 0].unique().tolist()
    assert line.sum() < ink.sum() / 5
    assert all(8 <= row <= 10 for row in rows)
    assert (line.sum(0) <= 1).all()


def test_letters_have_mnists_geometry(traced):
    paths, letters = traced
    pen = torch.Generator().manual_seed(0)
    images, labels = glyphs.draw(paths, letters, 500, pen)
    assert (images.dtype, images.shape, labels.shape) == (torch.uint8, (500, 1, 28, 28), (500,))
    ink = images[:, 0].float() / 255
    total = ink.sum((1, 2))
    at = torch.arange(28.0)
    rows, columns = (ink.sum(2) @ at) / total, (ink.sum(1) @ at) / total
    # Saturated strokes move the centre of mass a little from that of the path.
    assert (rows - 13.5).abs().median() < 0.5 and (columns - 13.5).abs().median() < 0.5
    heights = (ink.amax(2) > 0.5).sum(1)
    widths = (ink.amax(1) > 0.5).sum(1)
    assert torch.maximum(heights, widths).float().median() in (19, 20, 21)
    assert torch.maximum(heights, widths).max() <= 22


def test_the_pen_is_the_only_source_of_randomness(traced):
    paths, letters = traced
    drawn = [glyphs.draw(paths, letters, 8, torch.Generator().manual_seed(s)) for s in (3, 3, 4)]
    assert torch.equal(drawn[0][0], drawn[1][0])
    assert not torch.equal(drawn[0][0], drawn[2][0])
