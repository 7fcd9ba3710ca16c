"""The sets of tensors that steps are timed on, by name."""

import math
from collections.abc import Iterator

import numpy as np

from samestep.frameworks.experiment import facts
from samestep.parity.measure.cases import MATRIX

SHAPES: dict[str, list[tuple[int, ...]]] = {
    "mnist": [weight.shape for weight in facts.initial_weights()],  # 101,770 parameters
    "large": [(2048, 4096)] * 2,  # 16.8 million, more than a cache holds
    "many": [(64,), (256,), (10, 256), (64, 256), (64, 64, 3, 3)] * 30,  # 150 tensors, 1.7 million
}
# For rules with matrix products, whose steps on "large" take too long.
MATRICES: dict[str, list[tuple[int, ...]]] = {
    f"{size} matrices": [shape for shape in SHAPES[size] if len(shape) == 2]
    for size in ("mnist", "many")
}

# The curves of growth: for each count the shapes.
GROWTH: dict[str, dict[int, list[tuple[int, ...]]]] = {
    "parameters": {10**k: [(10**k,)] for k in range(3, 9)},  # in one tensor
    "tensors": {10**k: [(1000,)] * 10**k for k in range(4)},  # of a thousand parameters each
}


def grown(what: str, count: int) -> str:
    """The name of a size that is a point on a curve of growth."""
    return f"{count} {what}"


def of(rule: str) -> dict[str, str]:
    """The sizes that a rule is timed at; each maps to the entry of ``SHAPES`` it belongs to."""
    return {size: size.split()[0] for size in (MATRICES if rule in MATRIX else SHAPES)}


def shapes(size: str) -> list[tuple[int, ...]]:
    """The shapes of a size: of ``SHAPES``, of ``MATRICES``, or of a point on a curve of growth."""
    shapes_by_name = {**SHAPES, **MATRICES}
    for what, counts in GROWTH.items():
        for count, grown_shapes in counts.items():
            shapes_by_name[grown(what, count)] = grown_shapes
    return shapes_by_name[size]


def parameters(size: str) -> int:
    """The number of parameters of a size."""
    return sum(math.prod(shape) for shape in shapes(size))


def tensors(size: str, low: float, high: float) -> Iterator[np.ndarray]:
    """Float32 arrays of that size's shapes, uniform in [low, high)."""
    generator = np.random.default_rng(facts.SEED)
    for shape in shapes(size):
        yield generator.uniform(low, high, shape).astype(np.float32)


def weights(size: str) -> list[np.ndarray]:
    """The start of the steps: the experiment's own weights, or draws of their magnitude."""
    return facts.initial_weights() if size == "mnist" else list(tensors(size, -0.1, 0.1))


def gradients(size: str) -> list[np.ndarray]:
    """A gradient for each tensor, without zeros, since every element must move."""
    return list(tensors(size, 0.001, 0.1))
