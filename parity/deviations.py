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
    """``imitation`` turns the right rule into one that makes the native's mistake, or None where it makes none.

    ``size`` is the largest distance measured, as a share of the path, over all cases of ``parity.cases``; a native
    that is farther off than that is not excused. ``scalars_in`` is the dtype in which the native computes its
    coefficients; None for the variable's own.
    """

    dialect: str
    dtype: str
    cause: str
    size: float
    link: str
    imitation: Callable[[Rule], Rule | None]


class _Float32Powers(Adam):
    """Adam whose bias corrections start from betas rounded to float32."""

    def coefficients(self, t: Any, lr: Any, xp: Any = scalars) -> Any:
        rounded = SimpleNamespace(sqrt=xp.sqrt, where=xp.where)
        rounded.integer_power = lambda base, exponent: xp.integer_power(through_float32(base), exponent)
        return super().coefficients(t, lr, rounded)


def _rounded_powers(rule: Rule) -> Rule | None:
    return _Float32Powers(**rule.plain()) if isinstance(rule, Adam) else None


def _rounded_fields(rule: Rule) -> Rule | None:
    """The fields that Keras hands to tf.cast, rounded; in Adam the betas of the bias correction too."""
    fields = {SGD: ("momentum",), Adagrad: ("initial_accumulator",)}.get(type(rule), ())
    changed = rule.replace(**{name: through_float32(getattr(rule, name)) for name in (*fields, "weight_decay")})
    changed = _rounded_powers(changed) or changed
    return None if changed == rule else changed


DEVIATIONS = (
    Deviation(
        "keras", "float64",
        "Keras hands betas, momentum, the initial accumulator and weight decay to tf.cast, which takes a Python number "
        "through float32 on its way to float64",
        1.0, CAST, _rounded_fields,
    ),
    Deviation(
        "keras", "float32",
        "Keras computes 1 - beta^t in the variable's dtype, where 1 - 0.999 is 1.3e-5 off",
        1.0, CAST, _rounded_powers,
    ),
)  # fmt: skip


def find(dialect: str, dtype: str, rule: Rule) -> tuple[Deviation, Rule] | None:
    """The deviation that a native of this dialect is known for, and the rule that makes its mistake; None if none."""
    for deviation in DEVIATIONS:
        if (deviation.dialect, deviation.dtype) == (dialect, dtype):
            imitation = deviation.imitation(rule)
            if imitation is not None:
                return deviation, imitation
    return None
