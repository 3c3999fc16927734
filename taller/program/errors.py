"""What goes wrong by the user's hand or the world's, and that one line explains."""


class Problem(Exception):
    """A mistake that the user can mend: the message is one line, without a traceback.

    The message names the parameter or file, what was expected and what was found.
    """
