"""The pytest plugin of the installed package: one fixture. It imports nothing before a test uses it."""

from collections.abc import Callable

import pytest


@pytest.fixture
def same_steps() -> Callable[..., None]:
    """``samestep.parity.assert_same_steps``: compare an optimizer with a rule, a call, or another optimizer."""
    from .parity import assert_same_steps

    return assert_same_steps
