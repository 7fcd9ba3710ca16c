"""Deviations: where a native is known not to do what its dialect says; with cause, size and link.

A cause is more than a sentence here: it is a rule that makes the same mistake. A native is excused only if it agrees
with that rule as closely as others must agree with the right one.
"""

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from reference import SGD, Adagrad, Adam, Rule, scalars

CAST = "https://github.com/tensorflow/tensorflow/issues/35938"


def through_float32(x: float) -> float:
    """What tf.cast(x, tf.float64) makes of a Python number."""
    return float(np.float32(x))


@dataclasses.dataclass(frozen=True)
class Deviation:
    """What natives of one dialect, in one dtype, are known to get wrong.

    ``imitation`` turns the right rule into one that makes the same mistake, or gives it back where it makes none.
    ``sizes`` holds, for each rule, the largest distance measured over ``parity.cases``, as a share of the path, rounded
    up to two digits; a native farther off than that is not excused.
    """

    dialect: str
    dtype: str
    cause: str
    link: str
    sizes: dict[str, float]
    imitation: Callable[[Rule], Rule]


class _Float32Powers(Adam):
    """Adam whose bias corrections start from betas rounded to float32."""

    def coefficients(self, t: Any, lr: Any, xp: Any = scalars) -> Any:
        rounded = SimpleNamespace(sqrt=xp.sqrt, where=xp.where)
        rounded.integer_power = lambda base, exponent: xp.integer_power(through_float32(base), exponent)
        return super().coefficients(t, lr, rounded)


def _rounded_powers(rule: Rule) -> Rule:
    return _Float32Powers(**rule.plain()) if isinstance(rule, Adam) else rule


def _rounded_fields(rule: Rule) -> Rule:
    """The fields that Keras hands to tf.cast, rounded; in Adam the betas of the bias correction too."""
    fields = {SGD: ("momentum",), Adagrad: ("initial_accumulator",)}.get(type(rule), ())
    rounded = rule.replace(**{name: through_float32(getattr(rule, name)) for name in (*fields, "weight_decay")})
    return _rounded_powers(rounded)


DEVIATIONS = (
    Deviation(
        "keras", "float64",
        "Keras hands betas, momentum, the initial accumulator and weight decay to tf.cast, which takes a Python number "
        "through float32 on its way to float64",
        CAST, {"SGD": 4.2e-10, "Adagrad": 1.4e-9, "RMSprop": 6.8e-14, "Adam": 3.9e-6}, _rounded_fields,
    ),
    Deviation(
        "keras", "float32",
        "Keras computes 1 - beta^t in the variable's dtype, from betas rounded to it: 1 - 0.999 is 1.3e-5 off",
        CAST, {"Adam": 1.5e-6}, _rounded_powers,
    ),
)  # fmt: skip


def find(dialect: str, dtype: str, rule: Rule) -> tuple[Deviation, Rule] | None:
    """The deviation that natives of this dialect are known for, and the rule that makes the mistake; None if none."""
    for deviation in DEVIATIONS:
        imitation = deviation.imitation(rule)
        if (deviation.dialect, deviation.dtype) == (dialect, dtype) and imitation != rule:
            return deviation, imitation
    return None
