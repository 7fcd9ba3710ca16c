"""The truth of rules that couple the elements of a tensor: their steps as sums over all gradients, in 50 digits.

``equations`` follows one parameter by itself; here a whole tensor is followed, as an array of 50-digit numbers.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import NamedTuple

import mpmath
import numpy as np

from samestep.reference import (
    LAMB,
    Adafactor,
    Decay,
    Epsilon,
    Muon,
    Rule,
    ShapeScale,
    SizeMeasuredAt,
)

from . import equations
from .digits import DIGITS, fsum, mpfr, sqrt


class Past(NamedTuple):
    """What a step may look back on: gradients, this one included; the tensor before and after this step's decay."""

    gradients: list[np.ndarray]
    before: np.ndarray
    decayed: np.ndarray


def truth(rule: Rule, theta: np.ndarray, gradients: np.ndarray, rates: Sequence[float] | None = None) -> np.ndarray:
    """Where a tensor stands after each step, (steps, *theta.shape), in 50 digits; arguments are taken as exact."""
    if type(rule) in STEPS:
        return _whole(rule, theta, gradients, rates)
    flat = gradients.reshape(len(gradients), -1)
    columns = [equations.trajectory(rule, start, flat[:, i], rates) for i, start in enumerate(theta.ravel())]
    return np.array(columns).T.reshape(gradients.shape)


def _whole(rule: Rule, theta: np.ndarray, gradients: np.ndarray, rates: Sequence[float] | None) -> np.ndarray:
    at, past, out = exact(theta), [], []
    lr = [mpfr(rate) for rate in rates or [rule.lr] * len(gradients)]
    for t, gradient in enumerate(gradients):
        g, before = -exact(gradient) if rule.maximize else exact(gradient), at
        if rule.decay is Decay.COUPLED:
            g = g + rule.weight_decay * at
        if rule.decay is Decay.DECOUPLED:
            at = at * (1 - lr[t] * rule.weight_decay)
        past.append(g)
        at = at - STEPS[type(rule)](rule, Past(past, before, at), lr[t])
        out.append(at)
    return np.array(out)


def exact(x: np.ndarray) -> np.ndarray:
    """The same numbers in 50 digits."""
    return np.vectorize(mpfr, otypes=[object])(x)


def mean(keep: float, terms: Sequence[np.ndarray]) -> np.ndarray:
    """The running mean that starts at zero, element by element."""
    return (1 - mpfr(keep)) * sum(mpfr(keep) ** age * term for age, term in enumerate(reversed(terms)))


def length(x: np.ndarray) -> mpfr:
    """The Euclidean norm of all elements."""
    return sqrt(fsum(x.ravel() ** 2))


root = np.vectorize(sqrt, otypes=[object])


def lamb(rule: LAMB, past: Past, lr: mpfr) -> np.ndarray:
    """lr times the tensor's length, in the direction of Adam's step; lr times that step if either has no length."""
    g, theta = past.gradients, past.decayed
    first, second = (1 - mpfr(beta) ** len(g) for beta in (rule.beta1, rule.beta2))
    square = mean(rule.beta2, [x * x for x in g]) / second
    direction = mean(rule.beta1, g) / first / (root(square) + rule.epsilon)
    if rule.decay is Decay.JOINED:
        direction = direction + rule.weight_decay * theta
    lengths = length(theta), length(direction)
    return lr * (lengths[0] / lengths[1] if all(lengths) else 1) * direction


def adafactor(rule: Adafactor, past: Past, lr: mpfr) -> np.ndarray:
    """The gradient over the root of row mean times column mean over mean, of squares of all gradients, the newer the
    more; as long as a share of the tensor."""
    g, t, floor = past.gradients, len(past.gradients), rule.epsilon1_at is Epsilon.FLOOR
    new = [mpfr(k) ** mpfr(rule.beta2_decay) for k in range(1, t + 1)]
    weights = [new[k] * prod(1 - later for later in new[k + 1 :]) for k in range(t)]
    square = sum(w * (x * x + (0 if floor else rule.epsilon1)) for w, x in zip(weights, g, strict=True))
    if square.ndim > 1:
        rows, columns = (square.mean(axis=axis, keepdims=True) for axis in (-1, -2))
        middle = rows.mean(axis=-2, keepdims=True)
        square = rows * columns / (np.maximum(middle, mpfr(rule.epsilon1)) if floor else middle)
    direction = g[-1] / (np.maximum(root(square), mpfr(rule.epsilon1)) if floor else root(square))
    measured = past.before if rule.size_measured_at is SizeMeasuredAt.BEFORE_DECAY else past.decayed
    size, long = (length(x) / sqrt(x.size) for x in (measured, direction))
    rate = min(lr, 1 / sqrt(t)) if rule.relative_step else lr
    return rate * max(mpfr(rule.epsilon2), size) / max(mpfr(1), long / mpfr(rule.clip)) * direction


def muon(rule: Muon, past: Past, lr: mpfr) -> np.ndarray:
    """The singular vectors of all gradients' momentum; each singular value is moved by itself."""
    g, keep = past.gradients, mpfr(rule.momentum)
    m = sum(keep**age * x for age, x in enumerate(reversed(g)))
    ahead = (g[-1] + keep * m if rule.nesterov else m) * (1 - keep if rule.ema else 1)
    whole = length(ahead)
    whole = max(whole, mpfr(rule.epsilon)) if rule.epsilon_at is Epsilon.FLOOR else whole + rule.epsilon
    left, values, right = singular(ahead / whole)
    for _ in range(rule.ns_steps):
        values = rule.a * values + rule.b * values**3 + rule.c * values**5
    rows, columns = ahead.shape
    one = mpfr(1)
    scales = {
        ShapeScale.LONGER_SIDE: max(rows, columns) * one,
        ShapeScale.ASPECT_RATIO: max(one, rows * one / columns),
        ShapeScale.ONE: one,
    }
    return lr * rule.lr_scale * sqrt(scales[rule.shape_scale]) * (left * values @ right)


def singular(x: np.ndarray) -> list[np.ndarray]:
    """The singular value decomposition of a matrix (rows, columns): (rows, k), (k,), (k, columns)."""
    with mpmath.workdps(DIGITS):
        decomposed = mpmath.svd_r(mpmath.matrix([[mpmath.mpf(str(element)) for element in row] for row in x]))
        parts = [[[mpmath.nstr(y, DIGITS + 5) for y in row] for row in part.tolist()] for part in decomposed]
    left, values, right = (exact(np.array(part)) for part in parts)
    return [left, values.ravel(), right]


STEPS: dict[type[Rule], Callable[..., np.ndarray]] = {LAMB: lamb, Adafactor: adafactor, Muon: muon}
