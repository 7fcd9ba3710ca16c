"""The equation of each rule that treats every element by itself, in 50-digit arithmetic.

The rules in ``samestep.reference`` are recursions. Here each step is a sum over all gradients so
far: a running mean is the weighted sum that it stands for (for Adam: arXiv:1412.6980, section 3,
equation 1), and a momentum buffer is a power series. So no line is shared with the rules.

Each function ``(rule, history, lr)`` returns the step of one parameter, the amount that is
subtracted from it. ``lr`` has the learning rates of all steps so far.
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


class History(NamedTuple):
    """What has happened to one parameter so far, in the order of the steps.

    ``gradients``, and the parameter before (``before_decay``) and after decoupled weight decay
    (``after_decay``), include the current step. ``steps`` has what earlier steps subtracted.
    ``derived`` is a sequence that some equations build up from step to step: the directions of
    RMSprop, the mean squares of Adam, the points of ScheduleFree.
    """

    gradients: list[mpfr]
    before_decay: list[mpfr]
    after_decay: list[mpfr]
    steps: list[mpfr]
    derived: list[mpfr]


def trajectory(
    rule: Rule,
    theta: float,
    gradients: Sequence[float] | np.ndarray,
    rates: Sequence[float] | None = None,
) -> list[mpfr]:
    """The value of one parameter after each step, in 50 digits.

    ``theta`` is its start. ``rates`` are the learning rates of all steps; the default is the
    rule's own at each. All arguments and hyperparameters are taken as exact.
    """
    lr = [mpfr(rate) for rate in rates or [rule.lr] * len(gradients)]
    history = History([], [], [], [], [])
    thetas = []
    value = mpfr(theta)
    for t, gradient in enumerate(gradients):
        g = -mpfr(gradient) if rule.maximize else mpfr(gradient)
        history.before_decay.append(value)
        if rule.decay is Decay.COUPLED:
            g += rule.weight_decay * value
        if rule.decay is Decay.DECOUPLED:
            value *= 1 - lr[t] * rule.weight_decay
        history.gradients.append(g)
        history.after_decay.append(value)
        history.steps.append(STEPS[type(rule)](rule, history, lr[: t + 1]))
        value -= history.steps[-1]
        if rule.decay is Decay.AFTER:
            value *= 1 - lr[t] * rule.weight_decay
        thetas.append(value)
    return thetas


def power_series(ratio: float, terms: Sequence[mpfr]) -> mpfr:
    """The sum of the terms, each weighted by ``ratio`` to the power of its age; the last by 1."""
    return fsum(mpfr(ratio) ** age * term for age, term in enumerate(reversed(terms)))


def running_mean(beta: float, terms: Sequence[mpfr]) -> mpfr:
    """The exponential moving average of the terms, which starts at zero."""
    return (1 - mpfr(beta)) * power_series(beta, terms)


def running_mean_square(beta: float, terms: Sequence[mpfr]) -> mpfr:
    """The exponential moving average of the squared terms, which starts at zero."""
    return running_mean(beta, [x * x for x in terms])


def momentum_step(rule: SGD | RMSprop, directions: list[mpfr], lr: list[mpfr]) -> mpfr:
    """The step of a momentum buffer that accumulates the directions.

    A buffer of steps multiplies each direction by the learning rate of its own step, a buffer of
    gradients all of them by the current one.
    """
    if rule.buffer is Buffer.STEPS:
        steps = [rate * x for rate, x in zip(lr, directions, strict=True)]
        return power_series(rule.momentum, steps)
    return lr[-1] * power_series(rule.momentum, directions)


def sgd(rule: SGD, history: History, lr: list[mpfr]) -> mpfr:
    """The step of SGD: momentum, with Nesterov's look-ahead; the first gradient is undampened."""
    first, *later = history.gradients
    dampened = [first, *((1 - mpfr(rule.dampening)) * g for g in later)]
    buffer = momentum_step(rule, dampened, lr)
    if rule.nesterov:
        return lr[-1] * history.gradients[-1] + rule.momentum * buffer
    return buffer


def adagrad(rule: Adagrad, history: History, lr: list[mpfr]) -> mpfr:
    """The step of Adagrad: the gradient over the root of the sum of all squared gradients."""
    g = history.gradients
    total_square = rule.initial_accumulator + fsum(x * x for x in g)
    rate = lr[-1] / (1 + (len(g) - 1) * mpfr(rule.lr_decay))
    return rate * g[-1] / root(total_square, rule.epsilon, rule.epsilon_at)


