"""The array functions that PyTorch's namespace has of its own have the bits of NumPy's."""

from typing import Any

import numpy as np
import pytest

from parity import streams
from parity.require import require
from reference import sums

torch = require("torch")

from frameworks.pytorch import namespace  # noqa: E402


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_square_root_takes_every_dtype(dtype: Any) -> None:
    """Correctly rounded where rules are computed; of half precision torch's own."""
    x = torch.arange(1, 400, dtype=dtype)
    root = namespace.sqrt(x)
    assert root.dtype == dtype
    assert torch.equal(root, torch.tensor(np.sqrt(x.double().numpy())).to(dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sign_is_that_of_numpy(dtype: Any) -> None:
    """To the last bit: of either zero zero, without a sign; of NaN NaN, of which torch's own is zero."""
    x = np.array([-np.inf, -2.0, -1e-40, -0.0, 0.0, 1e-40, 0.5, np.inf, np.nan], dtype)
    assert namespace.sign(torch.from_numpy(x)).numpy().tobytes() == np.sign(x).tobytes()


@pytest.mark.parametrize("size", [*range(18), 31, 32, 33, 63, 64, 100, 128, 784, 1024])
@pytest.mark.parametrize("axis", [-1, -2])
def test_sum_has_the_order_of_the_definition(size: int, axis: int) -> None:
    """Of numbers spread over six decades, whose sum any other order changes; the sum of nothing is zero."""
    x = streams.gradients("spread", 1, np.logspace(-3, 3, 6 * size)).astype(np.float32).reshape(2, 3, size)
    x = np.ascontiguousarray(x if axis == -1 else x.swapaxes(-1, -2))
    found, expected = sums.total(torch.from_numpy(x), namespace, axis).numpy(), sums.total(x, np, axis)
    assert (found.shape, found.tobytes()) == (expected.shape, expected.tobytes())
