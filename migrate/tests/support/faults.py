"""Planted faults: what is changed in a right pair, and what must be said of it.

``place`` is a part of the finding's names, ``cause`` of the cause's text; an empty cause means that
no exchange is known, and that none may be claimed but what is true of the place.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from samestep.parity.tests.support.frameworks import keras, tf, torch

# isort: split
from keras import layers
from torch import nn
from torch.nn import functional

from . import families as f
from .families import FAMILIES


class Fault(NamedTuple):
    """A wrong pair: the family, the entries of its file that are changed, and what must be said."""

    family: str
    changes: dict[str, Any]
    stage: str
    place: str
    cause: str = ""

    def values(self, seed: int = 0) -> dict[str, Any]:
        """The names and values of the user's file."""
        return {**FAMILIES[self.family].values(seed), **self.changes}


def _keras(make: Callable[..., Any], *arguments: Any, **options: Any) -> dict[str, Any]:
    return {"keras_model": lambda: make(*arguments, **options)}


def _mean(loss: Any, **options: Any) -> Any:
    return lambda targets, output: tf.reduce_mean(loss(targets, output, **options))


def _torch_loss(**options: Any) -> Any:
    return lambda output, targets: functional.cross_entropy(output, targets, **options)


SPARSE = keras.losses.sparse_categorical_crossentropy
PLAIN = (_torch_loss(), _mean(SPARSE, from_logits=True))


def _loss(in_pytorch: Any = PLAIN[0], in_keras: Any = PLAIN[1]) -> dict[str, Any]:
    return {"loss": (in_pytorch, in_keras)}


def _optimizers(in_keras: Any, in_pytorch: Any = f.ADAM, **rest: Any) -> dict[str, Any]:
    return {"optimizers": (in_pytorch, in_keras), **rest}


def _batch(change: Callable[[np.ndarray, np.ndarray], Any]) -> dict[str, Any]:
    """Keras' batch is changed by a function of images in its layout, and labels."""

    def batch() -> Any:
        x, y = f.images(0)
        return {"pytorch": (x, y), "keras": change(x.transpose(0, 2, 3, 1), y)}

    return {"batch": batch}


def _reshaped() -> Any:
    x, y = f.images(0)
    return {"pytorch": (x, y), "keras": (x.reshape(7, 8, 8, 3), y)}


def _convert(change: Callable[[Any, Any], None], by: Callable[[Any, Any], None]) -> dict[str, Any]:
    """The user's conversion: the right one, then one thing changed."""

    def convert(torch_model: Any, keras_model: Any) -> None:
        by(torch_model, keras_model)
        change(torch_model, keras_model)

    return {"convert": convert}


def _array(tensor: Any) -> np.ndarray:
    return tensor.detach().numpy()


def _convert_mlp(torch_model: Any, keras_model: Any) -> None:
    linear = [module for module in torch_model if isinstance(module, nn.Linear)]
    dense = [layer for layer in keras_model.layers if isinstance(layer, layers.Dense)]
    for source, target in zip(linear, dense, strict=True):
        target.set_weights([_array(source.weight).T, _array(source.bias)])


def _square_kernel(torch_model: Any, keras_model: Any) -> None:
    dense = [layer for layer in keras_model.layers if isinstance(layer, layers.Dense)]
    dense[1].kernel.assign(_array(torch_model[2].weight))


def _convert_rnn(torch_model: Any, keras_model: Any) -> None:
    rnn, dense = torch_model.rnn, keras_model.layers[-1]
    kernels = [_array(rnn.weight_ih_l0).T, _array(rnn.weight_hh_l0).T]
    both = np.stack([_array(rnn.bias_ih_l0), _array(rnn.bias_hh_l0)])
    if isinstance(rnn, nn.GRU):
        order = np.concatenate([np.arange(7, 14), np.arange(7), np.arange(14, 21)])
        kernels, both = [kernel[:, order] for kernel in kernels], both[:, order]
        keras_model.layers[0].set_weights([*kernels, both])
    else:
        keras_model.layers[0].set_weights([*kernels, both.sum(0)])
    dense.set_weights([_array(torch_model.fc.weight).T, _array(torch_model.fc.bias)])


def _gru_gates(torch_model: Any, keras_model: Any) -> None:
    rnn = torch_model.rnn
    both = np.stack([_array(rnn.bias_ih_l0), _array(rnn.bias_hh_l0)])
    weights = [_array(rnn.weight_ih_l0).T, _array(rnn.weight_hh_l0).T, both]
    keras_model.layers[0].set_weights(weights)


