"""What goes wrong by the user's hand or the machine's, and that one line explains."""

from collections.abc import Iterable

LINES = 5  # of many mistakes that a message has


class UserError(Exception):
    """A mistake that the user can mend.

    The message is one line: the parameter or file, what was expected, what was found.
    """


def refuse(lines: Iterable[str]) -> None:
    """Raise a `UserError` of several lines, in alphabetical order, if there are any."""
    if lines := sorted(lines):
        more = len(lines) - LINES
        raise UserError("\n".join(lines[:LINES] + [f"... and {more} more"] * (more > 0)))


def printable(value: object) -> str:
    """A value for a message: in one line, of at most 100 letters."""
    text = " ".join(value.split()) if isinstance(value, str) else repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."
