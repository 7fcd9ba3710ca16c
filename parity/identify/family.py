"""Families: what is tried for a rule, as data.

A family has variants, one for each setting of its flags and each kind of weight decay. A variant
leaves some hyperparameters free. Their values are started from what the features of the first steps
tell, at every point of a small grid.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from samestep.reference import Decay, Rule

from .features import Features

Flags = Mapping[str, Any]  # fixed fields of a rule
Grid = Mapping[str, Sequence[float]]
Numbers = dict[str, float]  # values of the free hyperparameters

ELEMENTWISE = ("zero", "weights")  # probes for rules in which elements do not influence each other
WHOLE_TENSORS = ("plain", "matrix", "wide", "zero")  # probes for the other rules

BETA1 = (0.0, 0.4, 0.7, 0.9, 0.97, 0.995)
BETA2 = (0.0, 0.5, 0.8, 0.9, 0.97, 0.99, 0.997, 0.999, 0.9999)
WEIGHT_DECAYS = (1e-4, 1e-3, 1e-2, 1e-1)
SHARE = "share of one feature"  # in a grid: how two numbers share a feature; not a hyperparameter
TINY = 1e-30  # where a number that may be zero starts on a logarithmic scale


class RuleTemplate(NamedTuple):
    """A kind of rule with some fields fixed."""

    kind: type[Rule]
    fixed: Flags

    def make(self, numbers: Mapping[str, float]) -> Rule:
        """The rule with these numbers in the free fields; ValueError if it does not allow them."""
        free: dict[str, Any] = dict(numbers)
        return self.kind(**self.fixed, **free)


def _always(flags: Flags, features: Features) -> bool:
    return True


@dataclasses.dataclass(frozen=True)
class Family:
    """Variants of a kind of rule that start from the same grid and the same features.

    ``start`` turns a point of the grid, the fixed fields and the features into values of the free
    hyperparameters; the point's own values are added to them. ``decays`` are the kinds of weight
    decay that are tried where weights move without a gradient, None for all that the rule has; if
    it is empty, such weights tell nothing, and the family has its own numbers for a decay.
    ``applies`` tells for which fixed fields and features there is
    a variant. ``probes`` are the tensors that it is fitted to. ``elementwise`` is False for rules
    in which elements of a tensor influence each other.
    """

    kind: type[Rule]
    start: Callable[[Numbers, Flags, Features], Numbers]
    grid: Grid = dataclasses.field(default_factory=dict)
    flags: Sequence[Flags] = ({},)
    decays: Sequence[Decay] | None = None
    applies: Callable[[Flags, Features], bool] = _always
    probes: tuple[str, ...] = ELEMENTWISE
    elementwise: bool = True

    def variants(self, features: Features) -> Iterator["Variant"]:
        """All variants that fit the features."""
        for decay, flags in itertools.product(self._possible_decays(features), self.flags):
            fixed = dict(flags)
            if features.maximizes:
                fixed["maximize"] = True
            if decay is not None:
                fixed["decay"] = decay
            if self.applies(fixed, features):
                yield Variant(self, fixed, decay, features)

    def _possible_decays(self, features: Features) -> list[Decay | None]:
        """The kinds of weight decay that the features allow; None stands for no decay."""
        decays = choices_of(self.kind, "decay") if self.decays is None else self.decays
        if features.unknown_decay:
            return [*(decay for decay in decays if decay is not Decay.COUPLED), None]
        if not features.decays or not decays:
            return [None]
        return [decay for decay in decays if features.allows_decay(decay)]


def choices_of(kind: type[Rule], name: str) -> tuple[Any, ...]:
    """The values that a field with few possible values may have."""
    (field,) = (field for field in dataclasses.fields(kind) if field.name == name)
    choices: tuple[Any, ...] = field.metadata["choices"]
    return choices


@dataclasses.dataclass(frozen=True)
class Variant:
    """A family's rule with its flags and its kind of weight decay fixed."""

    family: Family
    fixed: Flags
    decay: Decay | None
    features: Features

    @property
    def kind(self) -> type[Rule]:
        """The kind of rule."""
        return self.family.kind

    @property
    def template(self) -> RuleTemplate:
        """The rule with its fixed fields."""
        return RuleTemplate(self.family.kind, self.fixed)

    def starts(self) -> Iterator[Numbers]:
        """The values to start from, one set for each point of the grid."""
        grid = {**self.family.grid, **self._decay_grid()}
        for values in itertools.product(*grid.values()):
            yield self._start(dict(zip(grid, values, strict=True)))

    def _start(self, point: Numbers) -> Numbers:
        numbers = {**point, **self.family.start(point, self.fixed, self.features)}
        numbers.pop(SHARE, None)
        shrink = self._known_shrink()
        if shrink and numbers["lr"]:
            numbers["weight_decay"] = shrink / numbers["lr"]
        return numbers

    def _decay_grid(self) -> Grid:
        if self.decay is None:
            return {}
        if self._known_shrink():
            return {"weight_decay": [0.0]}  # the shrinking replaces it
        guess = self.features.coupled_decay if self.decay is Decay.COUPLED else 0.0
        return {"weight_decay": [guess, *WEIGHT_DECAYS] if guess else WEIGHT_DECAYS}

    def _known_shrink(self) -> float:
        """The share by which lr weight_decay shrinks weights; 0 if there is no such decay."""
        shrink = self.features.shrink or 0.0
        shrinks = self.decay in (Decay.DECOUPLED, Decay.AFTER) and 0 < shrink < 1
        return shrink if shrinks else 0.0
