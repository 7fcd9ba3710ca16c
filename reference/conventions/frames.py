"""How the other framework lays each kernel: the views under which a rule sees the same tensor.

``KERAS`` has the variables of Keras' layers, by the name of the layer's class and the attribute,
each with the axes of Keras' tensor in PyTorch's order. ``PYTORCH`` has the parameters of torch's
modules, with the axes of torch's tensor in Keras' order. Classes that derive from these count as
these. What is not listed lies alike in both: biases, embeddings, normalizations.
"""

from collections.abc import Mapping, Sequence

from ..views import View

Axes = tuple[int, ...]

MATRIX: Axes = (1, 0)
TO_PYTORCH: dict[int, Axes] = {3: (2, 1, 0), 4: (3, 2, 0, 1), 5: (4, 3, 0, 1, 2)}
TO_KERAS: dict[int, Axes] = {2: MATRIX, 3: (2, 1, 0), 4: (2, 3, 1, 0), 5: (2, 3, 4, 1, 0)}

_RECURRENT = {"kernel": MATRIX, "recurrent_kernel": MATRIX}

KERAS: Mapping[str, Mapping[str, Axes]] = {
    "Dense": {"kernel": MATRIX},
    "SimpleRNNCell": _RECURRENT,
    "LSTMCell": _RECURRENT,
    "GRUCell": _RECURRENT,
    "Conv1D": {"kernel": TO_PYTORCH[3]},
    "Conv2D": {"kernel": TO_PYTORCH[4]},
    "Conv3D": {"kernel": TO_PYTORCH[5]},
    "Conv1DTranspose": {"kernel": TO_PYTORCH[3]},
    "Conv2DTranspose": {"kernel": TO_PYTORCH[4]},
    "Conv3DTranspose": {"kernel": TO_PYTORCH[5]},
    "SeparableConv1D": {"pointwise_kernel": TO_PYTORCH[3]},
    "SeparableConv2D": {"pointwise_kernel": TO_PYTORCH[4]},
}
# Of these kernels, (size ..., inputs, multiplier), PyTorch has (inputs x multiplier, 1, size ...).
KERAS_DEPTHWISE: Mapping[str, str] = {
    "DepthwiseConv1D": "kernel",
    "DepthwiseConv2D": "kernel",
    "SeparableConv1D": "depthwise_kernel",
    "SeparableConv2D": "depthwise_kernel",
}

# Vectors in PyTorch, which Keras may keep with more axes. (Of a GRU PyTorch has two.)
KERAS_VECTORS: Mapping[str, str] = {"EinsumDense": "bias", "GRUCell": "bias", "PReLU": "alpha"}
# What has several axes and lies alike in both.
KERAS_ALIKE = ("Embedding", "LayerNormalization", "RMSNormalization")
PYTORCH_ALIKE = ("Embedding", "EmbeddingBag", "LayerNorm", "RMSNorm")

PYTORCH: Mapping[str, Sequence[str]] = {
    "Linear": ("weight",),
    "Conv1d": ("weight",),
    "Conv2d": ("weight",),
    "Conv3d": ("weight",),
    "ConvTranspose1d": ("weight",),
    "ConvTranspose2d": ("weight",),
    "ConvTranspose3d": ("weight",),
    "RNN": ("weight_ih", "weight_hh"),
    "LSTM": ("weight_ih", "weight_hh"),
    "GRU": ("weight_ih", "weight_hh"),
    "RNNCell": ("weight_ih", "weight_hh"),
    "LSTMCell": ("weight_ih", "weight_hh"),
    "GRUCell": ("weight_ih", "weight_hh"),
}


def of_depthwise_in_keras(shape: Sequence[int]) -> View:
    """PyTorch's frame of a depthwise kernel of Keras."""
    *size, inputs, multiplier = shape
    rank = len(size)
    return View((rank, rank + 1, *range(rank)), joined=(inputs * multiplier, 1, *size))


def of_depthwise_in_pytorch(shape: Sequence[int], inputs: int) -> View:
    """Keras' frame of the weight of a torch convolution with a group for each input."""
    outputs, _, *size = shape
    split = (inputs, outputs // inputs, *size)
    return View((*range(2, len(split)), 0, 1), split=split)


def of_heads_in_pytorch(name: str, shape: Sequence[int], heads: int) -> View | None:
    """Keras' frame of a weight of torch's MultiheadAttention; None if Keras keeps it in parts."""
    if name == "out_proj.weight":
        return View((1, 2, 0), split=(shape[0], heads, shape[1] // heads))
    if name in ("q_proj_weight", "k_proj_weight", "v_proj_weight"):
        return View((2, 0, 1), split=(heads, shape[0] // heads, shape[1]))
    return None


def of_einsum(equation: str, shape: Sequence[int]) -> View | None:
    """PyTorch's frame of the kernel of a layer that computes ``equation``, as Linear has it.

    Rows are what comes out, columns what is summed over: "abc,cde->abde" has a kernel (c, d, e)
    that PyTorch has as (d x e, c). None if the kernel has an axis that is neither, or stays as it
    was: then no matrix product says how it lies.
    """
    inputs, _, output = equation.replace(" ", "").replace("...", "").partition("->")
    data, _, kernel = inputs.partition(",")
    contracted = [
        axis for axis, letter in enumerate(kernel) if letter in data and letter not in output
    ]
    coming = [axis for axis, letter in enumerate(kernel) if letter in output and letter not in data]
    if not contracted or not coming or len(contracted) + len(coming) != len(kernel):
        return None
    rows, columns = 1, 1
    for axis in coming:
        rows *= shape[axis]
    for axis in contracted:
        columns *= shape[axis]
    axes = (*coming, *contracted)
    if len(axes) == 2:
        return View(axes)
    return View(axes, joined=(rows, columns))
