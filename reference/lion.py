"""Lion.

X. Chen et al.: Symbolic Discovery of Optimization Algorithms. NeurIPS 2023, arXiv:2302.06675,
program 1.
"""

from dataclasses import dataclass
from typing import NamedTuple

from . import scalars
from .namespace import Array, Namespace, Scalar, Scalars, State
from .rule import Decay, Rule, decay_one_of, number


class Coefficients(NamedTuple):
    """What a step needs beside arrays."""

    lr: Scalar
    keep1: Scalar
    take1: Scalar
    keep2: Scalar
    take2: Scalar
    shrink: Scalar


@dataclass(frozen=True, kw_only=True, repr=False)
class Lion(Rule):
    """Step by lr along the sign of a running mean; the size of the gradient does not matter.

    ::

        theta <- theta - lr sign(beta1 m + (1 - beta1) g)
        m <- beta2 m + (1 - beta2) g

    ``lr`` has the units of theta. The sign is discontinuous: where its argument is nearly zero,
    rounding may turn a step around, which then differs by 2 lr.
    """

    lr: float = number(1e-4, "[0, inf)")
    beta1: float = number(0.9, "[0, 1]")
    beta2: float = number(0.99, "[0, 1)")
    decay: Decay = decay_one_of(Decay.DECOUPLED, Decay.COUPLED)

    def start(self, theta: Array, xp: Namespace) -> State:
        return {"m": xp.zeros_like(theta)}

    def coefficients(self, t: Scalar, lr: Scalar, xp: Scalars = scalars) -> Coefficients:
        return Coefficients(
            lr=lr,
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
        direction = xp.sign(c.keep1 * state["m"] + c.take1 * g)
        theta = self.apply_late_decay(theta - c.lr * direction, c)
        return theta, {"m": c.keep2 * state["m"] + c.take2 * g}
