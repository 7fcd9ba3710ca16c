"""The truth: each rule's step as a sum over all gradients so far, in 50-digit arithmetic.

The rules themselves are recursions. Here a running mean is written out as the weighted sum that it is (for Adam:
arXiv:1412.6980, section 3, equation 1), a momentum buffer as a power series, so that no line is shared with them.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from samestep.reference import (
    ASGD,
    FTRL,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    Buffer,
    Decay,
    Epsilon,
    Lion,
    NAdam,
    RAdam,
    RMSprop,
    Rprop,
    Rule,
    ScheduleFree,
)

from .digits import fsum, mpfr, sign, sqrt


class Past(NamedTuple):
    """What a step may look back on: gradients and positions, this one included; where decay has just been; steps taken;
    and one more quantity, as it arises."""

    gradients: list[mpfr]
    positions: list[mpfr]
    decayed: list[mpfr]
    steps: list[mpfr]
    more: list[mpfr]


def trajectory(
    rule: Rule, theta: float, gradients: Sequence[float] | np.ndarray, rates: Sequence[float] | None = None
) -> list[mpfr]:
    """Where one parameter stands after each step; hyperparameters and ``rates``, else the rule's own, are exact."""
    at, past, out = mpfr(theta), Past([], [], [], [], []), []
    lr = [mpfr(rate) for rate in rates or [rule.lr] * len(gradients)]
    for t, gradient in enumerate(gradients):
        g = -mpfr(gradient) if rule.maximize else mpfr(gradient)
        past.positions.append(at)
        if rule.decay is Decay.COUPLED:
            g += rule.weight_decay * at
        else:
            at *= 1 - lr[t] * rule.weight_decay
        past.gradients.append(g)
        past.decayed.append(at)
        past.steps.append(STEPS[type(rule)](rule, past, lr[: t + 1]))
        at -= past.steps[-1]
        out.append(at)
    return out


def series(ratio: float, terms: Sequence[mpfr]) -> mpfr:
    """Terms weighted by powers of ``ratio``, the last by 1."""
    return fsum(mpfr(ratio) ** age * term for age, term in enumerate(reversed(terms)))


def mean(keep: float, terms: Sequence[mpfr]) -> mpfr:
    """The running mean that starts at zero."""
    return (1 - mpfr(keep)) * series(keep, terms)


def with_momentum(rule: SGD | RMSprop, directions: list[mpfr], lr: list[mpfr]) -> mpfr:
    """The momentum series of what the buffer accumulates."""
    if rule.buffer is Buffer.STEPS:
        return series(rule.momentum, [rate * x for rate, x in zip(lr, directions, strict=True)])
    return lr[-1] * series(rule.momentum, directions)


def sgd(rule: SGD, past: Past, lr: list[mpfr]) -> mpfr:
    """The momentum series, its first gradient undamped; Nesterov's looks one step ahead."""
    g = past.gradients
    damped = [g[0], *((1 - mpfr(rule.dampening)) * later for later in g[1:])]
    buffer = with_momentum(rule, damped, lr)
    return lr[-1] * g[-1] + rule.momentum * buffer if rule.nesterov else buffer


def adagrad(rule: Adagrad, past: Past, lr: list[mpfr]) -> mpfr:
    """lr over the root of everything."""
    g = past.gradients
    everything = rule.initial_accumulator + fsum(x * x for x in g)
    rate = lr[-1] / (1 + (len(g) - 1) * mpfr(rule.lr_decay))
    return rate * g[-1] / root(everything, rule.epsilon, rule.epsilon_at)


def adadelta(rule: Adadelta, past: Past, lr: list[mpfr]) -> mpfr:
    """Root mean square of the steps before over that of the gradients, this one included."""
    g = past.gradients
    before = [x / rate for x, rate in zip(past.steps, lr[:-1], strict=True)]
    ratio = (mean(rule.rho, [x * x for x in before]) + rule.epsilon) / (
        mean(rule.rho, [x * x for x in g]) + rule.epsilon
    )
    return lr[-1] * sqrt(ratio) * g[-1]


def rmsprop(rule: RMSprop, past: Past, lr: list[mpfr]) -> mpfr:
    """A momentum series of gradients, each over the root of the mean square, or variance, of its time."""
    g, directions = past.gradients, past.more
    spread = mean(rule.rho, [x * x for x in g]) + mpfr(rule.rho) ** len(g) * rule.initial_mean_square
    if rule.centered:
        spread -= mean(rule.rho, g) ** 2
    directions.append(g[-1] / root(spread, rule.epsilon, rule.epsilon_at))
    return with_momentum(rule, directions, lr)


def adam(rule: Adam, past: Past, lr: list[mpfr]) -> mpfr:
    """Corrected mean over root of corrected mean square."""
    g, squares = past.gradients, past.more
    first, second = (1 - mpfr(beta) ** len(g) for beta in (rule.beta1, rule.beta2))
    squares.append(mean(rule.beta2, [x * x for x in g]))
    square = max(squares) if rule.amsgrad else squares[-1]
    epsilon = rule.epsilon / sqrt(second) if rule.epsilon_at is Epsilon.HAT else mpfr(rule.epsilon)
    return lr[-1] * (mean(rule.beta1, g) / first) / (sqrt(square / second) + epsilon)


def adamax(rule: Adamax, past: Past, lr: list[mpfr]) -> mpfr:
    """Corrected mean over the largest gradient, the older the less."""
    g, inside = past.gradients, rule.epsilon if rule.epsilon_at is Epsilon.INSIDE else 0
    largest = max(mpfr(rule.beta2) ** age * (abs(x) + inside) for age, x in enumerate(reversed(g)))
    outside = rule.epsilon if rule.epsilon_at is Epsilon.OUTSIDE else 0
    return lr[-1] * mean(rule.beta1, g) / (1 - mpfr(rule.beta1) ** len(g)) / (largest + outside)