def adadelta(rule: Adadelta, history: History, lr: list[mpfr]) -> mpfr:
    """The step of Adadelta: the gradient times the ratio of two root mean squares.

    The numerator is that of all earlier steps, the denominator that of all gradients.
    """
    g = history.gradients
    earlier_steps = [x / rate for x, rate in zip(history.steps, lr[:-1], strict=True)]
    numerator = running_mean_square(rule.rho, earlier_steps) + rule.epsilon
    denominator = running_mean_square(rule.rho, g) + rule.epsilon
    return lr[-1] * sqrt(numerator / denominator) * g[-1]


def rmsprop(rule: RMSprop, history: History, lr: list[mpfr]) -> mpfr:
    """The step of RMSprop: momentum of gradients, each over its root mean square.

    The centred form uses the variance instead of the mean square.
    """
    g = history.gradients
    directions = history.derived
    spread = running_mean_square(rule.rho, g) + mpfr(rule.rho) ** len(g) * rule.initial_mean_square
    if rule.centered:
        spread -= running_mean(rule.rho, g) ** 2
    directions.append(g[-1] / root(spread, rule.epsilon, rule.epsilon_at))
    return momentum_step(rule, directions, lr)


def adam(rule: Adam, history: History, lr: list[mpfr]) -> mpfr:
    """The step of Adam: the bias-corrected mean over the root of the bias-corrected mean square.

    AMSGrad takes the largest mean square so far.
    """
    g = history.gradients
    mean_squares = history.derived
    mean_squares.append(running_mean_square(rule.beta2, g))
    mean_square = max(mean_squares) if rule.amsgrad else mean_squares[-1]
    mean, correction = running_mean(rule.beta1, g), mpfr(1)
    if rule.bias_correction:
        mean /= bias_correction(rule.beta1, len(g))
        correction = bias_correction(rule.beta2, len(g))
    epsilon = outer_epsilon(rule, correction)
    return lr[-1] * mean / (sqrt(mean_square / correction) + epsilon)


def adamax(rule: Adamax, history: History, lr: list[mpfr]) -> mpfr:
    """The step of Adamax: the bias-corrected mean over the exponentially weighted maximum norm."""
    g = history.gradients
    inside = rule.epsilon if rule.epsilon_at is Epsilon.INSIDE else 0
    outside = rule.epsilon if rule.epsilon_at is Epsilon.OUTSIDE else 0
    sizes = [abs(x) + inside for x in g]
    norm = max(mpfr(rule.beta2) ** age * size for age, size in enumerate(reversed(sizes)))
    mean_step = lr[-1] * running_mean(rule.beta1, g) / bias_correction(rule.beta1, len(g))
    return mean_step / (norm + outside)


def nadam(rule: NAdam, history: History, lr: list[mpfr]) -> mpfr:
    """The step of NAdam: Adam with Nesterov momentum, whose coefficient mu rises with time.

    The mean is corrected by the product of all momentum coefficients up to the next step, the
    gradient by the product up to this step.
    """
    g = history.gradients
    decay = mpfr(rule.momentum_decay)
    mu = [rule.beta1 * (1 - mpfr(0.96) ** (t * decay) / 2) for t in range(1, len(g) + 2)]
    mean = mu[-1] * running_mean(rule.beta1, g) / (1 - math.prod(mu))
    gradient = (1 - mu[-2]) * g[-1] / (1 - math.prod(mu[:-1]))
    mean_square = running_mean_square(rule.beta2, g) / bias_correction(rule.beta2, len(g))
    return lr[-1] * (mean + gradient) / (sqrt(mean_square) + rule.epsilon)


def radam(rule: RAdam, history: History, lr: list[mpfr]) -> mpfr:
    """The step of RAdam: the bias-corrected mean over the rectified root mean square.

    As long as the length of memory is at most 5, the step is the bias-corrected mean alone.
    """
    g = history.gradients
    t = len(g)
    mean = running_mean(rule.beta1, g)
    correction = bias_correction(rule.beta1, t)
    power = mpfr(rule.beta2) ** t
    longest_memory = 2 / (1 - mpfr(rule.beta2)) - 1
    memory = longest_memory - 2 * t * power / (1 - power)
    if memory <= 5:
        return lr[-1] * mean / correction
    numerator = (memory - 4) * (memory - 2) * longest_memory
    denominator = (longest_memory - 4) * (longest_memory - 2) * memory
    rectifier = sqrt(numerator / denominator)
    mean_square = running_mean_square(rule.beta2, g) / (1 - power)
    epsilon = outer_epsilon(rule, 1 - power)
    return lr[-1] * rectifier * mean / correction / (sqrt(mean_square) + epsilon)


def lion(rule: Lion, history: History, lr: list[mpfr]) -> mpfr:
    """The step of Lion: lr with the sign of an average of the current gradient and the mean."""
    *before, last = history.gradients
    average = rule.beta1 * running_mean(rule.beta2, before) + (1 - mpfr(rule.beta1)) * last
    return lr[-1] * sign(average)


