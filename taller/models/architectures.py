"""Every architecture by the name that model files know it under.

An architecture is a module: its ``NAME``, and ``build(classes, shape, ...)``, which gives a
network from (n, *shape) to (n, classes). One that `kfold_train` trains from scratch has ``Knobs``,
the schema of the rest of what ``build`` takes. One that can be fine-tuned is among `backbones`.
"""

from taller.models import backbones, cnn, simple_nn

ALL = {module.NAME: module for module in (simple_nn, cnn)} | backbones.ARCHITECTURES
