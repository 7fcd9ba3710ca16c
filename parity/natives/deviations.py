"""Deviations: where a native is known not to do what its dialect says; with cause, size and link.

A cause is more than a sentence here: it is a rule that makes the same mistake. A native is excused only if it agrees
with that rule as closely as others must agree with the right one.
"""

import dataclasses
from collections.abc import Callable

from samestep.reference import Rule

from . import imitations

CAST = "https://github.com/tensorflow/tensorflow/issues/35938"
HYPER = "https://github.com/tensorflow/tensorflow/issues/45558"
POWER = "https://github.com/google-deepmind/optax/blob/v0.2.8/optax/tree_utils/_tree_math.py"
RPROP = "https://github.com/google-deepmind/optax/pull/1725"
SLOTS = "https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/training/adam.py"
KERNEL = "https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/core/kernels/training_ops.cc"
ATTRIBUTES = "https://github.com/onnx/onnx/blob/v1.23.2/onnx/onnx.proto"


@dataclasses.dataclass(frozen=True)
class Deviation:
    """What natives of one dialect, in one dtype, are known to get wrong, in the rules that ``sizes`` names.

    ``script`` in ``parity/reproductions`` shows it. ``imitation`` turns the right rule into one that
    makes the same mistake, or gives it back where it makes none. ``sizes`` holds, for each rule, the largest distance
    measured over ``samestep.parity.measure.cases`` in the steps of an everyday trial, as a share of the path, rounded up to two digits;
    a native farther off in so many steps is not excused. A size of 0 is that of a mistake that hides behind rounding in
    all of those trials, though not in others: there the native is held to the rule alone. ``scalars_in`` is the dtype
    in which the native computes its scalars, and ``kinds`` the implementations that the deviation is about; none means
    all. Where no rule can make the mistake to the digit, ``imitation`` is None and ``without`` the implementation with
    the cause taken out, which must agree.
    """

    script: str
    dialect: str
    dtype: str
    cause: str
    link: str
    sizes: dict[str, float]
    imitation: Callable[[Rule], Rule] | None
    scalars_in: str
    kinds: tuple[str, ...] = ()
    without: str = ""


