"""The trials that an unknown optimizer is run on.

``probes`` are designed gradients; rules are proposed from the steps that they cause. Nothing is
proposed from ``confirmation`` and ``long_run``: there a proposed rule must agree as well.

With ``vectors=False`` a trial has matrices alone, for optimizers that refuse vectors (Muon).
"""

import numpy as np

from samestep.parity.measure.streams import normal
from samestep.parity.measure.trial import Trial, designed_vectors, of_arrays

Shapes = dict[str, tuple[int, ...]]

PROBE_STEPS = 64  # enough for step sizes that grow or shrink by a factor to reach their bounds
CONSTANT_STEPS = 8  # steps before the learning rate is halved
SIDE = 48  # elements of "zero", and of "weights"
UNMOVED = SIDE // 2  # elements of "weights", the first, that have no gradient but zero
LARGEST_WEIGHT = 100.0  # of those that have no gradient but zero
BURSTS = [11, 39]  # steps, from 0, with gradients a thousand times as large: they reveal clipping
PROBE_SEED = 31
PART = 6  # elements of "part", the first ones of "plain"
FOLDED = (3, 4)  # the shape of "folded", which has the elements of "plain"
PROBE_SHAPES: Shapes = {"plain": (12,), "matrix": (6, 4), "wide": (3, 5)}

CONFIRMATION_SEED = 43
CONFIRMATION_SHAPES: Shapes = {"square": (5, 5), "tall": (8, 3)}
LONG_STEPS = 1200  # more than a thousand, after which 0.999^t is no longer near 1


def probes(vectors: bool = True) -> Trial:
    """The designed gradients, ``PROBE_STEPS`` steps of these tensors:

    ``zero`` (48,) starts at zero, so that its first step has no rounding; the scales of its
    gradients go from 1e-9 to 1e3. ``weights`` (48,) starts elsewhere; half of it has no gradient
    but zero, so that only weight decay moves it. ``plain``, ``matrix`` and ``wide`` are tensors of
    common sizes, for rules in which elements influence each other. ``part`` (6,) has the first
    elements of ``plain``, and ``folded`` (3, 4) is ``plain`` as a matrix: they tell whether
    elements influence each other, and whether matrices are moved otherwise. The learning rate is
    halved after ``CONSTANT_STEPS`` steps.
    """
    start: dict[str, np.ndarray] = {}
    gradients: dict[str, np.ndarray] = {}
    for i, (name, shape) in enumerate(PROBE_SHAPES.items()):
        if vectors or len(shape) > 1:
            start[name] = normal(shape, PROBE_SEED + i)
            gradients[name] = normal((PROBE_STEPS, *shape), PROBE_SEED + 10 + i)
            gradients[name][BURSTS] *= 1e3
    if vectors:
        start["zero"] = np.zeros(SIDE)
        gradients["zero"] = _scaled_gradients()
        start["weights"] = _weights()
        gradients["weights"] = _half_zero_gradients()
        start["part"] = start["plain"][:PART]
        gradients["part"] = gradients["plain"][:, :PART]
        start["folded"] = start["plain"].reshape(FOLDED)
        gradients["folded"] = gradients["plain"].reshape(PROBE_STEPS, *FOLDED)
    # 1 and a half are exact, so that the learning rate is rounded only once
    rate_factors = np.where(np.arange(PROBE_STEPS) < CONSTANT_STEPS, 1.0, 0.5)
    return of_arrays(start, gradients, rate_factors)


def probe_scales() -> np.ndarray:
    """The sizes of the first gradients of ``zero``, (48,)."""
    return np.logspace(-9, 3, SIDE)


def _scaled_gradients() -> np.ndarray:
    """Gradients of ``zero``: the first has the size of its element's scale.

    Every sixth element never changes its sign, and every sixth changes it at each step.
    """
    draws = normal((PROBE_STEPS, SIDE), PROBE_SEED + 20)
    draws[0] = np.where(np.arange(SIDE) % 2, 1, -1)
    alternating = np.where(np.arange(PROBE_STEPS) % 2, -1, 1)[:, None]
    draws[:, ::6] = draws[0, ::6]
    draws[:, 3::6] = draws[0, 3::6] * alternating
    return draws * probe_scales()


def _weights() -> np.ndarray:
    unmoved = np.logspace(-9, np.log10(LARGEST_WEIGHT), UNMOVED)
    moved = np.logspace(-3, 1, SIDE - UNMOVED)
    return np.concatenate([unmoved, moved]) * np.where(np.arange(SIDE) % 2, 1, -1)


def _half_zero_gradients() -> np.ndarray:
    draws = normal((PROBE_STEPS, SIDE), PROBE_SEED + 21)
    return draws * np.concatenate([np.zeros(UNMOVED), np.logspace(2, -4, SIDE - UNMOVED)])


def sign_thresholds(second: np.ndarray, third: np.ndarray) -> Trial:
    """A trial that tells at which gradient the sign of the step changes, for rules such as Lion.

    Every element has the gradient 1 at step 1. Then one group has minus the sizes ``second`` (n,)
    at step 2, and the rest minus the sizes ``third`` (m,) at step 3. The tensor has n + m elements.
    """
    gradients = np.zeros((3, len(second) + len(third)))
    gradients[0] = 1
    gradients[1, : len(second)] = -second
    gradients[2, len(second) :] = -third
    start = np.zeros(gradients.shape[1])
    return of_arrays({"threshold": start}, {"threshold": gradients}, np.ones(3))


def pull_thresholds(gradients: np.ndarray) -> Trial:
    """One step of weights of 1 with minus these gradients (n,): where does it go up?"""
    start = np.ones(len(gradients))
    return of_arrays({"threshold": start}, {"threshold": -gradients[None]}, np.ones(1))


def idle_matrix() -> Trial:
    """One step of a matrix without a gradient: weight decay alone can move it."""
    start = normal((4, 4), PROBE_SEED + 30)
    return of_arrays({"idle": start}, {"idle": np.zeros((1, 4, 4))}, np.ones(1))


def confirmation(vectors: bool) -> Trial:
    """The designed streams of ``samestep compare``, and matrices of common sizes."""
    streams = designed_vectors()
    start = dict(streams.start) if vectors else {}
    gradients = dict(streams.gradients) if vectors else {}
    for i, (name, shape) in enumerate(CONFIRMATION_SHAPES.items()):
        start[name] = normal(shape, CONFIRMATION_SEED + i)
        gradients[name] = normal((streams.steps, *shape), CONFIRMATION_SEED + 10 + i)
    return of_arrays(start, gradients, streams.rate_factors)


def long_run(vectors: bool) -> Trial:
    """A small tensor for ``LONG_STEPS`` steps.

    The size of its gradients rises and falls, half of them are zero for a while, and the learning
    rate goes up and down.
    """
    time = np.arange(LONG_STEPS)
    shape = (12,) if vectors else (4, 3)
    sizes = 10 ** np.sin(2 * np.pi * time / 400)
    gradients = normal((LONG_STEPS, *shape), CONFIRMATION_SEED + 20)
    gradients *= sizes.reshape(-1, *[1] * len(shape))
    gradients[500:600].reshape(100, -1)[:, ::2] = 0
    rate_factors = np.array([1.0, 0.5, 2.0, 0.25, 4.0, 1.0])[time * 6 // LONG_STEPS]
    start = normal(shape, CONFIRMATION_SEED + 21)
    return of_arrays({"long": start}, {"long": gradients}, rate_factors)
