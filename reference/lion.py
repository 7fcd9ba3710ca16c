"""Lion.

X. Chen et al.: Symbolic Discovery of Optimization Algorithms. NeurIPS 2023, arXiv:2302.06675, program 1.
"""

from dataclasses import dataclass
from typing import Any

from . import scalars
from .rule import Array, Decay, Rule, State, named, number, one_of


@dataclass(frozen=True, kw_only=True, repr=False)
class Lion(Rule):
    """Step by lr in the direction that the running mean and the gradient agree on; the size of the gradient is ignored.

    ::

        theta <- theta - lr sign(beta1 m + (1 - beta1) g)
        m <- beta2 m + (1 - beta2) g

    ``lr`` has the units of theta. The sign is discontinuous: where its argument is nearly zero, rounding may turn a
    step around, which then differs by 2 lr.
    """

    lr: float = number(1e-4, "[0, inf)")
    beta1: float = number(0.9, "[0, 1]")
    beta2: float = number(0.99, "[0, 1)")
    decay: Decay = one_of(Decay.DECOUPLED, Decay.COUPLED, matters_with=("weight_decay",))

    def start(self, theta: Array, xp: Any) -> State:
        return {"m": xp.zeros_like(theta)}

    def coefficients(self, t: Any, lr: Any, xp: Any = scalars) -> Any:
        return named(
            lr=lr, keep1=self.beta1, take1=1 - self.beta1, keep2=self.beta2, take2=1 - self.beta2,
            shrink=self.decay_factor(lr),
        )  # fmt: skip

    def update(self, theta: Array, gradient: Array, state: State, c: Any, xp: Any) -> tuple[Array, State]:
        theta, g = self.apply_decay(theta, gradient, c)
        direction = xp.sign(c.keep1 * state["m"] + c.take1 * g)
        return theta - c.lr * direction, {"m": c.keep2 * state["m"] + c.take2 * g}
