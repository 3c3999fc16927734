"""Letters, pretraining on them, and the networks that fine-tuning starts from."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image, ImageFont

from stages import pretrain
from taller.common import numerics
from taller.common.terminal import UserError
from taller.datasets import dataset
from taller.networks import cnn, resnet18
from taller.pretraining import glyphs, letters
from taller.pretraining.letters import LettersConfig
from taller.training import checkpoint, engine, store
from taller.training.batches import Scaling

DIGITS = "0123456789"
CPU = torch.device("cpu")
LETTERS = {
    "source": "letters", "images": 8000, "batch_size": 64, "learning_rate": 0.05,
    "weight_decay": 0.0005, "label_smoothing": 0.1,
}  # fmt: skip
CNN = {"network": "cnn", "channels": [4, 8], "units": 16, "dropout": 0.0}
# Far fewer than params.yaml admits: nothing is learnt from them, and hardly any time goes by.
FEW = 512


@pytest.fixture(scope="module")
def look_alikes():
    return {row["digit"]: row for row in glyphs.look_alikes(DIGITS)}


def test_what_is_said_of_the_letters():
    facts = letters.describe()
    alphabet = glyphs.alphabet()
    assert all(unicodedata.category(letter)[0] == "L" for letter in alphabet)
    assert {unicodedata.numeric(letter, None) for letter in alphabet} == {None}
    present = {alphabet[place] for place in glyphs.trace(glyphs.FONTS)[1].tolist()}
    assert facts["letters"] == len(present) == 529
    assert facts["shapes"] == len({*glyphs.shapes().tolist()} - {-1}) == 372
    # Unicode's name of a letter begins with its script; phonetic ones are called Latin, too.
    scripts = {unicodedata.name(letter).split()[0] for letter in present}
    assert scripts | {"PHONETIC"} == {name.upper().replace("'", "") for name in facts["alphabets"]}


def test_letters_of_one_shape_share_a_class():
    shapes = dict(zip(glyphs.alphabet(), glyphs.shapes().tolist(), strict=True))
    assert all(shapes[a] == shapes[b] for a, b in ("Oo", "OΟ", "Ss", "Xx", "AА"))
    assert all(shapes[a] != shapes[b] for a, b in ("AB", "bd", "EF", "MW"))
    present = {*shapes.values()} - {-1}
    assert present == {*range(len(present))}
    names = letters.names()
    assert [shapes[name] for name in names] == [*range(len(names))]


def test_eight_digits_have_a_look_alike_and_two_have_none(look_alikes):
    alike = [digit for digit, row in look_alikes.items() if row["correlation"] > glyphs.ALIKE]
    assert "".join(alike) == "01235689"
    # As anybody sees.
    assert {*"Oo"} < {*look_alikes["0"]["letters"]} and "З" in look_alikes["3"]["letters"]
    assert {*"lI"} < {*look_alikes["1"]["letters"]} and {*"Ss"} < {*look_alikes["5"]["letters"]}
    assert "B" in look_alikes["8"]["letters"] and "g" in look_alikes["9"]["letters"]


def test_the_first_letter_is_the_nearest_and_the_others_are_of_its_shape(look_alikes):
    digit = "1"

    def pictures(paths):
        even = torch.ones(len(paths))
        rows = glyphs.write(paths, 3 * even, 2 * even).flatten(1).double().numpy()
        rows -= rows.mean(axis=1, keepdims=True)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    (paths, places), (signs, _) = glyphs.trace(glyphs.FONTS), glyphs.trace(glyphs.FONTS, digit)
    assert len(signs) == len(glyphs.FONTS)  # each font has it
    nearness = (pictures(signs) @ pictures(paths).T).max(axis=0)
    row, shapes, alphabet = look_alikes[digit], glyphs.shapes(), glyphs.alphabet()
    assert row["correlation"] == pytest.approx(nearness.max(), abs=1e-5)
    first = alphabet.index(row["letters"][0])
    assert nearness[places == first].max() == pytest.approx(nearness.max(), abs=1e-5)
    same = np.flatnonzero(shapes == shapes[first])
    assert sorted(row["letters"]) == sorted(alphabet[place] for place in same)


def test_a_path_lies_inside_the_letter_of_the_font():
    paths, places = glyphs.trace(("DejaVuSans",))
    alphabet = glyphs.alphabet()
    font = ImageFont.truetype(glyphs.FONT_FOLDER / "DejaVuSans.ttf", 96)
    for letter in "AgΩЖ":
        mask = font.getmask(letter)
        image = Image.frombytes("L", mask.size, bytes(mask)).crop(mask.getbbox())
        ink = np.asarray(image.resize((96, 96))) > 40
        x, y, point = paths[places == alphabet.index(letter)][0].T.numpy()
        x, y = (((one - one.min()) / np.ptp(one) * 85 + 5).astype(int) for one in (x, y))
        assert ink[y, x][point > 0].mean() > 0.9, letter


def test_letters_have_mnists_geometry():
    paths, places = glyphs.trace(glyphs.FONTS)
    images, labels = glyphs.draw(paths, places, 500, torch.Generator().manual_seed(0))
    assert (images.dtype, images.shape, labels.shape) == (torch.uint8, (500, 1, 28, 28), (500,))
    ink = images[:, 0].float() / 255
    total, at = ink.sum((1, 2)), torch.arange(28.0)
    rows, columns = (ink.sum(2) @ at) / total, (ink.sum(1) @ at) / total
    # Saturated strokes move the centre of mass a little from that of the path.
    assert (rows - 13.5).abs().median() < 0.5 and (columns - 13.5).abs().median() < 0.5
    sides = torch.maximum(*((ink.amax(axis) > 0.5).sum(1) for axis in (1, 2)))
    assert sides.float().median() in (19, 20, 21) and sides.max() <= 22


def test_each_class_is_drawn_as_often_and_the_generator_decides_all():
    paths, places = glyphs.trace(glyphs.FONTS)
    rare = (places < 5).long()
    images, labels = glyphs.draw(paths, rare, 1000, torch.Generator().manual_seed(3))
    assert rare.float().mean() < 0.05 and 0.45 < labels.float().mean() < 0.55
    again, _ = glyphs.draw(paths, rare, 1000, torch.Generator().manual_seed(3))
    other, _ = glyphs.draw(paths, rare, 1000, torch.Generator().manual_seed(4))
    assert torch.equal(images, again) and not torch.equal(images, other)


@pytest.fixture
def run(workdir, monkeypatch):
    """Run the stage on a section of params.yaml; gives its folder of networks and its facts."""
    monkeypatch.setattr(letters, "UNSEEN", 200)
    read = pretrain.read_config
    monkeypatch.setattr(
        pretrain, "read_config", lambda key: read(key).model_copy(update={"images": FEW})
    )

    def stage(section: dict, repeats: int = 1) -> tuple[Path, dict]:
        content = {
            "seed": 1, "threads": 1, "device": "cpu", "preprocess": {"repeats": repeats},
            "pretrain": {"base": LETTERS | section},
        }  # fmt: skip
        Path("params.yaml").write_text(yaml.safe_dump(content))
        pretrain.pretrain("base")
        facts = Path("resultados/pretrain/base/facts.json").read_text(encoding="utf-8")
        return Path("modelos/base/base"), json.loads(facts)

    return stage


def test_a_network_of_letters_for_each_repeat(run):
    folder, facts = run(CNN, repeats=2)
    assert sorted(path.name for path in folder.iterdir()) == ["1.pth", "2.pth"]
    first, second = (store.load(folder / f"{number}.pth") for number in (1, 2))
    assert (first.source, first.names) == ("letters", (*letters.names(),))
    states = [one.network.state_dict() for one in (first, second)]
    assert not torch.equal(states[0]["conv1.weight"], states[1]["conv1.weight"])
    assert first.scaling == Scaling((0.5,), (0.5,), (28, 28))  # as from scratch
    step = store.count_operations(cnn.build(372, (1, 28, 28), [4, 8], 16, 0.0), (1, 28, 28)).step
    assert facts["flops"] == pytest.approx(FEW * step, rel=1e-5)
    assert (facts["networks"], facts["images"], len(facts["accuracy"])) == (2, FEW, 2)
    # The accuracy is that of the network in the file, on the unseen fonts that its seed draws.
    paths, places = glyphs.trace(glyphs.UNSEEN_FONTS)
    known = glyphs.shapes()[places] >= 0
    pen = torch.Generator().manual_seed(numerics.order_seed(numerics.pretraining_seed(1, 1), 0))
    batches = [
        glyphs.draw(paths[known], glyphs.shapes()[places[known]], count, pen)
        for count in (64, 64, 64, 8)
    ]
    logits = engine.predict(second.network, [second.scaling(images) for images, _ in batches])
    right = logits.argmax(1) == torch.cat([labels for _, labels in batches])
    assert facts["accuracy"][1] == pytest.approx(right.float().mean().item(), abs=1e-6)
    assert len(dataset.load(Path("resultados/pretrain/base/letters"))) == 100
    assert not Path(".cache/checkpoints/pretrain.base").exists()


def test_random_weights_are_those_of_the_seed_and_the_repeat(run):
    folder, facts = run({"network": "resnet18", "source": "none"}, repeats=2)
    assert facts.keys() == {"source", "network", "networks", "sha256"}
    assert (facts["source"], facts["network"]) == ("none", "resnet18")
    for repeat in range(2):
        base = store.load(folder / f"{repeat + 1}.pth")
        assert (base.source, base.names) == ("none", ())
        torch.manual_seed(numerics.weights_seed(numerics.pretraining_seed(1, repeat)))
        expected = resnet18.build(1, (1, 28, 28)).state_dict()
        state = base.network.state_dict()
        assert all(torch.equal(state[key], value) for key, value in expected.items())


class Interrupt(Exception):
    pass


def test_one_that_was_interrupted_ends_in_the_same_bits(workdir, monkeypatch, capsys):
    monkeypatch.setattr(letters, "UNSEEN", 200)
    config = LettersConfig.model_construct(**LETTERS | {"images": 1000})
    saved, count = checkpoint.of_stage("pretrain.base", [], config=config), letters.CHUNKS

    def build():
        return cnn.build(len(letters.names()), letters.SHAPE, [4, 8], 16, dropout=0.5)

    with engine.threads(1):
        network, accuracy = letters.pretrain(build, config, 1, CPU)
        save = checkpoint.FitCheckpoint.save

        def stop(self, reached):
            save(self, reached)
            if len(reached["history"]) == 1:
                raise Interrupt

        monkeypatch.setattr(checkpoint.FitCheckpoint, "save", stop)
        with pytest.raises(Interrupt):
            letters.pretrain(build, config, 1, CPU, saved, "repeat 1")
        monkeypatch.setattr(checkpoint.FitCheckpoint, "save", save)
        again, same_accuracy = letters.pretrain(build, config, 1, CPU, saved, "repeat 1")
    assert f"letters, repeat 1: goes on after part 1 of {count}" in capsys.readouterr().out
    assert accuracy == same_accuracy
    state = again.state_dict()
    assert all(torch.equal(state[key], value) for key, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (CNN | {"images": 4000}, r"pretrain\.base\.images: expected greater than or equal to 8000"),
        ({"network": "resnet18", "units": 3}, r"pretrain\.base\.units: unknown key"),
        ({"network": "cnn", "source": "imagenet"} | CNN, r"source: expected 'letters' or 'none'"),
    ],
)
def test_a_bad_section_is_one_line(run, section, message):
    with pytest.raises(UserError, match=rf"^params\.yaml: .*{message}[^\n]*$"):
        run(section)
