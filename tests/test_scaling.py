"""Input scaling against torchvision's transforms."""

import pytest
import torch
from torchvision import transforms

from taller.data import idx
from taller.models.scaling import Scaling

WORKSHOP = Scaling(mean=(0.5,), std=(0.5,), size=(28, 28))
COLOUR = Scaling(mean=(0.5, 0.4, 0.3), std=(0.1, 0.2, 0.3), size=(20, 24))


@pytest.fixture(scope="module")
def images(mnist_raw):
    return torch.from_numpy(idx.read(mnist_raw / "train-images-idx3-ubyte")[:16, None])


@pytest.fixture(scope="module")
def colours():
    pen = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (5, 3, 20, 24), generator=pen, dtype=torch.uint8)


def test_it_is_the_workshops_transform(images):
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    expected = torch.stack([transform(image[0].numpy()) for image in images])
    torch.testing.assert_close(WORKSHOP(images), expected)


def test_every_channel_has_its_own_statistics(colours):
    expected = transforms.Normalize(COLOUR.mean, COLOUR.std)(colours / 255)
    torch.testing.assert_close(COLOUR(colours), expected)


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (224, 224), (30, 40)])
def test_resizing_is_bilinear(images, size):
    found = Scaling(mean=(0.449,), std=(0.226,), size=size)(images)
    resize = transforms.Resize(size, transforms.InterpolationMode.BILINEAR, antialias=False)
    expected = (resize(images.float() / 255) - 0.449) / 0.226
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_one_channel_gets_the_average_of_the_statistics_and_the_aspect_ratio_stays():
    assert COLOUR.suited((1, 20, 24), 48) == Scaling(
        (pytest.approx(0.4),), (pytest.approx(0.2),), (40, 48)
    )
    assert COLOUR.suited((3, 50, 25), 28) == Scaling(COLOUR.mean, COLOUR.std, (28, 14))
    assert WORKSHOP.suited((3, 28, 28), 28).mean == (0.5,)


def test_a_model_file_gives_it_back():
    assert Scaling.from_dict(COLOUR.as_dict()) == COLOUR
