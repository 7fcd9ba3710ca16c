"""One training step of a Keras model on TensorFlow, eager, with every call recorded.

The calls of layers and operations are patched while a step runs, so that sequential, functional,
nested and subclassed models are seen alike, those of tf_keras as well. An activation that belongs
to a layer is a call of its own.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from . import kinds
from .exchange import Exchange
from .kinds import Kind
from .libraries import Library, dtype_of, library_of
from .record import Call, Step, shared_uniform
from .shared import (
    Batch,
    MaskLayout,
    PairError,
    Put,
    Putting,
    described,
    in_order,
    named_leaves,
    no_layout,
    nothing,
    structure_of,
    users_code,
)

SETTINGS = (
    "epsilon", "momentum", "axis", "trainable", "rate", "negative_slope", "strides", "padding",
    "dilation_rate", "groups", "kernel_size", "pool_size", "num_heads", "key_dim", "use_bias",
    "go_backwards", "return_sequences", "reset_after", "data_format", "depth_multiplier", "units",
    "filters", "max_value", "threshold", "alpha", "interpolation", "size", "scale", "center",
    "output_padding", "recurrent_activation", "mask_zero", "input_dim", "output_dim", "rms_scaling",
    "fused",
)  # fmt: skip
FUSED = ("linear", "conv", "convt")  # kinds whose own activation is told apart
SEPARABLE = ("SeparableConv1D", "SeparableConv2D")
PARTS = (".activation", ".depthwise", ".pointwise")
Part = tuple[str, dict[str, str]]  # the end of the name, and variables by role


class KerasSide:
    """A Keras model with its loss, ready to run steps."""

    name = "keras"

    def __init__(self, model: Any, loss: Callable[..., Any]) -> None:
        self.model = model
        self.loss = loss
        self.dtype: str = keras.config.floatx()
        self.library = library_of(model)
        self._names: dict[int, str] | None = None  # once the model is built
        self._floating: dict[str, Any] | None = None
        self.before: Callable[[Call], None] = nothing  # called before a recorded layer runs
        self.mask_layout: MaskLayout = no_layout
        self.output_gradients: Callable[[int, np.ndarray], np.ndarray | None] | None = None
        self.output_order: list[str] = []  # of the names of outputs, as the other side has them
        self.ignores_added_losses = False
        self.forward_only = False  # True while the map is looked for
        self.attention_is_whole = True  # False: what is inside attention is looked at
        refuse_random(model, self.library)

    @property
    def names(self) -> dict[int, str]:
        """The unique name of each variable, by id: its path, and "#2" for a second of that path."""
        if self._names is not None:
            return self._names
        names: dict[int, str] = {}
        counts: dict[str, int] = {}
        for variable in self.model.variables:
            name = self.library.name_of(variable)
            count = counts[name] = counts.get(name, 0) + 1
            names[id(variable)] = f"{name}#{count}" if count > 1 else name
        return names

    def _by_name(self) -> dict[str, Any]:
        """The float variables by name; Keras takes long to collect them, so they are noted."""
        if self._floating is not None:
            return self._floating
        names = self.names
        pairs = [(names[id(variable)], variable) for variable in self.model.variables]
        return {name: v for name, v in pairs if "float" in str(v.dtype)}

    @property
    def trained(self) -> list[str]:
        """The names of the variables that are trained."""
        names = self.names
        return [names[id(variable)] for variable in self.model.trainable_variables]

    def state(self) -> dict[str, np.ndarray]:
        """A copy of every float variable by name."""
        return {name: np.array(variable.numpy()) for name, variable in self._by_name().items()}

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Set those variables that ``state`` has."""
        variables = self._by_name()
        for name, value in state.items():
            if name in variables:
                variables[name].assign(value)

    def require_dtype(self) -> None:
        """PairError if a variable is not of Keras' global dtype."""
        expected = keras.config.floatx()
        for name, variable in self._by_name().items():
            if dtype_of(variable) != expected:
                raise PairError(
                    f"the Keras model must be built in {expected} for the comparison, but {name} "
                    f"is {dtype_of(variable)}; leave the layer's dtype to the global policy"
                )

    def build(self, batch: Batch) -> None:
        """Call the model once, as in evaluation, so that all its variables exist."""
        with _eagerly(), users_code("the Keras model's forward pass"):
            self.model(_tensors_of(batch.inputs), training=False)
        self._names = self.names
        self._floating = self._by_name()

    def run(self, batch: Batch, put: Putting | None = None, masks: int = 0) -> Step:
        """Forward and backward pass. ``masks`` chooses the masks of dropout."""
        step = Step(before=self.state())
        inputs = _tensors_of(batch.inputs)
        targets = _tensors_of(batch.targets)
        rest = [_tensors_of(batch.weights)] if batch.weights is not None else []
        recorder = _Recorder(self, step, put, masks)
        watched = [t for t in tf.nest.flatten(inputs) if t.dtype.is_floating]
        with _eagerly(), tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(watched)
            variables = list(self.model.trainable_variables)
            tensors = [self.library.tensor_of(variable) for variable in variables]
            tape.watch(tensors)
            with recorder.patched(), users_code("the Keras model's forward pass"):
                output = self.model(inputs, training=True)
            output = self._note_outputs(step, output)
            if self.forward_only:
                return step
            with users_code("the Keras loss"):
                loss = self._reduced(self.loss(targets, output, *rest))
            added = [] if self.ignores_added_losses else self.model.losses
            extra = [tf.cast(each, loss.dtype) for each in added]
            step.added_loss = float(sum(extra)) if extra else 0.0
            loss = tf.add_n([loss, *extra])
        gradients = tape.gradient(loss, tensors)
        step.loss = float(loss)
        names = self.names
        for variable, gradient in zip(variables, gradients, strict=True):
            if gradient is not None:
                step.gradients[names[id(variable)]] = _array(gradient)
        step.after_forward = self.state()
        self._require_one_dtype(step, str(loss.dtype.name))
        return step

    def layer_of(self, call: Call) -> Any:
        """The live layer of a call; None for an operation that is none."""
        path = call.owner
        for part in PARTS:
            path = path.removesuffix(part)
        for layer in self.model._flatten_layers():
            if self.library.path_of(layer) == path:
                return layer
        return None

    def known_differences(self, in_pytorch: Call, in_keras: Call, layer: Any) -> Iterator[Exchange]:
        """What could make a layer the same as PyTorch's."""
        from .exchanges import exchanges_for

        return exchanges_for(in_pytorch, in_keras, layer)

    def free_loss(self, batch: Batch, masks: int) -> float:
        """The loss of a plain forward pass, with the masks of dropout that both sides draw."""
        rest = [_tensors_of(batch.weights)] if batch.weights is not None else []
        recorder = _Recorder(self, Step(), None, masks)
        with _eagerly(), recorder.patched():
            output = self.model(_tensors_of(batch.inputs), training=True)
            loss = self._reduced(self.loss(_tensors_of(batch.targets), output, *rest))
            return float(loss) + sum(float(each) for each in self.model.losses)

    def _require_one_dtype(self, step: Step, of_loss: str) -> None:
        """PairError if a layer or the loss leaves float64; float32 is the last resort."""
        if self.dtype != "float64":
            return
        for call in step.calls:
            if call.output.dtype != np.float64:
                raise PairError(
                    "the Keras model must run in float64, but "
                    f"{call.name} gives {call.output.dtype}"
                )
        if of_loss != "float64":
            raise PairError(f"the Keras loss must be computed in float64, but it is {of_loss}")

    def _reduced(self, loss: Any) -> Any:
        """The loss as one number: losses of samples are averaged, as ``compile`` does."""
        if not tf.is_tensor(loss):
            raise PairError(f"the Keras loss must return a tensor, got {described(loss)}")
        return tf.reduce_mean(loss) if loss.shape.rank else loss

    def _note_outputs(self, step: Step, output: Any) -> Any:
        named = named_leaves(output, tf.is_tensor)
        floating = [(name, tensor) for name, tensor in named if tensor.dtype.is_floating]
        floating = in_order(floating, self.output_order)
        step.output_names = [name for name, _ in floating]
        step.structure = structure_of(step.output_names)
        step.outputs = [_array(tensor) for _, tensor in floating]
        step.output_gradients = [None] * len(floating)
        noted = {}
        for number, (_, tensor) in enumerate(floating):
            gradient = None
            if self.output_gradients:
                gradient = self.output_gradients(number, step.outputs[number])
            noted[id(tensor)] = _put_in(tensor, Put(None, gradient), _noting(step, number))
        return tf.nest.map_structure(lambda t: noted.get(id(t), t), output)


