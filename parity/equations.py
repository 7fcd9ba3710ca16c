"""The truth: each rule's step as a sum over all gradients so far, in 50-digit arithmetic.

The rules themselves are recursions. Here a running mean is written out as the weighted sum that it is (for Adam:
arXiv:1412.6980, section 3, equation 1), a momentum buffer as a power series, so that no line is shared with them.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from mpmath import mp, mpf

from reference import SGD, Adadelta, Adagrad, Adam, Buffer, Decay, Epsilon, RMSprop, Rule

mp.dps = 50


class Past(NamedTuple):
    """What a step may look back on: gradients, this one included; steps taken; and one more quantity, as it arises."""

    gradients: list[mpf]
    steps: list[mpf]
    more: list[mpf]


def trajectory(
    rule: Rule, theta: float, gradients: Sequence[float] | np.ndarray, rates: Sequence[float] | None = None
) -> list[mpf]:
    """Where one parameter stands after each step; hyperparameters and ``rates``, else the rule's own, are exact."""
    at, past, out = mpf(theta), Past([], [], []), []
    lr = [mpf(rate) for rate in rates or [rule.lr] * len(gradients)]
    for t, gradient in enumerate(gradients):
        g = -mpf(gradient) if rule.maximize else mpf(gradient)
        if rule.decay is Decay.COUPLED:
            g += rule.weight_decay * at
        else:
            at *= 1 - lr[t] * rule.weight_decay
        past.gradients.append(g)
        past.steps.append(STEPS[type(rule)](rule, past, lr[: t + 1]))
        at -= past.steps[-1]
        out.append(at)
    return out


def series(ratio: float, terms: Sequence[mpf]) -> mpf:
    """Terms weighted by powers of ``ratio``, the last by 1."""
    return mp.fsum(mpf(ratio) ** age * term for age, term in enumerate(reversed(terms)))


def mean(keep: float, terms: Sequence[mpf]) -> mpf:
    """The running mean that starts at zero."""
    return (1 - mpf(keep)) * series(keep, terms)


def with_momentum(rule: SGD | RMSprop, directions: list[mpf], lr: list[mpf]) -> mpf:
    """The momentum series of what the buffer accumulates."""
    if rule.buffer is Buffer.STEPS:
        return series(rule.momentum, [rate * x for rate, x in zip(lr, directions, strict=True)])
    return lr[-1] * series(rule.momentum, directions)


def sgd(rule: SGD, past: Past, lr: list[mpf]) -> mpf:
    """The momentum series, its first gradient undamped; Nesterov's looks one step ahead."""
    g = past.gradients
    damped = [g[0], *((1 - mpf(rule.dampening)) * later for later in g[1:])]
    buffer = with_momentum(rule, damped, lr)
    return lr[-1] * g[-1] + rule.momentum * buffer if rule.nesterov else buffer


def adagrad(rule: Adagrad, past: Past, lr: list[mpf]) -> mpf:
    """lr over the root of everything."""
    g = past.gradients
    everything = rule.initial_accumulator + mp.fsum(x * x for x in g)
    rate = lr[-1] / (1 + (len(g) - 1) * mpf(rule.lr_decay))
    return rate * g[-1] / root(everything, rule.epsilon, rule.epsilon_at)


def adadelta(rule: Adadelta, past: Past, lr: list[mpf]) -> mpf:
    """Root mean square of the steps before over that of the gradients, this one included."""
    g = past.gradients
    before = [x / rate for x, rate in zip(past.steps, lr[:-1], strict=True)]
    ratio = (mean(rule.rho, [x * x for x in before]) + rule.epsilon) / (
        mean(rule.rho, [x * x for x in g]) + rule.epsilon
    )
    return lr[-1] * mp.sqrt(ratio) * g[-1]


def rmsprop(rule: RMSprop, past: Past, lr: list[mpf]) -> mpf:
    """A momentum series of gradients, each over the root of the mean square, or variance, of its time."""
    g, directions = past.gradients, past.more
    spread = mean(rule.rho, [x * x for x in g]) + mpf(rule.rho) ** len(g) * rule.initial_mean_square
    if rule.centered:
        spread -= mean(rule.rho, g) ** 2
    directions.append(g[-1] / root(spread, rule.epsilon, rule.epsilon_at))
    return with_momentum(rule, directions, lr)


def adam(rule: Adam, past: Past, lr: list[mpf]) -> mpf:
    """Corrected mean over root of corrected mean square."""
    g, squares = past.gradients, past.more
    first, second = (1 - mpf(beta) ** len(g) for beta in (rule.beta1, rule.beta2))
    squares.append(mean(rule.beta2, [x * x for x in g]))
    square = max(squares) if rule.amsgrad else squares[-1]
    epsilon = rule.epsilon / mp.sqrt(second) if rule.epsilon_at is Epsilon.HAT else mpf(rule.epsilon)
    return lr[-1] * (mean(rule.beta1, g) / first) / (mp.sqrt(square / second) + epsilon)


def root(square: mpf, epsilon: float, at: Epsilon) -> mpf:
    """The denominator with epsilon in its place."""
    return mp.sqrt(square + epsilon) if at is Epsilon.INSIDE else mp.sqrt(square) + epsilon


STEPS: dict[type[Rule], Callable[..., mpf]] = {
    SGD: sgd, Adagrad: adagrad, Adadelta: adadelta, RMSprop: rmsprop, Adam: adam,
}  # fmt: skip
