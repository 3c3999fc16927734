"""What a figure says."""

from matplotlib.figure import Figure
from matplotlib.text import Text


def texts(figure: Figure) -> list[str]:
    """All that a new figure says, tick labels included."""
    figure.draw_without_rendering()
    return shown(figure)


def shown(figure: Figure) -> list[str]:
    """The same of one that was laid out already."""
    found = (text.get_text() for text in figure.findobj(Text) if text.get_visible())
    return [text for text in found if text]
