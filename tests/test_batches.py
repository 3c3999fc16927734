"""Batches, and what is done to them: against torchvision's transforms and scikit-learn's scaler."""

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler
from torchvision import transforms

from taller.training.batches import Batches, Scaling, Standardizer

CPU = torch.device("cpu")
WORKSHOP = Scaling(mean=(0.5,), std=(0.5,), size=(28, 28))
COLOUR = Scaling(mean=(0.5, 0.4, 0.3), std=(0.1, 0.2, 0.3), size=(20, 24))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 21, 22, 50])
@pytest.mark.parametrize("pixels", [1, 90_000])  # few of large images are gathered at once
def test_every_image_is_in_one_batch_and_no_batch_has_a_single_one(size, pixels):
    inputs = torch.arange(25.0).view(25, 1).expand(-1, pixels).contiguous()
    data = Batches(inputs, torch.arange(25), torch.arange(3, 25), size, CPU, lambda part: part + 1)
    for batches in ([*data], [*data.shuffled(0)]):
        labels = [label for _, part in batches for label in part.tolist()]
        assert [value for part, _ in batches for value in part[:, 0] - 1] == labels
        assert sorted(labels) == [*range(3, 25)] and len(batches) == len(data)
        assert size == 1 or min(len(part) for part, _ in batches) > 1


def test_scaling_is_the_workshops_transform_and_shrinking_antialiased(digits):
    images = torch.from_numpy(digits.images[:4])
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    expected = torch.stack([transform(image[0]) for image in digits.images[:4]])
    torch.testing.assert_close(WORKSHOP(images), expected)
    for size in ((224, 224), (30, 40), (20, 20)):
        bilinear = transforms.InterpolationMode.BILINEAR
        resized = transforms.Resize(size, bilinear, antialias=size == (20, 20))(expected)
        scaled = Scaling((0.5,), (0.5,), size)(images)
        torch.testing.assert_close(scaled, resized, rtol=1e-4, atol=1e-4)


def test_one_channel_gets_the_average_of_the_statistics_and_the_aspect_ratio_stays():
    mean, std = (pytest.approx(0.4),), (pytest.approx(0.2),)
    assert COLOUR.adapt((1, 20, 24), 48) == Scaling(mean, std, (40, 48))
    assert COLOUR.adapt((3, 50, 25), 28) == Scaling(COLOUR.mean, COLOUR.std, (28, 14))


@pytest.fixture
def features() -> torch.Tensor:
    """Scales from a millionth to a million, far from zero; the last feature is constant."""
    random = np.random.default_rng(0)
    drawn = random.normal(3, 1, (60, 13)) * 10.0 ** np.arange(-6, 7)
    return torch.from_numpy(np.column_stack([drawn, np.full(60, 0.1)]).astype(np.float32))


def test_the_standardizer_is_scikit_learns(features):
    scaler = StandardScaler().fit(features.double().numpy())
    for part in (features, features.roll(1, dims=0) * 1.5):
        expected = torch.from_numpy(scaler.transform(part.double().numpy()))
        scaled = Standardizer.of(features)(part).double()
        torch.testing.assert_close(scaled[:, 5:13], expected[:, 5:13], rtol=1e-3, atol=1e-3)
    assert not Standardizer.of(features)(features)[:, 13].any()


def test_features_that_hardly_vary_stay_small(features):
    scaled = Standardizer.of(features)(features).std(0, correction=0)
    spread = features.std(0, correction=0)  # that of the sixth is the median
    torch.testing.assert_close(scaled[:5], spread[:5] / (0.25 * spread[5]))
