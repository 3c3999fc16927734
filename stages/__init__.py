"""The stages of dvc.yaml: scripts, each of which loads, computes and saves."""

import taller.common.start  # noqa: F401
