"""Rprop.

M. Riedmiller, H. Braun: A Direct Adaptive Method for Faster Backpropagation Learning: the RPROP
Algorithm. ICNN 1993, 586-591; without taking steps back, as C. Igel, M. Huesken: Improving the
Rprop Learning Algorithm. NC 2000 (iRprop-).
"""

from dataclasses import dataclass
from typing import NamedTuple

from . import scalars
from .namespace import Array, Namespace, Scalar, Scalars, State
from .rule import Rule, number


class Coefficients(NamedTuple):
    """What a step needs beside arrays."""

    first: Scalar  # what starts d: lr at step 1, later 0
    fall: Scalar
    rise: Scalar
    smallest: Scalar
    largest: Scalar
    shrink: Scalar


@dataclass(frozen=True, kw_only=True, repr=False)
class Rprop(Rule):
    """A step size for each parameter: it grows while the gradient keeps its sign, else it shrinks.

    ::

        s = sign(g) sign(h)                             h is the previous gradient, 0 at first
        d <- d rise if s > 0,  d fall if s < 0          d starts at lr
        d <- min(max(d, smallest), largest)
        g <- 0 if s < 0
        theta <- theta - d sign(g),                     h <- g

    ``lr``, ``smallest`` and ``largest`` have the units of theta; ``rise`` and ``fall`` are factors.
    After the first step a change of lr has no effect.
    """

    lr: float = number(1e-2, "[0, inf)")
    fall: float = number(0.5, "(0, 1)")
    rise: float = number(1.2, "(1, inf)")
    smallest: float = number(1e-6, "[0, inf)")
    largest: float = number(50.0, "[0, inf)")

    def start(self, theta: Array, xp: Namespace) -> State:
        return {name: xp.zeros_like(theta) for name in "dh"}

    def coefficients(self, t: Scalar, lr: Scalar, xp: Scalars = scalars) -> Coefficients:
        return Coefficients(
            first=xp.where(t == 1, lr, 0.0),
            fall=self.fall,
            rise=self.rise,
            smallest=self.smallest,
            largest=self.largest,
            shrink=self.decay_factor(lr),
        )

    def update(
        self, theta: Array, gradient: Array, state: State, c: Coefficients, xp: Namespace
    ) -> tuple[Array, State]:
        theta, g = self.apply_decay(theta, gradient, c)
        # equivalent mutant "zeros_like({g -> gradient})": its shape and dtype are the same
        nothing = xp.zeros_like(g)
        d = state["d"] + c.first
        # equivalent mutant "xp.sign(g) -> (g)": only the sign of s matters
        # equivalent mutant "xp.sign(state["h"]) -> (state["h"])": only the sign of s matters
        s = xp.sign(g) * xp.sign(state["h"])
        # equivalent mutant "c.rise * {d -> state["d"]}": where s is not 0, c.first is 0
        # equivalent mutant "c.fall * {d -> state["d"]}": where s is not 0, c.first is 0
        d = xp.where(s > 0, c.rise * d, xp.where(s < 0, c.fall * d, d))
        d = xp.minimum(xp.maximum(d, nothing + c.smallest), nothing + c.largest)
        g = xp.where(s < 0, nothing, g)
        return self.apply_late_decay(theta - d * xp.sign(g), c), {"d": d, "h": g}
