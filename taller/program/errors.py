"""What goes wrong by the user's hand or the world's, and that one line explains."""

from collections.abc import Iterable


class Problem(Exception):
    """A mistake that the user can mend: the message is one line, without a traceback.

    The message names the parameter or file, what was expected and what was found.
    """


class Problems(Problem):
    """Several mistakes at once, a line each: at most `MOST`, and then how many more there are.

    Attributes
    ----------
    lines : tuple of str
        All of them, in order; each names the file, what was expected and what was found.
    """

    MOST = 5

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        more = len(self.lines) - self.MOST
        told = [*self.lines[: self.MOST], *([f"... and {more} more"] if more > 0 else [])]
        super().__init__("\n".join(told))

    def __reduce__(self) -> tuple:
        return Problems, (self.lines,)


def refuse(lines: Iterable[str]) -> None:
    """Raise `Problems` of the lines, in alphabetical order, if there are any."""
    if lines := sorted(lines):
        raise Problems(lines)
