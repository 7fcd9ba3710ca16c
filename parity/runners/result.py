"""What a run of an optimizer gives."""

from typing import NamedTuple

from samestep.parity.measure.disturbance import Disturbance
from samestep.parity.measure.trajectory import Trajectory
from samestep.reference import Rule


class RunOptions(NamedTuple):
    """How an optimizer is run over a trial.

    ``mode`` is one of the library's modes. ``disturbance`` moves gradients, parameters and state by
    one unit in the last place. ``each_step`` is code of ours (from a dialect's refusal) that sets
    arguments before each step. With ``watch_gradients`` an optimizer that writes to a gradient is
    an error (PyTorch).
    """

    mode: str = ""
    disturbance: Disturbance | None = None
    each_step: str = ""
    watch_gradients: bool = False


class RunResult(NamedTuple):
    """The trajectory, the framework or library that it ran in, and the rule that the optimizer says
    it follows.

    ``rate`` is the learning rate that it starts with, None if it has none that can be set.
    """

    trajectory: Trajectory
    home: str
    rule: Rule | None
    rate: float | None = None


class GradientWritten(ValueError):
    """The optimizer wrote to a gradient, which it must leave as it is."""
