"""Muon.

K. Jordan et al.: Muon: An optimizer for hidden layers in neural networks. 2024,
kellerjordan.github.io/posts/muon.
J. Liu et al.: Muon is Scalable for LLM Training. 2025, arXiv:2502.16982, section 2.2: steps as long
as Adam's.
"""

import functools
from dataclasses import dataclass
from typing import NamedTuple

from . import scalars
from .adam import Adam
from .adam import Coefficients as AdamCoefficients
from .matrices import orthogonalized
from .namespace import Array, Namespace, Scalar, Scalars, State
from .rule import Decay, Epsilon, Rule, ShapeScale, decay_one_of, flag, number, one_of, whole
from .sums import norm


class Coefficients(NamedTuple):
    """What a step needs beside arrays: for ``fallback``, all zero without it, and for matrices."""

    adam_step: Scalar
    adam_stretch: Scalar
    adam_keep1: Scalar
    adam_take1: Scalar
    adam_keep2: Scalar
    adam_take2: Scalar
    adam_epsilon: Scalar
    adam_shrink: Scalar
    lr: Scalar
    keep: Scalar
    take: Scalar
    epsilon: Scalar
    a: Scalar
    b: Scalar
    c: Scalar
    shrink: Scalar


@dataclass(frozen=True, kw_only=True, repr=False)
class Muon(Rule):
    """Step along the momentum matrix with all its singular values made about 1.

    ::

        m <- momentum m + g                       ema: momentum m + (1 - momentum) g
        M = m                                     nesterov: one more such step, m itself stays
        X = M / (|M| + epsilon)                   epsilon_at=OUTSIDE; |M|: norm of all elements
        X = M / max(|M|, epsilon)                 epsilon_at=FLOOR
        X <- a X + b X X' X + c X X' X X' X       ns_steps times
        theta <- theta - lr lr_scale scale X      scale: see ``ShapeScale``

    The step has the units of ``lr``, epsilon has those of g. ``adam``: a tensor that is not a
    matrix is moved by ``fallback``, Adam with epsilon-hat at the rate ``lr adam_lr_scale``;
    otherwise it is refused. The fields ``adam_...`` are that rule's.
    """

    lr: float = number(2e-2, "[0, inf)")
    decay: Decay = decay_one_of(Decay.DECOUPLED, Decay.COUPLED)
    momentum: float = number(0.95, "[0, 1]")
    ema: bool = flag(matters_with=("momentum",))
    nesterov: bool = flag(True, matters_with=("momentum",))
    epsilon: float = number(1e-7, "[0, inf)")
    epsilon_at: Epsilon = one_of(Epsilon.OUTSIDE, Epsilon.FLOOR, matters_with=("epsilon",))
    a: float = number(3.4445, "(-inf, inf)")
    b: float = number(-4.7750, "(-inf, inf)")
    c: float = number(2.0315, "(-inf, inf)")
    ns_steps: int = whole(5, "[0, 100)")
    shape_scale: ShapeScale = one_of(*ShapeScale)
    lr_scale: float = number(1.0, "[0, inf)")
    adam: bool = flag(True)
    adam_lr_scale: float = number(1.0, "[0, inf)", matters_with=("adam",))
    adam_beta1: float = number(0.9, "[0, 1)", matters_with=("adam",))
    adam_beta2: float = number(0.999, "[0, 1)", matters_with=("adam",))
    adam_epsilon: float = number(1e-7, "[0, inf)", matters_with=("adam",))
    adam_weight_decay: float = number(0.0, "[0, inf)", matters_with=("adam",))

    @functools.cached_property
    def fallback(self) -> Adam:
        """The rule that moves a tensor that is not a matrix."""
        return Adam(
            lr=self.lr * self.adam_lr_scale,
            beta1=self.adam_beta1,
            beta2=self.adam_beta2,
            epsilon=self.adam_epsilon,
            epsilon_at=Epsilon.HAT,
            weight_decay=self.adam_weight_decay,
            decay=self.decay,
            maximize=self.maximize,
        )

    def is_active(self, name: str) -> bool:
        """As in ``Rule``; decay also acts with the weight decay of ``fallback``."""
        of_fallback = name == "decay" and self.adam and bool(self.adam_weight_decay)
        return of_fallback or super().is_active(name)

    def start(self, theta: Array, xp: Namespace) -> State:
        if len(theta.shape) == 2:
            return {"m": xp.zeros_like(theta)}
        if not self.adam:
            shape = tuple(theta.shape)
            raise ValueError(
                f"Muon moves matrices, got shape {shape}; set adam, or use another rule"
            )
        return self.fallback.start(theta, xp)

    def coefficients(self, t: Scalar, lr: Scalar, xp: Scalars = scalars) -> Coefficients:
        # equivalent mutant "0.0 -> 1.0": without Adam nobody reads its coefficients
        adam = AdamCoefficients(*[0.0] * len(AdamCoefficients._fields))
        # equivalent mutant "self.adam -> True": without Adam nobody reads its coefficients
        if self.adam:
            adam = self.fallback.coefficients(t, lr * self.adam_lr_scale, xp)
            adam = adam._replace(shrink=self.fallback.decay_factor(lr))
        return Coefficients(
            *adam,
            lr=lr * self.lr_scale,
            keep=self.momentum,
            take=1 - self.momentum if self.ema else 1.0,
            epsilon=self.epsilon,
            a=self.a,
            b=self.b,
            c=self.c,
            shrink=self.decay_factor(lr),
        )

    def update(
        self, theta: Array, gradient: Array, state: State, c: Coefficients, xp: Namespace
    ) -> tuple[Array, State]:
        if len(theta.shape) != 2:
            adam = AdamCoefficients(*c[: len(AdamCoefficients._fields)])
            return self.fallback.update(theta, gradient, state, adam, xp)
        theta, g = self.apply_decay(theta, gradient, c)
        m = c.keep * state["m"] + c.take * g
        M = c.keep * m + c.take * g if self.nesterov else m
        size = norm(M, xp)
        floor = xp.zeros_like(size) + c.epsilon
        size = xp.maximum(size, floor) if self.epsilon_at is Epsilon.FLOOR else size + floor
        X = orthogonalized(M / size, (c.a, c.b, c.c), self.ns_steps, xp)
        scale = xp.sqrt(xp.zeros_like(size) + self._squared_scale(theta.shape))
        return self.apply_late_decay(theta - c.lr * scale * X, c), {"m": m}

    def _squared_scale(self, shape: tuple[int, int]) -> float:
        """The square of the factor that ``shape_scale`` means for a matrix of this shape."""
        rows, columns = shape
        if self.shape_scale is ShapeScale.ASPECT_RATIO:
            return max(1.0, rows / max(1, columns))
        return max(rows, columns) if self.shape_scale is ShapeScale.LONGER_SIDE else 1.0
