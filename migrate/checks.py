"""Measure the facts of ``samestep.reference.conventions`` on the installed libraries.

>>> from samestep.migrate import checks
>>> checks.measured("conv-kernel")["axes"]           # doctest: +SKIP
(2, 3, 1, 0)

Inputs are small whole numbers wherever the operation is exact on them, so that results are compared
by equal bits. Needs PyTorch, TensorFlow and Keras 3; a few checks need tf_keras.
"""

import inspect
import itertools
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch  # before TensorFlow

# isort: split
import keras
import numpy as np
import tensorflow as tf
from torch.nn import functional

from samestep.reference import conventions

Facts = dict[str, Any]
DOUBLE = "float64"


def measured(name: str) -> Facts:
    """The facts of a row, measured now. ValueError for an unknown name."""
    conventions.find(name)
    return CHECKS[name]()


def wrong_facts(row: conventions.Convention) -> Facts:
    """The facts that were measured otherwise than the row has them; empty if all hold."""
    actual = measured(row.name)
    missing = {key: None for key in row.facts if key not in actual}
    differing = {key: value for key, value in actual.items() if row.facts.get(key, ...) != value}
    return {**missing, **differing}


def _double(array: Any) -> Any:
    return torch.tensor(np.asarray(array), dtype=torch.float64)


def _constant(array: Any) -> Any:
    return tf.constant(np.asarray(array), tf.float64)


def _integers(*shape: int) -> np.ndarray:
    """Small whole numbers of both signs; products and sums of them are exact."""
    return np.random.default_rng(0).integers(-8, 9, shape).astype(np.float64)


def _signature_default(function: Callable[..., Any], argument: str) -> Any:
    return inspect.signature(function).parameters[argument].default


# normalization -----------------------------------------------------------------------------------


def _batchnorm_defaults() -> Facts:
    layer, module = keras.layers.BatchNormalization(), torch.nn.BatchNorm1d(1)
    of_keras = keras.layers.BatchNormalization(momentum=0.75, dtype=DOUBLE)
    of_torch = torch.nn.BatchNorm1d(1, momentum=0.75).double()
    batch = np.array([[7.0], [9.0]])  # mean 8, stored mean 0
    of_keras(_constant(batch), training=True)
    of_torch(_double(batch))
    return {
        "keras momentum": layer.momentum,
        "keras epsilon": layer.epsilon,
        "pytorch momentum": module.momentum,
        "pytorch epsilon": module.eps,
        "keras mean after momentum 0.75": float(of_keras.moving_mean[0]),
        "pytorch mean after momentum 0.75": float(of_torch.running_mean[0]),
    }


EIGHT = np.array([3, -3, 3, -3, 3, -3, 1, -1.0])  # 56 is the sum of squares: variance 7 or 8


def _batchnorm_variance() -> Facts:
    layer = keras.layers.BatchNormalization(momentum=0.0, dtype=DOUBLE)
    module = torch.nn.BatchNorm1d(1, momentum=1.0).double()
    layer(_constant(EIGHT[:, None]), training=True)
    module(_double(EIGHT[:, None]))
    return {
        "keras": float(layer.moving_variance[0]),
        "pytorch": float(module.running_var[0]),
    }


def _batchnorm_keras2() -> Facts:
    import tf_keras

    facts: Facts = {}
    for name, shape in (("rank 4", (8, 1, 1, 1)), ("rank 2", (8, 1))):
        layer = tf_keras.layers.BatchNormalization(momentum=0.0)
        layer(tf.constant(EIGHT.reshape(shape), tf.float32), training=True)
        facts[name] = float(layer.moving_variance[0])
    return facts


def _batchnorm_frozen() -> Facts:
    layer = keras.layers.BatchNormalization(trainable=False, dtype=DOUBLE)
    module = torch.nn.BatchNorm1d(1).double().requires_grad_(False)
    layer(_constant(EIGHT[:, None] + 1), training=True)
    module(_double(EIGHT[:, None] + 1))
    return {
        "keras statistics move": bool(layer.moving_mean[0] != 0),
        "pytorch statistics move": bool(module.running_mean[0] != 0),
    }


