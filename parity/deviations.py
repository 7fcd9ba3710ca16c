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
HYPER = "https://github.com/tensorflow/tensorflow/issues/45558"
POWER = "https://github.com/google-deepmind/optax/blob/v0.2.8/optax/tree_utils/_tree_math.py"
SLOTS = "https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/training/adam.py"
ATTRIBUTES = "https://github.com/onnx/onnx/blob/v1.23.2/onnx/onnx.proto"


def through_float32(x: float) -> float:
    """What tf.cast(x, tf.float64) makes of a Python number."""
    return float(np.float32(x))


@dataclasses.dataclass(frozen=True)
class Deviation:
    """What natives of one dialect, in one dtype, are known to get wrong, in the rules that ``sizes`` names.

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


class _RunningPowers(Adam):
    """Adam whose powers of the betas are multiplied up in float32, step by step."""

    def coefficients(self, t: Any, lr: Any, xp: Any = scalars) -> Any:
        running = SimpleNamespace(sqrt=xp.sqrt, where=xp.where)
        running.integer_power = lambda base, exponent: xp.integer_power(_running_product(base, int(exponent)), 1)
        return super().coefficients(t, lr, running)


def _running_product(base: float, exponent: int) -> float:
    return float(np.multiply.reduce(np.full(exponent, base, np.float32)))


def _rounded(*fields: str) -> Callable[[Rule], Rule]:
    """The rule with some of its fields, where it has them, rounded to float32."""

    def imitation(rule: Rule) -> Rule:
        there = [name for name in fields if name in rule.names()]
        return rule.replace(**{name: through_float32(getattr(rule, name)) for name in there})

    return imitation


def _tensorflow1(rule: Rule) -> Rule:
    rounded = _rounded("momentum", "rho", "beta1", "beta2", "epsilon")(rule)
    return _RunningPowers(**rounded.plain()) if isinstance(rule, Adam) else rounded


def _attributes(rule: Rule) -> Rule:
    """ONNX' attributes rounded; beta is 1 - dampening."""
    rounded = _rounded("momentum", "beta1", "beta2", "epsilon", "weight_decay", "lr_decay")(rule)
    return (
        rounded.replace(dampening=1 - through_float32(1 - rounded.dampening)) if isinstance(rounded, SGD) else rounded
    )


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
    Deviation(
        "tf_keras", "float64",
        "Keras 2 keeps every hyperparameter but epsilon and the initial accumulator in a float32 variable",
        HYPER, {"SGD": 4.2e-10, "Adadelta": 1.2e-7, "RMSprop": 1.2e-7, "Adam": 2.7e-7},
        _rounded("momentum", "rho", "beta1", "beta2", "lr_decay"),
    ),
    Deviation(
        "tf_keras", "float32",
        "Keras 2 subtracts betas rounded to float32 from 1: 1 - 0.999 is 1.3e-5 off",
        HYPER, {"Adam": 1.2e-6}, _rounded("beta1", "beta2"),
    ),
    Deviation(
        "tensorflow1", "float64",
        "TensorFlow 1 makes every hyperparameter but the initial accumulator a float32 tensor, and multiplies up the "
        "powers of the betas in float32",
        SLOTS, {"SGD": 4.2e-10, "Adadelta": 1.3e-7, "RMSprop": 5.2e-8, "Adam": 5.9e-7}, _tensorflow1,
    ),
    Deviation(
        "tensorflow1", "float32",
        "TensorFlow 1 subtracts betas rounded to float32 from 1, and multiplies up their powers in float32",
        SLOTS, {"Adam": 2e-6}, _tensorflow1,
    ),
    Deviation(
        "optax", "float32",
        "optax computes 1 - beta^t in float32: 1 - 0.999 is 1.3e-5 off",
        POWER, {"Adam": 1.5e-6}, _rounded_powers,
    ),
    Deviation(
        "onnx", "float64",
        "ONNX keeps attributes as float32",
        ATTRIBUTES, {"SGD": 1.2e-9, "Adagrad": 2.1e-10, "Adam": 1.4e-6}, _attributes,
    ),
    Deviation(
        "onnx", "float32",
        "ONNX keeps attributes as float32: 1 - 0.999 is 1.3e-5 off",
        ATTRIBUTES, {"Adam": 1.4e-6}, _attributes,
    ),
)  # fmt: skip


def find(dialect: str, dtype: str, rule: Rule) -> tuple[Deviation, Rule] | None:
    """The deviation that natives of this dialect are known for, and the rule that makes the mistake; None if none."""
    for deviation in DEVIATIONS:
        imitation = deviation.imitation(rule)
        known = (deviation.dialect, deviation.dtype) == (dialect, dtype) and type(rule).__name__ in deviation.sizes
        if known and imitation != rule:
            return deviation, imitation
    return None
