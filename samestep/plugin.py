"""The pytest plugin of the installed package: the fixture ``same_steps``.

Loading the plugin imports nothing of samestep but this file.
"""

from collections.abc import Callable

import pytest


@pytest.fixture
def same_steps() -> Callable[..., None]:
    """The function ``samestep.parity.assert_same_steps``.

    It compares an optimizer with a rule, a call as text, or another optimizer.
    """
    from .parity import assert_same_steps

    return assert_same_steps