class _Recorder:
    """Writes every call of a model into ``step.calls``."""

    def __init__(self, side: KerasSide, step: Step, put: Putting | None, masks: int) -> None:
        self.side = side
        self.step = step
        self.put = put
        self.masks = masks
        self.names = side.names
        self.depth = 0
        self.counts: dict[str, int] = {}
        self.dropouts = 0
        self.own = {id(layer) for layer in side.model._flatten_layers()}

    def patched(self) -> contextlib.AbstractContextManager[None]:
        """Record while the block runs."""
        return self.side.library.patched(self.observe)

    def kind_of(self, operation: Any, kwargs: dict[str, Any]) -> Kind | None:
        """The kind of a layer or operation; None for a container."""
        if type(operation).__name__ == "Activation":
            return _kind_of_activation(operation.activation)
        if type(operation).__name__ == "ReversibleEmbedding" and kwargs.get("reverse"):
            return Kind("linear", "reverse")
        if type(operation).__name__ == "Dropout" and not operation.rate:
            return Kind("identity")
        for base in type(operation).__mro__:
            if base.__name__ in SEPARABLE:
                return Kind("separable")
            known = kinds.KERAS.get(base.__name__)
            if known and base.__module__.startswith(self.side.library.prefix):
                if known.kind == "mha" and not self.side.attention_is_whole:
                    return None
                return known
        if operation is self.side.model or self.side.library.is_container(operation):
            return None
        return Kind(kinds.UNKNOWN, type(operation).__name__)

    def observe(self, operation: Any, original: Any, args: Any, kwargs: Any) -> Any:
        """Call a layer or operation, and record the call if it is one to be seen."""
        symbolic = any(isinstance(each, keras.KerasTensor) for each in tf.nest.flatten(args))
        known = None if self.depth or symbolic else self.kind_of(operation, kwargs)
        is_layer = hasattr(operation, "variables")
        if known is None or (is_layer and id(operation) not in self.own):
            return original(operation, *args, **kwargs)
        self.depth += 1
        try:
            if known.kind == "separable":
                return self._separable(operation, args[0])
            call = self.begin(known, operation, (args, list(kwargs.values())))
            if call.kind == "dropout":
                return self.end(call, self._drop(call, operation, args[0]))
            with _split_groups(operation):
                if call.kind in FUSED and _has_activation(operation):
                    run = functools.partial(original, operation, *args, **kwargs)
                    return self._fused(call, operation, run)
                return self.end(call, original(operation, *args, **kwargs))
        finally:
            self.depth -= 1

    def _fused(self, call: Call, operation: Any, run: Callable[[], Any]) -> Any:
        """Run a layer with its activation as a call of its own."""
        activation = operation.activation

        def recorded(tensor: Any) -> Any:
            return self.activation(operation, activation, self.end(call, tensor))

        operation.__dict__["activation"] = recorded
        try:
            return run()
        finally:
            operation.__dict__["activation"] = activation

    def activation(self, operation: Any, activation: Any, tensor: Any) -> Any:
        """The call of an activation function that belongs to a layer."""
        part: Part = (".activation", {})
        call = self.begin(_kind_of_activation(activation), operation, [tensor], part)
        return self.end(call, activation(tensor))

    def _separable(self, layer: Any, x: Any) -> Any:
        """The two convolutions of a separable one, each a call of its own."""
        shape = {"data_format": layer.data_format}
        roles = {"kernel": self.names[id(layer.depthwise_kernel)]}
        call = self.begin(Kind("conv"), layer, [x], (".depthwise", roles))
        options = {"padding": layer.padding, "dilation_rate": layer.dilation_rate, **shape}
        y = keras.ops.depthwise_conv(x, layer.depthwise_kernel, layer.strides, **options)
        y = self.end(call, y)
        roles = {"kernel": self.names[id(layer.pointwise_kernel)]}
        if layer.use_bias:
            roles["bias"] = self.names[id(layer.bias)]
        call = self.begin(Kind("conv"), layer, [y], (".pointwise", roles))
        z = keras.ops.conv(y, layer.pointwise_kernel, **shape)
        if layer.use_bias:
            axes = [1] * z.shape.rank
            axes[-1 if layer.data_format == "channels_last" else 1] = -1
            z = z + tf.reshape(self.side.library.tensor_of(layer.bias), axes)
        z = self.end(call, z)
        return self.activation(layer, layer.activation, z) if _has_activation(layer) else z

    def _drop(self, call: Call, layer: Any, x: Any) -> Any:
        """Dropout with a mask that both sides draw, in the layout of the other side."""
        key = self.masks * 4096 + self.dropouts
        self.dropouts += 1
        layout = self.side.mask_layout(call)
        shape, carry = layout if layout else (tuple(x.shape), _same)
        uniform = carry(shared_uniform(key, shape))
        rate = float(layer.rate)
        scale = (uniform >= rate) / (1 - rate) if rate < 1 else np.zeros(uniform.shape)
        return x * tf.constant(scale, x.dtype)

    def begin(self, kind: Kind, operation: Any, args: Any, part: Part | None = None) -> Call:
        """The call that is about to run; of a part of a layer with the part's own variables."""
        owner = self.side.library.path_of(operation)
        owner += part[0] if part else ""
        tensors = [t for t in tf.nest.flatten(args) if tf.is_tensor(t)]
        arrays = [np.array(t.numpy()) for t in tensors if t.dtype != tf.bool]
        call = Call(-1, owner, owner, *kind, inputs=arrays)
        if part:
            call.parameters = part[1]
        elif hasattr(operation, "variables") and kind.kind != "act":
            call.parameters = roles_of(operation, self.names)
        call.settings = settings_of(operation)
        if kind.kind not in kinds.LAYOUT:
            self.side.before(call)
        return call

    def end(self, call: Call, output: Any) -> Any:
        """Note the output of a call, and put in another one."""
        listed = isinstance(output, tuple | list)
        tensor = output[0] if listed and len(output) else output
        if call.kind in kinds.LAYOUT or not tf.is_tensor(tensor) or not tensor.dtype.is_floating:
            return output
        count = self.counts[call.owner] = self.counts.get(call.owner, 0) + 1
        call.name = f"{call.owner}#{count}" if count > 1 else call.owner
        call.index = len(self.step.calls)
        call.output = np.array(tensor.numpy())
        self.step.calls.append(call)

        def note(gradient: Any) -> None:
            call.gradient = _array(gradient)

        put = self.put(call) if self.put else None
        new = _put_in(tensor, put or Put(), note)
        mask = keras.src.backend.get_keras_mask(tensor)
        if mask is not None:
            keras.src.backend.set_keras_mask(new, mask)
        if not listed:
            return new
        rest = list(output[1:])
        if (
            call.kind in ("lstm", "gru", "rnn") and rest
        ):  # so that its gradient arrives at the output
            rest[0] = new if new.shape.rank == 2 else new[:, -1]
        return type(output)([new, *rest])


