"""TensorFlow: gradients by GradientTape; the optimizer is Keras'."""

import os
import sys

_backend = sys.modules["keras"].backend.backend() if "keras" in sys.modules else os.environ.get("KERAS_BACKEND", "")
if _backend not in ("", "tensorflow"):
    raise ImportError(
        f"frameworks.tensorflow must run on Keras' TensorFlow backend, got {_backend!r}; "
        "set the environment variable KERAS_BACKEND=tensorflow before keras is first imported"
    )

from .optimizer import Optimizer  # noqa: E402  # after the check: another backend may not even be installed

__all__ = ["Optimizer"]
