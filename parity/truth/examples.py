"""Examples: rules on designed gradients, with the exact trajectory that each must follow.

Rung 1 holds the rules to them, and rung 4 mutants of the rules. The exact trajectory of an example
has 50 digits and is computed once in a process.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from samestep.parity.measure import cases, limits, streams
from samestep.reference import (
    FTRL,
    LAMB,
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    Buffer,
    Decay,
    Epsilon,
    Lion,
    Muon,
    NAdam,
    RAdam,
    RMSprop,
    Rule,
    ScheduleFree,
    ShapeScale,
    SizeMeasuredAt,
    dialects,
)

from . import couplings

STEPS = 24
FEW_STEPS = 10  # the exact trajectory takes time that grows with the square of the steps
SCALES = np.logspace(-10, 1, 8)
SHAPES_OF_ADAFACTOR = ((8,), (2, 2, 2), (1, 8), (8, 1))
SHAPES_OF_MUON = ((8, 1), (4, 2), (2, 4), (1, 8))
SHAPES_OF_MUONS_ADAM = ((8,), (2, 2, 2))

TURNED: dict[str, Any] = {  # the gradient that joins the state is not the one that comes
    "weight_decay": 0.25,
    "decay": Decay.COUPLED,
    "maximize": True,
}

UNSAID = [  # combinations of fields that no dialect can say, and everyday values that no case has
    SGD(momentum=0.9, dampening=0.5, buffer=Buffer.STEPS),
    SGD(momentum=0.9, nesterov=True, maximize=True, weight_decay=0.25),
    SGD(weight_decay=1e-4),
    Adagrad(lr_decay=0.1, weight_decay=0.25, decay=Decay.DECOUPLED),
    Adadelta(lr=0.5, weight_decay=0.25, decay=Decay.DECOUPLED),
    RMSprop(momentum=0.9, buffer=Buffer.STEPS),
    RMSprop(momentum=0.9, epsilon_at=Epsilon.INSIDE, centered=True),
    Adam(weight_decay=1e-4),
    Adam(epsilon_at=Epsilon.HAT, weight_decay=0.25, amsgrad=True, maximize=True),
    Adafactor(weight_decay=0.25, decay=Decay.COUPLED, maximize=True),
    Adafactor(lr=0.5, weight_decay=0.25, relative_step=False),
    Muon(lr=0.01, weight_decay=0.25, decay=Decay.COUPLED, maximize=True),
    Muon(lr=0.5, epsilon=0.5, epsilon_at=Epsilon.FLOOR, momentum=0.0),
    Muon(
        lr=0.5,
        ema=True,
        momentum=0.75,
        shape_scale=ShapeScale.LONGER_SIDE,
        lr_scale=0.5,
        ns_steps=0,
    ),
    *(kind(lr=0.5, **TURNED) for kind in (FTRL, Adamax, NAdam, ScheduleFree, Lion)),
    FTRL(lr=0.5, lr_power=-1.0),  # another power than that of a root
    RAdam(lr=0.5, beta2=0.75, **TURNED),
    RAdam(lr=0.5, beta2=0.5),  # it never adapts its rate
    Adafactor(lr=0.5, epsilon1=1e-3, epsilon1_at=Epsilon.FLOOR, **TURNED),
    Adafactor(lr=0.5, weight_decay=0.25, size_measured_at=SizeMeasuredAt.AFTER_DECAY),
    LAMB(weight_decay=0.25),
    LAMB(lr=0.01, beta1=0.5, beta2=0.75, epsilon=1e-3, weight_decay=0.25, maximize=True),
    *cases.UNSAID,
]

MUON_WITH_ADAM = Muon(
    lr=0.25,
    weight_decay=0.5,
    adam_lr_scale=0.5,
    adam_beta1=0.75,
    adam_beta2=0.875,
    adam_epsilon=0.001,
    adam_weight_decay=0.125,
)
# What MUON_WITH_ADAM does to a vector: a share of the rate, but decay at the rate itself.
ADAM_OF_MUON = Adam(
    lr=0.125, beta1=0.75, beta2=0.875, epsilon=0.001, epsilon_at=Epsilon.HAT, weight_decay=0.25,
    decay=Decay.DECOUPLED,
)  # fmt: skip
MUONS_ADAMS = (
    (MUON_WITH_ADAM, ADAM_OF_MUON),
    (MUON_WITH_ADAM.replace(decay=Decay.AFTER), ADAM_OF_MUON.replace(decay=Decay.AFTER)),
)


class Example:
    """A rule, where it starts, and the gradients and learning rates of its steps.

    ``start`` has any shape, ``gradients`` (steps, *start.shape), both float64. ``equation`` is the
    rule whose equation gives the exact trajectory, if it is not ``rule`` itself; its rates are in
    proportion to its own.
    """

    def __init__(
        self, rule: Rule, start: np.ndarray, gradients: np.ndarray, equation: Rule | None = None
    ) -> None:
        self.rule = rule
        self.start = start
        self.gradients = gradients
        self.rates = streams.rates(rule.lr, len(gradients))
        self.equation = equation or rule

    @functools.cached_property
    def fifty_digits(self) -> np.ndarray:
        """The parameters after each step in 50 digits, (steps, *start.shape)."""
        share = self.equation.lr / self.rule.lr
        rates = [rate * share for rate in self.rates]
        return couplings.truth(self.equation, self.start, self.gradients, rates)

    @functools.cached_property
    def truth(self) -> np.ndarray:
        """The same, rounded to float64."""
        return self.fifty_digits.astype(np.float64)

    @functools.cached_property
    def bounds(self) -> np.ndarray:
        """How far float64 rounding can move each parameter after each step."""
        return limits.of_tensor(self.rule, self.start, self.gradients, "float64", self.rates)


def on_stream(rule: Rule, stream: str, steps: int = STEPS) -> Example:
    """A rule on one designed stream of gradients of eight sizes, in the shape that the rule is
    tried on.
    """
    start = streams.suit(rule, streams.start(len(SCALES)))
    return Example(rule, start, streams.suit(rule, streams.gradients(stream, steps, SCALES)))


def of_shape(
    rule: Rule, shape: tuple[int, ...], equation: Rule | None = None, steps: int = STEPS
) -> Example:
    """A rule on a tensor of eight elements in the given shape; ``equation`` as of ``Example``."""
    start = streams.start(len(SCALES)).reshape(shape)
    gradients = streams.gradients("spread", steps, SCALES).reshape(steps, *shape)
    return Example(rule, start, gradients, equation)


def on_all_streams(rule: Rule) -> list[Example]:
    """A rule on all designed streams; all but the first have few steps.

    They lie side by side in one tensor unless its elements act on each other.
    """
    first, *others = streams.PATTERNS
    if type(rule) in couplings.STEPS:
        return [on_stream(rule, first), *(on_stream(rule, name, FEW_STEPS) for name in others)]
    gradients = [streams.gradients(name, FEW_STEPS, SCALES) for name in others]
    start = np.tile(streams.start(len(SCALES)), len(others))
    return [on_stream(rule, first), Example(rule, start, np.concatenate(gradients, axis=1))]


@functools.cache
def examples_of(rule_name: str) -> tuple[Example, ...]:
    """All examples of one rule: calls, fields that no call can say, tensors of several shapes."""
    read = [dialects.read(call) for call in cases.CALLS]
    calls = [rule for rule in read if type(rule).__name__ == rule_name]
    examples = list(itertools.chain.from_iterable(map(on_all_streams, calls)))
    examples += [on_stream(rule, "spread") for rule in UNSAID if type(rule).__name__ == rule_name]
    if rule_name == "Adafactor":
        examples += _of_shapes(calls, SHAPES_OF_ADAFACTOR)
    if rule_name == "Muon":
        examples += _of_shapes(calls, SHAPES_OF_MUON)
        for rule, equation in MUONS_ADAMS:
            examples += [of_shape(rule, shape, equation) for shape in SHAPES_OF_MUONS_ADAM]
    return tuple(examples)


def _of_shapes(rules: list[Rule], shapes: Sequence[tuple[int, ...]]) -> list[Example]:
    return [
        of_shape(rule, shape, steps=FEW_STEPS) for rule, shape in itertools.product(rules, shapes)
    ]
