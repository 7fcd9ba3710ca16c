"""Gradient descent with momentum.

H. Robbins, S. Monro: A Stochastic Approximation Method. Annals of Mathematical Statistics 22
(1951), 400-407.
B. T. Polyak: Some Methods of Speeding up the Convergence of Iteration Methods. USSR Computational
Mathematics and Mathematical Physics 4 (1964), 1-17.
I. Sutskever, J. Martens, G. Dahl, G. Hinton: On the Importance of Initialization and Momentum in
Deep Learning. ICML 2013, section 2, equations 1 to 4.
"""

from dataclasses import dataclass
from typing import NamedTuple

from . import scalars
from .namespace import Array, Namespace, Scalar, Scalars, State
from .rule import Buffer, Decay, Rule, decay_one_of, flag, number, one_of


class Coefficients(NamedTuple):
    """What a step needs beside arrays."""

    lr: Scalar
    momentum: Scalar
    take: Scalar
    shrink: Scalar


@dataclass(frozen=True, kw_only=True, repr=False)
class SGD(Rule):
    """Step down the gradient, or down a decaying sum of gradients.

    ::

        buffer=GRADIENTS                            buffer=STEPS (Sutskever et al.; there b is -b)
        b <- momentum b + (1 - dampening) g         b <- momentum b + lr g
        theta <- theta - lr b                       theta <- theta - b
        nesterov: theta - lr (g + momentum b)       nesterov: theta - (lr g + momentum b)

    The first step is not dampened (b = g). ``momentum`` and ``dampening`` have no units. Without
    momentum there is no buffer, and nesterov is off. ``lr`` has the units of theta per unit of
    gradient. Without momentum COUPLED and DECOUPLED weight decay take the same step.
    """

    lr: float = number(1e-2, "[0, inf)")
    momentum: float = number(0.0, "[0, 1]")
    dampening: float = number(0.0, "[0, 1]", matters_with=("momentum",))
    nesterov: bool = flag(matters_with=("momentum",))
    buffer: Buffer = one_of(Buffer.GRADIENTS, Buffer.STEPS, matters_with=("momentum",))
    decay: Decay = decay_one_of(
        Decay.COUPLED, Decay.DECOUPLED, matters_with=("weight_decay", "momentum")
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.momentum:
            object.__setattr__(self, "nesterov", False)  # there is nothing to look ahead along
        if self.nesterov and self.dampening:
            raise ValueError(f"nesterov must come with dampening 0, got dampening={self.dampening}")

    def is_active(self, name: str) -> bool:
        """As in ``Rule``; without momentum COUPLED and DECOUPLED are one, but AFTER is not."""
        if name == "decay" and self.decay is Decay.AFTER:
            return bool(self.weight_decay)
        return super().is_active(name)

    def start(self, theta: Array, xp: Namespace) -> State:
        return {"b": xp.zeros_like(theta)} if self.momentum else {}

    def coefficients(self, t: Scalar, lr: Scalar, xp: Scalars = scalars) -> Coefficients:
        share = xp.where(t == 1, 1.0, 1 - self.dampening)
        take = share * lr if self.buffer is Buffer.STEPS else share
        return Coefficients(lr=lr, momentum=self.momentum, take=take, shrink=self.decay_factor(lr))

    def update(
        self, theta: Array, gradient: Array, state: State, c: Coefficients, xp: Namespace
    ) -> tuple[Array, State]:
        theta, g = self.apply_decay(theta, gradient, c)
        if not self.momentum:
            return self.apply_late_decay(theta - c.lr * g, c), state
        s = c.take * g
        b = c.momentum * state["b"] + s
        step = s + c.momentum * b if self.nesterov else b
        theta = theta - (step if self.buffer is Buffer.STEPS else c.lr * step)
        return self.apply_late_decay(theta, c), {"b": b}
