"""Run the numerics of every stage on a small real subset, and print what came out, as hashes.

The program that `test_bits.py` runs on one processor after another, in one process of its own,
as importing PyTorch is what takes longest on an emulated one.

    python -m verification.numerics data/MNIST/raw FOLDER
"""

import json
import os
import sys
from pathlib import Path

import stages  # noqa: F401 (pins)

# isort: split
import yaml

from stages import compare, evaluate, finetune, kfold_train, preprocess, pretrain
from taller.data import glyphs, idx_source
from taller.data.idx_sets import MNIST
from taller.program import files, portable
from taller.training import letters

ROOT = Path(__file__).parents[1]
SEED, BATCH = 42, 16
COMMON = {"weight_decay": 0.1, "batch_size": BATCH, "epochs": 1, "min_steps": 0}
NO_IMAGENET = {
    "requested": False, "available": False, "network": None, "file": None, "sha256": None,
    "origin": None,
}  # fmt: skip
# Too few to learn anything, which the schemas would refuse; in batches that are all of one size, as
# for each size oneDNN writes kernels anew, which is what takes longest on an emulated processor.
IMAGES, LETTERS, ALPHABETS = 32, 32, {"Latin": "AF af", "Greek": "ΑΖ αζ"}


def numerics(raw: Path, folder: Path) -> dict[str, str]:
    """The SHA-256 of every file that the stages write into `folder`, and of what `torch` drew."""
    chosen = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    processed, models, results = (folder / name for name in ("processed", "modelos", "resultados"))
    split = preprocess.Params.model_construct(folds=2, repeats=1, groups="none", subset=IMAGES)
    train, test = idx_source.read(MNIST, raw)
    sides = train, test.take(slice(IMAGES)), None
    preprocess.preprocess(
        split, SEED, MNIST.name, raw.parents[1], processed, results, source=lambda *_: sides
    )

    inputs = (processed / "train.npz", processed / "folds.npy")
    for network, section in chosen["kfold_train"].items():
        params = kfold_train.section(network)(**section | COMMON | {"dropout": 0.2})
        kfold_train.kfold_train(network, params, SEED, "cpu", *inputs, models, results)

    letters.HELD_OUT, glyphs.ALPHABETS = LETTERS, ALPHABETS
    files.write_json(folder / "pretrained/pretrained.json", {"imagenet": NO_IMAGENET})
    params = pretrain.Params.model_construct(
        **chosen["pretrain"]
        | {
            "source": "glyphs",
            "network": "resnet18",
            "images": LETTERS,
            "batch_size": BATCH,
        }
    )
    pretrain.pretrain(params, SEED, 2, "cpu", 1, folder / "pretrained", models, results)
    # Of its last layer: `pretrain` has trained all of them.
    params = finetune.Params(**chosen["finetune"] | COMMON | {"trainable": ["fc"]})
    finetune.finetune(
        params, "resnet18", SEED, 2, "cpu", *inputs, models, results, folder / "cache"
    )

    evaluate.evaluate("resnet18", 2, "cpu", processed / "test.npz", models, results)
    compare.compare(compare.Params(rope=0.005), "resnet18", results, models)
    return {
        file.relative_to(folder).as_posix(): files.sha256(file)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def main() -> None:
    os.environ["LOKY_MAX_CPU_COUNT"] = "1"  # an emulated process cannot start another
    raw, folder = map(Path, sys.argv[1:])
    print(portable.told(), flush=True)
    found = numerics(raw, folder)
    files.write_json(folder / "hashes.json", found)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
