"""Designed gradients: what a black box is asked.

``zero`` starts at zero, so that the first step is seen whole; its gradients have scales from 1e-9 to 1e3. ``weights``
starts elsewhere: half of it never gets a gradient but zero, so that only decay moves it. ``plain``, ``matrix`` and
``wide`` are tensors of common sizes, for rules in which elements act on each other. The rate is halved on the way.
"""

from collections.abc import Sequence

import numpy as np

from samestep.parity.measure.streams import normal
from samestep.parity.measure.trial import Trial

STEPS = 64  # so many that step sizes that grow or shrink by a factor come to their bounds
CONSTANT = 8  # steps before the rate is halved
SIDE = 48  # elements of half a flat tensor
BURSTS = (11, 39)  # steps, from 0, with gradients a thousand times as large: what clips a step then shows
SEED = 31

Shapes = dict[str, tuple[int, ...]]
COMMON: Shapes = {"plain": (12,), "matrix": (6, 4), "wide": (3, 5)}


def shares(steps: int = STEPS) -> np.ndarray:
    """1, then a half: both exact, so that the rate is rounded only once."""
    return np.where(np.arange(steps) < CONSTANT, 1.0, 0.5)


def trial(flat: bool = True) -> Trial:
    """All probes; without ``flat`` the matrices alone."""
    start: dict[str, np.ndarray] = {}
    gradients: dict[str, np.ndarray] = {}
    for i, (name, shape) in enumerate(COMMON.items()):
        if flat or len(shape) > 1:
            start[name] = normal(shape, SEED + i)
            gradients[name] = normal((STEPS, *shape), SEED + 10 + i)
            gradients[name][list(BURSTS)] *= 1e3
    if flat:
        start |= {"zero": np.zeros(SIDE), "weights": _weights()}
        gradients |= {"zero": _scaled(), "weights": _stilled()}
    present = {name: np.ones(STEPS, bool) for name in start}
    return Trial(start, gradients, present, shares())


def scales() -> np.ndarray:
    """Of the elements of ``zero``, and of their first gradients."""
    return np.logspace(-9, 3, SIDE)


def _scaled() -> np.ndarray:
    """The first gradient of each element has the size of its scale; some elements never turn, some always do."""
    draws = normal((STEPS, SIDE), SEED + 20)
    draws[0] = np.where(np.arange(SIDE) % 2, 1, -1)
    draws[:, ::6] = draws[0, ::6]
    draws[:, 3::6] = draws[0, 3::6] * np.where(np.arange(STEPS) % 2, -1, 1)[:, None]
    return draws * scales()


def still() -> int:
    """How many elements of ``weights``, the first, get no gradient but zero."""
    return SIDE // 2


def _weights() -> np.ndarray:
    sizes = np.concatenate([np.logspace(-9, 2, still()), np.logspace(-3, 1, SIDE - still())])
    return sizes * np.where(np.arange(SIDE) % 2, 1, -1)


def _stilled() -> np.ndarray:
    draws = normal((STEPS, SIDE), SEED + 21)
    sizes = np.concatenate([np.zeros(still()), np.logspace(2, -4, SIDE - still())])
    return draws * sizes


def turning(thresholds: Sequence[np.ndarray]) -> Trial:
    """One at first, then against it at step 2 with the first thresholds, at step 3 with the second: where does the sign
    of the step turn? For rules that step by a sign."""
    early, late = thresholds
    gradients = np.zeros((3, len(early) + len(late)))
    gradients[0] = 1
    gradients[1, : len(early)] = -early
    gradients[2, len(early) :] = -late
    one = {"turning": np.zeros(gradients.shape[1])}
    return Trial(one, {"turning": gradients}, {"turning": np.ones(3, bool)}, np.ones(3))
