"""`make use`: a folder becomes the data set, with the params that suit it, or nothing changes."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import modify_yaml
from PIL import Image
from sklearn.datasets import load_sample_images

from stages.preprocess import Params
from taller.common import params
from taller.common.terminal import UserError
from taller.datasets import folder
from taller.report.language import Language
from tools import prepare, use

SPANISH = Language("es")
ROOT, PARAMS = Path(__file__).parents[1], Path("params.yaml")
LARGE, SMALL = (
    use.Sample((300, 200), (640, 427), False),
    use.Sample((20, 28), (28, 28), True, 30, False),
)


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.fixture
def project(workdir) -> Path:
    """An empty project with Git and DVC."""
    author = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    git = ["init"], [*author, "commit", "--message", "start", "--allow-empty"]
    for command in [*(["git", *one] for one in git), [sys.executable, "-m", "dvc", "init"]]:
        subprocess.run([*command, "--quiet"], check=True)
    (workdir / ".gitignore").write_text("/data/*/raw\n")
    return workdir


@pytest.fixture
def photographs(tmp_path_factory) -> Path:
    """Parts of two photographs: 6 for training and 2 in `val` of one class, 10 and 2 of another."""
    root = tmp_path_factory.mktemp("pictures") / "of mine"
    generator = np.random.default_rng(0)
    temple, lotus = load_sample_images().images
    for name, pixels, count in (("lotos", lotus, 6), ("templo", temple, 10)):
        for part, many in (("train", count), ("val", 2)):
            (root / part / name).mkdir(parents=True)
            for number in range(many):
                x, y = generator.integers(0, 300, 2)
                picture = Image.fromarray(pixels[y : y + 100, x : x + 150])
                picture.save(root / part / name / f"{number}.jpg")
    return root


def test_a_folder_becomes_the_data_set_and_mnist_comes_back(project, photographs, capsys):
    before, raw = contents(photographs), Path("data/fotos/raw")
    with modify_yaml(PARAMS) as content:
        content["seed"] = 7
    use.use("fotos", photographs)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 10 and "2 clases, con imágenes de entrenamiento + prueba: " in lines[1]
    assert lines[0].endswith(": train como entrenamiento; val como prueba")
    assert "lotos (6 + 2), templo (10 + 2)" in lines[1] and "150 × 100" in lines[3]
    assert contents(raw) == contents(photographs) == before and raw.with_suffix(".dvc").exists()
    chosen = params.load()
    assert (chosen["dataset"], chosen["seed"]) == ("fotos", 7)
    assert [one.name for one in params.contestants()] == ["cnn", "lite0"]
    prepare.check_params()

    (photographs / "train/templo/0.jpg").unlink()  # is in raw, and DVC has it
    shutil.copy(photographs / "train/templo/1.jpg", photographs / "train/templo/other.jpg")
    apply_overrides(PARAMS, ["compare.language=en"])
    use.use("fotos", photographs, every=True)
    assert contents(raw) == contents(photographs)
    assert [one.name for one in params.contestants()] == ["cnn", "lite0", "lite0_todo", "control"]
    english = capsys.readouterr().out.splitlines()
    assert len(english) == len(lines) and "2 classes, with pictures of train + test: " in english[1]
    assert params.load()["compare"]["language"] == "en"
    prepare.check_params()
    use.use("fotos", network="resnet18")  # those in data/fotos/raw
    assert [one.name for one in params.contestants()] == ["cnn", "resnet18"]
    assert params.load()["finetune"]["resnet18"]["start"] == "data/resnet18/raw"
    prepare.check_params()

    use.use("MNIST")
    apply_overrides(PARAMS, ["seed=42", "compare.language=es"])
    assert PARAMS.read_bytes() == (ROOT / "presets/mnist.yaml").read_bytes()

    (raw / "train/templo/new.jpg").write_bytes(b"nobody else has it")
    with pytest.raises(UserError, match=r"data/fotos/raw: expected what DVC has, found other pict"):
        use.use("fotos", photographs)
    assert (raw / "train/templo/new.jpg").exists()


def test_what_cannot_be_meant_is_a_line_and_nothing_is_written(project):
    Path("p/one").mkdir(parents=True)
    before = contents(project)
    for name, source, line in (
        ("train", "p", "DATASET: expected a name of letters, .* not train or test, found"),
        ("KMNIST", "p", "DATASET: expected a name that the catalogue lacks, found KMNIST"),
        ("x", "nowhere", "nowhere: expected a folder of pictures, found none"),
        ("x", None, "data/x/raw: expected a folder of pictures, found none"),
        ("x", ".", r"\.: expected a folder apart from data/x/raw"),
        ("x", "p", "p: "),  # no classes in it
    ):
        with pytest.raises(UserError, match=f"^{line}[^\n]*$"):
            use.use(name, source and Path(source))
    assert contents(project) == before and not Path("data").exists()


@pytest.mark.parametrize(
    ("counts", "seen", "every", "preset", "expected"),
    [
        ((200, 197), LARGE, False, "photographs", {"~finetune.control"}),
        ((1200, 1300), LARGE, False, "photographs", {"kfold_train.cnn.epochs=40"}),
        ((500, 500), SMALL, False, "mnist", {"curve.sections=[]", "preprocess.image_size=30"}),
        ((500, 500), SMALL, False, "mnist", {"download=[]", "preprocess.fit=pad"}),
    ],
)
def test_the_pictures_decide_the_preset(counts, seen, every, preset, expected):
    classes = {str(number): (count, 0) for number, count in enumerate(counts)}
    chosen, overrides, reasons = use.choose(classes, seen, every, SPANISH)
    assert chosen == preset in reasons[0] and expected <= {*overrides}
    few = sum(counts) < 1000 and not every and preset == "photographs"
    assert few == ("~finetune.control" in overrides) == any("ALL=1" in one for one in reasons)
    assert "compare.metric=accuracy" in overrides
    unequal = {**classes, "rare": (counts[0] // 2, 10)}
    assert "compare.metric=balanced_accuracy" in use.choose(unequal, seen, every, SPANISH)[1]


@pytest.mark.parametrize("preset", ["mnist", "photographs"])
def test_a_preset_is_what_dvc_writes(preset, tmp_path):
    file = Path(shutil.copy(ROOT / f"presets/{preset}.yaml", tmp_path))
    with modify_yaml(file):
        pass
    assert file.read_bytes() == (ROOT / f"presets/{preset}.yaml").read_bytes()


def test_what_is_right_for_a_folder_stays_and_the_folds_are_no_more_than_it_has(
    project, photographs, capsys
):
    for number in (3, 4, 5):
        (photographs / f"train/lotos/{number}.jpg").unlink()
    photographs.chmod(0o555)
    apply_overrides(PARAMS, ["preprocess.conflicts=drop"])
    use.use("fotos", photographs)
    printed = capsys.readouterr().out
    assert "preprocess.conflicts: drop" in printed and "preprocess.folds: 3" in printed
    chosen = params.load()["preprocess"]
    assert (chosen["conflicts"], chosen["folds"]) == ("drop", 3)
    assert Path("data/fotos/raw").stat().st_mode & 0o200


def test_folds_are_those_that_preprocess_can_make_of_the_groups(project, photographs):
    for name in ("lotos", "templo"):  # three groups of each class: the test takes two of six
        for number in range(6):
            place = Path("mine", name, f"{name}-{number // 2}", f"{number}.jpg")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(photographs / f"train/{name}/{number}.jpg", place)
    use.use("fotos", Path("mine"))
    chosen = params.read("preprocess", Params)
    assert chosen.folds == 4
    assert len(folder.read(Path("data/fotos/raw"), chosen, 42)[0]) == 8
    shutil.rmtree("mine/lotos/lotos-0")
    with pytest.raises(UserError, match="class lotos of at least 3 groups"):
        use.use("otras", Path("mine"))
    assert not Path("data/otras").exists()


def test_what_was_set_for_the_same_pictures_stays_and_others_do_not_get_it(project, photographs):
    shutil.copytree(photographs, "others")
    changed = ["preprocess.test_share=0.3", "compare.rope=0.02"]
    cases = ("fotos", photographs, [0.3, 0.02]), ("x", "others", [0.2, 0.005])
    for name, source, expected in cases:
        use.use("fotos", photographs)
        apply_overrides(PARAMS, changed)
        use.use(name, Path(source))
        read = [params.read(one.split("=")[0], float) for one in changed]
        assert read == expected