def _batchnorm_cumulative() -> Facts:
    module = torch.nn.BatchNorm1d(1, momentum=None).double()
    for mean in (2.0, 6.0):
        module(_double([[mean - 1], [mean + 1]]))
    return {
        "pytorch mean after batches of 2 and 6": float(module.running_mean[0]),
        "pytorch batches": int(module.num_batches_tracked),
    }


def _batchnorm_half() -> Facts:
    batch = np.array([[300.0], [-300.0]])  # the square, 90000, is no float16
    layer = keras.layers.BatchNormalization(momentum=0.0, dtype="mixed_float16")
    layer(tf.constant(batch, tf.float16), training=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        module = torch.nn.BatchNorm1d(1, momentum=1.0)
        module(torch.tensor(batch, dtype=torch.float32))
    return {
        "keras variance of 300 and -300": float(layer.moving_variance[0]),
        "pytorch dtype": str(module.running_var.dtype).removeprefix("torch."),
    }


def _batchnorm_order() -> Facts:
    layer = keras.layers.BatchNormalization()
    layer.build((None, 2))
    return {
        "keras": tuple(variable.name for variable in layer.variables),
        "pytorch": tuple(torch.nn.BatchNorm1d(2).state_dict()),
    }


def _batchnorm_called_with_training() -> Facts:
    layer = keras.layers.BatchNormalization(dtype=DOUBLE)
    inputs = keras.Input((1,), dtype=DOUBLE)
    base = keras.Model(inputs, layer(inputs))
    outer = keras.Input((1,), dtype=DOUBLE)
    model = keras.Model(outer, base(outer, training=False))
    model(_constant(EIGHT[:, None] + 1), training=True)
    return {"keras statistics move": bool(layer.moving_mean[0] != 0)}


def _norm_epsilon() -> Facts:
    return {
        "keras LayerNormalization": keras.layers.LayerNormalization().epsilon,
        "keras GroupNormalization": keras.layers.GroupNormalization(1).epsilon,
        "keras RMSNormalization": keras.layers.RMSNormalization().epsilon,
        "pytorch LayerNorm": torch.nn.LayerNorm(1).eps,
        "pytorch GroupNorm": torch.nn.GroupNorm(1, 1).eps,
        "pytorch RMSNorm": torch.nn.RMSNorm(1).eps,
    }


# activations -------------------------------------------------------------------------------------


def _gelu_kind() -> Facts:
    x = np.linspace(-3, 3, 13)
    erf = functional.gelu(_double(x), approximate="none").numpy()
    tanh = functional.gelu(_double(x), approximate="tanh").numpy()

    def nearest(values: Any) -> str:
        far = {"erf": np.abs(erf - values).max(), "tanh": np.abs(tanh - values).max()}
        return min(far, key=lambda kind: far[kind])

    return {
        "keras.activations.gelu": nearest(keras.activations.gelu(_constant(x)).numpy()),
        "keras.ops.gelu": nearest(keras.ops.gelu(_constant(x)).numpy()),
        "torch.nn.functional.gelu": nearest(functional.gelu(_double(x)).numpy()),
    }


def _float32_constants() -> Facts:
    def kind(value: float) -> str:
        return {0.1: "float64", float(np.float32(0.1)): "float32"}.get(value, repr(value))

    x = tf.Variable(-1.0, dtype=tf.float64)
    with tf.GradientTape() as tape:
        y = tf.nn.leaky_relu(x, 0.1)
    z = torch.tensor(-1.0, dtype=torch.float64, requires_grad=True)
    functional.leaky_relu(z, 0.1).backward()
    assert z.grad is not None
    return {
        "tensorflow slope 0.1 is": kind(float(tape.gradient(y, x))),
        "pytorch slope 0.1 is": kind(float(z.grad)),
    }


def _leaky_relu_slope() -> Facts:
    return {
        "keras layer": _signature_default(keras.layers.LeakyReLU, "negative_slope"),
        "keras function": _signature_default(keras.activations.leaky_relu, "negative_slope"),
        "pytorch": torch.nn.LeakyReLU().negative_slope,
    }


def _prelu_slopes() -> Facts:
    layer = keras.layers.PReLU()
    layer.build((None, 4, 3))
    module = torch.nn.PReLU()
    return {
        "keras shape": tuple(layer.alpha.shape),
        "keras start": float(np.max(np.abs(layer.alpha.numpy()))),
        "pytorch shape": tuple(module.weight.shape),
        "pytorch start": module.weight[0].item(),
    }


def _softplus_threshold() -> Facts:
    return {
        "keras is linear at 21": float(keras.ops.softplus(_constant(21.0))) == 21.0,
        "pytorch is linear at 21": float(functional.softplus(_double(21.0))) == 21.0,
    }


def _ties() -> Facts:
    a, b = tf.Variable(1.0), tf.Variable(1.0)
    pair, nothing = tf.Variable([1.0, 1.0]), tf.Variable([0.0])
    with tf.GradientTape(persistent=True) as tape:
        largest, reduced, norm = tf.maximum(a, b), tf.reduce_max(pair), tf.norm(nothing)
    p, q = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    torch.maximum(p, q).backward()
    both, zero = torch.ones(2, requires_grad=True), torch.zeros(1, requires_grad=True)
    both.max(dim=0).values.backward()
    zero.norm().backward()
    of_norm = float(tape.gradient(norm, nothing)[0])
    assert p.grad is not None
    assert q.grad is not None
    assert both.grad is not None
    assert zero.grad is not None
    return {
        "tensorflow maximum": tuple(float(g) for g in tape.gradient(largest, [a, b])),
        "pytorch maximum": (float(p.grad), float(q.grad)),
        "tensorflow reduce_max": tuple(tape.gradient(reduced, pair).numpy().tolist()),
        "pytorch max(dim)": float(both.grad.max()),
        "tensorflow norm of 0": "nan" if np.isnan(of_norm) else of_norm,
        "pytorch norm of 0": float(zero.grad[0]),
    }


# layers with weights -----------------------------------------------------------------------------


def _linear() -> Facts:
    layer, module = keras.layers.Dense(5), torch.nn.Linear(3, 5)
    layer.build((None, 3))
    return {
        "keras shape": tuple(layer.kernel.shape),
        "pytorch shape": tuple(module.weight.shape),
        "keras start": type(layer.kernel_initializer).__name__,
        "keras bias starts at 0": not np.any(layer.bias.numpy()),
        "pytorch bias starts at 0": not bool(module.bias.any()),
    }


def _axes(layer: Any, output: np.ndarray, x: np.ndarray, weight: np.ndarray) -> Any:
    """The order of PyTorch's axes under which Keras' layer gives PyTorch's output."""
    layer.build(x.shape)
    kernel = layer.weights[0]
    fitting = []
    for axes in itertools.permutations(range(4)):
        permuted = weight.transpose(axes)
        if permuted.shape == tuple(kernel.shape):
            kernel.assign(permuted)
            if np.array_equal(layer(_constant(x)).numpy(), output):
                fitting.append(axes)
    return fitting[0] if len(fitting) == 1 else tuple(fitting)


def _last(array: np.ndarray) -> np.ndarray:
    """Channels moved from axis 1 to the last axis."""
    return np.moveaxis(array, 1, -1)


def _conv_kernel() -> Facts:
    x, weight = _integers(2, 4, 5, 5), _integers(6, 2, 2, 3)
    output = functional.conv2d(_double(x), _double(weight), groups=2).numpy()
    layer = keras.layers.Conv2D(6, (2, 3), groups=2, use_bias=False, dtype=DOUBLE)
    axes = _axes(layer, _last(output), _last(x), weight)
    return {
        "keras shape": tuple(layer.kernel.shape),
        "pytorch shape": tuple(torch.nn.Conv2d(4, 6, (2, 3), groups=2).weight.shape),
        "axes": axes,
    }


def _conv_transpose() -> Facts:
    x, weight = _integers(2, 3, 4, 4), _integers(3, 5, 2, 2)
    output = functional.conv_transpose2d(_double(x), _double(weight), stride=2).numpy()
    layer = keras.layers.Conv2DTranspose(5, 2, strides=2, use_bias=False, dtype=DOUBLE)
    axes = _axes(layer, _last(output), _last(x), weight)
    facts = {
        "keras shape": tuple(layer.kernel.shape),
        "pytorch shape": tuple(torch.nn.ConvTranspose2d(3, 5, 2).weight.shape),
        "axes": axes,
    }
    for kernel, stride in ((3, 2), (4, 2), (3, 1)):
        offset = _offset_of_same(kernel, stride)
        facts[f"offset of kernel {kernel}, stride {stride}"] = offset
    return facts


def _offset_of_same(size: int, stride: int) -> Any:
    """Where padding='same' cuts PyTorch's full output."""
    x, weight = _integers(1, 1, 4, 4), _integers(1, 1, size, size)
    full = functional.conv_transpose2d(_double(x), _double(weight), stride=stride).numpy()[0, 0]
    layer = keras.layers.Conv2DTranspose(
        1, size, strides=stride, padding="same", use_bias=False, dtype=DOUBLE
    )
    layer.build((1, 4, 4, 1))
    layer.kernel.assign(weight.transpose(2, 3, 1, 0))
    same = layer(_constant(_last(x))).numpy()[0, :, :, 0]
    padded = np.pad(full, ((0, size), (0, size)))
    n = len(same)
    fits = [i for i in range(size) if np.array_equal(padded[i : i + n, i : i + n], same)]
    return fits[0] if len(fits) == 1 else tuple(fits)


def _depthwise_kernel() -> Facts:
    x, weight = _integers(2, 3, 4, 4), _integers(6, 1, 2, 2)
    output = functional.conv2d(_double(x), _double(weight), groups=3).numpy()
    layer = keras.layers.DepthwiseConv2D(2, depth_multiplier=2, use_bias=False, dtype=DOUBLE)
    axes = _axes(layer, _last(output), _last(x), weight.reshape(3, 2, 2, 2))
    return {
        "keras shape": tuple(layer.kernel.shape),
        "pytorch shape": tuple(torch.nn.Conv2d(3, 6, 2, groups=3).weight.shape),
        "axes": axes,
    }


def _padding_of_same(size: int) -> Any:
    """How many zeros before and after a padding='same' with kernel 3 and stride 2 adds."""
    x, weight = _integers(1, 1, size, size), _integers(1, 1, 3, 3)
    layer = keras.layers.Conv2D(1, 3, strides=2, padding="same", use_bias=False, dtype=DOUBLE)
    layer.build((1, size, size, 1))
    layer.kernel.assign(weight.transpose(2, 3, 1, 0))
    same = layer(_constant(_last(x))).numpy()[0, :, :, 0]
    fits = []
    for before, after in itertools.product(range(3), repeat=2):
        padded = np.pad(x, ((0, 0), (0, 0), (before, after), (before, after)))
        output = functional.conv2d(_double(padded), _double(weight), stride=2).numpy()[0, 0]
        if np.array_equal(output, same):
            fits.append((before, after))
    return fits[0] if fits else None


def _same_padding() -> Facts:
    try:
        torch.nn.Conv2d(1, 1, 3, stride=2, padding="same")
        accepted = True
    except ValueError:
        accepted = False
    return {
        "padding of size 8": _padding_of_same(8),
        "padding of size 7": _padding_of_same(7),
        "pytorch accepts same": accepted,
    }


def _average_pool_rim() -> Facts:
    layer = keras.layers.AveragePooling2D(2, strides=2, padding="same")
    ones = np.ones((1, 3, 3, 1), np.float32)
    of_keras = layer(tf.constant(ones)).numpy()[0, -1, -1, 0]
    image = torch.ones(1, 1, 2, 2)
    counted = functional.avg_pool2d(image, 2, padding=1)[0, 0, 0, 0]
    left_out = functional.avg_pool2d(image, 2, padding=1, count_include_pad=False)[0, 0, 0, 0]
    return {
        "keras corner": float(of_keras),
        "pytorch corner": float(counted),
        "pytorch corner without": float(left_out),
    }


def _flatten_order() -> Facts:
    image = np.arange(6.0).reshape(1, 2, 1, 3)  # channel, height, width
    of_keras = keras.layers.Flatten()(tf.constant(_last(image))).numpy()[0]
    of_torch = torch.flatten(torch.tensor(image), 1)[0]
    return {
        "keras": tuple(int(x) for x in of_keras),
        "pytorch": tuple(int(x) for x in of_torch),
    }


def _embedding() -> Facts:
    layer = keras.layers.Embedding(50, 40, mask_zero=True)
    mask = layer.compute_mask(tf.constant([[0, 1]]))
    layer.build()
    limit = float(np.max(np.abs(layer.embeddings.numpy())))
    module = torch.nn.Embedding(4, 3, padding_idx=0)
    module(torch.tensor([0, 1])).sum().backward()
    assert module.weight.grad is not None
    return {
        "keras start within": 0.05 if 0.049 < limit <= 0.05 else limit,
        "keras makes a mask": mask is not None,
        "pytorch padding row": float(module.weight[0].abs().max()),
        "pytorch gradient of the padding row": float(module.weight.grad[0].abs().max()),
    }


def _tied_weights() -> Facts:
    layer = keras.layers.ReversibleEmbedding(4, 3, tie_weights=True)
    layer.build()
    model = torch.nn.Sequential(torch.nn.Embedding(4, 3), torch.nn.Linear(3, 4, bias=False))
    model[1].weight = model[0].weight
    return {
        "keras variables": len(layer.trainable_variables),
        "pytorch parameters": len(list(model.parameters())),
        "pytorch names": len(model.state_dict()),
    }


# sequences ---------------------------------------------------------------------------------------


def _gates(kind: str) -> Any:
    """The order of PyTorch's gates under which Keras' layer gives PyTorch's output."""
    count = {"LSTM": 4, "GRU": 3}[kind]
    module = getattr(torch.nn, kind)(3, 2, batch_first=True).double()
    layer = getattr(keras.layers, kind)(2, dtype=DOUBLE)
    layer.build((None, 4, 3))
    x = _integers(2, 4, 3) / 8
    expected = module(_double(x))[0][:, -1].detach().numpy()
    weights = {name: p.detach().numpy() for name, p in module.named_parameters()}
    far = {}
    for order in itertools.permutations(range(count)):
        rows = np.concatenate([np.arange(2 * gate, 2 * gate + 2) for gate in order])
        both = np.stack([weights["bias_ih_l0"][rows], weights["bias_hh_l0"][rows]])
        bias = both if kind == "GRU" else both.sum(0)
        kernels = weights["weight_ih_l0"][rows].T, weights["weight_hh_l0"][rows].T
        layer.set_weights([*kernels, bias])
        far[order] = float(np.abs(layer(_constant(x)).numpy() - expected).max())
    nearest, second = sorted(far, key=lambda order: far[order])[:2]
    return nearest if far[nearest] < far[second] * 2.0**-24 else None


def _lstm() -> Facts:
    layer, module = keras.layers.LSTM(2), torch.nn.LSTM(3, 2)
    layer.build((None, 4, 3))
    return {
        "keras kernel": tuple(layer.cell.kernel.shape),
        "pytorch kernel": tuple(module.weight_ih_l0.shape),
        "keras bias": tuple(layer.cell.bias.numpy().tolist()),
        "pytorch biases": sum(name.startswith("bias") for name in module.state_dict()),
        "order of gates": _gates("LSTM"),
    }


def _lstm_two_biases() -> Facts:
    module = torch.nn.LSTM(3, 2).double()
    before = module.bias_ih_l0.detach().clone(), module.bias_hh_l0.detach().clone()
    module(_double(_integers(1, 1, 3) / 8))[0].sum().backward()
    gradient = module.bias_ih_l0.grad
    assert gradient is not None
    with torch.no_grad():  # steps of a power of two of the same gradient, from the biases alone
        steps = [0.0 * start - 0.5 * gradient for start in before]
    equal = torch.equal(gradient, module.bias_hh_l0.grad)
    ratio = (steps[0] + steps[1]) / steps[0]
    return {"pytorch step of the sum over the step of one": float(ratio[0]) if equal else None}


def _gru() -> Facts:
    layer = keras.layers.GRU(2)
    layer.build((None, 4, 3))
    plain = keras.layers.GRU(2, reset_after=False)
    plain.build((None, 4, 3))
    return {
        "keras bias": tuple(layer.cell.bias.shape),
        "keras bias without reset_after": tuple(plain.cell.bias.shape),
        "order of gates": _gates("GRU"),
    }


def _rnn_dropout() -> Facts:
    x = np.ones((4, 3, 8), np.float32)
    layer = keras.layers.LSTM(4, dropout=0.5)
    of_keras = [layer(tf.constant(x), training=True).numpy() for _ in range(2)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.nn.LSTM(8, 4, dropout=0.5)
    of_torch = [module(torch.tensor(x))[0].detach().numpy() for _ in range(2)]
    return {
        "keras drops in one layer": not np.array_equal(*of_keras),
        "pytorch drops in one layer": not np.array_equal(*of_torch),
    }


def _attention_weights() -> Facts:
    layer = keras.layers.MultiHeadAttention(2, 3)
    layer.build((None, 4, 6), (None, 4, 6), (None, 4, 6))
    module = torch.nn.MultiheadAttention(6, 2)
    return {
        "keras query": tuple(layer.query_dense.kernel.shape),
        "keras output": tuple(layer.output_dense.kernel.shape),
        "pytorch packed": tuple(module.in_proj_weight.shape),
    }


def _attention_mask() -> Facts:
    """Does a change of the second position reach the first, if the mask is True there?"""
    mask = np.array([[True, True], [False, True]])  # the first looks at both
    x = _integers(1, 2, 4) / 8
    changed = x.copy()
    changed[0, 1] += 1
    layer = keras.layers.MultiHeadAttention(2, 2, dtype=DOUBLE)
    module = torch.nn.MultiheadAttention(4, 2, batch_first=True).double()

    def of_keras(array: np.ndarray) -> Any:
        t = _constant(array)
        return layer(t, t, attention_mask=tf.constant(mask[None])).numpy()[0, 0]

    def of_torch(array: np.ndarray) -> Any:
        t = _double(array)
        hidden = mask & ~np.eye(2, dtype=bool)  # each position sees itself, or nothing is left
        return module(t, t, t, attn_mask=torch.tensor(hidden))[0].detach().numpy()[0, 0]

    def of_product(array: np.ndarray) -> Any:
        t = _double(array)
        attend = functional.scaled_dot_product_attention
        return attend(t, t, t, attn_mask=torch.tensor(mask)).numpy()[0, 0]

    def word(function: Callable[[np.ndarray], Any]) -> str:
        return "hides" if np.array_equal(function(x), function(changed)) else "shows"

    return {
        "keras True": word(of_keras),
        "MultiheadAttention True": word(of_torch),
        "scaled_dot_product_attention True": word(of_product),
    }


# losses ------------------------------------------------------------------------------------------


def _cross_entropy_input() -> Facts:
    from keras.src.backend import config

    loss = keras.losses.SparseCategoricalCrossentropy()
    assert loss.get_config()["from_logits"] is False
    far = torch.tensor([[0.0, -1e4]], dtype=torch.float64)
    unclipped = float(functional.cross_entropy(far, torch.tensor([1]))) == 1e4
    return {
        "keras from_logits": _signature_default(
            keras.losses.SparseCategoricalCrossentropy, "from_logits"
        ),
        "keras clips at": config.epsilon(),
        "pytorch takes": "logits" if unclipped else "probabilities",
    }


def _class_weights() -> Facts:
    weights, errors = np.array([1.0, 3.0]), np.array([2.0, 4.0])
    loss = keras.losses.MeanSquaredError(dtype=DOUBLE)
    y_true, y_pred = _constant(np.zeros((2, 1))), _constant(np.sqrt(errors)[:, None])
    of_keras = float(loss(y_true, y_pred, sample_weight=_constant(weights)))
    logits = torch.zeros(2, 2, dtype=torch.float64)  # each label costs log 2
    labels = torch.tensor([0, 1])
    plain = float(functional.cross_entropy(logits, labels))
    weighted = float(functional.cross_entropy(logits, labels, weight=_double(weights)))
    mean_of_keras = of_keras / float(np.mean(errors * weights)) * float(np.mean(weights))
    return {"keras over pytorch, weights 1 and 3": _rounded(mean_of_keras * plain / weighted)}


def _rounded(value: float) -> float:
    """The value in float32, in which the roundings of float64 cannot be seen."""
    return float(np.float32(value))


def _masked_loss() -> Facts:
    loss = keras.losses.MeanSquaredError(dtype=DOUBLE)
    prediction = _constant([[1.0], [np.sqrt(3.0)], [9.0]])
    prediction._keras_mask = tf.constant([True, True, False])
    of_keras = float(loss(_constant(np.zeros((3, 1))), prediction))
    logp = _double([[-1.0, -9.0], [-3.0, -9.0], [-5.0, -9.0]])
    default = _signature_default(functional.cross_entropy, "ignore_index")
    of_torch = float(functional.nll_loss(logp, torch.tensor([0, 0, default])))
    return {
        "pytorch ignore_index": default,
        "keras mean": _rounded(of_keras),
        "pytorch mean": of_torch,
    }


def _l2() -> Facts:
    weight = keras.Variable(3.0, dtype=DOUBLE)
    with tf.GradientTape() as tape:
        penalty = keras.regularizers.L2(0.25)(weight.value)
    parameter = torch.nn.Parameter(torch.tensor(3.0))
    parameter.grad = torch.tensor(0.0)
    torch.optim.SGD([parameter], lr=1.0, weight_decay=0.25).step()
    return {
        "keras gradient of L2(0.25) at 3": float(tape.gradient(penalty, weight.value)),
        "pytorch gradient of 0.25 at 3": 3.0 - float(parameter),
    }


# around the optimizer, and files -----------------------------------------------------------------


def _loss_scale() -> Facts:
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())
    scaler = torch.amp.GradScaler
    return {
        "keras start": optimizer.initial_scale,
        "keras steps": optimizer.dynamic_growth_steps,
        "pytorch start": _signature_default(scaler.__init__, "init_scale"),
        "pytorch steps": _signature_default(scaler.__init__, "growth_interval"),
    }


def _clip() -> Facts:
    optimizer = keras.optimizers.SGD(clipnorm=1.0)
    clipped = optimizer._clip_gradients([tf.constant([4.0]), tf.constant([2.0])])
    parameter = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    parameter.grad = torch.ones(1, dtype=torch.float64)
    torch.nn.utils.clip_grad_norm_([parameter], 0.5)
    return {
        "keras clipnorm": tuple(float(gradient[0]) for gradient in clipped),
        "pytorch gradient of 1 clipped to 0.5 is below 0.5": float(parameter.grad) < 0.5,
    }


def _momentum() -> Facts:
    variable = keras.Variable(1.0)
    optimizer = keras.optimizers.SGD(0.25, momentum=0.5)
    optimizer.build([variable])
    optimizer.apply([tf.constant(2.0)])
    parameter = torch.nn.Parameter(torch.tensor(1.0))
    parameter.grad = torch.tensor(2.0)
    of_torch = torch.optim.SGD([parameter], lr=0.25, momentum=0.5)
    of_torch.step()
    return {
        "keras": float(optimizer.momentums[0]),
        "pytorch": float(of_torch.state[parameter]["momentum_buffer"]),
    }


def _step_number() -> Facts:
    parameter = torch.nn.Parameter(torch.tensor(1.0))
    parameter.grad = torch.tensor(1.0)
    optimizer = torch.optim.Adam([parameter])
    optimizer.step()
    step = optimizer.state[parameter]["step"]
    step.fill_(2.0**24)
    optimizer.step()
    return {
        "keras dtype": str(keras.optimizers.Adam().iterations.dtype),
        "pytorch dtype": str(step.dtype).removeprefix("torch."),
        "2^24 + 1": float(step),
    }


def _random_state() -> Facts:
    layer = keras.layers.Dropout(0.5)
    return {
        "keras weights": len(layer.weights),
        "pytorch entries": len(torch.nn.Dropout(0.5).state_dict()),
    }


def _optimizer_file() -> Facts:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    parameter = torch.nn.Parameter(torch.tensor(1.0))
    parameter.grad = torch.tensor(1.0)
    of_torch = torch.optim.Adam([parameter])
    of_torch.step()
    names = [variable.name.rpartition("_")[2] for variable in optimizer.variables]
    names[:2] = [variable.name for variable in optimizer.variables[:2]]
    return {"keras": tuple(names), "pytorch": tuple(of_torch.state_dict()["state"][0])}


def _checkpoint_names() -> Facts:
    import tf_keras

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    variable = tf.Variable([1.0])
    legacy = tf_keras.optimizers.legacy.Adam()
    legacy.apply_gradients([(tf.constant([1.0]), variable)])
    current = keras.optimizers.Adam()
    of_keras = keras.Variable([1.0])
    current.build([of_keras])
    keys = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, optimizer in (("legacy", legacy), ("keras 3", current)):
            saved = tf.train.Checkpoint(optimizer=optimizer, variable=variable)
            reader = tf.train.load_checkpoint(saved.save(str(Path(folder, name.replace(" ", "")))))
            keys[name] = list(reader.get_variable_to_shape_map())
    by_name = [key for key in keys["legacy"] if "/.OPTIMIZER_SLOT/" in key and "/m/" in key]
    by_position = [key for key in keys["keras 3"] if "/_variables/" in key or "/_momentums/" in key]
    return {
        "legacy has slots by name": bool(by_name),
        "keras 3 has slots by position": bool(by_position),
    }


def _tensorflow1_steps() -> Facts:
    smallest = np.finfo(np.float32).smallest_normal

    def last(beta: float) -> int:
        """The last step whose power is a normal number, multiplied in float32 as TensorFlow 1."""
        power, step = np.float32(beta), 1
        while power * np.float32(beta) >= smallest:
            power, step = power * np.float32(beta), step + 1
        return step

    return {"last step of 0.9": last(0.9), "last step of 0.999": last(0.999)}


CHECKS: dict[str, Callable[[], Facts]] = {
    "batchnorm-defaults": _batchnorm_defaults,
    "batchnorm-variance": _batchnorm_variance,
    "batchnorm-keras2": _batchnorm_keras2,
    "batchnorm-frozen": _batchnorm_frozen,
    "batchnorm-cumulative": _batchnorm_cumulative,
    "batchnorm-half": _batchnorm_half,
    "batchnorm-order": _batchnorm_order,
    "batchnorm-called-with-training": _batchnorm_called_with_training,
    "norm-epsilon": _norm_epsilon,
    "gelu-kind": _gelu_kind,
    "float32-constants": _float32_constants,
    "leaky-relu-slope": _leaky_relu_slope,
    "prelu-slopes": _prelu_slopes,
    "softplus-threshold": _softplus_threshold,
    "ties": _ties,
    "linear": _linear,
    "conv-kernel": _conv_kernel,
    "conv-transpose": _conv_transpose,
    "depthwise-kernel": _depthwise_kernel,
    "same-padding": _same_padding,
    "average-pool-rim": _average_pool_rim,
    "flatten-order": _flatten_order,
    "embedding": _embedding,
    "tied-weights": _tied_weights,
    "lstm": _lstm,
    "lstm-two-biases": _lstm_two_biases,
    "gru": _gru,
    "rnn-dropout": _rnn_dropout,
    "attention-weights": _attention_weights,
    "attention-mask": _attention_mask,
    "cross-entropy-input": _cross_entropy_input,
    "class-weights": _class_weights,
    "masked-loss": _masked_loss,
    "l2": _l2,
    "loss-scale": _loss_scale,
    "clip": _clip,
    "momentum": _momentum,
    "step-number": _step_number,
    "random-state": _random_state,
    "optimizer-file": _optimizer_file,
    "checkpoint-names": _checkpoint_names,
    "tensorflow1-steps": _tensorflow1_steps,
}
