"""Known differences of conventions, put in place of PyTorch's on the live module or function.

This is the table for Keras as the reference. The texts are those of ``exchanges``.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from .exchange import Exchange
from .record import Call


def exchanges_for(p: Call, k: Call, module: Any) -> Iterator[Exchange]:
    """What could make PyTorch's module the same as Keras' layer, the likeliest first."""
    make = _BY_KIND.get(p.kind)
    if make:
        yield from make(p, k, module)


def _norm(p: Call, k: Call, module: Any) -> Iterator[Exchange]:
    mine, theirs = p.settings.get("eps", ...), k.settings.get("epsilon", ...)
    if mine is None:
        mine = float(np.finfo(np.float64).eps)
    if ... not in (mine, theirs) and mine != theirs:
        yield Exchange(
            f"epsilon is {theirs} in Keras and {mine} in PyTorch: write eps={theirs} in PyTorch, "
            f"or epsilon={mine} in Keras",
            {"eps": theirs},
            "norm-epsilon" if p.kind != "bn" else "batchnorm-defaults",
        )
    mine, theirs = p.settings.get("num_groups"), k.settings.get("groups")
    if mine and theirs and mine != theirs:
        text = f"groups is {theirs} in Keras and {mine} in PyTorch: write one of them in both"
        yield Exchange(text, {"num_groups": theirs})


def _batchnorm(p: Call, k: Call, module: Any) -> Iterator[Exchange]:
    yield from _norm(p, k, module)
    mine, theirs = p.settings.get("momentum"), k.settings.get("momentum")
    if mine is not None and theirs is not None and 1 - mine != theirs:
        yield Exchange(
            f"momentum is {theirs} in Keras and {mine} in PyTorch, where it is the share of the "
            f"new statistics: write momentum={1 - theirs:.12g} in PyTorch, or "
            f"momentum={1 - mine:.12g} in Keras",
            {"momentum": 1 - theirs},
            "batchnorm-defaults",
        )
    if k.settings.get("trainable") is False and module.training:
        yield Exchange(
            "the layer has trainable=False in Keras, so it uses its stored statistics: call eval() "
            "on PyTorch's layer, or leave Keras' trainable",
            {"training": False},
            "batchnorm-frozen",
        )
    if not module.training:
        yield Exchange(
            "the layer is in eval mode in PyTorch, so it uses its stored statistics: set "
            "trainable=False in Keras, or leave PyTorch's in training mode",
            {"training": True},
            "batchnorm-frozen",
        )


def _leaky(slope: float) -> Callable[[Any], Any]:
    return lambda x: functional.leaky_relu(x, slope)


ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": functional.relu,
    "relu6": functional.relu6,
    "gelu": functional.gelu,
    "gelu with approximate='tanh'": lambda x: functional.gelu(x, approximate="tanh"),
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "silu": functional.silu,
    "elu": functional.elu,
    "selu": functional.selu,
    "softplus": functional.softplus,
    "mish": functional.mish,
    "hardsigmoid": functional.hardsigmoid,
    "hardswish": functional.hardswish,
    "softmax": lambda x: functional.softmax(x, -1),
    "softmax over axis 1": lambda x: functional.softmax(x, 1),
    "softmax over axis 0": lambda x: functional.softmax(x, 0),
    "log_softmax": lambda x: functional.log_softmax(x, -1),
    "no activation": lambda x: x,
    "leaky_relu with slope 0.01": _leaky(0.01),
    "leaky_relu with slope 0.1": _leaky(0.1),
    "leaky_relu with slope 0.2": _leaky(0.2),
    "leaky_relu with slope 0.3": _leaky(0.3),
}


def _activation(p: Call, k: Call, module: Any) -> Iterator[Exchange]:
    functions = dict(ACTIVATIONS)
    slope = k.settings.get("negative_slope")
    if k.detail == "leaky_relu" and isinstance(slope, float):
        functions = {f"leaky_relu with slope {slope}": _leaky(slope), **functions}
    ordered = sorted(functions, key=lambda name: not name.startswith(k.detail))
    row = {"gelu": "gelu-kind", "leaky_relu": "leaky-relu-slope"}.get(k.detail, "")
    for name in ordered:
        text = f"the activation is {name} in Keras and {p.detail} in PyTorch: use one of them"
        yield Exchange(text, {"forward": _of_input(functions[name])}, row)


def _of_input(function: Callable[[Any], Any]) -> Callable[..., Any]:
    """The function as a ``forward``, which may be given options."""
    return lambda x, *rest, **options: function(x)


def _numbers(value: Any, count: int) -> tuple[int, ...] | None:
    if isinstance(value, int):
        return (value,) * count
    fits = isinstance(value, list | tuple) and len(value) == count
    return tuple(value) if fits else None


def _rim(x: Any, kernel: tuple[int, ...], strides: tuple[int, ...], value: float = 0.0) -> Any:
    """The input with TensorFlow's rim of ``same``: what is odd goes to the end."""
    pads: list[int] = []
    for size, width, stride in zip(reversed(x.shape[2:]), kernel[::-1], strides[::-1], strict=True):
        total = max((-(-size // stride) - 1) * stride + width - size, 0)
        pads += [total // 2, total - total // 2]
    return functional.pad(x, pads, value=value)


def _conv(p: Call, k: Call, module: Any) -> Iterator[Exchange]:
    if p.kind != "conv" or not hasattr(module, "kernel_size"):
        return
    count = len(module.kernel_size)
    theirs = _numbers(k.settings.get("dilation_rate"), count)
    if theirs and theirs != module.dilation:
        text = f"dilation is {theirs} in Keras and {module.dilation} in PyTorch"
        yield Exchange(f"{text}: write dilation={theirs} in PyTorch", {"dilation": theirs})
    strides = _numbers(k.settings.get("strides"), count)
    if strides and strides != module.stride:
        text = f"the stride is {strides} in Keras and {module.stride} in PyTorch"
        yield Exchange(f"{text}: write stride={strides} in PyTorch", {"stride": strides})
    word = k.settings.get("padding")
    if word in ("same", "valid") and strides and theirs:
        text = (
            f"padding is {word!r} in Keras and {module.padding} on both sides in PyTorch: in "
            "Keras, the odd row goes to the end. Pad first in PyTorch with torch.nn.ZeroPad, or "
            f"put ZeroPadding{count}D before the layer in Keras and write padding='valid' there"
        )
        options = word, module.stride, module.dilation
        yield Exchange(text, {"forward": _conv_of(module, options)}, "same-padding")
        text = f"stride, dilation and padding are {strides}, {theirs}, {word!r} in Keras and "
        text += f"{module.stride}, {module.dilation}, {module.padding} in PyTorch"
        yield Exchange(text, {"forward": _conv_of(module, (word, strides, theirs))}, "same-padding")


def _conv_of(module: Any, options: tuple[str, Any, Any]) -> Callable[..., Any]:
    padding, strides, dilation = options
    count = len(module.kernel_size)
    convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[count - 1]

    def run(x: Any) -> Any:
        widths = [
            (size - 1) * rate for size, rate in zip(module.kernel_size, dilation, strict=True)
        ]
        kernel = tuple(width + 1 for width in widths)
        given = _rim(x, kernel, strides) if padding == "same" else x
        return convolve(given, module.weight, module.bias, strides, 0, dilation, module.groups)

    return run


def _pool(p: Call, k: Call, module: Any) -> Iterator[Exchange]:
    if not hasattr(module, "kernel_size"):
        return
    count = max(1, p.inputs[0].ndim - 2)
    size = _numbers(k.settings.get("pool_size"), count)
    strides = _numbers(k.settings.get("strides"), count) or size
    if not size or not strides:
        return
    if p.detail != k.detail:
        text = f"pooling is {k.detail} in Keras and {p.detail} in PyTorch: use one of them in both"
        pool = _pooling(k.detail, size, strides)
        yield Exchange(text, {"forward": lambda x: pool(x, module.padding, True)})
    if getattr(module, "count_include_pad", False):
        yield Exchange(
            "the rim of zeros is counted in PyTorch's average and not in Keras': write "
            "count_include_pad=False in PyTorch",
            {"count_include_pad": False},
            "average-pool-rim",
        )
    for name, keras_name, theirs in (("stride", "strides", strides), ("kernel_size", "size", size)):
        if _numbers(getattr(module, name), count) != theirs:
            mine = getattr(module, name)
            text = f"{keras_name} is {theirs} in Keras and {mine} in PyTorch"
            yield Exchange(f"{text}: write {name}={theirs} in PyTorch", {name: theirs})
    if k.settings.get("padding") == "same" and k.detail == "max":
        pool = _pooling(k.detail, size, strides)
        lowest = torch.finfo(torch.float64).min
        yield Exchange(
            f"padding is 'same' in Keras and {module.padding} on both sides in PyTorch",
            {"forward": lambda x: pool(_rim(x, size, strides, lowest), 0, True)},
            "same-padding",
        )


def _pooling(detail: str, size: Any, strides: Any) -> Callable[[Any, Any, bool], Any]:
    count = len(size)
    average = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[count - 1]
    largest = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[count - 1]

    def run(x: Any, padding: Any, rim: bool) -> Any:
        if detail == "average":
            return average(x, size, strides, padding, count_include_pad=rim)
        return largest(x, size, strides, padding)

    return run


def _dropout(p: Call, k: Call, module: Any) -> Iterator[Exchange]:
    mine, theirs = float(p.settings.get("p", 0.5)), float(k.settings.get("rate", 0.5))
    if mine != theirs:
        text = f"the rate is {theirs:g} in Keras and {mine:g} in PyTorch"
        if abs(mine + theirs - 1) < 2.0**-40:
            text += "; both mean the share that is dropped"
        yield Exchange(f"{text}: write Dropout({theirs:g}) in PyTorch", {"p": theirs})


def _attention(p: Call, k: Call, module: Any) -> Iterator[Exchange]:
    forward = module.forward

    def with_mask(change: Callable[[Any], Any]) -> Callable[..., Any]:
        def run(*args: Any, attn_mask: Any = None, **kwargs: Any) -> Any:
            mask = None if attn_mask is None else change(attn_mask)
            return forward(*args, attn_mask=mask, **kwargs)

        return run

    yield Exchange(
        "attention_mask is inverted: True shows a position in Keras and hides it in "
        "torch.nn.MultiheadAttention. Write attention_mask=~mask in Keras",
        {"forward": with_mask(lambda mask: ~mask if mask.dtype == torch.bool else mask)},
        "attention-mask",
    )
    yield Exchange(
        "PyTorch is given an attn_mask, Keras is not: give both the same",
        {"forward": with_mask(lambda mask: None)},
        "attention-mask",
    )


_BY_KIND: dict[str, Callable[[Call, Call, Any], Iterator[Exchange]]] = {
    "bn": _batchnorm,
    "ln": _norm,
    "gn": _norm,
    "rms": _norm,
    "act": _activation,
    "conv": _conv,
    "pool": _pool,
    "dropout": _dropout,
    "mha": _attention,
}
