"""What is known of each library before it is loaded: needed packages, title, and modes."""

from collections.abc import Callable
from typing import NamedTuple

from samestep.frameworks.natives import FUSED, IMPLEMENTATIONS, KERAS_MODES, UNVARIED
from samestep.reference.dialects import onnx

KERNEL = "kernel"  # the mode in which TensorFlow's kernel gets exact numbers
# a native that converts matrices to bfloat16, kept from it
WITHOUT_BFLOAT16 = "for-loop without bfloat16"
WITHOUT_KERNEL = ("Nadam", "RMSprop")  # optimizers that Keras 2 computes by itself


class Library(NamedTuple):
    """A library that has natives.

    ``needs`` are the packages that must be installed, ``title`` is what the report calls the
    library's optimizers, and ``modes(name)`` are the implementations or modes of one native.
    """

    needs: tuple[str, ...]
    title: str
    modes: Callable[[str], list[str]]


def _of_pytorch(name: str) -> list[str]:
    """For-loop, foreach, and fused where there is one."""
    if name in UNVARIED:
        return ["for-loop", WITHOUT_BFLOAT16]
    return [kind for kind in IMPLEMENTATIONS if kind != "fused" or name in FUSED]


def _of_keras(name: str) -> list[str]:
    """Eager, graph, XLA."""
    return list(KERAS_MODES)


def _of_tf_keras(name: str) -> list[str]:
    """Eager, in a graph, and its kernel if Keras 2 uses one."""
    return ["eager", "graph"] if name in WITHOUT_KERNEL else ["eager", "graph", KERNEL]


def _of_tensorflow1(name: str) -> list[str]:
    """Eager, in a session, and its kernel.

    Ftrl has no eager mode here, because its learning rate cannot change between eager steps.
    """
    return ["session", KERNEL] if name == "FtrlOptimizer" else ["eager", "session", KERNEL]


def _of_optax(name: str) -> list[str]:
    """Eager and compiled."""
    return ["eager", "jit"]


def _of_onnx(name: str) -> list[str]:
    """There is only the evaluator."""
    return ["evaluator"]


LIBRARIES = {  # by dialect
    "pytorch": Library(("torch",), "torch.optim", _of_pytorch),
    "keras": Library(("tensorflow", "keras"), "keras.optimizers", _of_keras),
    "tf_keras": Library(("tensorflow", "tf_keras"), "tf_keras.optimizers.legacy", _of_tf_keras),
    "tensorflow1": Library(("tensorflow",), "tf.compat.v1.train", _of_tensorflow1),
    "optax": Library(("optax", "jax"), "optax", _of_optax),
    "onnx": Library(("onnx",), f"onnx.reference {onnx.prefix}", _of_onnx),
}
