"""TensorFlow: gradients by GradientTape; the optimizer is Keras'."""

import os


def _check(backend: str) -> None:
    if backend != "tensorflow":
        raise ImportError(
            "samestep.frameworks.tensorflow must run on Keras' TensorFlow backend, "
            f"got {backend!r}; set the environment variable KERAS_BACKEND=tensorflow "
            "before keras is first imported"
        )


# Keras would import the backend that the variable names, which may not be installed.
_check(os.environ.get("KERAS_BACKEND") or "tensorflow")

import keras  # noqa: E402

_check(keras.backend.backend())  # which a configuration file may have chosen

from . import parts  # noqa: E402
from .frames import views  # noqa: E402
from .optimizer import Optimizer  # noqa: E402

__all__ = ["Optimizer", "parts", "views"]
