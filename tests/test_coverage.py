"""How often intervals hold: the pieces, what is asked of them, and what the table counts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import torch
from dvc.repo import Repo

from estudio import coverage, coverage_tables
from taller.common import params
from taller.report.language import Language

ROOT = Path(__file__).parents[1]
SMALL = {"images": 200, "writers": 10, "folds": 5, "rest": 1000}


def test_dvc_trains_the_parts_that_the_table_reads():
    with Repo(ROOT / "estudio") as repo:
        listed = [(one.cmd.split(), one.outs[0].def_path) for one in repo.index.stages]
    made = {path: words[-2:] for words, path in listed if "estudio.coverage" in words}
    parts = params.load(ROOT / coverage.SETTINGS)["cobertura"]["parts"]
    both = [[kind, str(part)] for kind in coverage.KINDS for part in range(len(parts))]
    assert made == {f"cells/cobertura/{'-'.join(place)}": place for place in both}


def test_pieces_share_no_image_and_grouped_ones_no_writer(mnist):
    alone = coverage.pieces(replace(mnist[0], groups=None), SMALL, seed=1)
    assert np.bincount(alone).tolist() == [200] * 300
    assert np.ptp(np.bincount(alone[mnist[0].labels == 0])) <= 1
    pairs = np.unique([mnist[0].groups, coverage.pieces(mnist[0], SMALL, seed=1)], axis=1)
    assert len(pairs[0]) == len({*pairs[0]}) and {*np.bincount(pairs[1])} == {10, 11}


def test_the_networks_of_a_fold_do_not_learn_from_it(mnist, workdir):
    def fit(data, *names):
        training = coverage.training("simple_nn", data, 10, torch.device("cpu"))
        networks = dict.fromkeys(names, training)
        return coverage.fit_piece(networks, data, assigned, few, 5, 3, lambda *_: None)

    few = SMALL | {"folds": 3}
    assigned = coverage.pieces(mnist[0], few, seed=1)
    images, rest = fit(mnist[0], "simple_nn", "simple_nn_again")
    assert images.groupby("group")["fold"].nunique().max() == 1
    first, again = rest["simple_nn"], rest["simple_nn_again"]
    assert (first != again).all() and abs(first.mean() - again.mean()) < 0.05
    assert abs(images["simple_nn"].mean() - first.mean()) < 0.1 and first.min() > 0.6
    # White images of one fold: its networks are the same, those of other folds are not.
    white = mnist[0].images.copy()
    white[np.flatnonzero(assigned == 3)[images["fold"] == 2]] = 255
    other = fit(replace(mnist[0], images=white), "simple_nn")[1]["simple_nn"]
    assert (first == other).tolist() == [False, True, False]


def test_all_pairs_is_the_usual_interval_of_a_mean_and_clustered_that_of_a_regression():
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(12), random.integers(5, 20, 12))
    values = (random.random(len(groups)) < random.random(12)[groups]) - 0.4
    fit = sm.OLS(values, np.ones(len(values))).fit
    clustered = fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    for known, of in (fit(cov_type="HC0"), None), (clustered, groups):
        interval, p_value, _ = coverage_tables.all_pairs(values, of, rope=0.005)
        np.testing.assert_allclose(interval[1:], known.conf_int()[0])
        assert p_value == pytest.approx(known.pvalues[0], rel=1e-6)


def test_intervals_of_independent_hits_cover_as_often_as_they_say():
    random, names = np.random.default_rng(0), ["piece", "fold", "image"]
    images = pd.MultiIndex.from_product([range(200), range(5), range(40)], names=names).to_frame()
    images = images.reset_index(drop=True).assign(group=-1)
    rest = images[images["image"] == 0].reset_index(drop=True)
    for name, share in {"simple_nn": 0.8, "simple_nn_again": 0.8, "cnn": 0.9}.items():
        images[name], rest[name] = (random.random(len(images)) < share).astype(int), share
    table = pd.DataFrame(coverage_tables.rows(images, rest, [0, 1], rope=0.005))
    of = table.set_index(["medida", "método", "verdad"])
    for measure in coverage_tables.MEASURES:
        for method in ("t × 0", "all pairs"):  # no fold learns from another: both hold
            row = of.loc[measure, method, "mean"]
            assert row["cubre inferior"] - 0.01 < 0.95 < row["cubre superior"] + 0.01
        assert of.loc[measure, "t × 1", "own"]["cubre"] > 0.97
    null, pair = (of.loc[one, "all pairs", "mean"] for one in list(coverage_tables.MEASURES)[2:])
    assert null["p < 0.05"] == pytest.approx(1 - null["cubre"])
    assert pair["veredictos"] > 150 and pair["equivocados"] < 0.01
    wrong = null["veredictos"] * null["de los veredictos"]
    assert null["equivocados"] == pytest.approx(wrong / 200) and 0 < null["equivocados"] < 0.1
    assert pair["error típico"] == pytest.approx(np.sqrt((0.16 + 0.09) / 200), rel=0.1)
    both = pd.concat([table.assign(pliegues=kind) for kind in coverage.KINDS])
    panel = coverage_tables.draw(both, Language("es")).axes[1]
    marks = np.concatenate([bar.lines[0].get_xdata() for bar in panel.containers])
    np.testing.assert_allclose(sorted(marks), sorted(100 * of.xs("own", level=2)["cubre"]))
