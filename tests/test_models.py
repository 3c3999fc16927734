"""What every architecture promises, tested with one body for all of them; and model files."""

import pickle
from typing import get_args

import numpy as np
import pytest
import torch
from torch import nn

from taller.data import weights
from taller.data.origin import Network
from taller.models import architectures, backbones, catalogue, store, surgery
from taller.models.scaling import Scaling
from taller.program.errors import Problem
from taller.training import activations, cost

URL = "http://127.0.0.1/resnet18-f37072fd.pth"
SHAPES = [(1, 28, 28), (3, 20, 24), (1, 33, 17)]
CHAINS = [module for module in architectures.ALL.values() if hasattr(module, "PARTS")]
every = pytest.mark.parametrize("module", architectures.ALL.values(), ids=architectures.ALL)
every_chain = pytest.mark.parametrize("module", CHAINS, ids=lambda module: module.NAME)


@every
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("classes", [2, 12])
def test_any_shape_and_number_of_classes(module, shape, classes):
    network = module.build(classes=classes, shape=shape).eval()
    assert network(torch.randn(3, *shape)).shape == (3, classes)


@every
def test_the_seed_decides_the_weights(module):
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(torch.cat([p.flatten() for p in module.build(5, (1, 28, 28)).parameters()]))
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


@every_chain
@pytest.mark.parametrize("classes", [2, 10, 372])
def test_a_fresh_head_begins_with_small_logits(module, classes):
    head = getattr(module.build(classes, (1, 28, 28)), module.HEAD)
    features = torch.randn(200, head.in_features)
    with torch.no_grad():
        assert head(features).std() < 1


@every
def test_every_weight_takes_part(module):
    network = module.build(4, (3, 28, 28)).train()
    network(torch.randn(6, 3, 28, 28)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())


@every
def test_a_file_gives_back_the_network(module, tmp_path):
    arguments = {"classes": 5, "shape": (3, 20, 24)}
    network = module.build(**arguments).eval()
    scaling, names = Scaling((0.1, 0.2, 0.3), (1.0, 1.1, 1.2), (20, 24)), list("abcde")
    path = tmp_path / "model.pth"
    store.save(path, module.NAME, arguments, scaling, names, network.state_dict())
    found = store.load(path, architectures.ALL)
    assert (found.architecture, found.scaling, found.names) == (module.NAME, scaling, (*names,))
    images = torch.randn(3, 3, 20, 24)
    torch.testing.assert_close(found.network.eval()(images), network(images), rtol=0, atol=0)
    first = path.read_bytes()
    store.save(path, module.NAME, arguments, scaling, names, network.state_dict())
    assert path.read_bytes() == first


@every_chain
def test_a_chain_names_its_parts_its_stem_and_its_head(module):
    network = module.build(7, (3, 28, 28))
    weighted = [name for name, child in network.named_children() if list(child.parameters())]
    assert tuple(weighted) == module.PARTS
    state = network.state_dict()
    assert (module.PARTS[0], module.PARTS[-1]) == (module.STEM, module.HEAD)
    assert state[f"{module.STEM}.weight"].shape[1] == 3
    assert len(state[f"{module.HEAD}.bias"]) == 7


@every_chain
def test_a_chain_can_be_cut_anywhere(module):
    network = module.build(4, (1, 28, 28)).eval()
    images = torch.randn(3, 1, 28, 28)
    for part in module.PARTS:
        frozen, trained = surgery.cut(network, (part,))
        torch.testing.assert_close(trained(frozen(images)), network(images), rtol=0, atol=0)
        assert {
            name.split(".")[0] for name, p in trained.named_parameters() if p.requires_grad
        } == {part}


@every_chain
@pytest.mark.parametrize("trainable", [(-1,), (-3, -1)])
@pytest.mark.parametrize("limit", [0, 2**30])
def test_kept_activations_are_those_of_the_frozen_layers(module, trainable, limit, tmp_path):
    network = module.build(4, (1, 28, 28))
    frozen, trained = surgery.cut(network, [module.PARTS[place] for place in trainable])
    before = {key: value.clone() for key, value in network.state_dict().items()}
    images = np.random.default_rng(0).integers(0, 256, (5, 1, 28, 28), np.uint8)
    scaling = module.IMAGENET.suited((1, 28, 28), 40)
    with activations.cached(
        frozen, images, scaling, device=torch.device("cpu"), folder=tmp_path, limit=limit
    ) as kept:
        found = torch.from_numpy(np.array(kept))
    with torch.no_grad():
        expected = network.eval()(scaling(torch.from_numpy(images)))
        # Kept activations have lost the memory layout, and with it the order of some sums.
        torch.testing.assert_close(trained.eval()(found), expected, rtol=1e-3, atol=1e-5)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@every_chain
