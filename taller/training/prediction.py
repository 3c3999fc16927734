"""What a stored classifier says of every image of a data set."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from taller.data.dataset import Dataset
from taller.models.store import Classifier
from taller.program.progress import bar
from taller.training import engine
from taller.training.batches import Batches, tensor

BATCH = 250


def log_probabilities(
    classifier: Classifier, data: Dataset, device: torch.device, label: str
) -> np.ndarray:
    """Log probabilities of every class: float32, shape (n, classes).

    Parameters
    ----------
    label : str
        What the progress bar says.
    """
    network = classifier.network.to(device, memory_format=torch.channels_last)
    images, labels = tensor(data.images), tensor(data.labels)
    batches = Batches(images, labels, torch.arange(len(data)), BATCH, device, classifier.scaling)

    def told() -> Iterator[Tensor]:
        with bar(len(data), label, "image") as shown:
            for inputs in batches.inputs_only():
                yield inputs
                shown.update(len(inputs))

    return engine.predict(network, told()).double().log_softmax(1).float().numpy()
