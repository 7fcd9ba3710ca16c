"""Gradient clipping.

R. Pascanu, T. Mikolov, Y. Bengio: On the Difficulty of Training Recurrent Neural Networks. ICML
2013, arXiv:1211.5063, algorithm 1 (by norm).

A norm is a sum, and frameworks sum in orders of their own. Here the order is part of the definition
(``global_norm``), so that all frameworks give the same bits.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from samestep.reference.namespace import Array, Namespace
from samestep.reference.rule import number, one_of
from samestep.reference.sums import total_square

from .part import Part, given


class Infinite(enum.Enum):
    """What a gradient with an infinite norm has in place of its finite elements.

    Its infinite elements become NaN.
    """

    ZERO = "zero: they are scaled by limit / infinity"
    NAN = "not a number"

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, kw_only=True, repr=False)
class Clipping(Part):
    """The base of every clipping. ``limit`` has the units of the gradient."""

    limit: float = given("(0, inf)")

    def clip(self, gradients: Sequence[Array | None], xp: Namespace) -> list[Array | None]:
        """The clipped gradients, of the same shapes and dtype. It changes nothing in place.

        All ``gradients`` must have one dtype. None and tensors without elements come back
        unchanged.
        """
        present = [g for g in gradients if g is not None and 0 not in g.shape]
        clipped = iter(self._clip(present, xp) if present else [])
        return [g if g is None or 0 in g.shape else next(clipped) for g in gradients]

    def _clip(self, gradients: list[Array], xp: Namespace) -> list[Array]:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True, repr=False)
class ClipValue(Clipping):
    """Each element: g <- min(max(g, -limit), limit). Not-a-number stays."""

    def _clip(self, gradients: list[Array], xp: Namespace) -> list[Array]:
        return [self._clip_elements(gradient, xp) for gradient in gradients]

    def _clip_elements(self, gradient: Array, xp: Namespace) -> Array:
        low = xp.zeros_like(gradient) - self.limit
        return -xp.maximum(-xp.maximum(gradient, low), low)


@dataclass(frozen=True, kw_only=True, repr=False)
class ClipNorm(Clipping):
    """Each tensor by itself: g <- g limit / max(norm of g, limit).

    A gradient with a norm at or below the limit keeps its bits.
    """

    def _clip(self, gradients: list[Array], xp: Namespace) -> list[Array]:
        scales = [_scale(global_norm([gradient], xp), self.limit, xp) for gradient in gradients]
        return [gradient * scale for gradient, scale in zip(gradients, scales, strict=True)]


@dataclass(frozen=True, kw_only=True, repr=False)
class ClipGlobalNorm(Clipping):
    """All tensors together: g <- g limit / max(norm of all + added, limit).

    ``added`` has the units of the gradient; with 0 the bits of gradients at or below the limit are
    kept.
    """

    added: float = number(0.0, "[0, inf)")
    infinite: Infinite = one_of(Infinite.ZERO, Infinite.NAN)

    def _clip(self, gradients: list[Array], xp: Namespace) -> list[Array]:
        total = global_norm(gradients, xp)
        scale = _scale(total + self.added, self.limit, xp)
        if self.infinite is Infinite.NAN:
            scale = scale + (total - total)
        return [gradient * scale for gradient in gradients]


def global_norm(gradients: Sequence[Array], xp: Namespace) -> Array:
    """The Euclidean norm of all elements of one or more tensors, without dimensions.

    The tensors have one dtype, and none is empty. The sum has a fixed order: the sums of squares of
    the tensors (``samestep.reference.sums``) are added from the first to the last.
    """
    total, *others = [total_square(gradient, xp) for gradient in gradients]
    for square in others:
        total = total + square
    return xp.sqrt(total)


def _scale(size: Array, limit: float, xp: Namespace) -> Array:
    bound = xp.zeros_like(size) + limit
    return bound / xp.maximum(size, bound)
