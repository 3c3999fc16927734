"""The fixtures that tests and verification share."""

from fixtures import *  # noqa: F403
