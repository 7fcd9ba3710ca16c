"""The array functions of PyTorch's namespace, its own ones above all, have the bits of NumPy's."""

from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import torch

from samestep.frameworks.pytorch import namespace
from samestep.parity.measure import streams
from samestep.reference import sums

pytestmark = pytest.mark.rung(2)

# whole: every sum of them is exact
X, Y = np.array([[4.0, 9.0], [-1.0, 0.0]]), np.array([[1.0, -2.0], [3.0, 16.0]])
# of each function but ``total``, which is asked by samestep.reference.sums alone
ARGUMENTS: dict[str, Any] = {
    "abs": (X,), "concat": ([X, Y], 1), "matmul": (X, Y), "maximum": (X, Y), "minimum": (X, Y),
    "ones": ([2, 3],),
    "reshape": (X, (-1,)), "sign": (X,), "sqrt": (abs(X),), "square": (X,), "transpose": (X,),
    "where": (X > Y, X, Y),
    "zeros_like": (X,),
}  # fmt: skip


def in_torch(argument: Any) -> Any:
    """The same with tensors for arrays."""
    if isinstance(argument, np.ndarray):
        return torch.from_numpy(argument)
    return [in_torch(each) for each in argument] if isinstance(argument, list) else argument


@pytest.mark.parametrize("name", [name for name in namespace.__all__ if name != "total"])
def test_function_is_that_of_numpy(name: str) -> None:
    """The same name for the same thing."""
    found = getattr(namespace, name)(*map(in_torch, ARGUMENTS[name])).numpy()
    expected = getattr(np, name)(*ARGUMENTS[name])
    assert (found.shape, found.tolist()) == (expected.shape, expected.tolist())


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str
)
def test_square_root_takes_every_dtype(dtype: Any) -> None:
    """Correctly rounded where rules are computed; of half precision torch's own."""
    x = torch.arange(1, 400, dtype=dtype)
    root = namespace.sqrt(x)
    assert root.dtype == dtype
    assert torch.equal(root, torch.tensor(np.sqrt(x.double().numpy())).to(dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sign_is_that_of_numpy(dtype: Any) -> None:
    """To the last bit: of either zero zero, without a sign; of NaN NaN, of which torch's own is
    zero.
    """
    x = np.array([-np.inf, -2.0, -1e-40, -0.0, 0.0, 1e-40, 0.5, np.inf, np.nan], dtype)
    assert namespace.sign(torch.from_numpy(x)).numpy().tobytes() == np.sign(x).tobytes()


@pytest.mark.parametrize("size", [*range(18), 31, 32, 33, 63, 64, 100, 128, 784, 1024])
@pytest.mark.parametrize("axis", [-1, -2])
def test_sum_has_the_order_of_the_definition(size: int, axis: int) -> None:
    """Of numbers spread over six decades, whose sum any other order changes; of negative zeros; of
    nothing: zero.
    """
    x = (
        streams.gradients("spread", 1, np.logspace(-3, 3, 6 * size))
        .astype(np.float32)
        .reshape(2, 3, size)
    )
    x[0, 0] = -0.0
    x = np.ascontiguousarray(x if axis == -1 else x.swapaxes(-1, -2))
    found, expected = (
        sums.total(torch.from_numpy(x), namespace, axis).numpy(),
        sums.total(x, np, axis),
    )
    assert (found.shape, found.tobytes()) == (expected.shape, expected.tobytes())
