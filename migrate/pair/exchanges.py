"""Known differences of conventions, put in place of B's on the live layer.

Each exchange is tried alone. It is the cause only if the finding is gone under it. The rows of
``samestep.reference.conventions`` are named where there is one.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .exchange import Exchange
from .record import Call


def exchanges_for(a: Call, b: Call, layer: Any) -> Iterator[Exchange]:
    """What could make B's layer the same as A's, the likeliest first."""
    make = _BY_KIND.get(b.kind)
    if make:
        yield from make(a, b, layer)


def _norm(a: Call, b: Call, layer: Any) -> Iterator[Exchange]:
    eps = a.settings.get("eps", ...)
    if eps is None:
        eps = float(np.finfo(np.float64).eps)
    if eps is not ... and eps != layer.epsilon:
        yield Exchange(
            f"epsilon is {layer.epsilon} in Keras and {eps} in PyTorch: write "
            f"{type(layer).__name__}(epsilon={eps}) in Keras, or eps={layer.epsilon} in PyTorch",
            {"epsilon": eps},
            "norm-epsilon" if b.kind != "bn" else "batchnorm-defaults",
        )
    groups = a.settings.get("num_groups")
    if b.kind == "gn" and groups and groups != layer.groups:
        yield Exchange(
            f"groups is {layer.groups} in Keras and {groups} in PyTorch: write groups={groups} in "
            "Keras",
            {"groups": groups},
        )


def _batchnorm(a: Call, b: Call, layer: Any) -> Iterator[Exchange]:
    yield from _norm(a, b, layer)
    momentum = a.settings.get("momentum")
    if momentum is not None and layer.momentum != 1 - momentum:
        yield Exchange(
            f"momentum is {layer.momentum} in Keras and {momentum} in PyTorch, where it is the "
            f"share of the new statistics: write momentum={1 - momentum:.12g} in Keras, or "
            f"momentum={1 - layer.momentum:.12g} in PyTorch",
            {"momentum": 1 - momentum},
            "batchnorm-defaults",
        )
    if not layer.trainable:
        yield Exchange(
            "the layer has trainable=False in Keras, so it uses its stored statistics: call eval() "
            "on PyTorch's layer, or leave Keras' trainable",
            {"_trainable": True},
            "batchnorm-frozen",
        )
    if a.settings.get("training") is False:
        call = layer.call
        yield Exchange(
            "the layer is in eval mode in PyTorch, so it uses its stored statistics: set "
            "trainable=False in Keras, or leave PyTorch's in training mode",
            {"call": lambda x, training=None, mask=None: call(x, training=False)},
            "batchnorm-frozen",
        )


def _leaky(slope: float) -> Callable[[Any], Any]:
    return lambda x: tf.where(x > 0, x, tf.constant(slope, x.dtype) * x)


def _exact_gelu(x: Any) -> Any:
    root = tf.constant(np.sqrt(0.5), x.dtype)
    return x * tf.constant(0.5, x.dtype) * (1 + tf.math.erf(x * root))


ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": tf.nn.relu,
    "relu6": tf.nn.relu6,
    "gelu": _exact_gelu,
    "gelu with approximate='tanh'": lambda x: keras.activations.gelu(x, True),
    "tanh": tf.tanh,
    "sigmoid": tf.sigmoid,
    "silu": tf.nn.silu,
    "elu": tf.nn.elu,
    "selu": tf.nn.selu,
    "softplus": tf.nn.softplus,
    "mish": lambda x: x * tf.tanh(tf.nn.softplus(x)),
    "hardsigmoid": lambda x: tf.nn.relu6(x + 3) / 6,
    "hardswish": lambda x: x * tf.nn.relu6(x + 3) / 6,
    "softmax": tf.nn.softmax,
    "softmax over axis 1": lambda x: tf.nn.softmax(x, 1),
    "softmax over axis 0": lambda x: tf.nn.softmax(x, 0),
    "log_softmax": tf.nn.log_softmax,
    "no activation": lambda x: x,
    "leaky_relu with slope 0.01": _leaky(0.01),
    "leaky_relu with slope 0.1": _leaky(0.1),
    "leaky_relu with slope 0.2": _leaky(0.2),
    "leaky_relu with slope 0.3": _leaky(0.3),
}


def _activation(a: Call, b: Call, layer: Any) -> Iterator[Exchange]:
    of_keras = b.detail if b.owner.endswith(".activation") else type(layer).__name__
    if type(layer).__name__ == "Activation":
        of_keras = b.detail
    elif of_keras == "ReLU":
        of_keras = _relu_in_words(b.settings)
    functions = dict(ACTIVATIONS)
    slope = a.settings.get("negative_slope")
    if a.detail == "leaky_relu" and isinstance(slope, float):
        functions = {f"leaky_relu with slope {slope}": _leaky(slope), **functions}
    ordered = sorted(functions, key=lambda name: not name.startswith(a.detail))
    row = {"gelu": "gelu-kind", "leaky_relu": "leaky-relu-slope"}.get(a.detail, "")
    for name in ordered:
        if name == of_keras.lower():
            continue  # it would say nothing
        text = f"the activation is {of_keras} in Keras and {name} in PyTorch: use one of them"
        if b.owner.endswith(".activation") or type(layer).__name__ == "Activation":
            yield Exchange(text, {"activation": functions[name]}, row)
        else:
            yield Exchange(text, {"call": _of_input(functions[name])}, row)


def _relu_in_words(settings: Mapping[str, Any]) -> str:
    """Keras' ReLU with the arguments that make it another function."""
    usual = {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}
    given = [f"{k}={settings[k]}" for k, v in usual.items() if settings.get(k, v) not in (v, 0)]
    return f"ReLU({', '.join(given)})" if given else "ReLU"


