"""Adafactor.

N. Shazeer, M. Stern: Adafactor: Adaptive Learning Rates with Sublinear Memory Cost. ICML 2018, arXiv:1804.04235,
algorithms 4 and 5.
"""

import math
from dataclasses import dataclass
from typing import Any

from . import scalars
from .rule import Array, Decay, Epsilon, Measure, Rule, State, flag, named, number, one_of
from .sums import mean, total_square


@dataclass(frozen=True, kw_only=True, repr=False)
class Adafactor(Rule):
    """Gradients over the root of their mean square, kept as one number a row and one a column; lr is a share of theta.

    ::

        s = g^2 + epsilon1 (INSIDE),  g^2 (FLOOR: no mean(r) and no sqrt(V) below epsilon1),  b = 1 - t^beta2_decay
        r <- b r + (1 - b) (mean of each row of s),   c <- b c + (1 - b) (mean of each column),   V = r c / mean(r)
        U = g / sqrt(V),   theta <- theta - max(epsilon2, rms(theta)) min(lr, 1/sqrt(t)) U / max(1, rms(U) / clip)

    rms is the root of the mean square of all elements; without ``relative_step`` lr is not capped. More than two
    dimensions are matrices along the last two, fewer keep v <- b v + (1 - b) s for V. ``lr`` and ``clip`` have no
    units, ``epsilon2`` those of theta, ``epsilon1`` those of s, or, as a FLOOR of sqrt(V), of g.
    """

    epsilon1: float = number(1e-30, "[0, inf)")
    epsilon2: float = number(1e-3, "[0, inf)")
    epsilon1_at: Epsilon = one_of(Epsilon.INSIDE, Epsilon.FLOOR, matters_with=("epsilon1",))
    beta2_decay: float = number(-0.8, "(-inf, 0]")
    clip: float = number(1.0, "(0, inf)")
    relative_step: bool = flag(True)
    decay: Decay = one_of(Decay.DECOUPLED, Decay.COUPLED, matters_with=("weight_decay",))
    measure: Measure = one_of(Measure.BEFORE_DECAY, Measure.AFTER_DECAY, matters_with=("weight_decay",))

    def start(self, theta: Array, xp: Any) -> State:
        if len(theta.shape) < 2:
            return {"v": xp.zeros_like(theta)}
        *others, rows, columns = theta.shape
        return {k: xp.ones([*others, *s], dtype=theta.dtype) * 0 for k, s in (("r", (rows, 1)), ("c", (1, columns)))}

    def coefficients(self, t: Any, lr: Any, xp: Any = scalars) -> Any:
        take, cap = xp.power(t, self.beta2_decay), 1 / xp.sqrt(t)
        return named(
            # equivalent mutant "< -> <=": where lr is cap, both choices are equal
            lr=xp.where(lr < cap, lr, cap) if self.relative_step else lr, keep=1 - take, take=take,
            epsilon1=self.epsilon1, epsilon2=self.epsilon2, over=1 / self.clip, shrink=self.decay_factor(lr),
        )  # fmt: skip

    def update(self, theta: Array, gradient: Array, state: State, c: Any, xp: Any) -> tuple[Array, State]:
        floor, before = self.epsilon1_at is Epsilon.FLOOR, theta
        theta, g = self.apply_decay(theta, gradient, c)
        s = xp.square(g) if floor else xp.square(g) + c.epsilon1
        means = {"v": s} if "v" in state else {"r": mean(s, xp, -1), "c": mean(s, xp, -2)}
        new = {name: c.keep * state[name] + c.take * means[name] for name in state}
        if "r" in new:  # mean(r) is mean(c): their mean, and its root under each, suit a transpose too
            middle = mean(new["r"], xp, -2) * 0.5 + mean(new["c"], xp, -1) * 0.5
            # equivalent mutant "floor -> True": INSIDE, middle is epsilon1 or more
            root = xp.sqrt(xp.maximum(middle, xp.zeros_like(middle) + c.epsilon1) if floor else middle)
        root = xp.sqrt(new["r"] / root) * xp.sqrt(new["c"] / root) if "r" in new else xp.sqrt(new["v"])
        U = g / (xp.maximum(root, xp.zeros_like(root) + c.epsilon1) if floor else root)
        share = 1 / max(1, math.prod(theta.shape))
        length = xp.sqrt(total_square(U, xp) * share)
        size = xp.sqrt(total_square(before if self.measure is Measure.BEFORE_DECAY else theta, xp) * share)
        longest = xp.maximum(c.over * length, xp.zeros_like(length) + 1.0)
        return theta - c.lr * (xp.maximum(size, xp.zeros_like(size) + c.epsilon2) / longest) * U, new
