"""Ask of the pieces how often 95 % intervals cover, and verdicts are wrong: a table and a picture.

A cross-validation may be asked about two truths. mean: what networks score that learn on so many
other images, the mean over all pieces; it is what the report and Nadeau and Bengio's test are
about. own: what this piece's own networks score on all images, which is what Bayle and others'
interval is about. Bates and others show that an estimate may be near the one and not the other.

References
----------
C. Nadeau and Y. Bengio, "Inference for the Generalization Error", Machine Learning 52 (2003),
239-281; P. Bayle, A. Bayle, L. Janson and L. Mackey, "Cross-validation Confidence Intervals for
Test Error", NeurIPS 2020; S. Bates, T. Hastie and R. Tibshirani, "Cross-Validation: What Does It
Estimate and How Well Does It Do It?", Journal of the American Statistical Association 119 (2024),
1434-1445.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from estudio.coverage import CELLS, KINDS, SETTINGS  # first: it pins what NumPy reads

# isort: split
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from taller.common import files, params, stage
from taller.report.figures import style
from taller.report.language import WORDS, Language
from taller.statistics import intervals
from taller.statistics.intervals import CONFIDENCE, Estimate, Posterior, Verdict

RESULTS = Path("resultados/estudio")
NULL = "SimpleNN − SimpleNN"  # differs by chance alone
# A network, or the first one minus the second.
MEASURES = {
    "SimpleNN": ["simple_nn"],
    "CNN": ["cnn"],
    NULL: ["simple_nn_again", "simple_nn"],
    "CNN − SimpleNN": ["cnn", "simple_nn"],
}
BOUNDS = " inferior", " superior"  # of a share's own interval
Claim = tuple[Estimate, float, Verdict]  # of one piece: the interval, p, and who is better


def tables() -> None:
    settings, rope = params.load(SETTINGS)["cobertura"], params.read("compare.rope", float)
    made = []
    for kind in KINDS:
        folders = [CELLS / f"{kind}-{part}" for part in settings["parts"]]
        images, rest = (
            pd.concat(map(pd.read_csv, [one / name for one in folders]), ignore_index=True)
            for name in ("images.csv", "rest.csv")
        )
        made += [{"pliegues": kind} | row for row in rows(images, rest, settings["factors"], rope)]
    table = pd.DataFrame(made)
    with files.atomic_write(RESULTS / "cobertura.csv") as out:
        table.to_csv(out, index=False, float_format="%.6g")
    for language in WORDS:
        style.save(draw(table, Language(language)), RESULTS / f"cobertura.{language}.png")


def rows(
    images: pd.DataFrame, rest: pd.DataFrame, factors: Sequence[float], rope: float
) -> Iterator[dict[str, Any]]:
    """A row per measure, method and truth, of the tables that `coverage.fit_piece` gives."""
    places = ["piece", "fold", "group"]
    for measure, names in MEASURES.items():
        values = images[places].assign(value=_measure(images, names))
        own = _measure(rest, names).groupby(rest["piece"]).mean()
        mean = np.full(len(own), 0.0 if measure == NULL else own.mean())
        claims = [claims_of(piece, factors, rope) for _, piece in values.groupby("piece")]
        for method in claims[0]:
            made = [of_piece[method] for of_piece in claims]
            for truth, true in {"mean": mean, "own": own.to_numpy()}.items():
                place = {"medida": measure, "método": method, "verdad": truth}
                yield place | _row(made, true, rope, pair=len(names) > 1)


def _measure(table: pd.DataFrame, names: list[str]) -> pd.Series:
    return table[names[0]] - table[names[1]] if len(names) > 1 else table[names[0]]


def claims_of(piece: pd.DataFrame, factors: Sequence[float], rope: float) -> dict[str, Claim]:
    """What each method says of one piece, by the values of its images: hits, or differences."""
    scores, claims = piece.groupby("fold")["value"].mean().to_numpy(), {}
    for factor in factors:
        overlap = factor / (len(scores) - 1)
        claims[f"t × {factor:g}"] = (
            intervals.corrected_interval(scores, overlap),
            intervals.corrected_t_test(scores, overlap),
            intervals.bayesian_correlated_t(scores, overlap, rope).verdict,
        )
    values, groups = piece["value"].to_numpy(), piece["group"].to_numpy()
    claims["all pairs"] = all_pairs(values, None, rope)
    if (groups >= 0).all():
        claims["all pairs by group"] = all_pairs(values, groups, rope)
    return claims


def all_pairs(values: np.ndarray, groups: np.ndarray | None, rope: float) -> Claim:
    """Bayle and others' interval: the spread of all images' values about the mean of all folds.

    Images of one group are not independent: with `groups` the sums of their residuals stand for
    them (Liang and Zeger, Biometrika 73 (1986), 13-22), and Student's t for the normal.
    """
    mean, freedom = values.mean(), np.inf
    residuals = values - mean
    if groups is not None:
        residuals = pd.Series(residuals).groupby(groups).sum().to_numpy()
        freedom = len(residuals) - 1
        residuals = residuals * np.sqrt(len(residuals) / freedom)
    t = stats.t(freedom, mean, np.sqrt(np.sum(residuals**2)) / len(values))
    worse, better = t.cdf(-rope), t.sf(rope)
    verdict = Posterior(worse, 1 - worse - better, better).verdict
    return Estimate(mean, *t.interval(CONFIDENCE)), 2 * min(t.cdf(0), t.sf(0)), verdict


def _row(claims: list[Claim], true: np.ndarray, rope: float, *, pair: bool) -> dict[str, Any]:
    estimates, p_values, verdicts = map(np.array, zip(*claims, strict=True))
    value, low, high = estimates.T
    row = {"trozos": len(claims)} | _share("cubre", (low <= true) & (true <= high))
    row["semianchura media"] = ((high - low) / 2).mean()
    row["error típico"] = np.sqrt(np.mean((value - true) ** 2))  # as it is, not as it is estimated
    if pair:
        claimed = verdicts != "unknown"
        is_so = np.select([true > rope, true < -rope], ["better", "worse"], "equal")
        wrong = claimed & (verdicts != is_so)
        row |= _share("p < 0.05", p_values < 0.05) | _share("equivocados", wrong)
        row |= {"veredictos": int(claimed.sum())} | _share("de los veredictos", wrong[claimed])
    return row


def _share(name: str, which: np.ndarray) -> dict[str, float]:
    """The share, and Wilson's interval for it; nothing of none."""
    share = intervals.wilson(int(which.sum()), len(which)) if len(which) else [np.nan] * 3
    return {f"{name}{end}": one for end, one in zip(("", *BOUNDS), share, strict=True)}


