"""Input scaling against torchvision's transforms."""

import pytest
import torch
from torchvision import transforms

from taller.data import idx
from taller.models.scaling import WORKSHOP, Scaling


@pytest.fixture(scope="module")
def images(mnist_raw):
    return torch.from_numpy(idx.read(mnist_raw / "train-images-idx3-ubyte")[:16])


def test_it_is_the_workshops_transform(images):
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    expected = torch.stack([transform(image.numpy()) for image in images])
    torch.testing.assert_close(WORKSHOP(images), expected)


@pytest.mark.parametrize("size", [32, 64, 224])
def test_resizing_is_bilinear(images, size):
    found = Scaling(mean=0.449, std=0.226, size=size)(images)
    resize = transforms.Resize(size, transforms.InterpolationMode.BILINEAR, antialias=False)
    expected = (resize(images[:, None].float() / 255) - 0.449) / 0.226
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_model_file_gives_it_back(images):
    scaling = Scaling(mean=0.1, std=0.3, size=32)
    assert Scaling(**scaling.as_dict()) == scaling
