"""A network of images: squeezed channels, pooling, groups, normalization, copies of weights."""

from typing import Any

import numpy as np

from samestep.parity.tests.support.frameworks import keras, tf

# isort: split
from keras import layers
from torch import nn
from torch.nn import functional

from .pair import Fault, Pair, random


class TorchSqueezed(nn.Module):
    def __init__(self, resting: bool = False) -> None:
        super().__init__()
        self.resting = resting
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.down, self.up = nn.Linear(8, 4), nn.Linear(4, 8)
        self.conv = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.hidden, self.head = nn.Linear(128, 8), nn.Linear(8, 6)

    def train(self, mode: bool = True) -> Any:
        super().train(mode)
        if self.resting:
            self.norm.eval()
        return self

    def forward(self, x: Any) -> Any:
        x = functional.leaky_relu(self.norm(self.stem(x)), 0.25)
        share = functional.hardsigmoid(self.up(functional.relu(self.down(x.mean((2, 3))))))
        x = x * share[:, :, None, None]
        x = functional.max_pool2d(x, 3, 2, padding=1)
        x = x + functional.relu(self.conv(x))
        x = functional.avg_pool2d(x, 3, 1, padding=1, count_include_pad=False)
        return self.head(self.hidden(x.flatten(1)))


def old_hard_sigmoid(x: Any) -> Any:
    return tf.clip_by_value(0.2 * x + 0.5, 0.0, 1.0)


def keras_squeezed(**plan: Any) -> Any:
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same")(image)
    norm = layers.BatchNormalization(plan.get("axis", -1), momentum=0.9, epsilon=1e-5)
    x = norm(x, training=False) if plan.get("resting") else norm(x)
    x = layers.LeakyReLU(0.25)(x)
    pool = layers.GlobalMaxPooling2D() if plan.get("most") else layers.GlobalAveragePooling2D()
    share = layers.Dense(4, activation="relu")(pool(x))
    share = layers.Dense(8, activation=plan.get("gate", "hard_sigmoid"))(share)
    x = layers.Multiply()([x, layers.Reshape((1, 1, 8))(share)])
    if plan.get("zeros"):
        x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))
    else:
        x = layers.MaxPooling2D(3, 2)(Edge()(x))
    y = layers.Conv2D(8, 3, padding="same", groups=plan.get("groups", 2))(x)
    if plan.get("outside"):
        x = layers.ReLU()(layers.Add()([x, y]))
    else:
        x = layers.Add()([x, layers.ReLU()(y)])
    if plan.get("padded"):
        x = layers.AveragePooling2D(3, 1)(layers.ZeroPadding2D(1)(x))
    else:
        x = layers.AveragePooling2D(3, 1, padding="same")(x)
    x = layers.Dense(8)(layers.Flatten()(x))
    if plan.get("bounded"):
        x = layers.ReLU()(x)
    return keras.Model(image, layers.Dense(6)(x))


class Edge(layers.Layer):
    """Pads by one pixel with what is less than any value, as PyTorch's pooling does."""

    def call(self, x: Any) -> Any:
        return tf.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=x.dtype.min)


def images() -> Any:
    return random().standard_normal((5, 3, 8, 8)).astype("float32"), random(1).integers(0, 6, 5)


def bytes_of_sides() -> Any:
    """Pictures of bytes, normalized by each side in its own way."""
    pictures = random().integers(0, 256, (5, 8, 8, 3)).astype("float32")
    mean = np.array([0.485, 0.456, 0.406], "float32")
    spread = np.array([0.229, 0.224, 0.225], "float32")
    labels = random(1).integers(0, 6, 5)
    ours = ((pictures / 255 - mean) / spread).transpose(0, 3, 1, 2)
    return {"pytorch": (ours, labels), "keras": (pictures / 127.5 - 1, labels)}


