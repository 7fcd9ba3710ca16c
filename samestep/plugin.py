"""The pytest plugin of the installed package: the fixtures ``same_steps``,
``same_training_step`` and ``same_after_resume``.

Loading the plugin imports nothing of samestep but this file.
"""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def same_steps() -> Callable[..., None]:
    """The function ``samestep.parity.assert_same_steps``.

    It compares an optimizer with a rule, a call as text, or another optimizer.
    """
    from .parity import assert_same_steps

    return assert_same_steps


@pytest.fixture
def same_training_step() -> Callable[..., Any]:
    """The function ``samestep.migrate.same_training_step``.

    It compares a training step of a PyTorch model with that of a Keras model.
    """
    from .migrate import same_training_step

    return same_training_step


@pytest.fixture
def same_after_resume() -> Callable[..., Any]:
    """The function ``samestep.migrate.same_after_resume``.

    It compares a run that was saved and loaded with the unbroken run.
    """
    from .migrate import same_after_resume

    return same_after_resume
