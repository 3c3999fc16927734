"""Standardized features against scikit-learn's, and the layer that absorbs them."""

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler
from torch import nn

from taller.training.standardizer import Standardizer


@pytest.fixture
def features():
    """Scales from a millionth to a million, far from zero; the last feature is constant."""
    random = np.random.default_rng(0)
    scales = 10.0 ** np.arange(-6, 7)
    drawn = random.normal(3, 1, (60, 13)) * scales
    return np.column_stack([drawn, np.full(60, 0.1)]).astype(np.float32)


def test_it_is_scikit_learns(features):
    found = Standardizer.of(torch.from_numpy(features))
    others = np.random.default_rng(1).normal(3, 1, (40, 14)).astype(np.float32) * features.std(0)
    scaler = StandardScaler().fit(features.astype(np.float64))
    for part in (features, others):
        expected = scaler.transform(part.astype(np.float64))
        torch.testing.assert_close(
            found(torch.from_numpy(part))[:, :13].double(),
            torch.from_numpy(expected[:, :13]), rtol=1e-3, atol=1e-3,
        )  # fmt: skip
    scaled = found(torch.from_numpy(features))[:, :13]
    assert (
        scaled.mean(0).abs().max() < 1e-3 and (scaled.std(0, correction=0) - 1).abs().max() < 1e-3
    )


@pytest.mark.parametrize("value", [0.0, 0.1, -1e-8, 12345.678])
@pytest.mark.parametrize("count", [2, 1001, 60_000])
def test_a_constant_feature_becomes_zero(value, count):
    inputs = torch.full((count, 3), value)
    found = Standardizer.of(inputs)
    assert not found(inputs).any()
    # One that was constant in training only keeps its own scale.
    assert found(inputs[:1] + 1) == pytest.approx(1.0, rel=1e-3)


def test_the_absorbing_layer_gives_the_same_logits_on_raw_inputs(features):
    inputs = torch.from_numpy(features)
    found, layer = Standardizer.of(inputs), nn.Linear(14, 5)
    raw = nn.Linear(14, 5)
    weight, bias = found.absorbed(layer.weight, layer.bias)
    raw.load_state_dict({"weight": weight, "bias": bias})
    before = layer.weight.detach().clone()
    torch.testing.assert_close(raw(inputs), layer(found(inputs)), rtol=1e-3, atol=1e-3)
    assert torch.equal(layer.weight, before)
    assert not torch.allclose(layer(inputs), layer(found(inputs)), rtol=0.1, atol=0.1)
