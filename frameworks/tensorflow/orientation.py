"""Rules that see how a kernel lies, and what that changes against PyTorch.

Keras stores a kernel as (..., inputs, outputs), PyTorch as (outputs, inputs, ...). Most rules go
element by element, or treat rows and columns alike; then it does not matter.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any

from samestep.reference import Adafactor, Muon, Rule

from .exclusions import path_of

REMEDY = "give Optimizer(rule, views=samestep.frameworks.tensorflow.views(model))"
KERNELS = ("kernel", "recurrent_kernel", "pointwise_kernel", "depthwise_kernel")


def warn_of_orientation(rule: Rule, variables: Sequence[Any]) -> None:
    """Warn, for the first kernel that the rule sees otherwise than in PyTorch, with both numbers.

    A variable counts as a kernel if it has the name that layers of Keras give to kernels.
    """
    differences = [difference(rule, tuple(v.shape)) for v in variables if is_kernel(v)]
    paths = [path_of(variable) for variable in variables if is_kernel(variable)]
    seen = [(path, text) for path, text in zip(paths, differences, strict=True) if text]
    if not seen:
        return
    path, text = seen[0]
    more = f". The same holds for {len(seen) - 1} more kernels." if len(seen) > 1 else ""
    warnings.warn(f"{path}: {text}{more}", stacklevel=3)


def is_kernel(variable: Any) -> bool:
    """True for a kernel of a layer: by its name, since a variable does not know its layer."""
    return path_of(variable).rpartition("/")[2] in KERNELS and len(variable.shape) > 1


def difference(rule: Rule, shape: tuple[int, ...]) -> str:
    """How the rule's step of a kernel of this shape differs from PyTorch's, or nothing."""
    there = torch_shape(shape)
    if isinstance(rule, Muon) and len(shape) == 2:
        return _difference_of_muon(rule, shape, there)
    if isinstance(rule, Adafactor) and len(shape) > 2:
        return (
            "Adafactor takes means over rows and columns of the last two dimensions. These are "
            f"{_matrices(shape)} here and {_matrices(there)} in PyTorch, so the steps differ; for "
            f"equal steps {REMEDY}. Adafactor of Keras does as here"
        )
    return ""


def torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in PyTorch, (outputs, inputs, ...), of a kernel of (..., inputs, outputs)."""
    return (shape[-1], shape[-2], *shape[:-2])


def _difference_of_muon(rule: Muon, shape: tuple[int, ...], there: tuple[int, ...]) -> str:
    """The factors by which Muon multiplies a step, if they differ."""
    rows, columns = shape
    ours = math.sqrt(rule._squared_scale((rows, columns)))
    theirs = math.sqrt(rule._squared_scale((columns, rows)))
    if ours == theirs:
        return ""
    return (
        f"Muon multiplies a step by sqrt(max(1, rows / columns)). This kernel is {_size(shape)} "
        f"here and {_size(there)} in PyTorch, so the factor is {ours:.4g} here and {theirs:.4g} "
        f"there, and a step is {ours / theirs:.4g} times PyTorch's; for equal steps {REMEDY}. "
        "Muon of Keras does as here"
    )


def _matrices(shape: tuple[int, ...]) -> str:
    return f"{math.prod(shape[:-2])} matrices of {_size(shape[-2:])}"


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
