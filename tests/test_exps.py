"""The table of `make exps`: wide enough to read, narrow enough for a terminal."""

import pandas as pd

from tools import exps

SECTIONS = {"seed", "kfold_train", "finetune"}
MODEL = ("cv.accuracy.mean", "cv.accuracy.std", "test.accuracy")
PAIR = ("winner", "difference", "ci_low", "ci_high", "p_value")


def shown(models: list[str]) -> pd.DataFrame:
    """As `dvc exp show --csv` gives it, read as text: two rows that differ in two params."""
    columns = {
        "Experiment": ["", "main", "wider-net"],
        "rev": ["workspace", "main", "0123456"],
        "typ": ["baseline", "baseline", "branch_base"],
        "Created": ["", "2026-01-01T00:00:00", "2026-01-01T00:00:00"],
        "parent": ["", "", ""],
    }
    columns |= {f"{model}.{name}": ["0.9753"] * 3 for model in models for name in MODEL}
    values = [models[-1], "0.0124", "0.0102", "0.0145", "9.2e-05"]
    columns |= {f"comparison.{n}": [v] * 3 for n, v in zip(PAIR, values, strict=True)}
    columns |= {"seed": ["42"] * 3, "finetune.epochs": ["10"] * 3}
    columns |= {"kfold_train.hidden": ["[128, 64]", "[128, 64]", "[256, 64]"]}
    columns |= {"kfold_train.epochs": ["10", "10", "12"]}
    return pd.DataFrame(columns | {"data/processed/train.npz": ["0" * 32] * 3})


def test_every_metric_and_the_params_that_differ_fit_160_columns():
    for models in (["simple_nn", "resnet18"], ["simple_nn", "cnn", "resnet18"]):
        lines = exps.folded(shown(models), SECTIONS).splitlines()
        assert max(map(len, lines)) <= 160
        assert len(lines) == 4 + 3  # the parts of the longest name, and a line per experiment
        assert [line.split()[0] for line in lines[4:]] == ["workspace", "main", "wider-net"]
        # 3 numbers for each model, 5 for the pair, 2 params that differ, of which one has a space.
        assert len(lines[-1].split()) == 1 + 3 * len(models) + 5 + 3
        assert "finetune" not in "".join(lines) and "train.npz" not in "".join(lines)


def test_names_stand_above_their_numbers():
    lines = exps.folded(shown(["a_long_name_for_a_model", "b"]), SECTIONS).splitlines()
    for name in ("b", "comparison", "kfold_train"):
        column = lines[0].split().index(name)
        assert lines[0].split()[column] == name
    assert lines[1].index("winner") == lines[0].index("comparison")
    assert lines[1].index("hidden") == lines[0].index("kfold_train") == lines[-1].index("[256")


def test_an_experiment_that_failed_shows_no_metrics():
    """DVC lists it with those of the commit that it began with."""
    table = shown(["simple_nn", "resnet18"]).assign(State=["", "Success", "Failed"])
    lines = exps.folded(table, SECTIONS).splitlines()
    assert lines[-1].startswith("wider-net (failed)")
    assert "0.9753" in lines[-2] and "0.9753" not in lines[-1] and "resnet18" not in lines[-1]
    assert lines[-1].split().count("-") == 11 and "[256, 64]" in lines[-1]
