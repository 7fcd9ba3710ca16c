"""The article's network in NumPy, forward and backward by hand.

Weights are as in ``experiment.facts``: kernels are (in, out).

In lockstep arithmetic every operand of a matrix product, and of a sum over the batch, is first put
on a grid of 20 bits below its tensor's largest magnitude. A product of two such numbers has at
most 40 bits, a sum of up to 8,192 of them at most 53, so in float64 every sum is exact and its
order cannot matter. ``exp`` is put on such a grid because libraries differ in its last bit.
"""

from collections.abc import Callable, Sequence

import numpy as np

BITS = 20
SMALLEST = 2.0**-500  # stands in for the largest magnitude of a tensor of zeros
EXPONENT = np.int64(0x7FF0000000000000)  # the exponent bits of a double

Grid = Callable[[np.ndarray], np.ndarray]


def on_grid(x: np.ndarray) -> np.ndarray:
    """Round a float64 array to 20 bits below its largest magnitude, halves to even."""
    step = unit(x)
    whole = x * (1 / step)  # the only new array; new ones cost more than the arithmetic
    np.rint(whole, out=whole)
    whole *= step
    return whole


def unit(x: np.ndarray) -> np.ndarray:
    """The spacing of the grid for a float64 array: a power of two, 0-d."""
    largest = np.maximum(np.maximum(x.max(), -x.min()), SMALLEST)
    # The largest power of two that is at most ``largest``.
    power = (np.asarray(largest).view(np.int64) & EXPONENT).view(np.float64)
    return power * 2.0 ** (1 - BITS)


def as_is(x: np.ndarray) -> np.ndarray:
    """No grid: plain arithmetic."""
    return x


def forward(
    weights: Sequence[np.ndarray], images: np.ndarray, mask: np.ndarray | np.floating, grid: Grid
) -> list[np.ndarray]:
    """The operands of the products, on the grid, and the layers' outputs.

    Gives images (n, 784), second kernel (128, 10) and hidden layer (n, 128), all on the grid; the
    hidden layer before ReLU (n, 128); the logits (n, 10).
    """
    W1, b1, W2, b2 = weights
    images, kernel = grid(images), grid(W2)
    before = grid(images @ grid(W1)) + b1
    hidden = grid(np.maximum(before, 0) * mask)
    logits = grid(hidden @ kernel) + b2
    return [images, kernel, hidden, before, logits]


def softmax(logits: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n, 10), and the logarithm of their normalizer (n,).

    Both are computed relative to each row's largest logit.
    """
    exponentials = grid(np.exp(logits - logits.max(axis=1, keepdims=True)))
    total = exponentials.sum(axis=1, keepdims=True)
    return exponentials / total, np.log(total[:, 0])


def loss_and_gradients(
    weights: Sequence[np.ndarray],
    images: np.ndarray,
    labels: np.ndarray,
    mask: np.ndarray,
    grid: Grid,
) -> tuple[float, list[np.ndarray]]:
    """Mean cross-entropy of a batch and its gradient by each weight; one dtype throughout."""
    images, kernel, hidden, before, logits = forward(weights, images, mask, grid)
    probabilities, normalizer = softmax(logits, grid)
    rows = np.arange(len(labels))
    loss = (normalizer - (logits - logits.max(axis=1, keepdims=True))[rows, labels]).mean()

    probabilities[rows, labels] -= 1
    at_logits = grid(probabilities / len(labels))
    at_hidden = at_logits @ kernel.T
    at_before = grid(np.where(before > 0, at_hidden * mask, 0))
    return float(loss), [
        images.T @ at_before,
        at_before.sum(axis=0),
        hidden.T @ at_logits,
        at_logits.sum(axis=0),
    ]
