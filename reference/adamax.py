"""Adamax.

D. P. Kingma, J. Ba: Adam: A Method for Stochastic Optimization. ICLR 2015, arXiv:1412.6980,
section 7.1, algorithm 2.
"""

from dataclasses import dataclass
from typing import NamedTuple

from . import scalars
from .namespace import Array, Namespace, Scalar, Scalars, State
from .rule import Epsilon, Rule, number, one_of


class Coefficients(NamedTuple):
    """What a step needs beside arrays."""

    step: Scalar
    keep1: Scalar
    take1: Scalar
    keep2: Scalar
    epsilon: Scalar
    shrink: Scalar


@dataclass(frozen=True, kw_only=True, repr=False)
class Adamax(Rule):
    """Adam with the largest recent gradient in place of the root mean square.

    ::

        m <- beta1 m + (1 - beta1) g
        OUTSIDE: u <- max(beta2 u, |g|),  theta <- theta - lr / (1 - beta1^t) m / (u + epsilon)
        INSIDE:  u <- max(beta2 u, |g| + epsilon),  theta <- theta - lr / (1 - beta1^t) m / u

    The step has the units of ``lr``; ``epsilon`` has those of the gradient. The paper has none.
    """

    lr: float = number(2e-3, "[0, inf)")
    beta1: float = number(0.9, "[0, 1)")
    beta2: float = number(0.999, "[0, 1)")
    epsilon: float = number(1e-8, "[0, inf)")
    epsilon_at: Epsilon = one_of(Epsilon.OUTSIDE, Epsilon.INSIDE, matters_with=("epsilon",))

    def start(self, theta: Array, xp: Namespace) -> State:
        return {name: xp.zeros_like(theta) for name in "mu"}

    def coefficients(self, t: Scalar, lr: Scalar, xp: Scalars = scalars) -> Coefficients:
        return Coefficients(
            step=lr / (1 - xp.integer_power(self.beta1, t)),
            keep1=self.beta1,
            take1=1 - self.beta1,
            keep2=self.beta2,
            epsilon=self.epsilon,
            shrink=self.decay_factor(lr),
        )

    def update(
        self, theta: Array, gradient: Array, state: State, c: Coefficients, xp: Namespace
    ) -> tuple[Array, State]:
        theta, g = self.apply_decay(theta, gradient, c)
        inside = self.epsilon_at is Epsilon.INSIDE
        m = c.keep1 * state["m"] + c.take1 * g
        u = xp.maximum(c.keep2 * state["u"], xp.abs(g) + c.epsilon if inside else xp.abs(g))
        theta = theta - c.step * m / (u if inside else u + c.epsilon)
        return self.apply_late_decay(theta, c), {"m": m, "u": u}
