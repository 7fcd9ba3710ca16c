"""What a stranger's file of a pair has, and what must be said of a fault in it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

SGD = "pytorch:SGD(lr=0.05)"


class Pair(NamedTuple):
    """The entries of a file; each that is None is left out."""

    torch_model: Callable[[], Any]
    keras_model: Callable[[], Any]
    batch: Callable[[], Any]
    loss: Any = None
    optimizers: Any = (SGD, SGD)
    clip: Any = None
    convert: Any = None

    def values(self) -> dict[str, Any]:
        """The names and values of the file."""
        return {name: value for name, value in self._asdict().items() if value is not None}


class Fault(NamedTuple):
    """A pair with one fault, and the answer, written down before it was run.

    ``stages`` and ``places`` have what is acceptable; a true cause has one of ``truths``.
    """

    pair: Pair
    stages: tuple[str, ...]
    places: tuple[str, ...]
    truths: tuple[str, ...]


def random(seed: int = 0) -> np.random.Generator:
    """Numbers of a batch."""
    return np.random.default_rng(seed)
