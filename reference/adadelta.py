"""Adadelta.

M. D. Zeiler: ADADELTA: An Adaptive Learning Rate Method. 2012, arXiv:1212.5701, section 3.2 and
algorithm 1.
"""

from dataclasses import dataclass
from typing import NamedTuple

from . import scalars
from .namespace import Array, Namespace, Scalar, Scalars, State
from .rule import Rule, number


class Coefficients(NamedTuple):
    """What a step needs beside arrays."""

    lr: Scalar
    keep: Scalar
    take: Scalar
    epsilon: Scalar
    shrink: Scalar


@dataclass(frozen=True, kw_only=True, repr=False)
class Adadelta(Rule):
    """Scale each step so that a gradient of recent size gives a step of recent size.

    ::

        v <- rho v + (1 - rho) g^2
        d = sqrt(u + epsilon) / sqrt(v + epsilon) g
        u <- rho u + (1 - rho) d^2
        theta <- theta - lr d

    The step d has the units of theta by itself, so the paper has no learning rate, and lr=1 is the
    paper. ``epsilon`` is added to squared steps and to squared gradients alike.
    """

    lr: float = number(1.0, "[0, inf)")
    rho: float = number(0.95, "[0, 1]")
    epsilon: float = number(1e-6, "[0, inf)")

    def start(self, theta: Array, xp: Namespace) -> State:
        return {"v": xp.zeros_like(theta), "u": xp.zeros_like(theta)}

    def coefficients(self, t: Scalar, lr: Scalar, xp: Scalars = scalars) -> Coefficients:
        return Coefficients(
            lr=lr,
            keep=self.rho,
            take=1 - self.rho,
            epsilon=self.epsilon,
            shrink=self.decay_factor(lr),
        )

    def update(
        self, theta: Array, gradient: Array, state: State, c: Coefficients, xp: Namespace
    ) -> tuple[Array, State]:
        theta, g = self.apply_decay(theta, gradient, c)
        v = c.keep * state["v"] + c.take * xp.square(g)
        d = xp.sqrt(state["u"] + c.epsilon) / xp.sqrt(v + c.epsilon) * g
        u = c.keep * state["u"] + c.take * xp.square(d)
        return self.apply_late_decay(theta - c.lr * d, c), {"v": v, "u": u}
