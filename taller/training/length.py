"""How long a network is trained: epochs, and with few images as many as a number of steps takes."""

from typing import TypeVar

from taller.program.params import Section

Trained = TypeVar("Trained", bound=Section)


def epochs(section: Section, images: int) -> int:
    """How many epochs a network with these params is trained for, on so many images."""
    steps = -(-images // section.batch_size)
    return max(section.epochs, -(-section.min_steps // steps))


def enough(section: Trained, images: int, label: str) -> Trained:
    """The section with the epochs that its network is really trained for, told if they are more.

    Of 1,000 images four epochs are sixty steps, after which a network from scratch knows nothing,
    and one whose last layer alone is trained does: compared like that, who was stopped loses.

    Parameters
    ----------
    section : Section
        Of params.yaml, with ``epochs``, ``min_steps`` and ``batch_size``.
    images : int
        That a fit on all of them trains on; those on folds go over as many epochs.
    label : str
        Of the network, for the user.
    """
    if (longer := epochs(section, images)) > section.epochs:
        print(
            f"{label}: {longer} epochs instead of {section.epochs}: with {images} images "
            f"min_steps, {section.min_steps}, takes so many",
            flush=True,
        )
    return section.model_copy(update={"epochs": longer})