def rprop(rule: Rprop, history: History, lr: list[mpfr]) -> mpfr:
    """The step of Rprop: a step size that grows or shrinks, with the sign of the gradient.

    The step size is a product of factors, bounded on both sides. There is no step where the sign
    of the gradient has turned.
    """
    size = lr[0]
    before = mpfr(0)
    for g in history.gradients:
        turn = sign(g) * sign(before)
        factor = mpfr(rule.rise if turn > 0 else rule.fall if turn < 0 else 1)
        size = min(max(size * factor, mpfr(rule.smallest)), mpfr(rule.largest))
        before = mpfr(0) if turn < 0 else g
    return size * sign(before)


def asgd(rule: ASGD, history: History, lr: list[mpfr]) -> mpfr:
    """The step of ASGD: gradient and L2 penalty, times the falling rate of the step before."""
    t = len(history.gradients) - 1
    eta = lr[0]
    if t:
        eta = lr[t - 1] / (1 + mpfr(rule.lambd) * lr[t - 1] * t) ** mpfr(rule.alpha)
    return eta * (history.gradients[-1] + rule.lambd * history.after_decay[-1])


def ftrl(rule: FTRL, history: History, lr: list[mpfr]) -> mpfr:
    """The step of FTRL-Proximal: from theta to the minimum of a sum of terms.

    The terms are linear in all gradients so far, quadratic in the distance from each earlier
    value, and the two penalties.
    """
    accumulated = [mpfr(rule.initial_accumulator)]
    for g in history.gradients:
        accumulated.append(accumulated[-1] + g * g)
    learned = [n ** mpfr(-rule.lr_power) for n in accumulated]
    terms = []
    for i, (g, theta) in enumerate(zip(history.gradients, history.after_decay, strict=True)):
        shrinkage = 2 * mpfr(rule.shrinkage) * theta
        terms.append(g + shrinkage - (learned[i + 1] - learned[i]) / lr[i] * theta)
    z = fsum(terms)
    quadratic = learned[-1] / lr[-1] + 2 * mpfr(rule.l2) + rule.beta / lr[-1]
    return history.after_decay[-1] + sign(z) * max(abs(z) - rule.l1, 0) / quadratic


def schedule_free(rule: ScheduleFree, history: History, lr: list[mpfr]) -> mpfr:
    """The step of Schedule-Free AdamW: from theta to a point between two others.

    One is the point that Adam's steps have reached, the other is the average of all such points.
    The average has the weight beta1.
    """
    g = history.gradients
    t = len(g)
    points = history.derived
    mean_square = running_mean_square(rule.beta2, g) / bias_correction(rule.beta2, t)
    warmup = min(t / mpfr(rule.warmup), 1) if rule.warmup else 1
    point_before = points[-1] if points else history.before_decay[0]
    points.append(point_before - warmup * lr[-1] * g[-1] / (sqrt(mean_square) + rule.epsilon))
    places = [history.before_decay[0]]  # the parameter after each step, before any decay
    for after, step in zip(history.after_decay, history.steps, strict=False):
        places.append(after - step)
    decays = []  # what weight decay took from the sum of the first i points
    for i, place in enumerate(places):
        decays.append(i * (place - history.after_decay[i]) / rule.beta1)
    average = (fsum(points) - fsum(decays)) / t
    target = (1 - mpfr(rule.beta1)) * points[-1] + rule.beta1 * average
    return history.after_decay[-1] - target


def bias_correction(beta: float, t: int) -> mpfr:
    """The sum of the weights of a running mean of ``t`` terms: 1 - beta^t."""
    return 1 - mpfr(beta) ** t


def outer_epsilon(rule: Adam | RAdam, correction: mpfr) -> mpfr:
    """The epsilon that is added to the bias-corrected root mean square.

    With epsilon_at=HAT the rule adds epsilon to the root that is not corrected yet, as in the last
    remark of section 2 of arXiv:1412.6980.
    """
    if rule.epsilon_at is Epsilon.HAT:
        return rule.epsilon / sqrt(correction)
    return mpfr(rule.epsilon)


def root(square: mpfr, epsilon: float, at: Epsilon) -> mpfr:
    """The square root with epsilon added inside or outside."""
    return sqrt(square + epsilon) if at is Epsilon.INSIDE else sqrt(square) + epsilon


STEPS: dict[type[Rule], Callable[..., mpfr]] = {
    SGD: sgd,
    ASGD: asgd,
    Rprop: rprop,
    Adagrad: adagrad,
    FTRL: ftrl,
    Adadelta: adadelta,
    RMSprop: rmsprop,
    Adam: adam,
    Adamax: adamax,
    NAdam: nadam,
    RAdam: radam,
    ScheduleFree: schedule_free,
    Lion: lion,
}
