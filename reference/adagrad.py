"""Adagrad.

J. Duchi, E. Hazan, Y. Singer: Adaptive Subgradient Methods for Online Learning and Stochastic
Optimization. JMLR 12 (2011), 2121-2159, section 1.1, the diagonal form (their delta is epsilon).
"""

from dataclasses import dataclass
from typing import NamedTuple

from . import scalars
from .namespace import Array, Namespace, Scalar, Scalars, State
from .rule import Epsilon, Rule, number, one_of


class Coefficients(NamedTuple):
    """What a step needs beside arrays."""

    step: Scalar
    epsilon: Scalar
    shrink: Scalar


@dataclass(frozen=True, kw_only=True, repr=False)
class Adagrad(Rule):
    """Divide each parameter's step by the root of all its squared gradients so far.

    ::

        G <- G + g^2                                            G starts at initial_accumulator
        theta <- theta - lr g / (sqrt(G) + epsilon)             epsilon_at=OUTSIDE
        theta <- theta - lr g / sqrt(G + epsilon)               epsilon_at=INSIDE

    Step t uses lr / (1 + (t - 1) lr_decay). ``lr`` has the units of theta; ``epsilon`` has those of
    the gradient outside the root and those of its square inside. Where epsilon and G are both 0, a
    zero gradient gives 0 / 0.
    """

    lr: float = number(1e-2, "[0, inf)")
    epsilon: float = number(1e-10, "[0, inf)")
    epsilon_at: Epsilon = one_of(Epsilon.OUTSIDE, Epsilon.INSIDE, matters_with=("epsilon",))
    initial_accumulator: float = number(0.0, "[0, inf)")
    lr_decay: float = number(0.0, "[0, inf)")

    def start(self, theta: Array, xp: Namespace) -> State:
        return {"G": xp.zeros_like(theta) + self.initial_accumulator}

    def coefficients(self, t: Scalar, lr: Scalar, xp: Scalars = scalars) -> Coefficients:
        step = lr / (1 + (t - 1) * self.lr_decay)
        return Coefficients(step=step, epsilon=self.epsilon, shrink=self.decay_factor(lr))

    def update(
        self, theta: Array, gradient: Array, state: State, c: Coefficients, xp: Namespace
    ) -> tuple[Array, State]:
        theta, g = self.apply_decay(theta, gradient, c)
        G = state["G"] + xp.square(g)
        root = (
            xp.sqrt(G + c.epsilon) if self.epsilon_at is Epsilon.INSIDE else xp.sqrt(G) + c.epsilon
        )
        return self.apply_late_decay(theta - c.step * g / root, c), {"G": G}
