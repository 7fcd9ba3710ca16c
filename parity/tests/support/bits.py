"""Data on which every adapter must have the bits of NumPy's, and a report of what differs."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from samestep.parity.tests.support.frameworks import ml_dtypes, torch

import samestep.frameworks.numpy
from samestep.parity.measure import cases, streams
from samestep.reference import LAMB, Muon, Rule

STEPS = 14
# One stream is cut into these shapes: a vector, three dimensions, two matrices, a scalar, nothing.
SHAPES = ((streams.SIZE - 43,), (5, 3, 2), (2, 3), (3, 2), (), (0,))
DTYPES = {
    "float32": np.float32,
    "float64": np.float64,
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
}
NORMAL = 2.0**-13  # every parameter starts this large at least: float16 is normal down to 2**-14

Arrays = list[np.ndarray]

# These take a real power of an array, which each library rounds in its own way.
POWERS = [call for call in cases.CALLS if "learning_rate_power" in call]
CALLS = [call for call in cases.CALLS if call not in (*POWERS, *cases.MATRICES)]


def pieces(rule: Rule, flat: np.ndarray) -> Arrays:
    """Cut a flat array into tensors of ``SHAPES``; for Muon without Adam the matrices alone."""
    ends = np.cumsum([math.prod(shape) for shape in SHAPES])
    tensors = [
        piece.reshape(shape) for piece, shape in zip(np.split(flat, ends[:-1]), SHAPES, strict=True)
    ]
    if isinstance(rule, Muon) and not rule.adam:
        return [tensor for tensor in tensors if tensor.ndim == 2]
    return tensors


def setting(rule: Rule, dtype: str) -> tuple[Arrays, list[Arrays], list[float]]:
    """Parameters, the gradients of each step and its learning rate, for one rule and dtype."""
    half = dtype.endswith("16")
    scales = np.logspace(-3, 0, streams.SIZE) if half else streams.SCALES
    gradients = streams.gradients("rare", STEPS, scales).astype(DTYPES[dtype])
    start = np.where(np.abs(streams.start()) < NORMAL, NORMAL, streams.start())
    # LAMB's step is a share of the parameter; every dtype must be able to show it.
    lr = max(rule.lr, 2.0**-4) if isinstance(rule, LAMB) else rule.lr
    steps = [pieces(rule, gradient) for gradient in gradients]
    return pieces(rule, start.astype(DTYPES[dtype])), steps, streams.rates(lr, STEPS)


def in_numpy(rule: Rule, start: Arrays, gradients: list[Arrays], rates: list[float]) -> Arrays:
    """Parameters and state after the last step of NumPy's adapter, which every other must equal."""
    parameters = [array.copy() for array in start]
    optimizer = samestep.frameworks.numpy.Optimizer(parameters, rule)
    for step, optimizer.lr in zip(gradients, rates, strict=True):
        optimizer.step(step)
    return [*parameters, *(state[name] for state in optimizer.state for name in sorted(state))]


def as_torch(array: np.ndarray) -> torch.Tensor:
    """A tensor with the bits of the array."""
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(np.array(array).view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(np.array(array))


def as_numpy(tensor: torch.Tensor) -> np.ndarray:
    """An array with the bits of the tensor."""
    plain = tensor.detach().cpu()
    if plain.dtype == torch.bfloat16:
        return plain.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return plain.numpy()


def different_bits(expected: Sequence[np.ndarray], actual: Sequence[np.ndarray]) -> Iterator[str]:
    """A message for each element that differs; not-a-number equals itself, and 0 equals -0."""
    for index, (due, seen) in enumerate(zip(expected, actual, strict=True)):
        assert due.dtype == seen.dtype, f"tensor {index}: {due.dtype} against {seen.dtype}"
        assert due.shape == seen.shape, f"tensor {index}: {due.shape} against {seen.shape}"
        for position in np.argwhere((due != seen) & ~(np.isnan(due) & np.isnan(seen))):
            element = tuple(position.tolist())
            yield f"tensor {index}, element {element}: {due[element]!r} against {seen[element]!r}"
