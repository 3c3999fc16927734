"""Run all stages but `download` in the current folder, on a few real images; hash what they write.

`test_bits.py` runs it on one processor after another, in one process: importing PyTorch is what
takes longest on an emulated one.

    python tests/slow/numerics.py data/MNIST/raw

With NO_PICTURES set no picture is drawn, which takes a quarter of an emulated run.
"""

import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
os.environ["LOKY_MAX_CPU_COUNT"] = "1"  # an emulated process cannot start another
SMALL = {
    "folds: 5": "folds: 2",
    "groups: auto": "groups: none",
    "dropout: 0.0": "dropout: 0.2",
    "weight_decay: 0.0 ": "weight_decay: 0.1 ",
    "batch_size: 64": "batch_size: 16",
    "batch_size: 128": "batch_size: 16",
    "min_steps: 600": "min_steps: 0",
    "epochs: 10": "epochs: 1",
    "epochs: 4": "epochs: 1",
    "  - kfold_train.cnn\n  - finetune.cnn_letters\n": "    []\n",  # they are of 50 images or more
}


def small_params() -> str:
    """The committed params.yaml, but for numbers that decide how long all takes."""
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    for before, after in SMALL.items():
        assert before in text, before
        text = text.replace(before, after)
    return text


Path("params.yaml").write_text(small_params(), encoding="utf-8")
import stages  # noqa: F401, E402 (pins what params.yaml in this folder says)

# isort: split
from stages import compare, evaluate, finetune, kfold_train, preprocess, pretrain  # noqa: E402
from taller.common import files, numerics  # noqa: E402
from taller.datasets import dataset  # noqa: E402
from taller.pretraining import glyphs, letters  # noqa: E402

# Too few to learn anything, which schemas would refuse; in batches that are all of one size, as for
# each size oneDNN writes kernels anew, which is what takes longest after the imports.
IMAGES, ALPHABETS = 32, {"Latin": "AF af", "Greek": "ΑΖ αζ"}


def main(raw: Path) -> None:
    print(numerics.describe(), flush=True)
    sides = [side.take(slice(IMAGES)) for side in dataset.read_idx("MNIST", raw)]
    dataset.read_idx = lambda *_: sides
    letters.UNSEEN, glyphs.ALPHABETS, read_config = IMAGES, ALPHABETS, pretrain.read_config
    pretrain.read_config = lambda key: read_config(key).model_copy(update={"images": IMAGES})
    for name in ("ajuste.csv", "estudio/mapa.csv"):
        Path("resultados", name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "resultados" / name, Path("resultados", name))
    preprocess.preprocess()
    kfold_train.kfold_train("simple_nn")
    kfold_train.kfold_train("cnn")
    for name, start in (("cnn_letters", "cnn"), ("resnet18", "resnet18")):
        pretrain.pretrain(start)
        finetune.finetune(name)
    evaluate.evaluate()
    if "NO_PICTURES" in os.environ:
        compare.draw_pictures = lambda *_: {}
    compare.compare()
    written = (
        path for place in ("data", "modelos", "resultados") for path in Path(place).rglob("*")
    )
    hashes = {path.as_posix(): files.sha256(path) for path in sorted(written) if path.is_file()}
    files.write_json(Path("hashes.json"), hashes)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
