"""Masks of images: dilation, upsampling, transposed convolution, the dice loss."""

from typing import Any

from samestep.parity.tests.support.frameworks import keras, tf, torch

# isort: split
from keras import layers
from torch import nn
from torch.nn import functional

from .pair import Fault, Pair, random


def torch_segmenter(corners: bool = False, size: int = 4, last: Any = None) -> Any:
    up = nn.ConvTranspose2d(6, 5, 4, 2, 1)
    if size == 3:
        up = nn.ConvTranspose2d(6, 5, 3, 2, 1, output_padding=1)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=2, dilation=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 6, 3, padding=1), nn.ELU(), nn.MaxPool2d(2),
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=corners), up, nn.ReLU(),
        nn.Conv2d(5, 1, 1), *([last] if last else []),
    )  # fmt: skip


def keras_segmenter(
    dilation: int = 2, interpolation: str = "bilinear", size: int = 4, last: Any = None
) -> Any:
    return keras.Sequential([
        layers.Input((8, 8, 3)),
        layers.Conv2D(6, 3, padding="same", dilation_rate=dilation, activation="relu"),
        layers.MaxPooling2D(), layers.Conv2D(6, 3, padding="same", activation="elu"),
        layers.MaxPooling2D(), layers.UpSampling2D(interpolation=interpolation),
        layers.Conv2DTranspose(5, size, 2, padding="same", activation="relu"),
        layers.Conv2D(1, 1, activation=last),
    ])  # fmt: skip


def masked_images() -> Any:
    images = random().standard_normal((4, 3, 8, 8)).astype("float32")
    return images, random(1).integers(0, 2, (4, 1, 8, 8)).astype("float32")


def torch_loss(logits: Any, masks: Any) -> Any:
    shares = torch.sigmoid(logits)
    both, sums = (shares * masks).sum((1, 2, 3)), (shares + masks).sum((1, 2, 3))
    dice = 1 - ((2 * both + 1) / (sums + 1)).mean()
    return functional.binary_cross_entropy_with_logits(logits, masks) + dice


def keras_dice(masks: Any, logits: Any, axes: Any) -> Any:
    shares = tf.sigmoid(logits)
    both = tf.reduce_sum(shares * masks, axes)
    sums = tf.reduce_sum(shares + masks, axes)
    return 1 - tf.reduce_mean((2 * both + 1) / (sums + 1))


def keras_loss(masks: Any, logits: Any) -> Any:
    entropy = keras.losses.binary_crossentropy(masks, logits, from_logits=True)
    return tf.reduce_mean(entropy) + keras_dice(masks, logits, (1, 2, 3))


def dice_of_the_batch(masks: Any, logits: Any) -> Any:
    entropy = keras.losses.binary_crossentropy(masks, logits, from_logits=True)
    return tf.reduce_mean(entropy) + keras_dice(masks, logits, None)


def entropy_of_shares(shares: Any, masks: Any) -> Any:
    return functional.binary_cross_entropy(shares, masks)


def entropy_of_logits(masks: Any, shares: Any) -> Any:
    return tf.reduce_mean(keras.losses.binary_crossentropy(masks, shares, from_logits=True))


def focal(masks: Any, logits: Any) -> Any:
    return tf.reduce_mean(
        keras.losses.binary_focal_crossentropy(masks, logits, from_logits=True, gamma=2.0)
    )


PAIR = Pair(torch_segmenter, keras_segmenter, masked_images, (torch_loss, keras_loss))
RIGHT = {
    "segmenter": PAIR,
    "segmenter with sigmoid": PAIR._replace(
        torch_model=lambda: torch_segmenter(last=nn.Sigmoid()),
        keras_model=lambda: keras_segmenter(last="sigmoid"),
        loss=(entropy_of_shares, keras.losses.BinaryCrossentropy()),
    ),
}
FAULTS = {
    "segmenter: nearest pixels": Fault(
        PAIR._replace(keras_model=lambda: keras_segmenter(interpolation="nearest")),
        ("forward",), ("up_sampling", "6 ~"), ("interpolation", "nearest"),
    ),
    "segmenter: corners are aligned in PyTorch": Fault(
        PAIR._replace(torch_model=lambda: torch_segmenter(corners=True)),
        ("forward",), ("up_sampling", "6 ~"), ("align_corners",),
    ),
    "segmenter: dilation forgotten": Fault(
        PAIR._replace(keras_model=lambda: keras_segmenter(dilation=1)),
        ("forward",), ("conv2d", "0 ~"), ("dilation",),
    ),
    "segmenter: transposed convolution of size 3": Fault(
        PAIR._replace(
            torch_model=lambda: torch_segmenter(size=3),
            keras_model=lambda: keras_segmenter(size=3),
        ),
        ("forward",), ("transpose", "7 ~"), ("padding", "crop", "shift", "output_padding"),
    ),
    "segmenter: dice of the whole batch": Fault(
        PAIR._replace(loss=(torch_loss, dice_of_the_batch)), ("loss",), ("loss",),
        ("dice", "batch", "sample", "whole"),
    ),
    "segmenter: the sigmoid twice": Fault(
        RIGHT["segmenter with sigmoid"]._replace(loss=(entropy_of_shares, entropy_of_logits)),
        ("loss",), ("loss",), ("from_logits", "sigmoid", "logit"),
    ),
    "segmenter: focal loss": Fault(
        PAIR._replace(
            loss=("binary_cross_entropy", focal),
        ),
        ("loss",), ("loss",), ("focal",),
    ),
}  # fmt: skip