@contextlib.contextmanager
def _split_groups(layer: Any) -> Iterator[None]:
    """Run a grouped convolution by groups: TensorFlow has no gradient for the whole on CPUs."""
    groups = getattr(layer, "groups", 1)
    if not hasattr(layer, "convolution_op") or groups == 1 or "call" in layer.__dict__:
        yield
        return
    convolve = layer.convolution_op
    axis = -1 if layer.data_format == "channels_last" else 1

    def split(inputs: Any, kernel: Any) -> Any:
        parts = zip(tf.split(inputs, groups, axis), tf.split(kernel, groups, -1), strict=True)
        return tf.concat([convolve(x, part) for x, part in parts], axis)

    layer.__dict__["convolution_op"] = split
    try:
        yield
    finally:
        del layer.__dict__["convolution_op"]


def _same(array: np.ndarray) -> np.ndarray:
    return array


def _array(tensor: Any) -> np.ndarray:
    return np.array(tf.convert_to_tensor(tensor).numpy())


def _noting(step: Step, number: int) -> Callable[[Any], None]:
    def note(gradient: Any) -> None:
        step.output_gradients[number] = _array(gradient)

    return note


def _put_in(tensor: Any, put: Put, note: Callable[[Any], None]) -> Any:
    """An identity that hands on another value, and on the way back another gradient."""

    @tf.custom_gradient
    def identity(own: Any) -> Any:
        def back(gradient: Any) -> Any:
            note(gradient)
            return gradient if put.gradient is None else tf.constant(put.gradient, own.dtype)

        return tf.identity(own) if put.output is None else tf.constant(put.output, own.dtype), back

    return identity(tensor)