def nadam(rule: NAdam, past: Past, lr: list[mpfr]) -> mpfr:
    """Mean and gradient, each corrected by the product of the momenta that it has met."""
    g = past.gradients
    mu = [rule.beta1 * (1 - mpfr(0.96) ** (t * mpfr(rule.momentum_decay)) / 2) for t in range(1, len(g) + 2)]
    ahead, now = (1 - math.prod(mu), 1 - math.prod(mu[:-1]))
    direction = mu[-1] * mean(rule.beta1, g) / ahead + (1 - mu[-2]) * g[-1] / now
    square = mean(rule.beta2, [x * x for x in g]) / (1 - mpfr(rule.beta2) ** len(g))
    return lr[-1] * direction / (sqrt(square) + rule.epsilon)


def radam(rule: RAdam, past: Past, lr: list[mpfr]) -> mpfr:
    """Corrected mean; from a length of 5 on over the root of the corrected mean square, rectified."""
    g, t = past.gradients, len(past.gradients)
    first, power = 1 - mpfr(rule.beta1) ** t, mpfr(rule.beta2) ** t
    longest = 2 / (1 - mpfr(rule.beta2)) - 1
    length = longest - 2 * t * power / (1 - power)
    if length <= 5:
        return lr[-1] * mean(rule.beta1, g) / first
    rectified = sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length))
    epsilon = rule.epsilon / sqrt(1 - power) if rule.epsilon_at is Epsilon.HAT else mpfr(rule.epsilon)
    square = mean(rule.beta2, [x * x for x in g]) / (1 - power)
    return lr[-1] * rectified * mean(rule.beta1, g) / first / (sqrt(square) + epsilon)


def lion(rule: Lion, past: Past, lr: list[mpfr]) -> mpfr:
    """lr, with the sign of a mean that weighs the last gradient more."""
    *before, last = past.gradients
    return lr[-1] * sign(rule.beta1 * mean(rule.beta2, before) + (1 - mpfr(rule.beta1)) * last)


def rprop(rule: Rprop, past: Past, lr: list[mpfr]) -> mpfr:
    """The step sizes from the first on: a product of factors, kept within bounds; no step where the sign has turned."""
    size, before = lr[0], mpfr(0)
    for g in past.gradients:
        turn = sign(g) * sign(before)
        factor = mpfr(rule.rise if turn > 0 else rule.fall if turn < 0 else 1)
        size = min(max(size * factor, mpfr(rule.smallest)), mpfr(rule.largest))
        before = mpfr(0) if turn < 0 else g
    return size * sign(before)


def asgd(rule: ASGD, past: Past, lr: list[mpfr]) -> mpfr:
    """The rate of the step before, fallen with time, times the gradient and a pull to zero."""
    t = len(past.gradients) - 1
    eta = lr[t - 1] / (1 + mpfr(rule.lambd) * lr[t - 1] * t) ** mpfr(rule.alpha) if t else lr[0]
    return eta * (past.gradients[-1] + rule.lambd * past.decayed[-1])


def ftrl(rule: FTRL, past: Past, lr: list[mpfr]) -> mpfr:
    """From theta to the minimum of the sum of all gradients, proximity terms and penalties."""
    accumulated = [mpfr(rule.initial_accumulator)]
    for g in past.gradients:
        accumulated.append(accumulated[-1] + g * g)
    learned = [n ** mpfr(-rule.lr_power) for n in accumulated]
    z = fsum(
        g + 2 * mpfr(rule.shrinkage) * theta - (learned[i + 1] - learned[i]) / lr[i] * theta
        for i, (g, theta) in enumerate(zip(past.gradients, past.decayed, strict=True))
    )
    quadratic = learned[-1] / lr[-1] + 2 * mpfr(rule.l2) + rule.beta / lr[-1]
    return past.decayed[-1] + sign(z) * max(abs(z) - rule.l1, 0) / quadratic


def schedule_free(rule: ScheduleFree, past: Past, lr: list[mpfr]) -> mpfr:
    """From theta to beta1 of the way from the point that Adam's steps have reached to the average of such points."""
    t, g, points = len(past.gradients), past.gradients, past.more
    square = mean(rule.beta2, [x * x for x in g]) / (1 - mpfr(rule.beta2) ** t)
    warm = min(t / mpfr(rule.warmup), 1) if rule.warmup else 1
    before = points[-1] if points else past.positions[0]
    points.append(before - warm * lr[-1] * g[-1] / (sqrt(square) + rule.epsilon))
    lost = [i * (past.positions[i] - past.decayed[i]) / rule.beta1 for i in range(t)]  # what decay took from i points
    average = (fsum(points) - fsum(lost)) / t
    return past.decayed[-1] - ((1 - mpfr(rule.beta1)) * points[-1] + rule.beta1 * average)


def root(square: mpfr, epsilon: float, at: Epsilon) -> mpfr:
    """The denominator with epsilon in its place."""
    return sqrt(square + epsilon) if at is Epsilon.INSIDE else sqrt(square) + epsilon


STEPS: dict[type[Rule], Callable[..., mpfr]] = {
    SGD: sgd, ASGD: asgd, Rprop: rprop, Adagrad: adagrad, FTRL: ftrl, Adadelta: adadelta, RMSprop: rmsprop, Adam: adam,
    Adamax: adamax, NAdam: nadam, RAdam: radam, ScheduleFree: schedule_free, Lion: lion,
}  # fmt: skip