def _of_input(function: Callable[[Any], Any]) -> Callable[..., Any]:
    """The function as the ``call`` of a layer, which may be given a mask and the like."""
    return lambda x, *rest, **options: function(x)


def _resize(a: Call, b: Call, layer: Any) -> Iterator[Exchange]:
    mode = a.settings.get("mode")
    if mode and mode != getattr(layer, "interpolation", mode):
        text = f"interpolation is {layer.interpolation!r} in Keras and {mode!r} in PyTorch"
        yield Exchange(f"{text}: write interpolation={mode!r} in Keras", {"interpolation": mode})


def _numbers(value: Any, count: int) -> list[int] | None:
    if isinstance(value, int):
        return [value] * count
    return list(value) if isinstance(value, list | tuple) and len(value) == count else None


def _padded(x: Any, padding: list[int]) -> Any:
    return tf.pad(x, [[0, 0], *([each, each] for each in padding), [0, 0]])


def _conv(a: Call, b: Call, layer: Any) -> Iterator[Exchange]:
    if not hasattr(layer, "kernel_size") or b.kind != "conv":
        return
    count = len(layer.kernel_size)
    call = layer.call
    dilation = _numbers(a.settings.get("dilation"), count)
    stride = _numbers(a.settings.get("stride"), count)
    padding = _numbers(a.settings.get("padding"), count)
    if dilation and dilation != list(layer.dilation_rate):
        values = {"dilation_rate": tuple(dilation)}
        text = f"dilation is {layer.dilation_rate} in Keras and {tuple(dilation)} in PyTorch"
        yield Exchange(f"{text}: write dilation_rate={tuple(dilation)} in Keras", values)
    if stride and stride != list(layer.strides):
        values = {"strides": tuple(stride)}
        text = f"the stride is {layer.strides} in Keras and {tuple(stride)} in PyTorch"
        yield Exchange(f"{text}: write strides={tuple(stride)} in Keras", values)
    groups = a.settings.get("groups")
    if groups and groups != getattr(layer, "groups", groups):
        yield Exchange(
            f"groups is {layer.groups} in Keras and {groups} in PyTorch", {"groups": groups}
        )
    options = [padding] if padding and any(padding) else []
    if layer.padding == "same":
        options += [[size // 2 for size in layer.kernel_size]]
    for option in options:
        yield Exchange(
            f"padding is {layer.padding!r} in Keras and {tuple(option)} on both sides in PyTorch: "
            f"put ZeroPadding{count}D({tuple(option)}) before the layer in Keras and write "
            "padding='valid' there, or pad (0, 1) first in PyTorch",
            {"padding": "valid", "call": _after_padding(call, option)},
            "same-padding",
        )
    for word in ("valid", "same", "causal"):
        if word != layer.padding:
            text = f"padding is {layer.padding!r} in Keras, which {word!r} would make equal"
            yield Exchange(text, {"padding": word}, "same-padding")
    yield from _whole_conv(a, layer)


def _whole_conv(a: Call, layer: Any) -> Iterator[Exchange]:
    """Stride, dilation and padding of PyTorch's layer together."""
    count = len(layer.kernel_size)
    stride = _numbers(a.settings.get("stride"), count)
    dilation = _numbers(a.settings.get("dilation"), count)
    padding = _numbers(a.settings.get("padding"), count)
    if stride is None or dilation is None or padding is None:
        return
    values = {
        "strides": tuple(stride),
        "dilation_rate": tuple(dilation),
        "padding": "valid",
        "call": _after_padding(layer.call, padding),
    }
    of_keras = f"strides {layer.strides}, dilation {layer.dilation_rate}, {layer.padding!r}"
    of_pytorch = f"{tuple(stride)}, {tuple(dilation)}, padding {tuple(padding)} on both sides"
    text = f"stride, dilation and padding are {of_keras} in Keras and {of_pytorch} in PyTorch"
    yield Exchange(text, values, "same-padding")


def _after_padding(call: Callable[..., Any], padding: list[int]) -> Callable[..., Any]:
    return lambda x: call(_padded(x, padding))


def _pool(a: Call, b: Call, layer: Any) -> Iterator[Exchange]:
    if not hasattr(layer, "pool_size"):
        yield from _global_pool(b, layer)
        return
    count = len(layer.pool_size)
    size, strides, word = layer.pool_size, layer.strides, layer.padding.upper()
    for name in ("AVG", "MAX"):
        if name[0] != type(layer).__name__[0]:
            pool = _pooling(size, (strides, word, name))
            mine, theirs = ("max", "average") if name == "AVG" else ("average", "max")
            text = f"pooling is {mine} in Keras and {theirs} in PyTorch: use one of them in both"
            yield Exchange(text, {"call": pool})
    padding = _numbers(a.settings.get("padding"), count)
    kind = "AVG" if type(layer).__name__.startswith("Average") else "MAX"
    if kind == "AVG":
        for option in ([padding] if padding else []) + [[each // 2 for each in size]]:
            pool = _pooling(size, (strides, "VALID", kind))
            yield Exchange(
                "the rim of zeros is counted in PyTorch's average and not in Keras': write "
                "count_include_pad=False in PyTorch",
                {"call": _after_padding(pool, option)},
                "average-pool-rim",
            )
    stride = _numbers(a.settings.get("stride"), count)
    kernel = _numbers(a.settings.get("kernel_size"), count)
    for name, own, other in (("strides", strides, stride), ("pool_size", size, kernel)):
        if other and list(own) != other:
            text = f"{name} is {tuple(own)} in Keras and {tuple(other)} in PyTorch"
            yield Exchange(f"{text}: write {name}={tuple(other)} in Keras", {name: tuple(other)})
    if padding and any(padding) and kind == "MAX":
        lowest = _low_rim(padding)
        pool = _pooling(size, (strides, "VALID", kind))
        yield Exchange(
            f"padding is {layer.padding!r} in Keras and {tuple(padding)} on both sides in PyTorch",
            {"call": lambda x: pool(lowest(x))},
            "same-padding",
        )


def _low_rim(padding: list[int]) -> Callable[[Any], Any]:
    rim = [[0, 0], *([each, each] for each in padding), [0, 0]]
    return lambda x: tf.pad(x, rim, constant_values=x.dtype.min)


def _pooling(size: Any, options: tuple[Any, str, str]) -> Callable[[Any], Any]:
    strides, padding, kind = options
    return lambda x: tf.nn.pool(x, size, kind, strides=strides, padding=padding)


def _global_pool(b: Call, layer: Any) -> Iterator[Exchange]:
    axes = list(range(1, b.inputs[0].ndim - 1))
    reduce = {"average": tf.reduce_max, "max": tf.reduce_mean}[b.detail or "average"]
    keep = bool(getattr(layer, "keepdims", False))
    text = f"global pooling is {b.detail} in Keras and the other kind in PyTorch"
    yield Exchange(text, {"call": lambda x: reduce(x, axes, keepdims=keep)})


def _attention(a: Call, b: Call, layer: Any) -> Iterator[Exchange]:
    call = layer.call

    def with_mask(change: Callable[[Any], Any]) -> Callable[..., Any]:
        def run(*args: Any, attention_mask: Any = None, **kwargs: Any) -> Any:
            mask = None if attention_mask is None else change(attention_mask)
            return call(*args, attention_mask=mask, **kwargs)

        return run

    yield Exchange(
        "attention_mask is inverted: True shows a position in Keras and hides it in "
        "torch.nn.MultiheadAttention. Write attention_mask=~mask in Keras",
        {"call": with_mask(lambda mask: ~tf.cast(mask, tf.bool))},
        "attention-mask",
    )
    yield Exchange(
        "Keras is given an attention_mask, PyTorch is not: give both the same",
        {"call": with_mask(lambda mask: None)},
        "attention-mask",
    )
    yield Exchange(
        "the mask is causal in PyTorch and not in Keras: write use_causal_mask=True in Keras",
        {"call": _with_causal_mask(call)},
        "attention-mask",
    )
    text = "the scores are scaled in Keras and not in PyTorch"
    yield Exchange(text, {"_inverse_sqrt_key_dim": 1.0})
    heads = a.settings.get("num_heads")
    if heads and heads != layer.num_heads:
        yield Exchange(
            f"num_heads is {layer.num_heads} in Keras and {heads} in PyTorch: write one of them in "
            "both",
            {"call": _with_heads(layer, heads)},
            "attention-weights",
        )


def _with_causal_mask(call: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: call(*args, **{**kwargs, "attention_mask": _causal(args[0])})


def _causal(query: Any) -> Any:
    length = query.shape[1]
    return tf.linalg.band_part(tf.ones((length, length), tf.bool), -1, 0)[None]


def _with_heads(layer: Any, heads: int) -> Callable[..., Any]:
    size = layer.query_dense.kernel.shape[0]
    new = keras.layers.MultiHeadAttention(heads, size // heads)
    new.build((None, None, size), (None, None, size), (None, None, size))
    for target, source in zip(new.weights, layer.weights, strict=True):
        target.assign(tf.reshape(source, target.shape))
    return lambda *args, **kwargs: new.call(*args, **kwargs)


def _dropout(a: Call, b: Call, layer: Any) -> Iterator[Exchange]:
    rate = float(a.settings.get("p", layer.rate))
    if rate != layer.rate:
        text = f"the rate is {layer.rate:g} in Keras and {rate:g} in PyTorch"
        if abs(rate + layer.rate - 1) < 2.0**-40:
            text += "; both mean the share that is dropped"
        yield Exchange(f"{text}: write Dropout({rate:g}) in Keras", {"rate": rate})


def _recurrent(a: Call, b: Call, layer: Any) -> Iterator[Exchange]:
    backwards = bool(a.settings.get("reverse"))
    if backwards != layer.go_backwards:
        text = f"go_backwards is {layer.go_backwards} in Keras and {backwards} in PyTorch"
        yield Exchange(text, {"go_backwards": backwards}, b.kind)
    call = layer.call
    yield Exchange(
        "Keras' layer is given a mask (mask_zero=True of an embedding, or Masking) and PyTorch's "
        "is not",
        {"call": lambda x, *rest, mask=None, **options: call(x, *rest, **options)},
        "embedding",
    )
    sigmoid, tanh = keras.activations.sigmoid, keras.activations.tanh
    for name, function in (("recurrent_activation", sigmoid), ("activation", tanh)):
        mine = getattr(layer.cell, name)
        if mine is not function:
            text = (
                f"{name} is {mine.__name__} in Keras and {function.__name__} in PyTorch: write "
                f"{name}='{function.__name__}' in Keras"
            )
            yield Exchange(text, {name: function}, b.kind, "cell")


_BY_KIND: dict[str, Callable[[Call, Call, Any], Iterator[Exchange]]] = {
    "bn": _batchnorm,
    "ln": _norm,
    "gn": _norm,
    "rms": _norm,
    "act": _activation,
    "conv": _conv,
    "pool": _pool,
    "gap": _pool,
    "mha": _attention,
    "dropout": _dropout,
    "resize": _resize,
    "lstm": _recurrent,
    "gru": _recurrent,
}