def draw(table: pd.DataFrame, say: Language) -> Figure:
    """How often intervals cover each truth, and how often p values and verdicts are wrong.

    A row of panels for each kind of folds; in a panel a line per method, a mark per measure.
    """
    methods = table["método"].unique()[::-1].tolist()
    figure, axes = style.panels(6, 3.4, say("coverage"), sharey=True)
    for kind, (mean, own, wrong) in zip(KINDS, (axes[:3], axes[3:]), strict=True):
        truths = dict(list(table[table["pliegues"] == kind].groupby("verdad")))
        for panel, truth in ((mean, "mean"), (own, "own")):
            _marks(panel, truths[truth], methods, "cubre")
            panel.axvline(100 * CONFIDENCE, color=style.QUIET, ls="--")
            panel.set_title(say(f"coverage_{truth}"))
        null = truths["mean"]["medida"] == NULL
        _marks(wrong, truths["mean"], methods, "equivocados")
        _marks(wrong, truths["mean"][null], methods, "p < 0.05", marker="*", color="black")
        wrong.axvline(100 * (1 - CONFIDENCE), color=style.QUIET, ls="--")
        wrong.set_title(say("coverage_wrong"))
        mean.set_yticks(range(len(methods)), [say.term(one) for one in methods])
        mean.set_ylabel(say(f"coverage_{kind}"))
    for panel in axes:
        panel.set_xlabel("%")
    keys, p_values = [*mean.containers, wrong.containers[-1]], say("coverage_p", measure=NULL)
    figure.legend(keys, [*MEASURES, p_values], loc="outside lower center", ncols=3)
    return figure


def _marks(axes: Axes, table: pd.DataFrame, methods: list[str], share: str, **look: object) -> None:
    for place, measure in enumerate(MEASURES):
        rows = table[(table["medida"] == measure) & table[share].notna()]
        if len(rows):
            y = rows["método"].map(methods.index) + 0.15 * (1.5 - place) - 0.07 * bool(look)
            value, low, high = (100 * rows[f"{share}{end}"] for end in ("", *BOUNDS))
            ends = np.abs([value - low, high - value])  # rounding makes -1e-15 of a zero
            usual = {"marker": style.MARKERS[place], "color": style.COLORS[place]}
            axes.errorbar(value, y, xerr=ends, ls="none", ms=5, **usual | look)


if __name__ == "__main__":
    stage.run(tables)
