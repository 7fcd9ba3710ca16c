"""Deviations: the known mistakes of natives, each with its cause, size and link.

A native is an optimizer that a framework ships. It makes a mistake where it does otherwise than its
dialect says.

A cause is proved by a rule that makes the same mistake. A native is excused only if it agrees with
that rule as closely as other natives must agree with the right one.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

from samestep.reference import Rule

from . import imitations

CAST = "https://github.com/tensorflow/tensorflow/issues/35938"
HYPER = "https://github.com/tensorflow/tensorflow/issues/45558"
POWER = "https://github.com/google-deepmind/optax/blob/v0.2.8/optax/tree_utils/_tree_math.py"
RPROP = "https://github.com/google-deepmind/optax/pull/1725"
SLOTS = "https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/training/adam.py"
KERNEL = (
    "https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/core/kernels/training_ops.cc"
)
ATTRIBUTES = "https://github.com/onnx/onnx/blob/v1.23.2/onnx/onnx.proto"


@dataclasses.dataclass(frozen=True)
class Deviation:
    """A known mistake of the natives of one dialect, in one dtype.

    ``script`` is the name of the script in ``reproductions`` that shows it; ``cause`` is a sentence
    and ``link`` leads to the upstream source or thread, "" if none is known.

    ``sizes`` names the rules that are affected. It has, for each, the largest distance measured
    over ``samestep.parity.measure.cases`` in a trial of the default length, as a share of the path
    travelled, rounded up to two digits. A native that is farther off in such a trial is not
    excused. A size of 0 means that rounding hides the mistake in all of those trials, though not in
    others; in those trials the native must agree with the right rule.

    ``imitation`` turns the right rule into one that makes the same mistake, or returns the rule
    unchanged if the mistake does not affect it. ``scalars_in`` is the dtype in which the native
    computes its scalars. ``modes`` are the implementations or modes that are affected; empty means
    all. If no rule can make the mistake digit for digit, ``imitation`` is None and
    ``repaired_mode`` is a mode in which the cause is removed, and which must agree.
    """

    script: str
    dialect: str
    dtype: str
    cause: str
    link: str
    sizes: dict[str, float]
    imitation: Callable[[Rule], Rule] | None
    scalars_in: str
    modes: tuple[str, ...] = ()
    repaired_mode: str = ""

    def affects(self, dialect: str, mode: str, dtype: str, rule: Rule) -> bool:
        """True if natives of this dialect, mode and dtype that follow the rule make the mistake."""
        is_mode = not self.modes or mode in self.modes
        is_rule = type(rule).__name__ in self.sizes
        return (self.dialect, self.dtype) == (dialect, dtype) and is_mode and is_rule


class KnownDeviation(NamedTuple):
    """A deviation of one native, and the rule that makes its mistake.

    ``imitation`` is the right rule itself where no rule can make the mistake.
    """

    deviation: Deviation
    imitation: Rule


DEVIATIONS = (
    Deviation(
        script="torch_nadam_product",
        dialect="pytorch",
        dtype="float64",
        cause="the product of all momentum coefficients is kept in float32",
        link="",
        sizes={"NAdam": 2.5e-9},
        imitation=imitations.torch_nadam,
        scalars_in="float64",
    ),
    Deviation(
        script="torch_asgd_float32",
        dialect="pytorch",
        dtype="float64",
        cause="the learning rate is kept in float32",
        link="",
        sizes={"ASGD": 1.4e-8},
        imitation=imitations.torch_asgd,
        scalars_in="float64",
        modes=("for-loop",),
    ),
    Deviation(
        script="torch_asgd_float32",
        dialect="pytorch",
        dtype="float64",
        cause="the learning rate is kept, and its decay computed, in float32",
        link="",
        sizes={"ASGD": 5.5e-9},
        imitation=imitations.torch_asgd,
        scalars_in="float32",
        modes=("foreach",),
    ),
    *(
        Deviation(
            script="torch_muon_bfloat16",
            dialect="pytorch",
            dtype=dtype,
            cause="matrices are iterated in bfloat16, whatever the dtype of the weights",
            link="",
            sizes={"Muon": 1.1e-2},
            imitation=None,
            scalars_in=dtype,
            modes=("for-loop",),
            repaired_mode="for-loop without bfloat16",
        )
        for dtype in ("float32", "float64")
    ),
    *(
        Deviation(
            script="keras_schedule_free_point",
            dialect="keras",
            dtype=dtype,
            cause=(
                "the average is computed from the point after the step instead of the point "
                "before: on TensorFlow momentum.value is no copy, so the point before is lost"
            ),
            link="",
            sizes={"ScheduleFree": size},
            imitation=imitations.keras_schedule_free[dtype],
            scalars_in=dtype,
        )
        for dtype, size in (("float32", 7.4e-2), ("float64", 2.4e-2))
    ),
    *(
        Deviation(
            script="keras_adafactor_relative_step",
            dialect="keras",
            dtype=dtype,
            cause=(
                "the learning rate is capped at 1/sqrt(t) a second time, whatever "
                "relative_step says"
            ),
            link="",
            sizes={"Adafactor": 3.0e-3},
            imitation=imitations.keras_adafactor[dtype],
            scalars_in=dtype,
        )
        for dtype in ("float32", "float64")
    ),
    Deviation(
        script="keras_float64_betas",
        dialect="keras",
        dtype="float64",
        cause=(
            "Keras hands betas, momentum, the initial accumulator, weight decay and "
            "Adafactor's epsilon_2 to tf.cast, which takes a Python number through float32 "
            "on its way to float64"
        ),
        link=CAST,
        sizes={
            "SGD": 4.2e-10,
            "Adagrad": 1.4e-9,
            "FTRL": 3.7e-10,
            "RMSprop": 6.8e-14,
            "Adam": 6.7e-6,
            "Adamax": 2.4e-7,
            "NAdam": 1.8e-8,
            "Lion": 1.3e-12,
            "LAMB": 1.6e-6,
            "Adadelta": 0.0,
            "Adafactor": 0.0,
            "Muon": 0.0,
        },
        imitation=imitations.keras_float64,
        scalars_in="float64",
    ),
    Deviation(
        script="keras_float32_betas",
        dialect="keras",
        dtype="float32",
        cause=(
            "Keras computes 1 - beta^t in the variable's dtype, from betas rounded to it: 1 "
            "- 0.999 is 1.3e-5 off"
        ),
        link=CAST,
        sizes={"Adam": 1.5e-6, "LAMB": 0.0, "Muon": 0.0},
        imitation=imitations.keras_float32,
        scalars_in="float32",
    ),
    Deviation(
        script="tf_keras_float32_numbers",
        dialect="tf_keras",
        dtype="float64",
        cause=(
            "Keras 2 keeps every hyperparameter but epsilon and the initial accumulator in a "
            "float32 variable"
        ),
        link=HYPER,
        sizes={
            "SGD": 4.2e-10,
            "Adadelta": 1.2e-7,
            "RMSprop": 1.2e-7,
            "Adam": 1.1e-6,
            "Adamax": 7.4e-8,
            "NAdam": 9.4e-9,
            "FTRL": 4.5e-11,
        },
        imitation=imitations.tf_keras,
        scalars_in="float64",
        modes=("eager", "graph"),
    ),
    Deviation(
        script="tensorflow_kernel_rest",
        dialect="tf_keras",
        dtype="float32",
        cause=(
            "betas rounded to float32 are subtracted from 1, in the kernel: 1 - 0.999 is 1.3e-5 off"
        ),
        link=KERNEL,
        sizes={"Adam": 1.2e-6},
        imitation=imitations.float32_fields("beta1", "beta2"),
        scalars_in="float32",
    ),
    Deviation(
        script="tensorflow1_float32_numbers",
        dialect="tensorflow1",
        dtype="float64",
        cause=(
            "TensorFlow 1 makes every hyperparameter but the initial accumulator a float32 "
            "tensor, and multiplies up the powers of the betas in float32"
        ),
        link=SLOTS,
        sizes={
            "SGD": 4.2e-10,
            "Adadelta": 1.3e-7,
            "RMSprop": 5.1e-8,
            "Adam": 1.2e-6,
            "FTRL": 4.8e-11,
        },
        imitation=imitations.tensorflow1,
        scalars_in="float64",
        modes=("eager", "session"),
    ),
    Deviation(
        script="tensorflow1_float32_numbers",
        dialect="tensorflow1",
        dtype="float32",
        cause=(
            "TensorFlow 1 multiplies up the powers of the betas in float32, and its kernel "
            "subtracts rounded betas from 1"
        ),
        link=SLOTS,
        sizes={"Adam": 2e-6},
        imitation=imitations.tensorflow1,
        scalars_in="float32",
        modes=("eager", "session"),
    ),
    Deviation(
        script="tensorflow_kernel_rest",
        dialect="tensorflow1",
        dtype="float32",
        cause=(
            "betas rounded to float32 are subtracted from 1, in the kernel: 1 - 0.999 is 1.3e-5 off"
        ),
        link=KERNEL,
        sizes={"Adam": 2e-6},
        imitation=imitations.float32_fields("beta1", "beta2"),
        scalars_in="float32",
        modes=("kernel",),
    ),
    *(
        Deviation(
            script="tensorflow_ftrl_zero",
            dialect=dialect,
            dtype=dtype,
            cause=(
                "TensorFlow's kernel puts 0 where the equation divides 0 by 0: no gradient yet, "
                "and an accumulator that starts at 0"
            ),
            link=KERNEL,
            sizes={"FTRL": 0.0},
            imitation=imitations.tensorflow_ftrl(convert),
            scalars_in="float64",
        )
        for dialect, dtype, convert in (
            ("tf_keras", "float32", None),
            ("tf_keras", "float64", imitations.tf_keras),
            ("tensorflow1", "float32", None),
            ("tensorflow1", "float64", imitations.tensorflow1),
        )
    ),
    Deviation(
        script="optax_float32_powers",
        dialect="optax",
        dtype="float32",
        cause="optax computes 1 - beta^t in float32: 1 - 0.999 is 1.3e-5 off",
        link=POWER,
        sizes={"Adam": 1.5e-6, "NAdam": 2.1e-6},
        imitation=imitations.float32_betas,
        scalars_in="float32",
    ),
    Deviation(
        script="optax_radam_rectifier",
        dialect="optax",
        dtype="float32",
        cause=(
            "the length of memory is a difference of float32 numbers that nearly cancel: its "
            "root is 1.2 % off at step 6"
        ),
        link="",
        sizes={"RAdam": 9.4e-6},
        imitation=imitations.float32_betas,
        scalars_in="float32",
    ),
    *(
        Deviation(
            script="optax_rprop_stale",
            dialect="optax",
            dtype=dtype,
            cause="each step is the one before, and the first is none",
            link=RPROP,
            sizes={"Rprop": 1.0},
            imitation=imitations.optax_rprop,
            scalars_in="float64",
        )
        for dtype in ("float32", "float64")
    ),
    Deviation(
        script="onnx_float32_attributes",
        dialect="onnx",
        dtype="float64",
        cause="ONNX keeps attributes as float32",
        link=ATTRIBUTES,
        sizes={"SGD": 1.2e-9, "Adagrad": 2.1e-10, "Adam": 1.4e-6},
        imitation=imitations.onnx,
        scalars_in="float64",
    ),
    Deviation(
        script="onnx_float32_attributes",
        dialect="onnx",
        dtype="float32",
        cause="ONNX keeps attributes as float32: 1 - 0.999 is 1.3e-5 off",
        link=ATTRIBUTES,
        sizes={"Adam": 1.4e-6},
        imitation=imitations.onnx,
        scalars_in="float32",
    ),
)


def find(dialect: str, mode: str, dtype: str, rule: Rule) -> KnownDeviation | None:
    """The known deviation of natives of this dialect, mode and dtype that follow the rule.

    None if there is none.
    """
    for deviation in DEVIATIONS:
        if deviation.affects(dialect, mode, dtype, rule):
            imitation = deviation.imitation(rule) if deviation.imitation else rule
            if imitation != rule or deviation.repaired_mode:
                return KnownDeviation(deviation, imitation)
    return None
