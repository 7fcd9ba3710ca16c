"""RMSprop.

T. Tieleman, G. Hinton: Lecture 6.5, rmsprop: Divide the gradient by a running average of its recent
magnitude. COURSERA: Neural Networks for Machine Learning, 2012, slide 29.
A. Graves: Generating Sequences With Recurrent Neural Networks. 2013, arXiv:1308.0850, section 4.2,
equations 38 to 41: the centred form with momentum.
"""

from dataclasses import dataclass
from typing import NamedTuple

from . import scalars
from .namespace import Array, Namespace, Scalar, Scalars, State
from .rule import Buffer, Epsilon, Rule, flag, number, one_of


class Coefficients(NamedTuple):
    """What a step needs beside arrays."""

    lr: Scalar
    keep: Scalar
    take: Scalar
    epsilon: Scalar
    momentum: Scalar
    shrink: Scalar


@dataclass(frozen=True, kw_only=True, repr=False)
class RMSprop(Rule):
    """Divide the gradient by the root of a running mean of its square (centred: of its variance).

    ::

        v <- rho v + (1 - rho) g^2                  v starts at initial_mean_square
        w = v                                       centered: m <- rho m + (1 - rho) g,  w = v - m^2
        d = g / (sqrt(w) + epsilon)                 epsilon_at=INSIDE: g / sqrt(w + epsilon)
        theta <- theta - lr d                       without momentum
        b <- momentum b + d,     theta <- theta - lr b              buffer=GRADIENTS
        b <- momentum b + lr d,  theta <- theta - b                 buffer=STEPS

    ``lr`` has the units of theta; ``epsilon`` has those of the gradient outside the root and those
    of its square inside. Rounding can make v - m^2 negative for a nearly constant gradient: its
    root is then NaN, in the natives as here.
    """

    lr: float = number(1e-3, "[0, inf)")
    rho: float = number(0.9, "[0, 1]")
    epsilon: float = number(1e-8, "[0, inf)")
    epsilon_at: Epsilon = one_of(Epsilon.OUTSIDE, Epsilon.INSIDE, matters_with=("epsilon",))
    momentum: float = number(0.0, "[0, 1]")
    buffer: Buffer = one_of(Buffer.GRADIENTS, Buffer.STEPS, matters_with=("momentum",))
    centered: bool = flag()
    initial_mean_square: float = number(0.0, "[0, inf)")

    def start(self, theta: Array, xp: Namespace) -> State:
        names = ("m" if self.centered else "") + ("b" if self.momentum else "")
        v = xp.zeros_like(theta) + self.initial_mean_square
        return {"v": v, **{name: xp.zeros_like(theta) for name in names}}

    def coefficients(self, t: Scalar, lr: Scalar, xp: Scalars = scalars) -> Coefficients:
        return Coefficients(
            lr=lr,
            keep=self.rho,
            take=1 - self.rho,
            epsilon=self.epsilon,
            momentum=self.momentum,
            shrink=self.decay_factor(lr),
        )

    def update(
        self, theta: Array, gradient: Array, state: State, c: Coefficients, xp: Namespace
    ) -> tuple[Array, State]:
        theta, g = self.apply_decay(theta, gradient, c)
        state = {**state, "v": c.keep * state["v"] + c.take * xp.square(g)}
        w = state["v"]
        if self.centered:
            state["m"] = c.keep * state["m"] + c.take * g
            w = w - xp.square(state["m"])
        root = (
            xp.sqrt(w + c.epsilon) if self.epsilon_at is Epsilon.INSIDE else xp.sqrt(w) + c.epsilon
        )
        rate_first = self.buffer is Buffer.STEPS or not self.momentum
        step = (c.lr * g if rate_first else g) / root
        if self.momentum:
            step = state["b"] = c.momentum * state["b"] + step
        theta = theta - (step if rate_first else c.lr * step)
        return self.apply_late_decay(theta, c), state
