"""NAdam.

T. Dozat: Incorporating Nesterov Momentum into Adam. ICLR 2016 workshop, algorithm 2; with the
momentum schedule of I. Sutskever et al.: On the Importance of Initialization and Momentum in Deep
Learning. ICML 2013, section 3.
"""

from dataclasses import dataclass
from typing import NamedTuple

from . import scalars
from .namespace import Array, Namespace, Scalar, Scalars, State
from .rule import Rule, number


class Coefficients(NamedTuple):
    """What a step needs beside arrays."""

    lr: Scalar
    mu: Scalar  # mu_t
    rest: Scalar  # 1 - mu_t
    ahead: Scalar  # mu_(t+1)
    stretch: Scalar
    keep1: Scalar
    take1: Scalar
    keep2: Scalar
    take2: Scalar
    epsilon: Scalar
    shrink: Scalar


@dataclass(frozen=True, kw_only=True, repr=False)
class NAdam(Rule):
    """Adam that looks one step ahead along its momentum, which warms up from beta1 / 2 to beta1.

    ::

        mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2)
        P <- P mu_t                                             P starts at 1
        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2
        d = mu_(t+1) m / (1 - P mu_(t+1)) + (1 - mu_t) g / (1 - P)
        theta <- theta - lr d / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)

    The step has the units of ``lr``, ``epsilon`` those of the gradient. P is one number for each
    tensor. ``momentum_decay`` says how fast the momentum warms up; it has no units.
    """

    lr: float = number(2e-3, "[0, inf)")
    beta1: float = number(0.9, "[0, 1)")
    beta2: float = number(0.999, "[0, 1)")
    epsilon: float = number(1e-8, "[0, inf)")
    momentum_decay: float = number(4e-3, "[0, inf)")

    def start(self, theta: Array, xp: Namespace) -> State:
        return {
            "m": xp.zeros_like(theta),
            "v": xp.zeros_like(theta),
            "P": xp.ones((), dtype=theta.dtype),
        }

    def coefficients(self, t: Scalar, lr: Scalar, xp: Scalars = scalars) -> Coefficients:
        base = xp.power(0.96, self.momentum_decay)
        now, ahead = (self.beta1 * (1 - xp.integer_power(base, k) / 2) for k in (t, t + 1))
        return Coefficients(
            lr=lr,
            mu=now,
            rest=1 - now,
            ahead=ahead,
            stretch=1 / xp.sqrt(1 - xp.integer_power(self.beta2, t)),
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
        v = c.keep2 * state["v"] + c.take2 * xp.square(g)
        P = c.mu * state["P"]
        direction = c.ahead * m / (1 - c.ahead * P) + c.rest * g / (1 - P)
        root = c.stretch * xp.sqrt(v) + c.epsilon
        theta = self.apply_late_decay(theta - c.lr * direction / root, c)
        return theta, {"m": m, "v": v, "P": P}
