"""What every network promises, and each against its definition elsewhere."""

import pytest
import torch
from sklearn.datasets import load_sample_image
from timm.models.efficientnet import tf_efficientnet_lite0
from torch import nn
from torchvision.models import resnet18 as torchvision_resnet18

from taller.common.params import NETWORKS
from taller.networks import cnn, efficientnet_lite0, resnet18, simple_nn
from taller.training import store
from taller.training.batches import Scaling

MODULES = [store.network_module(path.stem) for path in sorted(NETWORKS.glob("*.py"))]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.NAME)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 20, 33)])
def test_any_shape_and_number_of_classes_and_every_weight_takes_part(module, shape):
    network = module.build(classes=7, shape=shape).train()
    logits = network(torch.randn(6, *shape))
    assert logits.shape == (6, 7)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())


def workshop_network() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(),
        *(nn.Linear(28 * 28, 128), nn.ReLU(), nn.Dropout(0.2)),
        *(nn.Linear(128, 64), nn.ReLU()),
        nn.Linear(64, 10),
    )


def cnn_by_hand() -> nn.Module:
    """Of the defaults, on MNIST: 28 pixels become 14, then 7."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 5, stride=2, padding=2), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 32, 5, stride=2, padding=2), nn.BatchNorm2d(32), nn.ReLU()),
        nn.Flatten(),
        *(nn.Linear(32 * 7 * 7, 64), nn.ReLU(), nn.Dropout(0.2)),
        nn.Linear(64, 10),
    )


def leaves(network: nn.Module) -> list[nn.Module]:
    return [one for one in network.modules() if not [*one.children()]]


@pytest.mark.parametrize(
    ("build", "expected", "parameters"),
    [
        (lambda: simple_nn.build(10, (1, 28, 28)).net, workshop_network, 109_386),
        (lambda: cnn.build(10, (1, 28, 28)), cnn_by_hand, 114_410),
    ],
)
def test_networks_from_scratch_are_what_they_say(build, expected, parameters):
    networks = []
    for make in (build, expected):
        torch.manual_seed(0)
        networks.append(make())
    ours, theirs = networks
    assert [*map(repr, leaves(ours))] == [*map(repr, leaves(theirs))]
    assert sum(p.numel() for p in ours.parameters()) == parameters
    images = torch.randn(4, 1, 28, 28)
    for mode in (True, False):  # with dropout, and without
        drawn = []
        for network in networks:  # whose weights are the same, as they are drawn in the same order
            torch.manual_seed(0)
            drawn.append(network.train(mode)(images))
        torch.testing.assert_close(*drawn)


@pytest.mark.parametrize("channels", [1, 3])
def test_resnet18_is_torchvisions_but_for_a_stem_that_is_drawn_last(channels):
    torch.manual_seed(5)
    ours = resnet18.build(10, (channels, 28, 28))
    torch.manual_seed(5)
    theirs = torchvision_resnet18(num_classes=10)
    state, expected = ours.state_dict(), theirs.state_dict()
    assert [*state] == [*expected]
    different = {name for name in state if not torch.equal(state[name], expected[name])}
    assert different == {"conv1.weight"} and state["conv1.weight"].shape[1] == channels
    theirs.conv1 = nn.Conv2d(channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
    theirs.load_state_dict(state)
    images = torch.randn(4, channels, 40, 28)
    torch.testing.assert_close(ours.eval()(images), theirs.eval()(images))


def test_efficientnet_lite0_is_timms_and_asks_no_hub(monkeypatch):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("it connects"))
    ours = efficientnet_lite0.build(7, (1, 28, 28)).eval()
    theirs = tf_efficientnet_lite0(pretrained=False, num_classes=7, in_chans=1).eval()
    names, weights = theirs.state_dict(), ours.state_dict().values()
    theirs.load_state_dict(dict(zip(names, weights, strict=True)))
    images = torch.randn(3, 1, 64, 48)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)


# Of ImageNet's classes: bell cote, boathouse, castle, monastery, palace; daisy.
@pytest.mark.parametrize(
    ("picture", "expected"), [("china.jpg", {442, 449, 483, 663, 698}), ("flower.jpg", {985})]
)
def test_lite0_with_imagenets_weights_knows_a_picture(lite0_weights, picture, expected):
    start = store.load_start(lite0_weights.parent, "efficientnet_lite0", 1, "finetune.x.start")[0]
    image = torch.from_numpy(load_sample_image(picture).copy()).permute(2, 0, 1)[None]
    side, left = image.shape[2], (image.shape[3] - image.shape[2]) // 2
    module = efficientnet_lite0
    assert start.scaling == Scaling(module.MEAN, module.STD, (module.PIXELS, module.PIXELS))
    with torch.no_grad():
        logits = start.network.eval()(start.scaling(image[..., left : left + side]))
    assert int(logits.argmax()) in expected
