"""Losses that a pair can name, in each framework's own functions."""

from collections.abc import Callable
from typing import Any

from .shared import PairError

NAMES = ("cross_entropy", "mse", "mae", "binary_cross_entropy", "huber", "nll")
ALIASES = {
    "mean_squared_error": "mse", "mse_loss": "mse", "l1": "mae", "l1_loss": "mae",
    "mean_absolute_error": "mae", "bce": "binary_cross_entropy",
    "bce_with_logits": "binary_cross_entropy",
    "binary_cross_entropy_with_logits": "binary_cross_entropy",
    "crossentropy": "cross_entropy", "CrossEntropyLoss": "cross_entropy", "MSELoss": "mse",
    "smooth_l1": "huber", "nll_loss": "nll",
}  # fmt: skip


def known_name(name: str) -> str:
    """The name in ``NAMES``; PairError for any other."""
    name = ALIASES.get(name, name)
    if name not in NAMES:
        raise PairError(
            f"loss must be one of {', '.join(NAMES)}, or a pair of functions, got {name!r}"
        )
    return name


def in_pytorch(name: str) -> Callable[..., Any]:
    """The mean loss of logits or predictions, as a function (output, targets, weights=None)."""
    import torch
    from torch.nn import functional

    name = known_name(name)
    of_each: dict[str, Callable[..., Any]] = {
        "mse": functional.mse_loss,
        "mae": functional.l1_loss,
        "binary_cross_entropy": functional.binary_cross_entropy_with_logits,
        "huber": functional.huber_loss,
    }

    def loss(output: Any, targets: Any, weights: Any = None) -> Any:
        if not torch.is_tensor(output):
            raise PairError(_needs_tensor(name, output))
        if name in ("cross_entropy", "nll"):
            output, targets = _classes_second(output, targets)
            logp = functional.log_softmax(output, 1) if name == "cross_entropy" else output
            losses = _picked(logp, targets)
        else:
            losses = of_each[name](output, targets.to(output.dtype), reduction="none")
        if weights is None:
            return losses.mean()
        losses = losses.reshape(len(losses), -1).mean(1)
        return (losses * weights.reshape(-1)).mean()

    return loss


def _picked(logp: Any, targets: Any) -> Any:
    """Minus the log probability of each label, or of a distribution of labels."""
    from torch.nn import functional

    if targets.is_floating_point():
        return -(targets * logp).sum(1)
    return functional.nll_loss(logp, targets, reduction="none")


def _classes_second(output: Any, targets: Any) -> tuple[Any, Any]:
    """Output with its classes on axis 1, which PyTorch expects; one-hot targets alike."""
    last = tuple(output.shape[:-1]) == tuple(targets.shape) and output.ndim > 2
    second = tuple(output.shape[:1]) + tuple(output.shape[2:]) == tuple(targets.shape)
    if last and (output.ndim == 3 or not second):
        return output.flatten(0, -2), targets.flatten()
    return output, targets


def in_keras(name: str) -> Callable[..., Any]:
    """The same as ``in_pytorch``, as a function (targets, output, weights=None); classes last."""
    import tensorflow as tf

    name = known_name(name)

    def loss(targets: Any, output: Any, weights: Any = None) -> Any:
        if not tf.is_tensor(output):
            raise PairError(_needs_tensor(name, output))
        losses = _in_keras(name, targets, output)
        if weights is None:
            return tf.reduce_mean(losses)
        losses = tf.reduce_mean(tf.reshape(losses, [tf.shape(losses)[0], -1]), 1)
        return tf.reduce_mean(losses * tf.reshape(weights, [-1]))

    return loss


def _in_keras(name: str, targets: Any, output: Any) -> Any:
    import tensorflow as tf

    if name in ("cross_entropy", "nll"):
        logp = tf.nn.log_softmax(output) if name == "cross_entropy" else output
        if targets.dtype.is_floating:
            return -tf.reduce_sum(targets * logp, -1)
        return -tf.gather(logp, tf.cast(targets, tf.int64), batch_dims=len(targets.shape))
    targets = tf.cast(targets, output.dtype)
    if name == "binary_cross_entropy":
        return tf.nn.sigmoid_cross_entropy_with_logits(targets, output)
    difference = output - targets
    if name == "mse":
        return tf.square(difference)
    if name == "mae":
        return tf.abs(difference)
    size = tf.abs(difference)
    half = tf.constant(0.5, output.dtype)
    return tf.where(size < 1, half * tf.square(difference), size - half)


def _needs_tensor(name: str, output: Any) -> str:
    return (
        f"the loss {name!r} must be given one tensor, but the model returns "
        f"{type(output).__name__}; give a pair of functions, PyTorch's (output, targets) "
        "and Keras' (targets, output)"
    )
