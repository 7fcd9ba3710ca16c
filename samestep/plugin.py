"""The pytest plugin that the wheel brings: one fixture, and nothing imported before it is used."""

from collections.abc import Callable

import pytest


@pytest.fixture
def same_steps() -> Callable[..., None]:
    """``samestep.parity.assert_same_steps``: hold an optimizer to a rule, a call as text, or another optimizer."""
    from .parity import assert_same_steps

    return assert_same_steps
