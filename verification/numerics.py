"""Run the numerics of every stage on a small real subset, and print what came out, as hashes.

The program that `test_bits.py` runs on one processor after another, in one process of its own,
as importing PyTorch is what takes longest on an emulated one.

    python -m verification.numerics data/MNIST/raw FOLDER
"""

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import stages  # noqa: F401 (pins)

# isort: split
import yaml

from stages import compare, evaluate, finetune, kfold_train, preprocess, pretrain
from taller.data import glyphs, mnist
from taller.program import files, portable
from taller.training import letters

ROOT = Path(__file__).parents[1]
SEED, BATCH = 42, 16
COMMON = {"weight_decay": 0.1, "batch_size": BATCH, "epochs": 1}
NO_IMAGENET = {
    "requested": False, "available": False, "file": None, "sha256": None, "origin": None,
}  # fmt: skip
# Too few to learn anything, which the schemas would refuse.
IMAGES, LETTERS, ALPHABETS = 36, 40, {"Latin": "AF af", "Greek": "ΑΖ αζ"}


def numerics(raw: Path, folder: Path) -> dict[str, str]:
    """The SHA-256 of every file that the stages write into `folder`, and of what `torch` drew."""
    chosen = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    processed, models, results = (folder / name for name in ("processed", "modelos", "resultados"))
    split = preprocess.Params.model_construct(folds=2, repeats=1, groups="auto", subset=IMAGES)
    train, test = mnist.read(raw)
    source = SimpleNamespace(NAME=mnist.NAME, read=lambda _: (train, test.take(slice(IMAGES))))
    preprocess.preprocess(split, SEED, raw, processed, results, source)

    inputs = (processed / "train.npz", processed / "folds.npy")
    for network, section in chosen["kfold_train"].items():
        params = kfold_train.section(network)(**section | COMMON | {"dropout": 0.2})
        kfold_train.kfold_train(network, params, SEED, "cpu", *inputs, models, results)

    letters.HELD_OUT, glyphs.ALPHABETS = LETTERS, ALPHABETS
    files.write_json(folder / "pretrained/pretrained.json", {"imagenet": NO_IMAGENET})
    bases = models / "resnet18_base.pth", models / "resnet18_bases"
    params = pretrain.Params.model_construct(
        **chosen["pretrain"] | {"source": "glyphs", "images": LETTERS, "batch_size": BATCH}
    )
    pretrain.pretrain(params, SEED, 2, "cpu", 1, folder / "pretrained", *bases, results)
    for trainable in (["layer4", "fc"], ["fc"]):  # `pretrain` has trained all layers
        params = finetune.Params(**chosen["finetune"] | COMMON | {"trainable": trainable})
        finetune.finetune(
            params, SEED, 2, "cpu", *inputs, *bases, models / "resnet18.pth",
            results / "resnet18", folder / "cache",
        )  # fmt: skip
        (models / "resnet18.pth").rename(models / f"resnet18_{trainable[0]}.pth")
    (models / "resnet18_fc.pth").rename(models / "resnet18.pth")

    evaluate.evaluate(2, "cpu", processed / "test.npz", models, results)
    compare.compare(compare.Params(rope=0.005), results, models)
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
