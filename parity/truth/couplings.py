"""The equations of rules that couple the elements of a tensor, in 50-digit arithmetic.

``equations`` computes one parameter by itself. Here a step is computed for a whole tensor, an
array of 50-digit numbers. Each step is a sum over all gradients so far, as in ``equations``.
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


class History(NamedTuple):
    """What has happened to one tensor so far.

    ``gradients`` has one array a step, the current step included. ``before_decay`` and
    ``after_decay`` are the tensor before and after the decoupled weight decay of this step.
    """

    gradients: list[np.ndarray]
    before_decay: np.ndarray
    after_decay: np.ndarray


def truth(
    rule: Rule, theta: np.ndarray, gradients: np.ndarray, rates: Sequence[float] | None = None
) -> np.ndarray:
    """The values of a tensor after each step, (steps, *shape), in 50 digits.

    ``theta`` (*shape) is its start, ``gradients`` are (steps, *shape). ``rates`` are the learning
    rates of all steps; the default is the rule's own at each. All arguments are taken as exact.
    """
    if type(rule) in STEPS:
        return _trajectory_of_tensor(rule, theta, gradients, rates)
    flat = gradients.reshape(len(gradients), -1)
    columns = []
    for i, start in enumerate(theta.ravel()):
        columns.append(equations.trajectory(rule, start, flat[:, i], rates))
    return np.array(columns).T.reshape(gradients.shape)


def _trajectory_of_tensor(
    rule: Rule, theta: np.ndarray, gradients: np.ndarray, rates: Sequence[float] | None
) -> np.ndarray:
    lr = [mpfr(rate) for rate in rates or [rule.lr] * len(gradients)]
    value = exact(theta)
    seen: list[np.ndarray] = []
    thetas = []
    for t, gradient in enumerate(gradients):
        g = -exact(gradient) if rule.maximize else exact(gradient)
        before_decay = value
        if rule.decay is Decay.COUPLED:
            g = g + rule.weight_decay * value
        if rule.decay is Decay.DECOUPLED:
            value = value * (1 - lr[t] * rule.weight_decay)
        seen.append(g)
        value = value - STEPS[type(rule)](rule, History(seen, before_decay, value), lr[t])
        if rule.decay is Decay.AFTER:
            value = value * (1 - lr[t] * rule.weight_decay)
        thetas.append(value)
    return np.array(thetas)


def exact(x: np.ndarray) -> np.ndarray:
    """The same numbers in 50 digits."""
    return np.vectorize(mpfr, otypes=[object])(x)


def running_mean(beta: float, terms: Sequence[np.ndarray]) -> np.ndarray:
    """The exponential moving average of the terms, which starts at zero, for each element."""
    weighted = [mpfr(beta) ** age * term for age, term in enumerate(reversed(terms))]
    return (1 - mpfr(beta)) * sum(weighted)


def norm(x: np.ndarray) -> mpfr:
    """The Euclidean norm of all elements."""
    return sqrt(fsum(x.ravel() ** 2))


root = np.vectorize(sqrt, otypes=[object])


def lamb(rule: LAMB, history: History, lr: mpfr) -> np.ndarray:
    """The step of LAMB: the direction of Adam's step, as long as lr times the tensor's norm.

    The step is lr times Adam's direction if that direction or the tensor is zero.
    """
    g = history.gradients
    theta = history.after_decay
    mean_square = running_mean(rule.beta2, [x * x for x in g])
    mean = running_mean(rule.beta1, g)
    if rule.bias_correction:
        mean_square = mean_square / equations.bias_correction(rule.beta2, len(g))
        mean = mean / equations.bias_correction(rule.beta1, len(g))
    direction = mean / (root(mean_square) + rule.epsilon)
    if rule.decay is Decay.JOINED:
        direction = direction + rule.weight_decay * theta
    size = norm(theta)
    length = norm(direction)
    trust_ratio = size / length if size and length else 1
    return lr * trust_ratio * direction


def adafactor(rule: Adafactor, history: History, lr: mpfr) -> np.ndarray:
    """The step of Adafactor: the gradient over its root mean square, scaled to the tensor.

    The mean square of a matrix is factored: the means of its rows times those of its columns, over
    the mean of all. The root mean square of the step is lr times that of the tensor, unless
    ``clip`` or ``epsilon2`` bounds it.
    """
    g = history.gradients
    t = len(g)
    is_floor = rule.epsilon1_at is Epsilon.FLOOR
    mean_square = _adafactor_mean_square(rule, g)
    if mean_square.ndim > 1:
        rows = mean_square.mean(axis=-1, keepdims=True)
        columns = mean_square.mean(axis=-2, keepdims=True)
        mean_of_all = rows.mean(axis=-2, keepdims=True)
        if is_floor:
            mean_of_all = np.maximum(mean_of_all, mpfr(rule.epsilon1))
        mean_square = rows * columns / mean_of_all
    denominator = root(mean_square)
    if is_floor:
        denominator = np.maximum(denominator, mpfr(rule.epsilon1))
    direction = g[-1] / denominator
    is_before = rule.size_measured_at is SizeMeasuredAt.BEFORE_DECAY
    measured = history.before_decay if is_before else history.after_decay
    size = max(mpfr(rule.epsilon2), root_mean_square(measured))
    excess = max(mpfr(1), root_mean_square(direction) / mpfr(rule.clip))
    rate = min(lr, 1 / sqrt(t)) if rule.relative_step else lr
    return rate * size / excess * direction


def _adafactor_mean_square(rule: Adafactor, g: list[np.ndarray]) -> np.ndarray:
    """The weighted mean of the squares of all gradients, before it is factored.

    At step k the new square has the weight k^beta2_decay, and all older ones share the rest.
    """
    t = len(g)
    newest = [mpfr(k) ** mpfr(rule.beta2_decay) for k in range(1, t + 1)]
    weights = [newest[k] * prod(1 - later for later in newest[k + 1 :]) for k in range(t)]
    added = 0 if rule.epsilon1_at is Epsilon.FLOOR else rule.epsilon1
    terms = [weight * (x * x + added) for weight, x in zip(weights, g, strict=True)]
    return np.asarray(sum(terms))


def root_mean_square(x: np.ndarray) -> mpfr:
    """The root of the mean of the squares of all elements."""
    return norm(x) / sqrt(x.size)


def muon(rule: Muon, history: History, lr: mpfr) -> np.ndarray:
    """The step of Muon: the momentum with its singular values moved towards 1.

    The Newton-Schulz polynomial acts on each singular value by itself and leaves the singular
    vectors as they are.
    """
    g = history.gradients
    beta = mpfr(rule.momentum)
    buffer = sum(beta**age * x for age, x in enumerate(reversed(g)))
    momentum = g[-1] + beta * buffer if rule.nesterov else buffer
    if rule.ema:
        momentum = momentum * (1 - beta)
    size = norm(momentum)
    if rule.epsilon_at is Epsilon.FLOOR:
        size = max(size, mpfr(rule.epsilon))
    else:
        size = size + rule.epsilon
    left, values, right = singular(momentum / size)
    for _ in range(rule.ns_steps):
        values = rule.a * values + rule.b * values**3 + rule.c * values**5
    rows, columns = momentum.shape
    one = mpfr(1)
    scales = {
        ShapeScale.LONGER_SIDE: max(rows, columns) * one,
        ShapeScale.ASPECT_RATIO: max(one, rows * one / columns),
        ShapeScale.ONE: one,
    }
    return lr * rule.lr_scale * sqrt(scales[rule.shape_scale]) * (left * values @ right)


def singular(x: np.ndarray) -> list[np.ndarray]:
    """The singular value decomposition of a matrix (rows, columns).

    It has the left vectors (rows, k), the values (k,), and the right vectors (k, columns).
    """
    with mpmath.workdps(DIGITS):
        numbers = np.vectorize(_to_mpmath, otypes=[object])(x)
        parts = [_from_mpmath(part) for part in mpmath.svd_r(mpmath.matrix(numbers.tolist()))]
    left, values, right = parts
    return [left, values.ravel(), right]


def _to_mpmath(number: mpfr) -> mpmath.mpf:
    return mpmath.mpf(str(number))


def _from_mpmath(matrix: mpmath.matrix) -> np.ndarray:
    """A matrix of mpmath as an array of 50-digit numbers."""
    numbers = np.array(matrix.tolist(), dtype=object)
    return exact(np.vectorize(_digits, otypes=[object])(numbers))


def _digits(number: mpmath.mpf) -> str:
    return mpmath.nstr(number, DIGITS + 5)


STEPS: dict[type[Rule], Callable[..., np.ndarray]] = {LAMB: lamb, Adafactor: adafactor, Muon: muon}