def test_frozen_parts_keep_their_bytes_in_training(module):
    network = module.build(4, (1, 28, 28))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    chosen = module.PARTS[-3], module.HEAD
    frozen, trained = surgery.cut(network, chosen)
    optimizer = torch.optim.SGD([p for p in trained.parameters() if p.requires_grad], 0.1)
    trained.train()(frozen.eval()(torch.randn(6, 1, 28, 28))).square().sum().backward()
    optimizer.step()
    for key, value in network.state_dict().items():
        if key.split(".")[0] in chosen and value.is_floating_point():
            assert not torch.equal(value, before[key]), key
        elif key.rsplit(".", 1)[-1] in ("weight", "bias"):
            assert torch.equal(value, before[key]), key


@every_chain
def test_one_channel_is_the_grey_image_three_times(module):
    colour = module.build(4, (3, 28, 28)).eval()
    grey = module.build(4, (1, 28, 28)).eval()
    surgery.load(grey, surgery.with_channels(colour.state_dict(), module.STEM, 1), new=())
    images = torch.randn(4, 1, 64, 48)
    with torch.no_grad():
        torch.testing.assert_close(
            grey(images), colour(images.expand(-1, 3, -1, -1)), rtol=1e-3, atol=1e-4
        )


@every_chain
def test_what_a_chain_costs_is_what_its_halves_cost(module):
    network, shape = module.build(4, (1, 28, 28)), (1, 56, 56)
    frozen, trained = surgery.cut(network, (module.PARTS[4], module.HEAD))
    between = cost.output_shape(frozen, shape)
    with torch.no_grad():
        assert between == frozen.eval()(torch.zeros(1, *shape)).shape[1:]
    whole, parts = (
        cost.count(network, shape),
        (cost.count(frozen, shape), cost.count(trained, between)),
    )
    assert whole.answer == sum(part.answer for part in parts) > 10**6
    assert parts[0].step == parts[0].answer and parts[1].step > parts[1].answer


@every_chain
def test_the_parts_that_are_trained(module):
    parts, head = module.PARTS, module.HEAD
    assert surgery.chosen_parts("all", parts, head) == parts
    assert surgery.chosen_parts([head, parts[1]], parts, head) == (parts[1], head)
    for wrong in ([parts[1]], [], [head, "other"], head, None):
        with pytest.raises(ValueError, match=f"all, or a list with {head}"):
            surgery.chosen_parts(wrong, parts, head)


class Hostile:
    def __reduce__(self):
        return print, ("code from a pickle ran",)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"PK\x03\x04", pickle.dumps(Hostile(), 2), {"architecture": "Other"}, [1],
        torch.zeros(2),
        {"architecture": "SimpleNN", "arguments": {"classes": 2, "shape": [1, 2, 2]}, "names": [],
         "scaling": {"mean": [0.0], "std": [1.0], "size": [2, 2]}, "state_dict": {}},
        {"architecture": "SimpleNN", "arguments": {"units": 3}},
    ],
)  # fmt: skip
def test_another_file_is_refused_in_one_line(tmp_path, content, capsys):
    path = tmp_path / "model.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(Problem, match=r"model\.pth: expected a model .*, found another file") as it:
        store.load(path, architectures.ALL)
    assert "\n" not in str(it.value)
    assert "code from a pickle" not in capsys.readouterr().out


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(Problem, match=r"model\.pth: expected a model, found nothing"):
        store.load(tmp_path / "model.pth", architectures.ALL)


@pytest.mark.parametrize("network", backbones.ALL)
def test_no_two_compared_models_look_alike(network):
    models = catalogue.compared(network)
    for field in ("key", "name", "short", "color", "marker"):
        values = [getattr(entry, field) for entry in models]
        assert len(set(values)) == len(values), field
    assert [entry.key for entry in models if entry.pretrained] == [network]


def test_every_name_of_a_network_is_the_same_everywhere():
    assert [*backbones.ALL] == [*catalogue.FINETUNED] == [*weights.known(URL)]
    assert {*backbones.ALL} == {*get_args(get_args(Network)[0])}
    for key, module in backbones.ALL.items():
        assert catalogue.FINETUNED[key].short == module.NAME
    assert catalogue.compared("resnet18") == catalogue.MODELS


def test_dropout_is_in_training_alone():
    network = architectures.ALL["SimpleNN"].build(3, (1, 4, 4), hidden=[50], dropout=0.5)
    images = torch.randn(2, 1, 4, 4)
    assert any(isinstance(layer, nn.Dropout) for layer in network.modules())
    assert torch.equal(network.eval()(images), network(images))
    assert not torch.equal(network.train()(images), network(images))
