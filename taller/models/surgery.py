"""Load, cut and freeze a network that is a chain of named parts, whichever network it is.

A module of such an architecture names its ``PARTS`` (those with weights, in order), its ``STEM``
(the convolution that sees the image) and its ``HEAD`` (the layer that gives the logits).
"""

from collections.abc import Sequence

from torch import Tensor, nn

from taller.program.errors import Problem


def load(model: nn.Module, state: dict[str, Tensor], new: Sequence[str]) -> None:
    """Load weights into `model`, all but the parts named `new`, which stay as they are.

    Raises
    ------
    Problem
        When `state` lacks a key that is not expected to be new, or has one too many.
    """
    wanted = {key for key in model.state_dict() if key.split(".")[0] not in new}
    given = {key: tensor for key, tensor in state.items() if key.split(".")[0] not in new}
    if missing := sorted(wanted - given.keys()):
        raise Problem(f"expected {missing[0]}, found no such key")
    if unknown := sorted(given.keys() - wanted):
        raise Problem(f"expected the network's keys, found {unknown[0]}")
    model.load_state_dict(given, strict=False)


def with_channels(state: dict[str, Tensor], stem: str, channels: int) -> dict[str, Tensor]:
    """Make the first convolution's weights fit images of `channels` channels.

    To one channel, by summing over the channels: the output is that of the RGB network fed the
    grey image three times. From one channel, by sharing its weights out in equal parts: a grey
    image that is given in colour has the output that it has in grey.

    Raises
    ------
    Problem
        When neither number of channels is one.
    """
    key = f"{stem}.weight"
    weight = state[key]
    found = weight.shape[1]
    if found == channels:
        return state
    if channels == 1:
        return state | {key: weight.sum(dim=1, keepdim=True)}
    if found == 1:
        return state | {key: (weight / channels).repeat(1, channels, 1, 1)}
    raise Problem(f"pretrained weights: expected 1 or {channels} channels, found {found}")


def chosen_parts(names: Sequence[str] | str, parts: Sequence[str], head: str) -> tuple[str, ...]:
    """The parts that ``trainable`` names, in the network's order.

    Raises
    ------
    ValueError
        Saying what is valid, when one is not a part of the network, or the head is not among
        them: a head that stays random answers at random.
    """
    if names == "all":
        return tuple(parts)
    if not isinstance(names, list) or head not in names or any(name not in parts for name in names):
        raise ValueError(f"all, or a list with {head} and any of {', '.join(parts)}")
    return tuple(part for part in parts if part in names)


def cut(model: nn.Sequential, trainable: Sequence[str]) -> tuple[nn.Sequential, nn.Sequential]:
    """Cut the network in front of the first trainable part.

    Both halves share their weights with `model`. In the second, parts that are not trainable
    take no gradients, but their batch normalisation is in training mode with the rest, as in
    the workshop's code.

    Returns
    -------
    frozen, trained : Sequential
        ``trained(frozen(x))`` is ``model(x)``. `frozen` may be empty.
    """
    position = list(model._modules).index(trainable[0])
    frozen, trained = model[:position], model[position:]
    for name, child in model.named_children():
        child.requires_grad_(name in trainable)
    return frozen, trained


def parameter_groups(
    trained: nn.Module, head: str, learning_rate: float, body_lr_factor: float
) -> list[dict[str, object]]:
    """Optimizer groups: the head at `learning_rate`, the rest at that times `body_lr_factor`."""
    of_head, of_body = [], []
    for name, parameter in trained.named_parameters():
        if parameter.requires_grad:
            (of_head if name.startswith(f"{head}.") else of_body).append(parameter)
    groups = [(of_head, learning_rate), (of_body, learning_rate * body_lr_factor)]
    return [{"params": group, "lr": rate} for group, rate in groups if group]