DEVIATIONS = (
    Deviation(
        "torch_nadam_product", "pytorch", "float64", "the product of all momentum coefficients is kept in float32", "",
        {"NAdam": 2.5e-9}, imitations.torch_nadam, "float64",
    ),
    Deviation(
        "torch_asgd_float32", "pytorch", "float64", "the learning rate is kept in float32", "",
        {"ASGD": 1.4e-8}, imitations.torch_asgd, "float64", ("for-loop",),
    ),
    Deviation(
        "torch_asgd_float32", "pytorch", "float64", "the learning rate is kept, and its fall computed, in float32", "",
        {"ASGD": 5.5e-9}, imitations.torch_asgd, "float32", ("foreach",),
    ),
    *(
        Deviation(
            "torch_muon_bfloat16", "pytorch", dtype,
            "matrices are iterated in bfloat16, whatever the dtype of the weights",
            "", {"Muon": 1.1e-2}, None, dtype, ("for-loop",), "for-loop without bfloat16",
        )
        for dtype in ("float32", "float64")
    ),
    *(
        Deviation(
            "keras_schedule_free_point", "keras", dtype,
            "the average is recovered from the point as it is after the step: on TensorFlow momentum.value is no copy, "
            "so the point before is lost",
            "", {"ScheduleFree": size}, imitations.keras_schedule_free[dtype], dtype,
        )
        for dtype, size in (("float32", 7.4e-2), ("float64", 2.4e-2))
    ),
    *(
        Deviation(
            "keras_adafactor_relative_step", "keras", dtype,
            "the learning rate is capped at 1/sqrt(t) a second time, whatever relative_step says",
            "", {"Adafactor": 3.0e-3}, imitations.keras_adafactor[dtype], dtype,
        )
        for dtype in ("float32", "float64")
    ),
    Deviation(
        "keras_float64_betas", "keras", "float64",
        "Keras hands betas, momentum, the initial accumulator, weight decay and Adafactor's epsilon_2 to tf.cast, "
        "which takes a Python number through float32 on its way to float64",
        CAST,
        {"SGD": 4.2e-10, "Adagrad": 1.4e-9, "FTRL": 3.7e-10, "RMSprop": 6.8e-14, "Adam": 6.7e-6, "Adamax": 2.4e-7,
         "NAdam": 1.8e-8, "Lion": 1.3e-12, "LAMB": 1.6e-6, "Adadelta": 0.0, "Adafactor": 0.0, "Muon": 0.0},
        imitations.keras_float64, "float64",
    ),
    Deviation(
        "keras_float32_betas", "keras", "float32",
        "Keras computes 1 - beta^t in the variable's dtype, from betas rounded to it: 1 - 0.999 is 1.3e-5 off",
        CAST, {"Adam": 1.5e-6, "LAMB": 0.0, "Muon": 0.0}, imitations.keras_float32, "float32",
    ),
    Deviation(
        "tf_keras_float32_numbers", "tf_keras", "float64",
        "Keras 2 keeps every hyperparameter but epsilon and the initial accumulator in a float32 variable",
        HYPER,
        {"SGD": 4.2e-10, "Adadelta": 1.2e-7, "RMSprop": 1.2e-7, "Adam": 1.1e-6, "Adamax": 7.4e-8, "NAdam": 9.4e-9,
         "FTRL": 4.5e-11},
        imitations.tf_keras, "float64", ("eager", "graph"),
    ),
    Deviation(
        "tensorflow_kernel_rest", "tf_keras", "float32",
        "betas rounded to float32 are subtracted from 1, in the kernel: 1 - 0.999 is 1.3e-5 off",
        KERNEL, {"Adam": 1.2e-6}, imitations.rounded("beta1", "beta2"), "float32",
    ),
    Deviation(
        "tensorflow1_float32_numbers", "tensorflow1", "float64",
        "TensorFlow 1 makes every hyperparameter but the initial accumulator a float32 tensor, and multiplies up the "
        "powers of the betas in float32",
        SLOTS, {"SGD": 4.2e-10, "Adadelta": 1.3e-7, "RMSprop": 5.1e-8, "Adam": 1.2e-6, "FTRL": 4.8e-11},
        imitations.tensorflow1, "float64", ("eager", "session"),
    ),
    Deviation(
        "tensorflow1_float32_numbers", "tensorflow1", "float32",
        "TensorFlow 1 multiplies up the powers of the betas in float32, and its kernel subtracts rounded betas from 1",
        SLOTS, {"Adam": 2e-6}, imitations.tensorflow1, "float32", ("eager", "session"),
    ),
    Deviation(
        "tensorflow_kernel_rest", "tensorflow1", "float32",
        "betas rounded to float32 are subtracted from 1, in the kernel: 1 - 0.999 is 1.3e-5 off",
        KERNEL, {"Adam": 2e-6}, imitations.rounded("beta1", "beta2"), "float32", ("kernel",),
    ),
    Deviation(
        "optax_float32_powers", "optax", "float32",
        "optax computes 1 - beta^t in float32: 1 - 0.999 is 1.3e-5 off",
        POWER, {"Adam": 1.5e-6, "NAdam": 2.1e-6}, imitations.rounded_powers, "float32",
    ),
    Deviation(
        "optax_radam_rectifier", "optax", "float32",
        "the length of memory is a difference of float32 numbers that nearly cancel: its root is 1.2 % off at step 6",
        "", {"RAdam": 9.4e-6}, imitations.rounded_powers, "float32",
    ),
    *(
        Deviation(
            "optax_rprop_stale", "optax", dtype, "each step is the one before, and the first is none", RPROP,
            {"Rprop": 1.0}, imitations.optax_rprop, "float64",
        )
        for dtype in ("float32", "float64")
    ),
    Deviation(
        "onnx_float32_attributes", "onnx", "float64",
        "ONNX keeps attributes as float32",
        ATTRIBUTES, {"SGD": 1.2e-9, "Adagrad": 2.1e-10, "Adam": 1.4e-6}, imitations.onnx, "float64",
    ),
    Deviation(
        "onnx_float32_attributes", "onnx", "float32",
        "ONNX keeps attributes as float32: 1 - 0.999 is 1.3e-5 off",
        ATTRIBUTES, {"Adam": 1.4e-6}, imitations.onnx, "float32",
    ),
)  # fmt: skip


def find(dialect: str, kind: str, dtype: str, rule: Rule) -> tuple[Deviation, Rule] | None:
    """The deviation that natives of this dialect are known for, and the rule that makes the mistake, itself where
    no rule can; None if none."""
    for deviation in DEVIATIONS:
        meant = (deviation.dialect, deviation.dtype) == (dialect, dtype) and kind in (deviation.kinds or (kind,))
        if meant and type(rule).__name__ in deviation.sizes:
            imitation = deviation.imitation(rule) if deviation.imitation else rule
            if imitation != rule or deviation.without:
                return deviation, imitation
    return None