def _lstm_bias_twice(torch_model: Any, keras_model: Any) -> None:
    keras_model.layers[0].cell.bias.assign(2 * _array(torch_model.rnn.bias_ih_l0))


def _frozen_norm() -> Any:
    model = f.keras_cnn()
    model.layers[1].trainable = False
    return model


def _eval_norm() -> Any:
    class Model(f.TorchCnn):
        def train(self, mode: bool = True) -> Any:
            super().train(mode)
            self.bn1.eval()
            return self

    return Model()


def _norm_behind_relu() -> Any:
    return keras.Sequential([
        layers.Input((8, 8, 3)), layers.Conv2D(8, 3, padding="same"), layers.ReLU(),
        layers.BatchNormalization(), layers.MaxPooling2D(), layers.Conv2D(6, 3, padding="same"),
        layers.BatchNormalization(), layers.ReLU(), layers.AveragePooling2D(2), layers.Flatten(),
        layers.Dropout(0.3), layers.Dense(16, activation="relu"), layers.Dense(10),
    ])  # fmt: skip


def _counted_rim() -> Any:
    """Average pooling with a rim of zeros, which PyTorch counts."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.AvgPool2d(3, stride=1, padding=1), nn.Flatten(),
        nn.Linear(256, 10),
    )  # fmt: skip


def _uncounted_rim() -> Any:
    return keras.Sequential([
        layers.Input((8, 8, 3)), layers.Conv2D(4, 3, padding="same"),
        layers.AveragePooling2D(3, 1, padding="same"), layers.Flatten(), layers.Dense(10),
    ])  # fmt: skip


class _UnbiasedNorm(layers.BatchNormalization):
    """Stores the unbiased variance, as Keras 2 did for images."""

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        before = keras.ops.copy(self.moving_variance.value)
        outputs = super().call(inputs, training=training, mask=mask)
        if training:
            count = int(np.prod(inputs.shape[:-1]))
            moved = self.moving_variance.value - self.momentum * before
            self.moving_variance.assign(self.momentum * before + moved * count / (count - 1))
        return outputs


def _unbiased() -> Any:
    return keras.Sequential([
        layers.Input((8, 8, 3)), layers.Conv2D(8, 3, padding="same"), _UnbiasedNorm(),
        layers.ReLU(), layers.MaxPooling2D(), layers.Conv2D(6, 3, padding="same"),
        layers.BatchNormalization(), layers.ReLU(), layers.AveragePooling2D(2), layers.Flatten(),
        layers.Dropout(0.3), layers.Dense(16, activation="relu"), layers.Dense(10),
    ])  # fmt: skip


def _convert_cnn(torch_model: Any, keras_model: Any) -> None:
    norms = [each for each in keras_model.layers if isinstance(each, layers.BatchNormalization)]
    convs = [each for each in keras_model.layers if isinstance(each, layers.Conv2D)]
    for source, target in zip((torch_model.conv1, torch_model.conv2), convs, strict=True):
        kernel = _array(source.weight).transpose(2, 3, 1, 0)
        target.set_weights([kernel, _array(source.bias)])
    for source, target in zip((torch_model.bn1, torch_model.bn2), norms, strict=True):
        arrays = (source.weight, source.bias, source.running_mean, source.running_var)
        target.set_weights([_array(array) for array in arrays])
    dense = [each for each in keras_model.layers if isinstance(each, layers.Dense)]
    rows = _array(torch_model.fc1.weight).reshape(16, 6, 2, 2).transpose(2, 3, 1, 0)
    dense[0].set_weights([rows.reshape(24, 16), _array(torch_model.fc1.bias)])
    dense[1].set_weights([_array(torch_model.fc2.weight).T, _array(torch_model.fc2.bias)])


def _statistics_exchanged(torch_model: Any, keras_model: Any) -> None:
    norm = keras_model.layers[1]
    gamma, beta, mean, variance = norm.get_weights()
    norm.set_weights([gamma, beta, variance, mean])


def _flat_rows(torch_model: Any, keras_model: Any) -> None:
    dense = next(each for each in keras_model.layers if isinstance(each, layers.Dense))
    dense.kernel.assign(_array(torch_model.fc1.weight).T)


def _convert_conv1d(torch_model: Any, keras_model: Any) -> None:
    conv, norm, act, _, dense = keras_model.layers
    conv.set_weights(
        [_array(torch_model.conv.weight).transpose(2, 1, 0), _array(torch_model.conv.bias)]
    )
    norm.set_weights([_array(torch_model.norm.weight), _array(torch_model.norm.bias)])
    act.set_weights([_array(torch_model.act.weight)[None]])
    dense.set_weights([_array(torch_model.fc.weight).T, _array(torch_model.fc.bias)])


def _nothing(torch_model: Any, keras_model: Any) -> None:
    """Leave the conversion as it is."""


def _shared_layer() -> Any:
    """One Keras layer in place of two Linear layers."""
    inputs = layers.Input((20,))
    shared = layers.Dense(16)
    x = layers.Dense(16, activation="relu")(inputs)
    x = layers.LeakyReLU(0.1)(shared(x))
    x = keras.activations.gelu(shared(x))
    return keras.Model(inputs, layers.Dense(10)(layers.Dropout(0.25)(x)))


def _without_bias() -> Any:
    return keras.Sequential([
        layers.Input((20,)), layers.Dense(16, activation="relu"), layers.Dense(16, use_bias=False),
        layers.LeakyReLU(0.1), layers.Dense(16, activation="gelu"), layers.Dropout(0.25),
        layers.Dense(10),
    ])  # fmt: skip


LABELS = np.arange(7)
WEIGHTS = np.linspace(1, 3, 10).astype("float32")


def _weighted(targets: Any, output: Any) -> Any:
    each = SPARSE(targets, output, from_logits=True)
    return tf.reduce_mean(tf.gather(tf.constant(WEIGHTS, output.dtype), targets) * each)


def _weighted_torch(output: Any, targets: Any) -> Any:
    return functional.cross_entropy(output, targets, torch.tensor(WEIGHTS).to(output.dtype))


def _softmax_head(output: Any, targets: Any) -> Any:
    return functional.cross_entropy(torch.softmax(output, -1), targets)


FAULTS: dict[str, Fault] = {
    # map
    "a bias is missing": Fault("mlp", _keras(_without_bias), "map", "2.bias", "no twin"),
    "one layer for two": Fault("mlp", _keras(_shared_layer), "map", "4.", "no twin"),
    "the output is not tied": Fault(
        "transformer", _keras(f.KerasTransformer, tied=False), "map", "embedding", ""),
    "GRU without reset_after": Fault(
        "gru", _keras(f.keras_rnn, "GRU", reset_after=False), "map", "bias", "shapes differ"),
    # weights
    "a square kernel is not transposed": Fault(
        "mlp", _convert(_square_kernel, _convert_mlp), "weights", "2.weight", "without transp"),
    "GRU's gates are not exchanged": Fault(
        "gru", _convert(_gru_gates, _convert_rnn), "weights", "weight_ih", "gates"),
    "LSTM's bias is doubled": Fault(
        "lstm", _convert(_lstm_bias_twice, _convert_rnn), "weights", "bias", "bias_ih_l0 twice"),
    "mean and variance are exchanged": Fault(
        "cnn", _convert(_statistics_exchanged, _convert_cnn), "weights", "bn1.running", "variance"),
    "rows of the kernel behind flatten": Fault(
        "cnn", _convert(_flat_rows, _convert_cnn), "weights", "fc1.weight", "channel, height"),
    "rows behind the flatten of a Conv1D": Fault(
        "conv1d", _convert(_nothing, _convert_conv1d), "weights", "fc.weight", "channel, height"),
    # batch
    "pixels times 255": Fault(
        "cnn", _batch(lambda x, y: (255 * x, y)), "batch", "inputs", "255 times"),
    "blue, green, red": Fault(
        "cnn", _batch(lambda x, y: (x[..., ::-1], y)), "batch", "inputs", "BGR"),
    "normalized by channel": Fault(
        "cnn", _batch(lambda x, y: ((x - [0.5, 0.25, 0.5]) / [0.5, 0.25, 0.125], y)),
        "batch", "inputs", "by channel"),
    "reshaped, not transposed": Fault("cnn", {"batch": _reshaped}, "batch", "inputs", "reshaped"),
    "other labels": Fault(
        "cnn", _batch(lambda x, y: (x, np.maximum(y - 1, 0))), "batch", "targets", ""),
    # forward
    "BatchNorm's epsilon": Fault(
        "cnn", _keras(f.keras_cnn, {"epsilon": 1e-5}), "forward", "bn1", "epsilon is 1e-05"),
    "BatchNorm is frozen": Fault(
        "cnn", _keras(_frozen_norm), "forward", "bn1", "trainable=False in Keras"),
    "BatchNorm is in eval mode": Fault(
        "cnn", {"torch_model": _eval_norm}, "forward", "bn1", "eval mode in PyTorch"),
    "BatchNorm behind ReLU": Fault(
        "cnn", _keras(_norm_behind_relu), "forward", "bn1", "its input is not"),
    "'same' for padding=1": Fault(
        "resnet", {"torch_model": f.TorchResnetPadded}, "forward", "conv1", "padding is 'same'"),
    "dilation": Fault(
        "depthwise", _keras(f.keras_depthwise, dilation=2), "forward", "0 ~", "dilation is (2, 2)"),
    "the average for the maximum": Fault(
        "cnn", _keras(f.keras_cnn, pool=lambda: layers.MaxPooling2D(2)), "forward", "avg_pool2d",
        "pooling is max"),
    "the rim of an average": Fault(
        "cnn", {"torch_model": _counted_rim, **_keras(_uncounted_rim)}, "forward", "1 ~",
        "rim of zeros"),
    "the kind of GELU": Fault(
        "mlp", _keras(f.keras_mlp, second=lambda x: keras.activations.gelu(x, approximate=True)),
        "forward", "5 ~", "gelu"),
    "ReLU for GELU": Fault("mlp", _keras(f.keras_mlp, second="relu"), "forward", "5 ~", "gelu"),
    "the slope of LeakyReLU": Fault(
        "mlp", _keras(f.keras_mlp, slope=0.3), "forward", "3 ~", "slope 0.1"),
    "LayerNorm's epsilon": Fault(
        "transformer", _keras(f.KerasTransformer, epsilon=1e-5), "forward", "norm1", "epsilon"),
    "an inverted mask": Fault(
        "transformer", _keras(f.KerasTransformer, mask="inverted"), "forward", "self_attn", ""),
    "no mask": Fault(
        "transformer", _keras(f.KerasTransformer, mask="none"), "forward", "self_attn", "causal"),
    "the number of heads": Fault(
        "transformer", _keras(f.KerasTransformer, heads=4), "forward", "self_attn", "num_heads"),
    "the rate is what stays": Fault(
        "mlp", _keras(f.keras_mlp, rate=0.75), "forward", "6 ~", "both mean the share"),
    "no dropout": Fault("cnn", _keras(f.keras_cnn, rate=0.0), "forward", "fc1", "drop"),
    "attention is not scaled": Fault(
        "hand attention", _keras(f.KerasHandAttention, scale=1.0), "forward", "softmax",
        "its input"),
    "no residual": Fault(
        "hand attention", _keras(f.KerasHandAttention, residual=False), "forward", "head", ""),
    "ReLU before the sum": Fault(
        "resnet", _keras(f.keras_resnet, early_relu=True), "forward", "", ""),
    "ReLU6 without its cap": Fault(
        "mobile",
        {**_keras(f.keras_mobile, cap=None), "batch": lambda: (20 * f.images(0, 9)[0], LABELS)},
        "forward", "relu6", "relu6"),
    "parts joined the other way": Fault(
        "unet", _keras(f.KerasUnet, turned=True), "forward", "last", ""),
    "the groups of GroupNorm": Fault(
        "conv1d", _keras(f.keras_conv1d, groups=4), "forward", "norm", "groups is 4"),
    "LSTM runs backwards": Fault(
        "lstm", _keras(f.keras_rnn, "LSTM", go_backwards=True), "forward", "rnn", "go_backwards"),
    "LSTM's hard sigmoid": Fault(
        "lstm", _keras(f.keras_rnn, "LSTM", recurrent_activation="hard_sigmoid"), "forward", "rnn",
        "recurrent_activation"),
    "directions are added": Fault(
        "bidirectional", _keras(f.keras_bidirectional, merge="ave"), "map", "fc.weight", "no twin"),
    "the embedding is scaled": Fault(
        "positions", _keras(f.KerasPositions, scaled=True), "forward", "fc", ""),
    # loss
    "logits taken as probabilities": Fault(
        "mlp", _loss(in_keras=_mean(SPARSE)), "loss", "loss", ""),
    "softmax twice": Fault(
        "mlp", _loss(_softmax_head), "loss", "loss", "softmax taken as logits"),
    "a sum for the mean": Fault("mlp", _loss(_torch_loss(reduction="sum")), "loss", "loss", "sum"),
    "label smoothing": Fault(
        "mlp", _loss(_torch_loss(label_smoothing=0.1)), "loss", "loss", "smoothing 0.1"),
    "class weights": Fault("mlp", _loss(_weighted_torch, _weighted), "loss", "loss", ""),
    "a regularizer": Fault(
        "mlp", _keras(f.keras_mlp, regularizer=keras.regularizers.L2(0.01)), "loss", "loss",
        "regularizers"),
    "weight decay for a regularizer": Fault(
        "mlp", {**_keras(f.keras_mlp, regularizer=keras.regularizers.L2(0.01)),
                **_optimizers("pytorch:SGD(lr=0.1)", "pytorch:SGD(lr=0.1, weight_decay=0.01)")},
        "loss", "loss", "regularizers"),
    "half the squared error": Fault(
        "unet", {"loss": (lambda o, y: functional.mse_loss(o, y) / 2,
                          lambda y, o: tf.reduce_mean((y - o) ** 2))},
        "loss", "loss", "half the squared error"),
    # backward
    "the skip is detached": Fault(
        "unet", _keras(f.KerasUnet, detached=True), "backward", "", ""),
    # clip, weights after, state
    "the kind of clipping": Fault(
        "mlp", _optimizers("keras:Adam(learning_rate=0.001, epsilon=1e-08, clipnorm=0.01)",
                           clip=(0.01, None)), "clip", "", "clip"),
    "no clipping": Fault("mlp", _optimizers(f.ADAM, clip=(0.01, None)), "clip", "", "clipping"),
    "the learning rate": Fault(
        "mlp", _optimizers("pytorch:Adam(lr=0.002)"), "weights after", "", "lr is 0.002"),
    "beta1": Fault(
        "mlp", _optimizers("pytorch:Adam(lr=0.001, betas=(0.8, 0.999))"), "optimizer state", "",
        "beta1"),
    "Adam's epsilon": Fault(
        "mlp", _optimizers("keras:Adam(learning_rate=0.001, epsilon=0.001)"), "weights after", "",
        "epsilon"),
    "coupled weight decay": Fault(
        "mlp", _optimizers("pytorch:AdamW(lr=0.001, weight_decay=0.1)",
                           "pytorch:Adam(lr=0.001, weight_decay=0.1)"),
        "weights after", "", "decay"),
    "another rule": Fault(
        "mlp", _optimizers("pytorch:RMSprop(lr=0.001)"), "weights after", "", "the rule is"),
    "both biases of the LSTM are trained": Fault(
        "lstm", {"torch_model": lambda: f.TorchRnn("LSTM", both=True)}, "weights after", "bias",
        "2 times as far"),
    # buffers
    "BatchNorm's momentum": Fault(
        "cnn", _keras(f.keras_cnn, {"momentum": 0.9}), "buffers after", "bn1", "momentum is 0.9"),
    "the variance of Keras 2": Fault(
        "cnn", _keras(_unbiased), "buffers after", "bn1.running_var", ""),
    "momentum the wrong way round": Fault(
        "cnn", _keras(f.keras_cnn, {"momentum": 0.01}), "buffers after", "bn1", "momentum"),
}  # fmt: skip

REPORTED = {  # faults that people met, with the report
    "'same' for padding=1": "keras#16363, tensornets#25, pytorch#67551",
    "the variance of Keras 2": "keras#19649, keras#20507",
    "rows behind the flatten of a Conv1D": "keras#22695",
    "rows of the kernel behind flatten": "keras#22695",
    "momentum the wrong way round": "transformers#19454",
    "both biases of the LSTM are trained": "onnx#1127",
    "mean and variance are exchanged": "pytorch2keras#120",
    "weight decay for a regularizer": "d2l-en#2034, UGATIT-pytorch#6",
    "the kind of GELU": "two formulas under one name",
    "an inverted mask": "True hides in torch.nn.MultiheadAttention",
    "a sum for the mean": "reductions of losses",
    "class weights": "the divisor of weighted losses",
}
