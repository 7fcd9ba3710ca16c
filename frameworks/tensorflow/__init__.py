"""TensorFlow: gradients by GradientTape; the optimizer is Keras'."""

import keras

from .optimizer import Optimizer

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"frameworks.tensorflow must run on Keras' TensorFlow backend, got {keras.backend.backend()!r}; "
        "set the environment variable KERAS_BACKEND=tensorflow before keras is first imported"
    )

__all__ = ["Optimizer"]