def _kind_of_activation(activation: Any) -> Kind:
    name = getattr(activation, "__name__", type(activation).__name__)
    if name == "linear":
        return Kind("identity")
    known = kinds.KERAS.get(name)
    return known if known and known.kind == "act" else Kind("act", name)


def _has_activation(layer: Any) -> bool:
    activation = getattr(layer, "activation", None)
    return activation is not None and getattr(activation, "__name__", "") != "linear"


def roles_of(layer: Any, names: dict[int, str]) -> dict[str, str]:
    """The variables of a layer by role, such as kernel; query/kernel where kernel is not unique."""
    own = [v for v in layer.variables if id(v) in names]
    own = [variable for variable in own if "seed_generator" not in names[id(variable)]]
    last = [names[id(variable)].partition("#")[0].split("/")[-1] for variable in own]
    roles: dict[str, str] = {}
    for variable in own:
        parts = names[id(variable)].partition("#")[0].split("/")
        role = parts[-1] if last.count(parts[-1]) == 1 else "/".join(parts[-2:])
        roles[role] = names[id(variable)]
    return roles


def settings_of(operation: Any) -> dict[str, Any]:
    """The plain values among the known attributes of a layer."""
    settings: dict[str, Any] = {}
    for name in SETTINGS:
        value = getattr(operation, name, ...)
        if isinstance(value, tuple | list) and all(isinstance(each, int) for each in value):
            settings[name] = list(value)
        elif value is None or isinstance(value, int | float | str | bool):
            settings[name] = value
        elif callable(value):
            settings[name] = getattr(value, "__name__", "")
    return settings


