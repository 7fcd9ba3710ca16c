"""The one exception of this folder, and how text from a file is shown in messages."""

from typing import Any

LONGEST = 1000  # characters of a message
SHOWN = 80  # characters of a value in a message


class Refused(ValueError):
    """What cannot be carried or read: the reason, and what to do.

    The message is one line whatever it quotes: control characters are escaped.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def one_line(text: str) -> str:
    """The text with everything escaped that a terminal would not print, and not endlessly long."""
    if len(text) > LONGEST:
        text = text[:LONGEST] + " ..."
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def shown(value: Any) -> str:
    """A value of a file as messages quote it."""
    text = repr(value) if not isinstance(value, str) else repr(value[: SHOWN + 1])
    return text if len(text) <= SHOWN + 2 else f"{text[:SHOWN]}...{text[-1]}"
