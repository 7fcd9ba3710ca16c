"""Muon.

K. Jordan et al.: Muon: An optimizer for hidden layers in neural networks. 2024, kellerjordan.github.io/posts/muon.
J. Liu et al.: Muon is Scalable for LLM Training. 2025, arXiv:2502.16982, section 2.2: steps as long as Adam's.
"""

import functools
from dataclasses import dataclass
from typing import Any

from . import scalars
from .adam import Adam
from .matrices import orthogonalized
from .rule import Array, Decay, Epsilon, Reach, Rule, State, flag, named, number, one_of, whole
from .sums import norm


@dataclass(frozen=True, kw_only=True, repr=False)
class Muon(Rule):
    """Momentum with all its singular values made about 1: no direction of a matrix is left behind.

    ::

        m <- momentum m + g,    momentum m + (1 - momentum) g if it is a mean       nesterov: one more such step for M
        X = M / (|M| + epsilon) (OUTSIDE),    M / max(|M|, epsilon) (FLOOR)         |M| the norm of all elements
        X <- a X + b X X' X + c X X' X X' X   ns_steps times
        theta <- theta - lr share X times 1 (ONE), sqrt(max(1, rows/columns)) (TALL), sqrt(max(rows, columns)) (LONG)

    The step has the units of ``lr``, epsilon those of g. What is no matrix is moved by ``adam``, with epsilon-hat at
    the rate ``lr adam_share``, or refused.
    """

    lr: float = number(2e-2, "[0, inf)")
    decay: Decay = one_of(Decay.DECOUPLED, Decay.COUPLED, matters_with=("weight_decay",))
    momentum: float = number(0.95, "[0, 1]")
    mean: bool = flag(matters_with=("momentum",))
    nesterov: bool = flag(True, matters_with=("momentum",))
    epsilon: float = number(1e-7, "[0, inf)")
    epsilon_at: Epsilon = one_of(Epsilon.OUTSIDE, Epsilon.FLOOR, matters_with=("epsilon",))
    a: float = number(3.4445, "(-inf, inf)")
    b: float = number(-4.7750, "(-inf, inf)")
    c: float = number(2.0315, "(-inf, inf)")
    ns_steps: int = whole(5, "[0, 100)")
    reach: Reach = one_of(Reach.TALL, Reach.LONG, Reach.ONE)
    share: float = number(1.0, "[0, inf)")
    adam: bool = flag(True)
    adam_share: float = number(1.0, "[0, inf)", matters_with=("adam",))
    adam_beta1: float = number(0.9, "[0, 1)", matters_with=("adam",))
    adam_beta2: float = number(0.999, "[0, 1)", matters_with=("adam",))
    adam_epsilon: float = number(1e-7, "[0, inf)", matters_with=("adam",))
    adam_weight_decay: float = number(0.0, "[0, inf)", matters_with=("adam",))

    @functools.cached_property
    def others(self) -> Adam:
        """What moves a tensor that is no matrix."""
        return Adam(
            lr=self.lr * self.adam_share, beta1=self.adam_beta1, beta2=self.adam_beta2, epsilon=self.adam_epsilon,
            epsilon_at=Epsilon.HAT, weight_decay=self.adam_weight_decay, decay=self.decay, maximize=self.maximize,
        )  # fmt: skip

    def start(self, theta: Array, xp: Any) -> State:
        if len(theta.shape) == 2:
            return {"m": xp.zeros_like(theta)}
        if not self.adam:
            raise ValueError(f"Muon moves matrices, got shape {tuple(theta.shape)}; set adam, or use another rule")
        return self.others.start(theta, xp)

    def coefficients(self, t: Any, lr: Any, xp: Any = scalars) -> Any:
        # equivalent mutant "self.adam -> True": without Adam nobody reads its coefficients
        adam = self.others.coefficients(t, lr * self.adam_share, xp)._asdict() if self.adam else {}
        if adam:
            adam |= {"adam_epsilon": adam.pop("epsilon"), "adam_shrink": self.others.decay_factor(lr)}
            del adam["shrink"]
        return named(
            **adam, lr=lr * self.share, keep=self.momentum, take=1 - self.momentum if self.mean else 1.0,
            epsilon=self.epsilon, a=self.a, b=self.b, c=self.c, shrink=self.decay_factor(lr),
        )  # fmt: skip

    def update(self, theta: Array, gradient: Array, state: State, c: Any, xp: Any) -> tuple[Array, State]:
        if len(theta.shape) != 2:
            c = c._replace(epsilon=c.adam_epsilon, shrink=c.adam_shrink)
            return self.others.update(theta, gradient, state, c, xp)
        theta, g = self.apply_decay(theta, gradient, c)
        m = c.keep * state["m"] + c.take * g
        M = c.keep * m + c.take * g if self.nesterov else m
        size = norm(M, xp)
        floor = xp.zeros_like(size) + c.epsilon
        size = xp.maximum(size, floor) if self.epsilon_at is Epsilon.FLOOR else size + floor
        X = orthogonalized(M / size, c.a, c.b, c.c, self.ns_steps, xp)
        rows, columns = theta.shape
        reach = {Reach.TALL: max(1.0, rows / max(1, columns)), Reach.LONG: max(rows, columns)}.get(self.reach, 1.0)
        return theta - c.lr * xp.sqrt(xp.zeros_like(size) + reach) * X, {"m": m}
