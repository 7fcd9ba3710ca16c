"""FTRL-Proximal.

H. B. McMahan et al.: Ad Click Prediction: a View from the Trenches. KDD 2013, algorithm 1; with
shrinkage, as in TensorFlow's kernel (their lambda_2 is 2 l2 here).
"""

from dataclasses import dataclass
from typing import NamedTuple

from . import scalars
from .namespace import Array, Namespace, Scalar, Scalars, State
from .rule import Rule, number


class Coefficients(NamedTuple):
    """What a step needs beside arrays."""

    pace: Scalar  # 1 / lr
    power: Scalar  # p
    l1: Scalar
    ridge: Scalar  # 2 l2 + beta / lr
    shrinkage: Scalar  # 2 shrinkage
    shrink: Scalar


@dataclass(frozen=True, kw_only=True, repr=False)
class FTRL(Rule):
    """Follow the regularized leader: rebuild theta from all gradients; l1 makes it sparse.

    ::

        n' = n + g^2                                               n starts at initial_accumulator
        z <- z + g + 2 shrinkage theta - (n'^p - n^p) / lr theta   p = -lr_power, 1/2 in the paper
        theta <- -sign(z) max(|z| - l1, 0) / (n'^p / lr + 2 l2 + beta / lr),       n <- n'

    z starts at zero, so the first step does not depend on the start of theta. ``l1`` has the units
    of the gradient, ``lr`` those of theta (at lr_power -1/2). The rate must not be zero.
    """

    lr: float = number(1e-3, "(0, inf)")
    lr_power: float = number(-0.5, "(-inf, 0]")
    initial_accumulator: float = number(0.1, "[0, inf)")
    l1: float = number(0.0, "[0, inf)")
    l2: float = number(0.0, "[0, inf)")
    shrinkage: float = number(0.0, "[0, inf)")
    beta: float = number(0.0, "[0, inf)")

    def start(self, theta: Array, xp: Namespace) -> State:
        return {"n": xp.zeros_like(theta) + self.initial_accumulator, "z": xp.zeros_like(theta)}

    def coefficients(self, t: Scalar, lr: Scalar, xp: Scalars = scalars) -> Coefficients:
        if isinstance(lr, float) and not lr:
            raise ValueError(f"lr must lie in (0, inf) at every step of FTRL, got {lr}")
        return Coefficients(
            pace=1 / lr,
            power=-self.lr_power,
            l1=self.l1,
            ridge=2 * self.l2 + self.beta / lr,
            shrinkage=2 * self.shrinkage,
            shrink=self.decay_factor(lr),
        )

    def update(
        self, theta: Array, gradient: Array, state: State, c: Coefficients, xp: Namespace
    ) -> tuple[Array, State]:
        theta, g = self.apply_decay(theta, gradient, c)
        n = state["n"] + xp.square(g)
        before, after = (
            xp.sqrt(x) if self.lr_power == -0.5 else x**c.power for x in (state["n"], n)
        )
        z = state["z"] + (g + c.shrinkage * theta - c.pace * (after - before) * theta)
        # equivalent mutant "zeros_like({z -> state["z"]})": its shape and dtype are the same
        beyond = xp.maximum(xp.abs(z) - c.l1, xp.zeros_like(z))
        theta = -xp.sign(z) * beyond / (c.pace * after + c.ridge)
        return self.apply_late_decay(theta, c), {"n": n, "z": z}
