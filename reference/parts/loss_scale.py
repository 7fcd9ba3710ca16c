"""Loss scaling: small gradients of half precision, kept from becoming zero.

P. Micikevicius et al.: Mixed Precision Training. ICLR 2018, arXiv:1710.03740, section 3.2.

The loss is multiplied by the scale, so all gradients are. They are divided by it before anything
else reads them: clipping by a norm, weight decay, the rule. A step with a gradient that is not
finite is skipped.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from samestep.reference.rule import flag, number, one_of

from .part import Part, saved_part, whole

LARGEST = (2 - 2.0**-23) * 2.0**127  # of float32


class Skip(enum.Enum):
    """What a schedule does when a step is skipped."""

    WAIT = "it waits: it counts the steps that are taken"
    COUNT = "it goes on: it counts the batches"

    def __repr__(self) -> str:
        return str(self)


class LossScaleState(NamedTuple):
    """What a loss scale remembers between steps."""

    scale: float
    good: int  # steps in a row with finite gradients, since the scale has changed


@dataclass(frozen=True, kw_only=True, repr=False)
class LossScale(Part):
    """The factor of the loss, and how it changes.

    After ``steps`` steps in a row with finite gradients it is multiplied by ``growth``, unless
    float32 could not hold it. After a step with a gradient that is not finite, which is skipped, it
    is multiplied by ``backoff``. Without ``dynamic`` it stays, and no step is skipped.
    """

    scale: float = number(65536.0, "(0, inf)")
    growth: float = number(2.0, "[1, inf)")
    backoff: float = number(0.5, "(0, 1]")
    steps: int = whole(1, 2000)
    dynamic: bool = flag(True)
    schedule: Skip = one_of(Skip.WAIT, Skip.COUNT)

    def start(self) -> LossScaleState:
        """The state before the first step."""
        return LossScaleState(self.scale, 0)

    def update(self, state: LossScaleState, finite: bool) -> LossScaleState:
        """The state after a step whose gradients were all finite, or were not."""
        if not self.dynamic:
            return state
        if not finite:
            return LossScaleState(state.scale * self.backoff, 0)
        good = state.good + 1
        if good < self.steps:
            return LossScaleState(state.scale, good)
        grown = state.scale * self.growth
        return LossScaleState(grown if grown <= LARGEST else state.scale, 0)


class LossScaling:
    """A loss scale and its state during a training run, for any array library.

    It is the base of ``LossScaler``; a subclass says how an array is multiplied and whether it is
    finite.
    """

    def __init__(self, loss_scale: LossScale) -> None:
        if not isinstance(loss_scale, LossScale):
            raise ValueError(
                f"loss_scale must be one such as LossScale(scale=65536.0), got {loss_scale!r}"
            )
        self.loss_scale = loss_scale
        self.state = loss_scale.start()
        self.skipped = 0
        self.schedule_moves = True  # whether a schedule counts the last batch

    @property
    def scale(self) -> float:
        """What the next loss is to be multiplied by."""
        return self.state.scale

    def unscaled(self, gradients: Sequence[Any]) -> list[Any] | None:
        """New gradients of the loss itself; None if the step is to be skipped.

        Call it once a step, with all gradients, before clipping. The scale then changes for the
        next loss. None among the gradients stays None. ValueError for float16, which could not
        hold what it gives.
        """
        present = [gradient for gradient in gradients if gradient is not None]
        for gradient in present:
            if "float16" in str(gradient.dtype) and "bfloat16" not in str(gradient.dtype):
                raise ValueError(
                    "gradients must be of float32, float64 or bfloat16 to be unscaled, got "
                    "float16; keep the weights in float32"
                )
        finite = all(self._finite(gradient) for gradient in present)
        inverse = 1 / self.state.scale
        self.state = self.loss_scale.update(self.state, finite)
        skips = self.loss_scale.dynamic and not finite
        self.skipped += skips
        self.schedule_moves = not skips or self.loss_scale.schedule is Skip.COUNT
        if skips:
            return None
        return [None if g is None else self._times(g, inverse) for g in gradients]

    def state_dict(self) -> dict[str, Any]:
        """Plain values."""
        plain = {"loss_scale": self.loss_scale.to_dict(), "skipped": self.skipped}
        return {**plain, **self.state._asdict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state; ValueError if it was saved under another loss scale."""
        saved_part(state, "loss_scale", self.loss_scale)
        self.state = LossScaleState(state["scale"], state["good"])
        self.skipped = state["skipped"]

    def _finite(self, gradient: Any) -> bool:
        """True if all elements are finite."""
        raise NotImplementedError

    def _times(self, gradient: Any, factor: float) -> Any:
        """The product, in the gradient's dtype."""
        raise NotImplementedError
