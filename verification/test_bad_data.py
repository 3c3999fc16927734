"""Raw and processed data, models and weights that are damaged, swapped or out of range."""

import bad_input
from bad_input import (
    COPIES,
    DATA,
    MODELS,
    RAW,
    array,
    arrays,
    directory,
    drop,
    first,
    halved,
    holding,
    like,
    missing,
    model,
    pipe,
    put,
    raw,
    spoilt,
    tree,
    unreadable,
    weights,
)

CASES = {
    ("preprocess", COPIES + "train-images-idx3-ubyte"): {
        "images missing": (missing, "expected an IDX file"),
        "images truncated": (halved, "found 23520008"),
        "labels for images": (like("train-labels-idx1-ubyte"), r"found \(60000,\)"),
    },
    ("preprocess", COPIES + "t10k-images-idx3-ubyte"): {
        "images a directory": (directory, "a directory"),
        "images a pipe": (pipe, "a named pipe"),
        "images unreadable": (unreadable, "idx3"),
        "images of another shape": (raw(lambda found: found[:, :27]), r"\(10000, 27, 28\)"),
        "images of another test set": (raw(first(1)), "expected SHA-256 0fa7898d"),
    },
    ("preprocess", COPIES + "t10k-labels-idx1-ubyte"): {
        "train for test": (like("train-labels-idx1-ubyte"), r"\(10000,\), found"),
    },
    ("preprocess", COPIES + "train-labels-idx1-ubyte"): {
        "a label out of range": (raw(first(10)), "each of the labels 0 to 9"),
        "one label changed": (raw(first(4)), "expected SHA-256 65a50cbb"),
    },
    ("download", RAW + "train-labels-idx1-ubyte"): {
        "a checksum at download": (raw(first(4)), "SHA-256"),
        "a pipe at download": (pipe, "a named pipe"),
        "a directory at download": (directory, "a directory"),
    },
    ("kfold_train cnn", DATA + "train.npz"): {
        "train missing": (missing, "dvc repro kfold_train"),
        "train truncated": (halved, "another file"),
        "train without names": (arrays(names=None), "the arrays images"),
        "train of floats": (arrays(images=lambda found: found / 255), "found float64"),
        "train of fewer labels": (arrays(labels=lambda found: found[1:]), "'labels': 299"),
        "train a label too large": (arrays(labels=first(10)), "labels of 0 to 9, found 10"),
        "train a negative label": (arrays(labels=first(-1)), "labels: .*found -1"),
        "folds for train": (like("folds.npy"), "another file"),
    },
    ("finetune", DATA + "train.npz"): {
        "train a pipe": (pipe, "a named pipe"),
    },
    ("kfold_train cnn", DATA + "folds.npy"): {
        "folds of other images": (array(lambda found: found[:, 1:]), "each of 300 images"),
        "folds with a hole": (array(lambda found: found * 2), "none of them empty"),
        "folds of one": (array(lambda found: found * 0), "none of them empty"),
    },
    ("finetune", DATA + "folds.npy"): {
        "folds of floats": (array(lambda found: found * 1.0), "found float64"),
        "folds text": (holding(b"0,1\n"), "another file"),
    },
    ("evaluate", DATA + "test.npz"): {
        "test for nothing": (missing, "dvc repro evaluate"),
        "test of other names": (arrays(names=lambda found: found[::-1]), "the classes of"),
        "test of other shape": (arrays(images=lambda found: found[..., 1:]), "images of shape"),
    },
    ("evaluate", MODELS + "cnn.pth"): {
        "model missing": (missing, "make it with: dvc repro"),
        "model truncated": (halved, "cnn.pth: expected a model"),
        "model unknown": (model(put(("architecture",), "VGG")), "cnn.pth: expected a model"),
        "model without weights": (model(drop("state_dict")), "expected a model"),
        "model of infinite images": (
            model(put(("arguments", "shape"), [1, 2**60, 2**60])),
            "expected a model",
        ),
        "model of another entry's classes": (
            model(lambda held: held["names"].reverse()),
            "the classes of",
        ),
    },
    ("evaluate", MODELS + "resnet18.pth"): {
        "model a pipe": (pipe, "a named pipe"),
        "model a directory": (directory, "a directory"),
    },
    ("evaluate", MODELS + "simple_nn.pth"): {
        "model of a huge layer": (
            model(put(("arguments", "hidden"), [2**20] * 64)),
            "expected a model",
        ),
        "model of a size that is no number": (
            model(put(("arguments", "hidden"), [float("nan")])),
            "expected a model",
        ),
        "model of other weights": (
            weights("net.1.weight", lambda found: found[:, 1:]),
            "expected a model",
        ),
        "model with NaN": (
            weights("net.1.weight", spoilt),
            "net.1.weight: expected finite weights, found NaN",
        ),
    },
    ("finetune", MODELS + "resnet18_base.pth"): {
        "base of another architecture": (like("cnn.pth"), "ResNet18"),
        "base with NaN": (weights("conv1.weight", spoilt), "conv1.weight: .*NaN"),
    },
    ("finetune", MODELS + "resnet18_bases/networks.json"): {
        "bases of two": (tree(put(("networks",), 2)), "1 repeats, found 2"),
        "bases of a word": (tree(put(("networks",), "1")), "networks"),
        "bases of nothing": (holding(b""), "expected JSON"),
    },
    ("pretrain", "data/pretrained/pretrained.json"): {
        "no word of weights": (missing, "dvc repro pretrain"),
        "weights of a path": (tree(put(("imagenet", "file"), "../x.pth")), "imagenet.file"),
        "weights without a name": (
            tree(put(("imagenet", "available"), True)),
            "network, file and sha256",
        ),
    },
}


@bad_input.each(CASES)
def test_it_is_told_in_one_line_and_nothing_is_written(project, program, name, edit, told):
    bad_input.check(project.folder, program, name, edit, told)
