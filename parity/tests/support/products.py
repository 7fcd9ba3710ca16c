"""Matrix products whose sums have one order in every framework."""

import pytest

import samestep.frameworks.numpy
import samestep.frameworks.pytorch
import samestep.frameworks.tensorflow
from samestep.reference import sums


def supply_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every framework products whose sums have one order, in place of its library's own."""
    numpy, pytorch, tensorflow = (
        samestep.frameworks.numpy,
        samestep.frameworks.pytorch,
        samestep.frameworks.tensorflow,
    )
    for xp in (numpy.namespace, pytorch.namespace, tensorflow.namespace, tensorflow.guarded):
        monkeypatch.setattr(
            xp, "matmul", lambda x, y, xp=xp: sums.total(x[:, None] * xp.transpose(y), xp)[..., 0]
        )
