"""The final model for programs without this project: an ONNX file."""

import json
import warnings
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from taller.common.layers import Conv2d, Linear
from taller.training import store
from taller.training.store import Classifier

PLAIN = {Linear: nn.Linear, Conv2d: nn.Conv2d}  # portable layers compute outside of the graph
OPSET = 17  # of 2022, for old runtimes


class Probabilities(nn.Module):
    """All that a `Classifier` does: uint8 images as they are stored to probabilities of classes.

    Shapes (n, channels, height, width) and (n, classes). A resize is a product with a matrix for
    each side: ONNX's antialiasing is not PyTorch's.
    """

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        before, after = classifier.shape[1:], classifier.scaling.size
        self.network, self.resizes = classifier.network, after != before
        self.scaling = replace(classifier.scaling, size=before)
        fewer = max(after) < max(before)
        for name, *sides in zip(("rows", "columns"), before, after, strict=True):
            self.register_buffer(name, resizing(*sides, antialias=fewer))

    def forward(self, images: Tensor) -> Tensor:
        inputs = self.scaling(images)
        if self.resizes:
            inputs = self.rows @ inputs @ self.columns.t()
        return self.network(inputs).softmax(1)


def resizing(before: int, after: int, *, antialias: bool) -> Tensor:
    """The matrix of PyTorch's bilinear resize along one side: float32, shape (after, before)."""
    pixels, size = torch.eye(before)[None, None], (after, before)
    return interpolate(pixels, size=size, mode="bilinear", antialias=antialias)[0, 0]


def to_onnx(path: Path, dataset: str) -> bytes:
    """Write the model of a file as ONNX: the same bytes for the same weights.

    ``images`` goes in and ``probabilities`` comes out, as `Probabilities` has them, for any n. The
    metadata have ``classes``, a JSON list of names, and ``dataset``.
    """
    classifier, file = store.load(path), BytesIO()
    for module in classifier.network.modules():
        module.__class__ = PLAIN.get(type(module), type(module))
    example, free = torch.zeros((2, *classifier.shape), dtype=torch.uint8), {0: "n"}
    with warnings.catch_warnings():
        # That this exporter is the old one, and that it takes the images' sides for constants.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Probabilities(classifier).eval(), (example,), file, dynamo=False, opset_version=OPSET,
            # Else batch normalisation would be folded, with MKL's square root: bits by vendor.
            training=torch.onnx.TrainingMode.PRESERVE,
            input_names=["images"], output_names=["probabilities"],
            dynamic_axes={"images": free, "probabilities": free},
        )  # fmt: skip
    model = onnx.load_from_string(file.getvalue())
    classes = json.dumps(classifier.names, ensure_ascii=False)
    onnx.helper.set_model_props(model, {"classes": classes, "dataset": dataset})
    return model.SerializeToString()