def _tensors_of(tree: Any) -> Any:
    """The arrays as tensors, floating ones in Keras' global dtype."""
    if isinstance(tree, dict):
        return {key: _tensors_of(each) for key, each in tree.items()}
    if isinstance(tree, list | tuple):
        return [_tensors_of(each) for each in tree]
    if tree is None:
        return None
    array = np.asarray(tree)
    return tf.convert_to_tensor(array, keras.config.floatx() if array.dtype.kind == "f" else None)


@contextlib.contextmanager
def _eagerly() -> Iterator[None]:
    """Run functions that the user decorated with tf.function eagerly, so that they are seen."""
    before = tf.config.functions_run_eagerly()
    if not before:
        tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        if not before:
            tf.config.run_functions_eagerly(False)


def refuse_random(model: Any, library: Library | None = None) -> None:
    """PairError for a layer with random numbers that the two sides cannot share."""
    library = library or library_of(model)
    for layer in model._flatten_layers():
        kind = type(layer).__name__
        path = library.path_of(layer)
        what = ""
        if getattr(layer, "rate", None) == 0:
            continue
        if kind in kinds.RANDOM_KERAS:
            what = f"the layer {path} ({kind})"
        elif kind == "Dropout" and layer.noise_shape:
            what = f"noise_shape of {path}"
        elif kind == "MultiHeadAttention" and layer._dropout:
            what = f"dropout inside the attention of {path}"
        elif getattr(layer, "recurrent_dropout", 0) or (
            kind in ("LSTM", "GRU", "SimpleRNN") and getattr(layer, "dropout", 0)
        ):
            what = f"dropout inside {path}"
        if what:
            raise PairError(
                f"{what} cannot have the same random numbers on both sides; set its rate to 0 for "
                "this comparison. Plain dropout layers run with the same masks"
            )
