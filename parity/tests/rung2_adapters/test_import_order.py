"""Importing TensorFlow for a test imports PyTorch first; the other order is known to crash."""

import sys

import pytest

from samestep.parity.tests.support.frameworks import tf, torch

pytestmark = pytest.mark.rung(2)


def test_torch_is_imported_before_tensorflow() -> None:
    """Although the line above names TensorFlow first."""
    assert {torch.__name__, tf.__name__} == {"torch", "tensorflow"}
    order = list(sys.modules)
    assert order.index("torch") < order.index("tensorflow")


def test_torch_has_one_thread() -> None:
    """The first two-threaded torch.sqrt of a process was seen thousands of ulps off."""
    assert torch.get_num_threads() == 1
