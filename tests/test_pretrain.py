"""Where the pretrained weights come from, and what the letters look like."""

import json
import shutil
import unicodedata

import pytest
import torch
from torchvision.models import resnet18 as torchvision_resnet18

from stages.pretrain import Params, pretrain
from taller.data import dataset, glyphs
from taller.models import bases, resnet18
from taller.program import files, seeds
from taller.program.errors import Problem
from taller.training import cost, letters, numerics

PARAMS = {"batch_size": 128, "learning_rate": 0.05, "weight_decay": 0.0005, "label_smoothing": 0.1}
# Far fewer than params.yaml admits: nothing is learnt from them, and hardly any time goes by.
FEW, HELD_OUT = 256, 200
CPU = torch.device("cpu")
RESNET, LITE0 = "resnet18", "efficientnet_lite0"


@pytest.fixture(scope="module")
def traced():
    return glyphs.trace()


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the stage; gives its first model file, what it says of it, and where the others are."""
    monkeypatch.setattr(letters, "HELD_OUT", HELD_OUT)

    def stage(source: str, imagenet: dict, name: str = "models", repeats: int = 1, network=RESNET):
        got = tmp_path / "weights.pth"
        if imagenet["available"]:
            imagenet |= {"sha256": files.sha256(got) if got.exists() else "0" * 64}
        told = {
            "requested": True, "network": RESNET, "file": got.name, "sha256": None, "origin": None,
        }  # fmt: skip
        files.write_json(tmp_path / "pretrained.json", {"imagenet": told | imagenet})
        model, others = bases.places(tmp_path / name, network)
        chosen = Params.model_construct(source=source, network=network, images=FEW, **PARAMS)
        pretrain(chosen, 1, 2, "cpu", repeats, tmp_path, tmp_path / name, tmp_path, tmp_path)
        facts = json.loads((tmp_path / "pretrain.json").read_text(encoding="utf-8"))
        assert facts["sha256"] == files.sha256(model)
        assert len(bases.load(model, others, repeats)) == repeats
        return torch.load(model, weights_only=True), facts, others

    return stage


@pytest.fixture
def imagenet(tmp_path):
    """A file of torchvision's format in place, and what `download` says of it."""
    network = torchvision_resnet18(weights=None)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    return network.state_dict(), {"available": True}


@pytest.mark.parametrize("requested", ["imagenet", "auto"])
def test_imagenets_weights_are_taken_as_they_are(run, imagenet, requested):
    state, download = imagenet
    base, facts, others = run(requested, download, repeats=3)
    assert (facts["requested"], facts["source"], facts["network"]) == (
        requested,
        "imagenet",
        RESNET,
    )
    assert facts["weights_sha256"] == download["sha256"]
    # One for all repeats: there is no chance in it.
    assert facts["networks"] == 1 and not list(others.glob("*.pth"))
    assert not {"glyph_accuracy", "flops", "twins"} & facts.keys()
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
        run("imagenet", {"available": False})


@pytest.mark.parametrize(("source", "network"), [("imagenet", LITE0), ("auto", RESNET)])
def test_lite0s_weights_are_those_of_the_wheel(
    run, lite0_weights, tmp_path, capsys, source, network
):
    shutil.copy(lite0_weights, tmp_path / "weights.pth")
    told = {"available": True, "network": LITE0}
    base, facts, others = run(source, told, repeats=2, network=network)
    # Files have the param's name, whatever is in them.
    assert (others.parent / f"{network}_base.pth").exists()
    assert (facts["source"], facts["network"], facts["networks"]) == ("imagenet", LITE0, 1)
    assert base["architecture"] == "EfficientNet-Lite0"
    assert base["arguments"] == {"classes": 1000, "shape": [3, 224, 224]}
    assert base["scaling"] == {"mean": [0.5] * 3, "std": [0.5] * 3, "size": [224, 224]}
    theirs = torch.load(lite0_weights, weights_only=True)
    assert [*map(torch.equal, base["state_dict"].values(), theirs.values())] == [True] * 296
    said = "pretrain: auto is imagenet here, with EfficientNet-Lite0; files are called resnet18"
    assert (said in capsys.readouterr().out) == (source == "auto")


def test_weights_of_another_network_than_the_params_are_one_line(run):
    with pytest.raises(Problem, match="expected those of resnet18, found efficientnet_lite0; run"):
        run("imagenet", {"available": True, "network": LITE0})


def test_without_imagenet_the_params_network_learns_letters(run, untrained, capsys):
    base, facts, _ = run("auto", {"available": False, "network": None}, network=LITE0)
    assert (facts["source"], facts["network"]) == ("glyphs", LITE0)
    assert base["architecture"] == "EfficientNet-Lite0"
    assert "auto is glyphs here, with EfficientNet-Lite0" in capsys.readouterr().out


def test_lite0_learns_letters_too(run):
    base, facts, _ = run("glyphs", {"available": False, "network": None}, network=LITE0)
    assert (facts["network"], base["arguments"]["shape"]) == (LITE0, [1, 28, 28])
    assert facts["flops"] > 0


