"""Averaged stochastic gradient descent.

B. T. Polyak, A. B. Juditsky: Acceleration of Stochastic Approximation by Averaging. SIAM Journal on
Control and Optimization 30 (1992), 838-855; with the rates of L. Bottou: Stochastic Gradient
Descent Tricks. Neural Networks: Tricks of the Trade, 2nd edition, Springer 2012, section 5.2.
"""

from dataclasses import dataclass
from typing import NamedTuple

from . import scalars
from .namespace import Array, Namespace, Scalar, Scalars, State
from .rule import Rule, number


class Coefficients(NamedTuple):
    """What a step needs beside arrays."""

    first: Scalar  # what starts eta: lr at step 1, later 0
    later: Scalar  # eta of the next step
    share: Scalar  # weight of theta in the average
    lambd: Scalar
    shrink: Scalar


@dataclass(frozen=True, kw_only=True, repr=False)
class ASGD(Rule):
    """Gradient descent at a falling rate, and the average of all its positions.

    ::

        theta <- (1 - lambd eta) theta - eta g              eta starts at lr
        a <- a + (theta - a) / max(1, t - 1 - t0)           a is theta itself until step t0 + 2
        eta <- lr / (1 + lambd lr t)^alpha                  for the next step

    A change of lr takes effect one step late. ``lr`` has the units of theta per unit of gradient,
    ``lambd`` their inverse. The average a is for the user; the rule does not read it.
    """

    lr: float = number(1e-2, "[0, inf)")
    lambd: float = number(1e-4, "[0, inf)")
    alpha: float = number(0.75, "[0, inf)", matters_with=("lambd",))
    t0: float = number(1e6, "[0, inf)")

    def start(self, theta: Array, xp: Namespace) -> State:
        # equivalent mutant "* -> /": 0 / 1 is 0 * 1
        return {"eta": 0 * xp.ones((), dtype=theta.dtype), "a": xp.zeros_like(theta)}

    def coefficients(self, t: Scalar, lr: Scalar, xp: Scalars = scalars) -> Coefficients:
        late = t - 1 - self.t0
        return Coefficients(
            first=xp.where(t == 1, lr, 0.0),
            later=lr / xp.power(1 + self.lambd * lr * t, self.alpha),
            # equivalent mutant "> -> >=": where late is 1, both choices are 1
            share=1 / xp.where(late > 1, late, 1.0),
            lambd=self.lambd,
            shrink=self.decay_factor(lr),
        )

    def update(
        self, theta: Array, gradient: Array, state: State, c: Coefficients, xp: Namespace
    ) -> tuple[Array, State]:
        theta, g = self.apply_decay(theta, gradient, c)
        eta = state["eta"] + c.first
        theta = self.apply_late_decay(theta - c.lambd * eta * theta - eta * g, c)
        a = state["a"] + c.share * (theta - state["a"])
        # equivalent mutant "eta -> state["eta"]": its shape and dtype are the same
        return theta, {"eta": xp.zeros_like(eta) + c.later, "a": a}
