"""Two optimizers, run over one trial, with the limits between their trajectories."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from samestep.parity.measure import limits
from samestep.parity.measure import trial as trials
from samestep.parity.measure.disturbance import Job, jobs
from samestep.parity.measure.limits import Limits
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.parity.runners.result import RunResult
from samestep.parity.runners.specs import OptimizerSpec
from samestep.reference import Rule

DTYPES = ("float32", "float64")

Run = Callable[[OptimizerSpec, Sequence[tuple[Trial, Job]]], list[RunResult]]
"""How an optimizer is run over several trials; in a process of its own except in tests."""


@dataclasses.dataclass(frozen=True)
class Side:
    """One of the two: its letter, "A" or "B", the optimizer as it was described, and its run."""

    letter: str
    spec: OptimizerSpec
    result: RunResult

    @property
    def trajectory(self) -> Trajectory:
        """Where it went."""
        return self.result.trajectory

    @property
    def rule(self) -> Rule | None:
        """The rule that it says it follows; None if it does not say."""
        return self.result.rule


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two sides on one trial, in one dtype; ``limits`` say how far rounding can have parted
    them.
    """

    a: Side
    b: Side
    trial: Trial
    dtype: str
    limits: Limits

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both."""
        return self.a, self.b

    @property
    def rule(self) -> Rule | None:
        """A's rule, else B's; None if neither says which it follows."""
        return self.a.rule or self.b.rule

    def expected_rule(self, side: Side) -> Rule | None:
        """The rule that a side should follow: its own, else that of the other side."""
        second = self.b if side is self.a else self.a
        return side.rule or second.rule


def run_both(a: OptimizerSpec, b: OptimizerSpec, trial: Trial, dtype: str, run: Run) -> Comparison:
    """Run both optimizers, each twice as often again if neither has a rule, and derive or measure
    the limits.

    Shapes that one of them refuses are left out of the trial.

    ValueError if one of them cannot run, or if the dtype is not one of ``DTYPES``.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")

    def run_jobs(spec: OptimizerSpec, given: Trial, wanted: Sequence[Job]) -> list[RunResult]:
        return run(spec, [(given, job) for job in wanted])

    def run_plain(spec: OptimizerSpec, given: Trial) -> RunResult:
        return run_jobs(spec, given, [Job(dtype)])[0]

    with ThreadPoolExecutor(2) as pool:
        plain = list(pool.map(lambda spec: _attempt(run_plain, spec, trial), (a, b)))
        failures = [result for result in plain if isinstance(result, Exception)]
        if failures:
            for letter, spec, result in zip("AB", (a, b), plain, strict=True):
                if isinstance(result, Exception):
                    attempt = functools.partial(_attempt, run_plain, spec)
                    trial = trials.accepted(trial, f"{letter} refuses them", result, attempt)
            plain = list(pool.map(lambda spec: run_plain(spec, trial), (a, b)))
        results = [result for result in plain if isinstance(result, RunResult)]
        side_a = Side("A", a, results[0])
        side_b = Side("B", b, results[1])
        if side_a.rule or side_b.rule:
            return Comparison(side_a, side_b, trial, dtype, _derived(side_a, side_b, trial, dtype))
        wanted = jobs(dtype)[1:]
        disturbed = list(pool.map(lambda spec: run_jobs(spec, trial, wanted), (a, b)))
    runs_a, runs_b = ([result.trajectory for result in results] for results in disturbed)
    measured = limits.between_unknown((side_a.trajectory, runs_a), (side_b.trajectory, runs_b))
    return Comparison(side_a, side_b, trial, dtype, measured)


def _attempt(
    run_plain: Callable[[OptimizerSpec, Trial], RunResult], spec: OptimizerSpec, trial: Trial
) -> RunResult | Exception:
    """The result of a run, or why there is none."""
    try:
        return run_plain(spec, trial)
    except Exception as failure:  # a user's optimizer may raise anything
        return failure


def _derived(a: Side, b: Side, trial: Trial, dtype: str) -> Limits:
    """The limits of the two rules; a side without a rule is taken to follow that of the other."""
    rule_a = a.rule or b.rule
    rule_b = b.rule or a.rule
    if rule_a is None or rule_b is None:
        raise ValueError("one of the two sides must say which rule it follows")
    both = "both rules" if rule_a != rule_b else f"{rule_a!r}"
    assumed = "" if a.rule and b.rule else f", which {'B' if a.rule else 'A'} is taken to follow"
    derived = limits.between_rules(rule_a, rule_b, trial, dtype)
    return dataclasses.replace(
        derived, source=f"derived from the rounding of {both} in {dtype}{assumed}"
    )
