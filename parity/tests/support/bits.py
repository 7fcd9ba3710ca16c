"""Equal bits: the setting in which adapters are held to NumPy, and what differs."""

from collections.abc import Iterator, Sequence

import ml_dtypes
import numpy as np
import torch

import samestep.frameworks.numpy
from samestep.parity.measure import cases, streams
from samestep.reference import LAMB, Muon, Rule

STEPS = 14
SHAPES = ((streams.SIZE - 43,), (5, 3, 2), (2, 3), (3, 2), (), (0,))  # pieces of one stream: matrices, scalar, empty
DTYPES = {"float32": np.float32, "float64": np.float64, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
NORMAL = 2.0**-13  # every start is this large at least: a float16 is normal down to 2**-14

Arrays = list[np.ndarray]

POWERS = [call for call in cases.CALLS if "learning_rate_power" in call]  # an array's real power, which libraries round
CALLS = [call for call in cases.CALLS if call not in (*POWERS, *cases.MATRICES)]


def pieces(rule: Rule, flat: np.ndarray) -> Arrays:
    """A flat array as tensors of ``SHAPES``, those that the rule moves."""
    sizes = [int(np.prod(shape)) for shape in SHAPES]
    ends = np.cumsum(sizes)
    tensors = [flat[end - size : end].reshape(shape) for end, size, shape in zip(ends, sizes, SHAPES, strict=True)]
    return [x for x in tensors if x.ndim == 2] if isinstance(rule, Muon) and not rule.adam else tensors


def setting(rule: Rule, dtype: str) -> tuple[Arrays, list[Arrays], list[float]]:
    """Parameters, gradients and learning rates of one case, in one dtype."""
    half = dtype.endswith("16")
    scales = np.logspace(-3, 0, streams.SIZE) if half else streams.SCALES
    gradients = streams.gradients("rare", STEPS, scales).astype(DTYPES[dtype])
    start = np.where(np.abs(streams.start()) < NORMAL, NORMAL, streams.start()).astype(DTYPES[dtype])
    lr = max(rule.lr, 2.0**-4) if isinstance(rule, LAMB) else rule.lr  # a share of theta that every dtype can show
    return pieces(rule, start), [pieces(rule, gradient) for gradient in gradients], streams.rates(lr, STEPS)


def in_numpy(rule: Rule, start: Arrays, gradients: list[Arrays], rates: list[float]) -> Arrays:
    """Parameters and state after the last step in NumPy; the oracle of this rung."""
    parameters = [array.copy() for array in start]
    optimizer = samestep.frameworks.numpy.Optimizer(parameters, rule)
    for step, optimizer.lr in zip(gradients, rates, strict=True):
        optimizer.step(step)
    return [*parameters, *(state[name] for state in optimizer.state for name in sorted(state))]


def as_torch(array: np.ndarray) -> torch.Tensor:
    """A tensor of the same bits."""
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(np.array(array).view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(np.array(array))


def as_numpy(tensor: torch.Tensor) -> np.ndarray:
    """An array of the same bits."""
    plain = tensor.detach().cpu()
    return plain.view(torch.int16).numpy().view(ml_dtypes.bfloat16) if plain.dtype == torch.bfloat16 else plain.numpy()


def different_bits(expected: Sequence[np.ndarray], actual: Sequence[np.ndarray]) -> Iterator[str]:
    """What differs: tensor, element and both values. Not-a-number equals not-a-number, 0 equals -0."""
    for index, (a, b) in enumerate(zip(expected, actual, strict=True)):
        assert a.dtype == b.dtype, f"tensor {index}: {a.dtype} against {b.dtype}"
        assert a.shape == b.shape, f"tensor {index}: {a.shape} against {b.shape}"
        for where in np.argwhere((a != b) & ~(np.isnan(a) & np.isnan(b))):
            yield f"tensor {index}, element {tuple(where.tolist())}: {a[tuple(where)]!r} against {b[tuple(where)]!r}"
