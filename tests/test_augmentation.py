"""Random views of photographs, against SciPy's interpolation."""

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from sklearn.datasets import load_sample_image

from taller.training import batches
from taller.training.batches import Scaling, Views

SIZE = 60, 48
SCALING = Scaling((0.5,), (0.5,), SIZE)


@pytest.fixture
def picture() -> np.ndarray:
    """A photograph of flowers, uint8, shape (1, 3, 120, 96)."""
    levels = load_sample_image("flower.jpg")[100:220, 200:296]
    return np.ascontiguousarray(levels.transpose(2, 0, 1))[np.newaxis]


def seen(images: np.ndarray, seed: int, count: int = 40) -> torch.Tensor:
    torch.manual_seed(seed)
    images = torch.from_numpy(images)
    return Views(images, SCALING)(images.expand(count, -1, -1, -1))


def test_a_view_is_a_resized_part_mirrored_or_not(picture, monkeypatch):
    monkeypatch.setattr(batches, "LIGHT", 0.0)
    # Where each pixel of a view comes from: two ramps are an image that says so.
    y, x = np.indices((120, 96), np.uint8)
    places = (seen(np.stack([x, y, x])[np.newaxis], 1) + 1) * 127.5
    areas, ratios, mirrored = [], [], []
    for (across, down, _), view in zip(places.numpy(), seen(picture, 1), strict=True):
        expected = [
            map_coordinates(one, (down, across), np.float64, order=1, mode="nearest")
            for one in picture[0]
        ]
        np.testing.assert_allclose((view + 1) * 127.5, expected, rtol=0, atol=0.1)
        # The middle half is away from the border, where ramps end.
        width = (across[30, 36] - across[30, 12]) * 2
        height = (down[45, 24] - down[15, 24]) * 2
        areas.append(abs(width) * height / 96 / 120)
        ratios.append((abs(width) / 96) / (height / 120))
        mirrored.append(width < 0)
    assert 0.3 < min(areas) < 0.45 and 0.85 < max(areas) <= 1.01
    assert 0.74 < min(ratios) < 0.85 and 1.18 < max(ratios) < 1.34
    assert 10 < sum(mirrored) < 30


def test_light_changes_and_a_grey_photograph_stays_grey(picture):
    grey = picture.mean(axis=1, keepdims=True).round().astype(np.uint8)
    for seed in range(20):
        colour, one = seen(picture, seed, 1), seen(grey, seed, 1)
        three = seen(grey.repeat(3, axis=1), seed, 1)
        torch.testing.assert_close(three, one.expand(-1, 3, -1, -1), rtol=0, atol=1e-5)
        torch.testing.assert_close(colour.mean(1, keepdim=True), one, rtol=0, atol=0.01)
        assert not torch.allclose(colour, three, atol=0.05)


def test_the_epochs_seed_alone_decides_the_views(picture):
    first, again, other = (seen(picture, seed) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.shape == (40, 3, *SIZE) and not torch.equal(first[0], first[1])