def test_glyphs_train_to_the_same_bytes_a_network_for_each_repeat(run, monkeypatch, capsys):
    first, facts, others = run("glyphs", {"available": True}, repeats=2)
    assert (facts["requested"], facts["source"]) == ("glyphs", "glyphs")
    assert (facts["images"], facts["networks"], len(facts["glyph_accuracy"])) == (FEW, 2, 2)
    second = torch.load(others / "2.pth", weights_only=True)["state_dict"]
    weights = [key for key, value in second.items() if value.ndim > 1]
    assert not any(torch.equal(second[key], first["state_dict"][key]) for key in weights)
    capsys.readouterr()

    drawn, draw = [], glyphs.draw

    def counted(paths, classes, count, pen):
        drawn.append(count)
        return draw(paths, classes, count, pen)

    monkeypatch.setattr(glyphs, "draw", counted)
    once, again, _ = run("auto", {"available": False}, "again")
    # Without ImageNet auto is glyphs, and says so.
    assert (again["requested"], again["source"], again["networks"]) == ("auto", "glyphs", 1)
    assert "auto is glyphs here" in capsys.readouterr().out
    assert again["glyph_accuracy"] == facts["glyph_accuracy"][:1]
    for key, value in first["state_dict"].items():
        assert torch.equal(value, once["state_dict"][key]), key
    # Just as many letters as it says, those of other fonts, and the sheet: ten chosen, and others.
    assert drawn == [128] * 2 + [128, HELD_OUT - 128] + [1] * 10 + [90]


@pytest.mark.parametrize(
    ("images", "size", "count"),
    [(60_000, 128, 10), (8000, 128, 10), (8000, 8192, 1), (8000, 3000, 3), (8001, 100, 10)],
)
def test_the_parts_of_pretraining_are_all_letters_in_the_same_batches(
    traced, images, size, count, monkeypatch
):
    drawn, shown = [], torch.zeros(1, 1, 28, 28, dtype=torch.uint8)

    def counted(paths, classes, count, pen):
        drawn.append(count)
        return shown, classes[:1]

    monkeypatch.setattr(glyphs, "draw", counted)
    whole = letters.Letters(*traced, images, size, "letters")
    found = letters.parts(whole, letters.PARTS)
    assert len(found) == count and sum(map(len, found)) == len(whole)
    assert max(map(len, found)) - min(map(len, found)) <= 1
    for part in found:
        assert len(list(part.shuffled(1))) == len(part)
    in_parts = drawn.copy()
    drawn.clear()
    assert len(list(whole.shuffled(1))) == len(whole)
    assert in_parts == drawn and sum(drawn) == images
    assert found[-1].label == f"letters, part {count} of {count}"


def test_letters_are_learnt(monkeypatch):
    monkeypatch.setattr(letters, "HELD_OUT", 1000)
    with numerics.threads(2):
        found = letters.pretrain(resnet18.build, images=4000, **PARAMS, seed=1, device=CPU)
    # 372 classes: chance is 0.003. Thirty-two steps are enough to be far above it.
    assert found.accuracy > 0.01


@pytest.fixture
def untrained(monkeypatch):
    """Networks of the letters' classes that nobody trains; they know more and more letters."""
    known = iter((0.25, 0.5, 0.75))

    def pretrain_nothing(build, *, seed, **_):
        torch.manual_seed(seed)
        return letters.Pretraining(build(372, (1, 28, 28)), ["A"] * 372, next(known))

    monkeypatch.setattr(letters, "pretrain", pretrain_nothing)


def test_the_facts_of_letters(run, untrained, traced, tmp_path):
    *_, facts, others = run("glyphs", {"available": True}, repeats=3)
    assert [path.name for path in sorted(others.glob("*.pth"))] == ["2.pth", "3.pth"]
    assert (facts["networks"], facts["glyph_accuracy"]) == (3, [0.25, 0.5, 0.75])
    step = cost.count(resnet18.build(372, (1, 28, 28)), (1, 28, 28)).step
    assert facts["flops"] == FEW * step  # of one network
    drawn = {glyphs.alphabet()[place] for place in traced[1].tolist()}
    assert facts["letters"] == len(drawn) == 529
    assert facts["shapes"] == len({*glyphs.shapes(*traced).tolist()} - {-1}) == 372
    # Unicode's name of a letter begins with its script; phonetic ones are called Latin, too.
    scripts = {unicodedata.name(letter).split()[0] for letter in drawn}
    assert scripts | {"PHONETIC"} == {name.upper().replace("'", "") for name in facts["alphabets"]}
    assert len(facts["alphabets"]) == 9
    assert facts["alike"] == glyphs.ALIKE


def test_the_sheet_begins_with_the_letters_nearest_to_the_digits(run, untrained, tmp_path):
    _, facts, _ = run("glyphs", {"available": True})
    assert [twin["digit"] for twin in facts["twins"]] == [*"0123456789"]
    sheet = dataset.load(tmp_path / "muestra_letras.npz")
    assert (sheet.images.shape, sheet.names) == ((100, 1, 28, 28), tuple(glyphs.alphabet()))
    first = [sheet.names[label] for label in sheet.labels[:10]]
    assert first == [twin["letters"][0] for twin in facts["twins"]]
    assert len({*sheet.labels[10:].tolist()}) > 50


def test_tracing_is_the_same_every_time():
    fonts = glyphs.HELD_OUT_FONTS
    for once, again in zip(glyphs.trace(fonts), glyphs.trace.__wrapped__(fonts), strict=True):
        assert torch.equal(once, again)


def test_none_is_random_weights_of_the_seed_and_the_repeat(run):
    base, facts, others = run("none", {"available": True}, repeats=2)
    assert (facts["source"], facts["networks"]) == ("none", 2)
    assert not {"glyph_accuracy", "flops", "twins"} & facts.keys()
    second = torch.load(others / "2.pth", weights_only=True)
    for repeat, found in enumerate((base, second)):
        torch.manual_seed(seeds.of_weights(seeds.of_pretraining(1, repeat)))
        expected = resnet18.build(1, (1, 28, 28)).state_dict()
        assert all(torch.equal(value, expected[key]) for key, value in found["state_dict"].items())
    assert not torch.equal(base["state_dict"]["conv1.weight"], second["state_dict"]["conv1.weight"])


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
