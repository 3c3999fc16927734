"""What the report tells of a fit: how the network was trained, and at what cost."""

from torch import nn

from taller.program import params
from taller.training import cost

# What every stage that trains has in its section.
COMMON = ("learning_rate", "weight_decay", "schedule", "batch_size", "epochs")
SPENT = {"trainable", "min_steps"}  # of which the parts and the epochs tell what came of them


def of_fit(
    network: nn.Module,
    section: params.Section,
    trained_parameters: int,
    *,
    answer: int,
    training: int,
    trained: tuple[str, ...] = (),
    frozen: tuple[str, ...] = (),
) -> dict[str, object]:
    """The content of ``fit.json``.

    Parameters
    ----------
    section : Section
        Of params.yaml; what is not in `COMMON` is told as the network's own knobs.
    answer, training : int
        Operations for one image, and for the fit on all images.
    trained, frozen : tuple of str
        Parts of the network, where it has any with a name.
    """
    chosen = section.model_dump(exclude=SPENT)
    return {
        "trained_parameters": trained_parameters,
        "parameters": cost.parameters(network),
        "flops": {"answer": answer, "training": training},
        "training": {
            # With no weight decay AdamW is Adam, the workshop's optimizer.
            "optimizer": "AdamW" if chosen["weight_decay"] else "Adam",
            **{name: chosen[name] for name in COMMON},
            "trained": list(trained),
            "frozen": list(frozen),
            "knobs": {name: value for name, value in chosen.items() if name not in COMMON},
        },
    }