def copied(torch_model: Any, keras_model: Any, plan: Any) -> None:
    """A conversion as many write it; ``plan`` names the mistake."""
    named = torch_model.state_dict().items()
    state = {name: value.detach().numpy().copy() for name, value in named}
    convolutions = [each for each in keras_model.layers if isinstance(each, layers.Conv2D)]
    axes = (3, 2, 1, 0) if plan == "turned" else (2, 3, 1, 0)
    for layer, name in zip(convolutions, ("stem", "conv"), strict=True):
        layer.set_weights([state[f"{name}.weight"].transpose(axes), state[f"{name}.bias"]])
    dense = [each for each in keras_model.layers if isinstance(each, layers.Dense)]
    for layer, name in zip(dense, ("down", "up", "hidden", "head"), strict=True):
        kernel = state[f"{name}.weight"].T
        if name == "hidden" and plan != "flat":
            kernel = kernel.reshape(8, 4, 4, 8).transpose(1, 2, 0, 3).reshape(128, 8)
        layer.set_weights([kernel, state[f"{name}.bias"]])
    norm = next(each for each in keras_model.layers if "batch_norm" in each.name)
    names = ["bias", "weight"] if plan == "shifted" else ["weight", "bias"]
    rest = [state[f"norm.{name}"] for name in ("running_mean", "running_var")]
    if plan == "statistics":
        rest = norm.get_weights()[2:]
    norm.set_weights([state[f"norm.{name}"] for name in names] + rest)


def measured() -> Any:
    """As after some training: the statistics of the normalization are not 0 and 1."""
    model = TorchSqueezed()
    for tensor in (model.norm.running_mean, model.norm.running_var):
        tensor.uniform_(0.5, 2.0)
    return model


def converting(plan: str) -> Pair:
    return PAIR._replace(
        torch_model=measured, convert=lambda ours, theirs: copied(ours, theirs, plan)
    )


def planned(**plan: Any) -> Pair:
    return PAIR._replace(keras_model=lambda: keras_squeezed(**plan))


PAIR = Pair(TorchSqueezed, keras_squeezed, images, "cross_entropy")
RIGHT = {
    "squeezed": PAIR,
    "squeezed, converted": converting(""),
}
FAULTS = {
    "squeezed: the old hard sigmoid": Fault(
        planned(gate=old_hard_sigmoid), ("forward",), ("up", "dense_1", "hardsigmoid"),
        ("sigmoid", "activation"),
    ),
    "squeezed: zeros around the maximum": Fault(
        planned(zeros=True), ("forward",), ("max_pool", "conv2d_1"), ("zero", "padding"),
    ),
    "squeezed: normalized along an axis of places": Fault(
        planned(axis=1), ("forward",), ("norm",), ("axis",),
    ),
    "squeezed: training=False is overridden in Keras": Fault(
        planned(resting=True)._replace(torch_model=lambda: TorchSqueezed(True)),
        ("forward",), ("norm",), ("training", "running", "eval"),
    ),
    "squeezed: maximum for the mean": Fault(
        planned(most=True), ("forward",), ("pool", "mean"), ("max", "mean"),
    ),
    "squeezed: ReLU of the sum": Fault(
        planned(outside=True), ("forward",), ("re_lu", "add", "avg", "average", "relu"),
        ("relu", "activation", "order", "sum", "add"),
    ),
    "squeezed: zeros count in the average": Fault(
        planned(padded=True), ("forward",), ("av", "dense_2"),
        ("count_include_pad", "zero", "padding"),
    ),
    "squeezed: an activation too many": Fault(
        planned(bounded=True), ("forward",), ("hidden", "dense_2", "head", "dense_3", "re_lu"),
        ("relu", "re_lu", "activation"),
    ),
    "squeezed: groups forgotten": Fault(
        planned(groups=1), ("map",), ("conv",), ("groups", "shape"),
    ),
    "squeezed: two ways to normalize bytes": Fault(
        PAIR._replace(batch=bytes_of_sides), ("batch",), ("",),
        ("scale", "normali", "factor", "mean", "channel"),
    ),
    "squeezed: converted with turned kernels": Fault(
        converting("turned"), ("weights",), ("conv", "stem"),
        ("transpos", "permute", "axes", "height and width"),
    ),
    "squeezed: converted without the flatten layer": Fault(
        converting("flat"), ("weights",), ("hidden", "dense_2"), ("flatten", "order"),
    ),
    "squeezed: scale and shift exchanged": Fault(
        converting("shifted"), ("weights",), ("norm",),
        ("norm.bias", "norm.weight", "gamma", "beta", "swap", "exchang"),
    ),
    "squeezed: statistics are not copied": Fault(
        converting("statistics"), ("weights",), ("norm",),
        ("running", "moving", "initial", "copied"),
    ),
}  # fmt: skip
