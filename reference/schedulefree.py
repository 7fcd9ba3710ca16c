"""Schedule-free AdamW.

A. Defazio, X. Yang, H. Mehta, K. Mishchenko, A. Khaled, A. Cutkosky: The Road Less Scheduled.
NeurIPS 2024, arXiv:2405.15682, algorithm 1, with equal weights.
"""

from dataclasses import dataclass
from typing import NamedTuple

from . import scalars
from .namespace import Array, Namespace, Scalar, Scalars, State
from .rule import Decay, Rule, decay_one_of, number


class Coefficients(NamedTuple):
    """What a step needs beside arrays."""

    first: Scalar  # 1 at step 1, later 0
    lr: Scalar
    share: Scalar  # 1/t
    rest: Scalar  # (1 - 1/t) / beta1
    stretch: Scalar
    keep2: Scalar
    take2: Scalar
    epsilon: Scalar
    beta1: Scalar
    rest1: Scalar  # 1 - beta1
    shrink: Scalar


@dataclass(frozen=True, kw_only=True, repr=False)
class ScheduleFree(Rule):
    """Averaging instead of a falling rate: z takes Adam's steps, x averages z, theta lies between.

    ::

        v <- beta2 v + (1 - beta2) g^2
        z' = z - min(t / warmup, 1) lr g / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
        x = (theta - (1 - beta1) z) / beta1
        x' = (1 - 1/t) x + z' / t
        theta <- (1 - beta1) z' + beta1 x',     z <- z'

    z starts at theta. x is computed from theta and z, not stored. theta is where gradients are
    taken (the paper's y), not the average x. The step has the units of ``lr``, ``epsilon`` those of
    the gradient, ``warmup`` is a number of steps.
    """

    lr: float = number(2.5e-3, "[0, inf)")
    beta1: float = number(0.9, "(0, 1]")
    beta2: float = number(0.999, "[0, 1)")
    epsilon: float = number(1e-8, "[0, inf)")
    warmup: float = number(0.0, "[0, inf)")
    decay: Decay = decay_one_of(Decay.DECOUPLED, Decay.COUPLED)

    def start(self, theta: Array, xp: Namespace) -> State:
        return {name: xp.zeros_like(theta) for name in "zv"}

    def coefficients(self, t: Scalar, lr: Scalar, xp: Scalars = scalars) -> Coefficients:
        rate = xp.where(t < self.warmup, lr * (t * (1 / self.warmup)), lr) if self.warmup else lr
        return Coefficients(
            first=xp.where(t == 1, 1.0, 0.0),
            lr=rate,
            share=1 / t,
            rest=(1 - 1 / t) * (1 / self.beta1),
            stretch=1 / xp.sqrt(1 - xp.integer_power(self.beta2, t)),
            keep2=self.beta2,
            take2=1 - self.beta2,
            epsilon=self.epsilon,
            beta1=self.beta1,
            rest1=1 - self.beta1,
            shrink=self.decay_factor(lr),
        )

    def update(
        self, theta: Array, gradient: Array, state: State, c: Coefficients, xp: Namespace
    ) -> tuple[Array, State]:
        z = state["z"] + c.first * theta
        theta, g = self.apply_decay(theta, gradient, c)
        v = c.keep2 * state["v"] + c.take2 * xp.square(g)
        # equivalent mutant "z -> state["z"]": c.rest is 0 at step 1, and c.first from step 2 on
        x = c.rest * (theta - c.rest1 * z)
        z = z - c.lr * g / (c.stretch * xp.sqrt(v) + c.epsilon)
        x = x + c.share * z
        return self.apply_late_decay(c.rest1 * z + c.beta1 * x, c), {"z": z, "v": v}
