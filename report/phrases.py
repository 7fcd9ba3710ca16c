"""Small pieces of sentences that the terminal and the page share."""

from collections.abc import Sequence

TITLES = {"numpy": "NumPy", "pytorch": "PyTorch", "tensorflow": "TensorFlow"}


def titles(frameworks: Sequence[str]) -> str:
    """Return the names of frameworks as a list in a sentence."""
    return listed([TITLES[framework] for framework in frameworks])


def listed(names: Sequence[str]) -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def counted(number: int, noun: str) -> str:
    """Return a number and its noun: ``1 run``, ``1,875 steps``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return seconds as minutes and seconds, or as seconds alone if they are less than a minute."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
