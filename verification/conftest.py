"""What takes minutes to see, `make verify`: with the fixtures and helpers of the quick tests."""

from fixtures import *  # noqa: F403
