"""The optimizers that Keras ships, built from a dialect's call."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from samestep.frameworks.natives import KERAS_MODES
from samestep.reference.dialects import Call

MODES = KERAS_MODES


def optimizer(variables: Sequence[Any], call: Call) -> keras.optimizers.Optimizer:
    """``keras.optimizers.<call.name>``, built for ``variables``."""
    native = getattr(keras.optimizers, call.name)(**call.arguments)
    native.build(list(variables))
    return native


def in_mode(
    optimizer: keras.optimizers.Optimizer, mode: str
) -> Callable[[Sequence[tf.Tensor]], None]:
    """The ``apply`` of any Keras optimizer on a list of gradients, in one of ``MODES``."""
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    if mode == "eager":
        return optimizer.apply

    @tf.function(jit_compile=mode == "xla", autograph=False)
    def apply(gradients: Sequence[tf.Tensor]) -> None:
        optimizer.apply(gradients)

    return apply
