"""Runners: run an optimizer over a trial and give its trajectory. One module a library.

The optimizer may be ours (a rule in NumPy, or an adapter), a native, or the user's own.
``specs`` reads which one is meant from a line of text; ``worker`` runs it in a process of its
own.

Every module of a library has ``run_native(native, trial, dtype, each_step="")``, which gives the
native's trajectory. ``pytorch`` and ``keras`` also have ``run``, for any optimizer of theirs. What
is known of a library without loading it is in ``libraries``.
"""

import importlib
import importlib.util
from typing import NamedTuple, Protocol, cast

from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.reference.dialects import Call

from .libraries import LIBRARIES as LIBRARIES


class Native(NamedTuple):
    """A native optimizer: the call that makes it, and the implementation or mode in which it
    runs.
    """

    call: Call
    mode: str


class Runner(Protocol):
    """What the module of each library has."""

    def run_native(
        self, native: Native, trial: Trial, dtype: str, each_step: str = ""
    ) -> Trajectory:
        """The native's trajectory; ``each_step`` is code of ours that sets arguments before each
        step.
        """
        ...


def runner_of(dialect: str) -> Runner:
    """The runner of a dialect's natives; loads the library, or its framework."""
    return cast(Runner, importlib.import_module(f"{__name__}.{dialect}"))


def missing_package(dialect: str) -> str | None:
    """The first package that the dialect's natives need and that is not installed; None if all
    are.
    """
    return next(
        (name for name in LIBRARIES[dialect].needs if importlib.util.find_spec(name) is None), None
    )
