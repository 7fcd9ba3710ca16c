"""RAdam.

L. Liu, H. Jiang, P. He, W. Chen, X. Liu, J. Gao, J. Han: On the Variance of the Adaptive Learning
Rate and Beyond. ICLR 2020, arXiv:1908.03265, algorithm 2.
"""

from dataclasses import dataclass
from typing import NamedTuple

from . import scalars
from .namespace import Array, Namespace, Scalar, Scalars, State
from .rule import Epsilon, Rule, number, one_of

# The length of memory above which the variance of the adaptive rate is known; the paper says 4.
TRACTABLE = 5


class Coefficients(NamedTuple):
    """What a step needs beside arrays."""

    step: Scalar
    stretch: Scalar
    epsilon: Scalar
    keep1: Scalar
    take1: Scalar
    keep2: Scalar
    take2: Scalar
    shrink: Scalar


@dataclass(frozen=True, kw_only=True, repr=False)
class RAdam(Rule):
    """Adam that uses its adaptive rate only after enough gradients, and then more and more.

    ::

        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2
        L = 2 / (1 - beta2) - 1,     l = L - 2 t beta2^t / (1 - beta2^t)
        l <= 5:  theta <- theta - lr / (1 - beta1^t) m
        l > 5, with r = sqrt((l - 4) (l - 2) L / ((L - 4) (L - 2) l)):
          theta <- theta - lr r / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)  OUTSIDE
          theta <- theta - lr r sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon)    HAT

    While l <= 5 (five steps with the default beta2) ``lr`` has the units of theta per unit of
    gradient, later those of theta.
    """

    lr: float = number(1e-3, "[0, inf)")
    beta1: float = number(0.9, "[0, 1)")
    beta2: float = number(0.999, "[0, 1)")
    epsilon: float = number(1e-8, "[0, inf)")
    epsilon_at: Epsilon = one_of(Epsilon.OUTSIDE, Epsilon.HAT, matters_with=("epsilon",))

    def start(self, theta: Array, xp: Namespace) -> State:
        return {name: xp.zeros_like(theta) for name in "mv"}

    def coefficients(self, t: Scalar, lr: Scalar, xp: Scalars = scalars) -> Coefficients:
        first = 1 - xp.integer_power(self.beta1, t)
        power = xp.integer_power(self.beta2, t)
        second = xp.sqrt(1 - power)
        longest = 2 / (1 - self.beta2) - 1
        length = longest - 2 * t * power / (1 - power)
        adaptive = length > TRACTABLE
        # equivalent mutant "6.0 -> 12.0": nothing that depends on it is used
        known = xp.where(adaptive, length, 6.0)  # else r is not used, but must be finite
        # equivalent mutant "> -> >=": at a length of 5 the rate never adapts, and share is not used
        # equivalent mutant "1.0 -> 2.0": the rate never adapts, and share is not used
        share = longest / ((longest - 4) * (longest - 2)) if longest > TRACTABLE else 1.0
        r = xp.sqrt((known - 4) * (known - 2) / known * share)
        hat = self.epsilon_at is Epsilon.HAT
        return Coefficients(  # not adaptive: the denominator is 0 sqrt(v) + 1
            step=xp.where(adaptive, lr * r * second / first if hat else lr * r / first, lr / first),
            stretch=xp.where(adaptive, 1.0 if hat else 1 / second, 0.0),
            epsilon=xp.where(adaptive, self.epsilon, 1.0),
            keep1=self.beta1,
            take1=1 - self.beta1,
            keep2=self.beta2,
            take2=1 - self.beta2,
            shrink=self.decay_factor(lr),
        )

    def update(
        self, theta: Array, gradient: Array, state: State, c: Coefficients, xp: Namespace
    ) -> tuple[Array, State]:
        theta, g = self.apply_decay(theta, gradient, c)
        m = c.keep1 * state["m"] + c.take1 * g
        v = c.keep2 * state["v"] + c.take2 * xp.square(g)
        theta = theta - c.step * m / (c.stretch * xp.sqrt(v) + c.epsilon)
        return self.apply_late_decay(theta, c), {"m": m, "v": v}
