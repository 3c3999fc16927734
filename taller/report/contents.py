"""What the report contains: all that its template puts in, and its pictures."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from taller.datasets import dataset
from taller.report.figures import charts, images, predictions, style
from taller.report.language import Language, literal
from taller.statistics.comparison import STILL_FALLING, Comparison, Pair
from taller.statistics.learning_curve import Curve, Gain
from taller.statistics.results import RESULTS, VOTES, Result

# With these settings training loss is of the images, targets and weights of validation loss.
PLAIN = {"augment": "none", "label_smoothing": 0, "class_weights": "none"}
# A validation loss that ends above its minimum by less has not risen: so much do epochs differ.
RISEN = 0.01
SAME_COST = 0.05  # costs that differ by less are called the same
# First words of Unicode's names of letters, the most familiar to the reader first.
SCRIPTS = (
    "LATIN", "GREEK", "CYRILLIC", "HEBREW", "ARMENIAN", "GEORGIAN", "TIFINAGH", "NKO", "PHONETIC",
)  # fmt: skip


def context(
    comparison: Comparison, gains: Sequence[Gain], tuning: pd.DataFrame, study: pd.DataFrame
) -> dict[str, Any]:
    """Compute what the template can put in, beside what a `Comparison` has.

    `gains` are those of the learning curves, perhaps none. `tuning` and `study` are ``ajuste.csv``
    and ``estudio/mapa.csv``, perhaps without rows.

    Who is who (None: nobody): by cross-validation ``winner`` and ``second``; ``tuned``, the best of
    the fine-tuned, a control only if all are; of those from scratch ``best``, the first (``base``),
    the best of the others (``between``) and the first SimpleNN (``workshop``); and ``few``, who has
    fewer folds than others. ``lead`` is what the first sentence says, ``against`` are the pairs of
    the summary, ``isolating`` those that tell what pretraining gives, ``further`` the other
    fine-tuned ones against ``tuned``, ``better_cells`` those of the grid that are better than the
    model's settings. ``networks`` is how many pretrained ones there are; costs that differ by less
    than the share ``same_cost`` are called the same; the rest says what it is of.
    """
    models, scratch, ranking = comparison.models, comparison.scratch, comparison.ranking
    winner, second, *_ = *ranking, None
    pretrained = [one for one in ranking if one.pretrained]
    controls = [one for one in ranking if one.source == "none"]
    tuned = next(iter(pretrained or controls), None)
    best = next((one for one in ranking if not one.source), None)
    against = [comparison.pair(winner, second)] if second else []
    decisive = against[0] if second else None
    if tuned and best:
        against = [comparison.pair(tuned, one) for one in scratch]
        decisive = comparison.pair(tuned, best)
    names, metric = [literal(name) for name in comparison.data["names"]], comparison.metric
    return {
        "comparison": comparison,
        "winner": winner,
        "second": second,
        "tuned": tuned,
        "few": [one for one in models if one not in ranking],
        "best": best,
        "base": next(iter(scratch), None),
        "between": next((one for one in ranking if one in scratch[1:]), None),
        "workshop": next((one for one in scratch if one.fit["network"] == "simple_nn"), None),
        "lead": decisive and _lead(decisive, comparison),
        "against": against,
        "isolating": comparison.isolating,
        "further": [
            comparison.pair(one, tuned) for one in ranking if tuned and one.source and one != tuned
        ],
        "gains": gains,
        "largest": comparison.largest_class_in_folds,
        "share": comparison.share,
        "votes": {
            one: one.mean(VOTES[metric]).value for one in models if VOTES[metric] in one.splits
        },
        "chosen": [(one, _choices(one)) for one in models if "chosen" in one.fit],
        "networks": max((one.fit["start"]["networks"] for one in pretrained), default=0),
        "classes": names,
        "numbered": not style.can_name(comparison.data["names"]),
        "letters": _letters(comparison.finetuned),
        "losses": _losses(comparison),
        "same_cost": SAME_COST,
        "hardest": [_hardest(one) for one in models],
        "confused": [_confusions(one, names) for one in models],
        "on_test": [_on_test(pair, comparison) for pair in comparison.pairs],
        "tuning": tuning.to_dict("records"),
        "better_cells": [one for result in models for one in _better_cell(result, tuning)],
        "study": study.to_dict("records"),
    }


def _lead(pair: Pair, comparison: Comparison) -> dict[str, Any]:
    """Who wins and how: by more right answers, as the cheaper of equals, in a tie or unknown."""
    winner, loser, how = pair.first, pair.second, "more"
    ratio = loser.inference_flops / winner.inference_flops
    if pair.verdict == "equal":
        how = "tie" if abs(ratio - 1) < SAME_COST else "cheaper"
    if pair.verdict == "worse" or (how == "cheaper" and ratio < 1):
        winner, loser = loser, winner
    if pair.verdict in ("unknown", "no_skill") or winner not in comparison.skilled:
        how = "unknown"
    return {"winner": winner, "loser": loser, "how": how, "gap": abs(pair.difference.value)}


def _choices(result: Result) -> list[tuple[dict[str, Any], int]]:
    """The settings that its fits took, from lists, and how many of them; the most frequent first.

    Where the training images were too few to choose with, they are ``fixed``.
    """
    taken = Counter(
        tuple((key, one[key]) for key in ("weight_decay", "epochs", "fixed"))
        for one in result.fit["chosen"]
    )
    return [(dict(settings), fits) for settings, fits in taken.most_common()]


def _better_cell(result: Result, tuning: pd.DataFrame) -> list[tuple[str, dict[str, Any], float]]:
    """Its best cell of the grid where it has the settings of another one, and by how much it is."""
    if tuning.empty or result.model not in set(tuning["modelo"]):
        return []
    grid = tuning[(tuning["modelo"] == result.model) & (tuning["en la cuadrícula"] == "sí")]
    training = result.fit["training"]
    training = training | training["model_params"]
    same = (grid["tasa de aprendizaje"] == training["learning_rate"]) & (
        grid["épocas"] == training["epochs"]
    )
    same &= grid["valor"] == grid["hiperparámetro propio"].map(training)
    best = grid[grid["elegida"] == "sí"].iloc[0]
    if same.sum() != 1 or same[best.name]:
        return []
    return [(result.short, best.to_dict(), best["accuracy"] - grid.loc[same, "accuracy"].item())]


def _letters(finetuned: Sequence[Result]) -> list[dict[str, Any]]:
    """What each of the networks that learnt letters learnt, and the digits that are like one."""
    bases: dict[str, dict[str, Any]] = {}
    for result in finetuned:
        if result.source == "letters":
            facts = result.pretraining
            alike = [one for one in facts["look_alikes"] if one["correlation"] > facts["alike"]]
            new = facts | {
                "models": [],
                "similar": [(one["digit"], *_familiar(one["letters"])) for one in alike],
                "others": [one["digit"] for one in facts["look_alikes"] if one not in alike],
            }
            bases.setdefault(result.fit["start"]["path"], new)["models"].append(result.short)
    return list(bases.values())


def _familiar(letters: str) -> tuple[str, str]:
    """The most familiar of letters that look alike, and its script."""

    def script(letter: str) -> str:
        word = unicodedata.name(letter).split()[0]
        return word if word in SCRIPTS and (word != "LATIN" or letter.isascii()) else "PHONETIC"

    letter = min(letters, key=lambda one: SCRIPTS.index(script(one)))
    return letter, script(letter)


def _losses(comparison: Comparison) -> dict[str, list[Any]]:
    """How the losses begin and end: names of models, alone or before numbers."""
    losses: dict[str, list[Any]] = {
        key: [] for key in ("other", "below", "dropout", "last", "risen", "gap", "falling")
    }
    for one in comparison.models:
        curve = one.history.groupby("epoch")[["train_loss", "val_loss"]].mean()
        train, val, name = curve["train_loss"], curve["val_loss"], one.short
        training = one.fit["training"]
        if any(training[key] != off for key, off in PLAIN.items()):
            losses["other"].append(name)
        elif val.iloc[0] < train.iloc[0]:
            losses["below"].append(name)
            losses["dropout"] += [name] * bool(training["model_params"].get("dropout"))
        losses["last"].append((name, train.iloc[-1], val.iloc[-1]))
        if (rise := val.iloc[-1] / val.min() - 1) > RISEN:
            losses["risen"].append((name, rise, val.idxmin()))
        losses["gap"] += [name] * bool(train.iloc[-1] < val.iloc[-1])
        fall, gain = one.last_epoch or (0.0, 0.0)
        if fall > STILL_FALLING and not comparison.failures:
            losses["falling"].append((name, fall, gain))
    return losses


def _hardest(result: Result) -> tuple[str, float]:
    # A class without test images has recall 0, and is not hard.
    seen = result.per_class[result.per_class["support"] > 0]
    worst = seen.loc[seen["recall"].idxmin()]
    return literal(worst["clase"]), worst["recall"]


def _confusions(result: Result, names: Sequence[str]) -> tuple[list[str], int]:
    """The two classes that a model confuses most (or several, as often), and how often."""
    wrong = result.confusion - np.diag(np.diag(result.confusion))
    most = int(wrong.max())
    places = np.argwhere(wrong == most) if most else []
    return [f"{names[true]} → {names[predicted]}" for true, predicted in places], most


def _on_test(pair: Pair, comparison: Comparison) -> tuple[Pair, str]:
    """The one that is right more often first, and whether the interval says what the folds do."""
    if pair.only_first < pair.only_second:
        pair = comparison.pair(pair.second, pair.first)
    (_, low, high), rope = pair.test_difference, comparison.rope
    # The interval is of accuracy, and says nothing of another metric.
    decided = pair.verdict not in ("unknown", "no_skill") and comparison.metric == "accuracy"
    if comparison.failures or not decided:
        return pair, ""
    if pair.verdict == "equal":
        confirms, contradicts = -rope < low and high < rope, low > rope or high < -rope
    elif pair.verdict == "better":
        confirms, contradicts = low > 0 and pair.mcnemar < 0.05, high < 0
    else:
        confirms, contradicts = high < 0 and pair.mcnemar < 0.05, low > 0
    return pair, "yes" if confirms else "no" if contradicts else "open"


def draw_pictures(
    comparison: Comparison,
    say: Language,
    curves: Sequence[Curve] = (),
    gains: Sequence[Gain] = (),
) -> dict[str, style.Figure]:
    """Draw the pictures, by the names of their files without the ending."""
    models, data = comparison.models, comparison.data
    metric, names = comparison.metric, style.class_labels(data["names"])
    sample, letters = dataset.load(RESULTS / "muestra"), []
    for one in comparison.finetuned:
        if one.source == "letters" and not letters:
            base = RESULTS / "pretrain" / Path(one.fit["start"]["path"]).name
            facts = one.pretraining if data["dataset"] == "MNIST" else None
            letters = [dataset.load(base / "letters"), facts]
    return {
        "ejemplo_mnist": images.example(sample.images[0], names[sample.labels[0]], say),
        "curva_aprendizaje": charts.learning_curve(comparison, curves, gains, say),
        "curva_loss": charts.loss_curves(models, say),
        "folds": charts.folds(models, metric, comparison.largest_class, say),
        "coste": charts.cost(models, metric, say),
        "confusion_matrix": predictions.confusion(models, names, say),
        "calibracion": predictions.calibration(models, say),
        "errores": images.errors(models, names, say),
        "glifos": images.letters(sample, data["dataset"], say, *letters),
    }
