"""The ``xp`` of PyTorch: its own functions, except three.

These are the square root, which in eager mode on the CPU calls a vector library that is one unit
in the last place off in 0.7 % of float32 values; NumPy's, on the same memory, is correctly rounded.
It is the processor's own instruction. In torch 2.13 sqrt, pow and foreach are off alike, on strided
memory and under every instruction set, too, and the way through float64 takes three passes.
Recorded steps call NumPy's without making a tensor.
Compiled code and CUDA round correctly by themselves. The sign: ``torch.sign`` of NaN is zero, that
of the other frameworks, and of this module, is NaN. The sum, which has the order of
``samestep.reference.sums``.
"""

import numpy as np
import torch
from torch import abs, concat, matmul, maximum, minimum, ones, reshape, square, where, zeros_like
from torch._subclasses import FakeTensor
from torch.nn.functional import pad

__all__ = [
    "abs", "concat", "matmul", "maximum", "minimum", "ones", "reshape", "sign", "sqrt", "square",
    "total", "transpose", "where", "zeros_like",
]  # fmt: skip

_EXACT_IN_NUMPY = (torch.float32, torch.float64)
_PARTS = 8  # as many arrays as Inductor lets one loop read


def sign(x: torch.Tensor) -> torch.Tensor:
    """-1, 0 or 1 elementwise; NaN for NaN.

    It uses comparisons, since Inductor makes slow code of isnan and of torch.sign.
    """
    return torch.where(x > 0, 1.0, torch.where(x < 0, -1.0, torch.abs(x)))


def sqrt(x: torch.Tensor) -> torch.Tensor:
    """The correctly rounded square root, elementwise.

    No gradient flows through it in eager mode on the CPU.
    """
    if torch.compiler.is_compiling() or x.device.type != "cpu" or x.dtype not in _EXACT_IN_NUMPY:
        return torch.sqrt(x)
    if isinstance(x, FakeTensor):  # a compiler's stand-in, which has no memory
        return torch.sqrt(x)
    root = torch.empty_like(x, requires_grad=False)
    with np.errstate(invalid="ignore"):  # the root of a negative number is NaN silently
        np.sqrt(x.detach().numpy(), out=root.numpy())
    return root


def total(x: torch.Tensor, axis: int) -> torch.Tensor:
    """The sum of ``samestep.reference.sums.total``: the same additions in the same order.

    Three halvings are taken at a time. Inductor makes one loop of them, so that compiled sums
    write eighths to memory, where each half would be written. The elements beyond a power of two
    are filled up with minus zero, which changes no number that it is added to; if they were joined
    to the rest, as in ``sums``, all would be written.
    """
    size = x.shape[axis]
    if not size:
        return x.sum(axis, keepdim=True)
    power = 1 << (size.bit_length() - 1)
    if power < size:
        beyond = size - power
        after = [0, power - beyond] if axis == -1 else [0, 0, 0, power - beyond]
        x = x.narrow(axis, 0, power) + pad(x.narrow(axis, power, beyond), after, value=-0.0)
    while power > 1:
        power //= min(power, _PARTS)
        parts = x.split(power, axis)
        while len(parts) > 1:
            half = len(parts) // 2
            pairs = zip(parts[:half], parts[half:], strict=True)
            parts = tuple(first + second for first, second in pairs)
        (x,) = parts
    return x


def transpose(x: torch.Tensor) -> torch.Tensor:
    """Rows for columns of a matrix."""
    return x.mT
