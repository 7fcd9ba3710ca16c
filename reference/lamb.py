"""LAMB.

Y. You et al.: Large Batch Optimization for Deep Learning: Training BERT in 76 Minutes. ICLR 2020,
arXiv:1904.00962, algorithm 2.
"""

from dataclasses import dataclass
from typing import NamedTuple

from . import scalars
from .namespace import Array, Namespace, Scalar, Scalars, State
from .rule import Decay, Rule, decay_one_of, flag, number
from .sums import norm


class Coefficients(NamedTuple):
    """What a step needs beside arrays."""

    lr: Scalar
    correct: Scalar  # bias correction of m
    stretch: Scalar
    keep1: Scalar
    take1: Scalar
    keep2: Scalar
    take2: Scalar
    epsilon: Scalar
    shrink: Scalar


@dataclass(frozen=True, kw_only=True, repr=False)
class LAMB(Rule):
    """Step in Adam's direction, with a length that is the share ``lr`` of the tensor's own norm.

    ::

        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2
        d = m / (1 - beta1^t) / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
        d <- d + weight_decay theta                             if decay is JOINED
        theta <- theta - lr |theta| / |d| d                     theta - lr d if a norm is zero

    ``lr`` has no units. The norms are those of whole tensors, so it matters how weights are cut
    into tensors. With ``bias_correction`` off 1 stands for both 1 - beta^t.
    """

    lr: float = number(1e-3, "[0, inf)")
    beta1: float = number(0.9, "[0, 1)")
    beta2: float = number(0.999, "[0, 1)")
    epsilon: float = number(1e-6, "[0, inf)")
    decay: Decay = decay_one_of(Decay.JOINED, Decay.DECOUPLED)
    bias_correction: bool = flag(True)

    def start(self, theta: Array, xp: Namespace) -> State:
        return {name: xp.zeros_like(theta) for name in "mv"}

    def coefficients(self, t: Scalar, lr: Scalar, xp: Scalars = scalars) -> Coefficients:
        first = 1 - xp.integer_power(self.beta1, t) if self.bias_correction else 1.0
        second = xp.sqrt(1 - xp.integer_power(self.beta2, t)) if self.bias_correction else 1.0
        return Coefficients(
            lr=lr,
            correct=1 / first,
            stretch=1 / second,
            keep1=self.beta1,
            take1=1 - self.beta1,
            keep2=self.beta2,
            take2=1 - self.beta2,
            epsilon=self.epsilon,
            shrink=self.decay_factor(lr),
        )

    def update(
        self, theta: Array, gradient: Array, state: State, c: Coefficients, xp: Namespace
    ) -> tuple[Array, State]:
        theta, g = self.apply_decay(theta, gradient, c)
        m = c.keep1 * state["m"] + c.take1 * g
        # equivalent mutant "g -> gradient": decay never joins it, and a square has no sign
        v = c.keep2 * state["v"] + c.take2 * xp.square(g)
        d = c.correct * m / (c.stretch * xp.sqrt(v) + c.epsilon)
        if self.weight_decay and self.decay is Decay.JOINED:
            d = d + c.shrink * theta
        size, length = norm(theta, xp), norm(d, xp)
        one, usable = xp.zeros_like(size) + 1.0, (size > 0) & (length > 0)
        ratio = xp.where(usable, size / xp.where(usable, length, one), one)
        return self.apply_late_decay(theta - c.lr * ratio * d, c), {"m": m, "v": v}
