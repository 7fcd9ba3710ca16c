"""Adafactor.

N. Shazeer, M. Stern: Adafactor: Adaptive Learning Rates with Sublinear Memory Cost. ICML 2018,
arXiv:1804.04235, algorithms 4 and 5.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

from . import scalars
from .namespace import Array, Namespace, Scalar, Scalars, State
from .rule import Decay, Epsilon, Rule, SizeMeasuredAt, decay_one_of, flag, number, one_of
from .sums import mean, total_square


class Coefficients(NamedTuple):
    """What a step needs beside arrays."""

    lr: Scalar
    keep: Scalar
    take: Scalar
    epsilon1: Scalar
    epsilon2: Scalar
    inverse_clip: Scalar
    shrink: Scalar


@dataclass(frozen=True, kw_only=True, repr=False)
class Adafactor(Rule):
    """Divide by the root of a mean square that is stored as one number per row and per column.

    ::

        s = g^2 + epsilon1 (INSIDE),  g^2 (FLOOR: no mean(r) and no sqrt(V) below epsilon1)
        r <- b r + (1 - b) (mean of each row of s)                  b = 1 - t^beta2_decay
        c <- b c + (1 - b) (mean of each column of s)
        U = g / sqrt(V)                                             V = r c / mean(r)
        theta <- theta - max(epsilon2, rms(theta)) min(lr, 1/sqrt(t)) U / max(1, rms(U) / clip)

    rms is the root of the mean square of all elements. A tensor of more than two dimensions is a
    row of matrices along the last two. One of fewer has V <- b V + (1 - b) s. ``lr`` and ``clip``
    have no units, ``epsilon2`` has those of theta, ``epsilon1`` those of s, or as a FLOOR those of
    g. ``relative_step``: lr is at most 1/sqrt(t). ``size_measured_at``: of which theta.
    """

    epsilon1: float = number(1e-30, "[0, inf)")
    epsilon2: float = number(1e-3, "[0, inf)")
    epsilon1_at: Epsilon = one_of(Epsilon.INSIDE, Epsilon.FLOOR, matters_with=("epsilon1",))
    beta2_decay: float = number(-0.8, "(-inf, 0]")
    clip: float = number(1.0, "(0, inf)")
    relative_step: bool = flag(True)
    decay: Decay = decay_one_of(Decay.DECOUPLED, Decay.COUPLED)
    size_measured_at: SizeMeasuredAt = one_of(
        SizeMeasuredAt.BEFORE_DECAY, SizeMeasuredAt.AFTER_DECAY, matters_with=("weight_decay",)
    )

    def is_active(self, name: str) -> bool:
        """As in ``Rule``; theta has one size unless decoupled decay comes between."""
        has_effect = name != "size_measured_at" or self.decay is Decay.DECOUPLED
        return has_effect and super().is_active(name)

    def start(self, theta: Array, xp: Namespace) -> State:
        if len(theta.shape) < 2:
            return {"v": xp.zeros_like(theta)}
        *stack, rows, columns = theta.shape
        shapes = {"r": [*stack, rows, 1], "c": [*stack, 1, columns]}
        return {name: xp.ones(shape, dtype=theta.dtype) * 0 for name, shape in shapes.items()}

    def coefficients(self, t: Scalar, lr: Scalar, xp: Scalars = scalars) -> Coefficients:
        take = xp.power(t, self.beta2_decay)
        cap = 1 / xp.sqrt(t)
        return Coefficients(
            # equivalent mutant "< -> <=": where lr is cap, both choices are equal
            lr=xp.where(lr < cap, lr, cap) if self.relative_step else lr,
            keep=1 - take,
            take=take,
            epsilon1=self.epsilon1,
            epsilon2=self.epsilon2,
            inverse_clip=1 / self.clip,
            shrink=self.decay_factor(lr),
        )

    def update(
        self, theta: Array, gradient: Array, state: State, c: Coefficients, xp: Namespace
    ) -> tuple[Array, State]:
        floor = self.epsilon1_at is Epsilon.FLOOR
        decayed, g = self.apply_decay(theta, gradient, c)
        s = xp.square(g) if floor else xp.square(g) + c.epsilon1
        means = {"v": s} if "v" in state else {"r": mean(s, xp, -1), "c": mean(s, xp, -2)}
        new = {name: c.keep * state[name] + c.take * means[name] for name in state}
        if "r" in new:
            # mean(r) is mean(c). The average of both has the same bits for a transposed tensor, and
            # so has the product of the roots of r and c, each over the root of that mean.
            mean_of_means = mean(new["r"], xp, -2) * 0.5 + mean(new["c"], xp, -1) * 0.5
            # equivalent mutant "floor -> True": INSIDE, mean_of_means is epsilon1 or more
            if floor:
                mean_of_means = xp.maximum(mean_of_means, xp.zeros_like(mean_of_means) + c.epsilon1)
            root = xp.sqrt(mean_of_means)
            root = xp.sqrt(new["r"] / root) * xp.sqrt(new["c"] / root)
        else:
            root = xp.sqrt(new["v"])
        U = g / (xp.maximum(root, xp.zeros_like(root) + c.epsilon1) if floor else root)
        share = 1 / max(1, math.prod(theta.shape))
        measured = theta if self.size_measured_at is SizeMeasuredAt.BEFORE_DECAY else decayed
        rms_U = xp.sqrt(total_square(U, xp) * share)
        rms_theta = xp.sqrt(total_square(measured, xp) * share)
        excess = xp.maximum(c.inverse_clip * rms_U, xp.zeros_like(rms_U) + 1.0)
        size = xp.maximum(rms_theta, xp.zeros_like(rms_theta) + c.epsilon2)
        return self.apply_late_decay(decayed - c.lr * (size / excess) * U, c), new
