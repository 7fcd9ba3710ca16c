"""Rules in NumPy: ours, without a framework."""

from samestep.parity.measure.disturbance import Disturbance
from samestep.parity.measure.rule_run import run_rule
from samestep.parity.measure.trial import Trial
from samestep.reference import Rule

from .result import RunResult

__all__ = ["run"]


def run(rule: Rule, trial: Trial, dtype: str, disturbance: Disturbance | None = None) -> RunResult:
    """The rule's trajectory. A rule derives its own limit, so it is never disturbed."""
    if disturbance is not None:
        raise ValueError(f"{rule!r} derives its own limit: it must not be disturbed")
    return RunResult(run_rule(rule, trial, dtype), "numpy", rule)
