"""Every architecture by the name that model files know it under.

An architecture is a module: its ``NAME``, and ``build(classes, shape, ...)``, which gives a
network from (n, *shape) to (n, classes). One that can be fine-tuned is a chain of named parts,
as `surgery` wants it.
"""

from taller.models import resnet18, simple_nn

ALL = {module.NAME: module for module in (simple_nn, resnet18)}
