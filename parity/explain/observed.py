"""What was observed of an optimizer that does not take the expected steps."""

import dataclasses
import functools

import numpy as np

from samestep.parity.measure.limits import Limits
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.parity.measure.verdict import measure_gaps


@dataclasses.dataclass(frozen=True)
class Observed:
    """An optimizer's trajectory on a trial, in a dtype, with the trajectory that was expected and
    its limits.
    """

    trial: Trial
    dtype: str
    expected: Trajectory
    limits: Limits
    actual: Trajectory

    @functools.cached_property
    def beyond(self) -> np.ndarray:
        """How many elements of all tensors are beyond their limits after each step, (steps,)."""
        counts = []
        for name in self.trial.start:
            excess = self.excess(name)
            counts.append((excess > 1).reshape(len(excess), -1).sum(axis=1))
        return np.asarray(np.sum(counts, axis=0))

    @property
    def first_step(self) -> int:
        """The first step, from 0, after which an element is beyond its limit; 0 if none ever is."""
        return int(np.argmax(self.beyond > 0))

    def excess(self, name: str) -> np.ndarray:
        """How many limits each element of a tensor is off after each step, (steps, *shape)."""
        return self._excesses[name]

    @functools.cached_property
    def _excesses(self) -> dict[str, np.ndarray]:
        return {name: self._excess(name) for name in self.trial.start}

    def _excess(self, name: str) -> np.ndarray:
        expected = self.expected.thetas[name].astype(np.float64)
        actual = self.actual.thetas[name].astype(np.float64)
        return measure_gaps(expected, actual, self.limits.thetas[name]).excess

    def tensors_beyond(self, step: int) -> list[str]:
        """The tensors that have an element beyond its limit after a step, from 0."""
        return [name for name in self.trial.start if (self.excess(name)[step] > 1).any()]

    def first(self, steps: int) -> "Observed":
        """The same of the first steps alone, without states."""

        def cut(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {name: array[:steps] for name, array in arrays.items()}

        stateless: dict[str, dict[str, np.ndarray]] = {name: {} for name in self.trial.start}
        return dataclasses.replace(
            self,
            trial=self.trial.first(steps),
            expected=self.expected._replace(thetas=cut(self.expected.thetas), states=stateless),
            limits=Limits(cut(self.limits.thetas), stateless, self.limits.source),
            actual=self.actual._replace(thetas=cut(self.actual.thetas), states=stateless),
        )

    def only(self, names: list[str]) -> "Observed":
        """The same of these tensors alone."""
        return dataclasses.replace(self, trial=self.trial.only(names))
