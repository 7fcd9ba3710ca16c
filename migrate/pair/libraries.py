"""What differs between Keras 3 and tf_keras (Keras 2) for who records a model's calls."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import keras
import tensorflow as tf
from keras.src.layers.layer import Layer
from keras.src.ops.operation import Operation

Observe = Callable[[Any, Any, Any, Any], Any]  # (operation, original call, args, kwargs)


class Library(Protocol):
    """How the recorder sees the layers and variables of a model."""

    prefix: str  # of the modules of the library's own layers

    def patched(self, observe: Observe) -> contextlib.AbstractContextManager[None]:
        """Send every call of a layer or operation through ``observe`` while the block runs."""
        ...

    def name_of(self, variable: Any) -> str:
        """The path of a variable."""
        ...

    def tensor_of(self, variable: Any) -> Any:
        """What a gradient tape watches."""
        ...

    def path_of(self, operation: Any) -> str:
        """The path of a layer in the model, or the name of an operation."""
        ...

    def is_container(self, operation: Any) -> bool:
        """True for a layer that has layers."""
        ...


class Keras3:
    """Keras 3: layers and operations, each with its path."""

    prefix = "keras."

    def __init__(self, model: Any) -> None:
        self.model = model

    @contextlib.contextmanager
    def patched(self, observe: Observe) -> Iterator[None]:
        """Patch ``Layer.__call__`` and ``Operation.__call__``."""
        layer_call, operation_call = Layer.__call__, Operation.__call__

        def call_layer(layer: Any, *args: Any, **kwargs: Any) -> Any:
            return observe(layer, layer_call, args, kwargs)

        def call_operation(operation: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(operation, Layer):
                return operation_call(operation, *args, **kwargs)
            return observe(operation, operation_call, args, kwargs)

        Layer.__call__, Operation.__call__ = call_layer, call_operation
        try:
            yield
        finally:
            Layer.__call__, Operation.__call__ = layer_call, operation_call

    def name_of(self, variable: Any) -> str:
        """The path of a variable."""
        return str(variable.path)

    def tensor_of(self, variable: Any) -> Any:
        """The TensorFlow variable inside."""
        return variable.value

    def path_of(self, operation: Any) -> str:
        """The path of a layer in the model, or the name of an operation."""
        return getattr(operation, "path", None) or operation.name

    def is_container(self, operation: Any) -> bool:
        """True for a layer that has layers."""
        return isinstance(operation, Layer) and bool(operation._layers)


class TfKeras:
    """Keras 2 as tf_keras: layers alone, whose paths are those of their attributes."""

    prefix = "tf_keras."

    def __init__(self, model: Any) -> None:
        self.model = model
        self._paths: dict[int, str] = {}

    @contextlib.contextmanager
    def patched(self, observe: Observe) -> Iterator[None]:
        """Patch ``Layer.__call__``."""
        import tf_keras

        kind = tf_keras.layers.Layer
        original = kind.__call__

        def call_layer(layer: Any, *args: Any, **kwargs: Any) -> Any:
            return observe(layer, original, args, kwargs)

        kind.__call__ = call_layer
        try:
            yield
        finally:
            kind.__call__ = original

    def name_of(self, variable: Any) -> str:
        """The name of a variable, which is a path of names."""
        return str(variable.name).partition(":")[0]

    def tensor_of(self, variable: Any) -> Any:
        """The variable itself."""
        return variable

    def path_of(self, operation: Any) -> str:
        """The names of the layers from the model down to this one."""
        if id(operation) not in self._paths:
            self._paths = {}
            self._number(self.model, "")
        return self._paths.get(id(operation), operation.name)

    def _number(self, layer: Any, above: str) -> None:
        path = f"{above}/{layer.name}" if above else layer.name
        same = [each for each in self._paths.values() if each.partition("#")[0] == path]
        self._paths[id(layer)] = f"{path}#{len(same) + 1}" if same else path
        for inner in layer._flatten_layers(recursive=False, include_self=False):
            if id(inner) not in self._paths:
                self._number(inner, path)

    def is_container(self, operation: Any) -> bool:
        """True for a layer that has layers."""
        return any(True for _ in operation._flatten_layers(recursive=False, include_self=False))


def library_of(model: Any) -> Library:
    """The library that a Keras model is made with."""
    bases = [base.__module__ for base in type(model).__mro__]
    is_old = any(module.startswith("tf_keras.") for module in bases)
    return TfKeras(model) if is_old else Keras3(model)


@contextlib.contextmanager
def keras_dtype(dtype: str) -> Iterator[None]:
    """Make ``dtype`` Keras' global dtype; both settings, since a policy is cached by layers.

    The same for tf_keras, if it is imported.
    """
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    old = sys.modules.get("tf_keras")
    if old is not None:
        old_before = old.backend.floatx(), old.mixed_precision.global_policy()
        old.backend.set_floatx(dtype)
        old.mixed_precision.set_global_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])
        if old is not None:
            old.backend.set_floatx(old_before[0])
            old.mixed_precision.set_global_policy(old_before[1])


def clear_session() -> None:
    """Let the names of layers be counted from the start again, in each library that is there."""
    keras.backend.clear_session()
    if "tf_keras" in sys.modules:
        sys.modules["tf_keras"].backend.clear_session()


def dtype_of(variable: Any) -> str:
    """The name of a variable's dtype."""
    return tf.as_dtype(variable.dtype).name
