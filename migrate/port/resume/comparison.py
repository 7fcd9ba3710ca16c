"""Is a saved and loaded run the unbroken run? If not, what was lost first?

The run is built and trained, saved in the middle, and trained on. It is built again, loaded, and
trained on. First all leaves of the two are compared, then each step's weights: all bits must be
equal. Where no leaf differs and the steps do, the random state is put back, or the batches that
were seen are skipped; what makes the steps equal is what was lost.
"""

import dataclasses
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from samestep.migrate.port.refused import Refused

from . import usual
from .leaves import Leaves, Loss, Stage, compare, leaves, weights

Run = dict[str, Any]
Weights = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Program:
    """How a run is built, saved and loaded.

    ``build()`` gives a dict of the run's parts (models, optimizers, schedulers, ...) and "step", a
    function that takes a training step. With "batches", an iterable, step is called with the next
    batch, else with the step's number from 0. ``save(run, folder)`` and ``load(run, folder)`` are
    by default the usual ways.
    """

    build: Callable[[], Run]
    save: Callable[[Run, Path], Any] = usual.save
    load: Callable[[Run, Path], Any] = usual.load


@dataclasses.dataclass(frozen=True)
class Audit:
    """What became of a run that was saved after ``at`` steps and trained on for ``steps``.

    ``losses`` are leaves that differ before a step is taken. ``stage`` is the first lost stage,
    None if nothing was lost or it is not known what. ``distance`` is how far weights are off at
    most, as a share of the path of these steps; ``first_step`` is the first step (from 1) that
    differs.
    ``repeatable`` is False if the run without a break does not repeat itself.
    """

    at: int
    steps: int
    losses: tuple[Loss, ...]
    stage: Stage | None
    distance: float
    first_step: int | None
    parts: tuple[str, ...]
    framework: str
    repeatable: bool = True

    @property
    def same(self) -> bool:
        """True if nothing was lost: no leaf differs, and all bits of all steps are equal."""
        return not self.losses and self.first_step is None


class Driver:
    """A run with its feed of batches."""

    def __init__(self, program: Program) -> None:
        run = program.build()
        if not isinstance(run, dict) or not callable(run.get("step")):
            raise Refused(
                'build() must give a dict of the run\'s parts with a function "step", got '
                f"{type(run).__name__}"
            )
        self.run = run
        self.feed: Iterator[Any] | None = None

    def next_batch(self) -> Any:
        """The next batch; the batches begin anew when they end."""
        if self.feed is None:
            self.feed = iter(self.run["batches"])
        try:
            return next(self.feed)
        except StopIteration:
            self.feed = iter(self.run["batches"])
        try:
            return next(self.feed)
        except StopIteration:
            raise Refused('"batches" must give at least one batch, got none') from None

    def steps(self, first: int, count: int) -> list[Weights]:
        """Take steps; the weights after each."""
        after = []
        for number in range(first, first + count):
            argument = self.next_batch() if "batches" in self.run else number
            self.run["step"](argument)
            after.append(weights(self.run))
        return after


def audit(program: Program, at: int = 50, steps: int = 20) -> Audit:
    """Compare the unbroken run with the saved and loaded one; what the program raises is raised."""
    with tempfile.TemporaryDirectory() as folder:
        return _Comparison(program, at, steps, Path(folder)).audit()


class _Comparison:
    """One unbroken run, and as many loaded ones as it takes to tell what was lost."""

    def __init__(self, program: Program, at: int, steps: int, folder: Path) -> None:
        self.program, self.at, self.steps, self.folder = program, at, steps, folder

    def audit(self) -> Audit:
        """The unbroken run, the loaded one, and their difference."""
        _seed(1)
        unbroken = Driver(self.program)
        unbroken.steps(0, self.at)
        self.program.save(unbroken.run, self.folder)
        saved, self.randomness = leaves(unbroken.run), _random_state()
        self.start = weights(unbroken.run)
        if not self.start:
            raise Refused("a run must have a model of PyTorch or Keras among its parts, got none")
        self.expected = unbroken.steps(self.at, self.steps)
        losses, steps = self.resumed(saved)
        first = self.first_difference(steps)
        stage: Stage | None = losses[0].stage if losses else None
        repeatable = True
        if first is not None and not losses:
            stage = self.search()
            repeatable = stage is not None or self.repeats()
        names = tuple(name for name in unbroken.run if name not in ("step", "batches"))
        return Audit(
            self.at, self.steps, tuple(losses), stage, self.distance(steps), first, names,
            _framework(unbroken.run), repeatable,
        )  # fmt: skip

    def resumed(
        self, saved: Leaves, randomness: bool = False, skip: bool = False
    ) -> tuple[list[Loss], list[Weights]]:
        """What a loaded run has lost before a step, and its weights after each step.

        ``randomness`` puts the random state back; ``skip`` leaves out the batches that were seen.
        """
        _seed(2)
        driver = Driver(self.program)
        self.program.load(driver.run, self.folder)
        losses = compare(saved, leaves(driver.run)) if saved else []
        for _ in range(self.at if skip else 0):
            driver.next_batch()
        if randomness:
            _set_random_state(self.randomness)
        return losses, driver.steps(self.at, self.steps)

    def search(self) -> Stage | None:
        """What makes the steps equal when it is put back: nothing that a leaf shows."""
        attempts = [(Stage.RANDOM, True, False)]
        if "batches" in Driver(self.program).run:
            attempts += [(Stage.DATA, False, True), (Stage.RANDOM, True, True)]
        for stage, randomness, skip in attempts:
            _, steps = self.resumed({}, randomness, skip)
            if self.first_difference(steps) is None:
                return stage
        return None

    def repeats(self) -> bool:
        """True if a second unbroken run has the same bits."""
        _seed(1)
        again = Driver(self.program)
        again.steps(0, self.at)
        return self.first_difference(again.steps(self.at, self.steps)) is None

    def first_difference(self, steps: list[Weights]) -> int | None:
        """The first step, from 1, of which not all bits are equal."""
        for number, (mine, theirs) in enumerate(zip(self.expected, steps, strict=True), 1):
            if list(mine) != list(theirs):
                return number
            for name, value in mine.items():
                if value.tobytes() != theirs[name].tobytes():
                    return number
        return None

    def distance(self, steps: list[Weights]) -> float:
        """The largest difference of a weight, as a share of the longest path of one."""
        largest, longest = 0.0, 0.0
        for name, value in self.start.items():
            path, before = np.zeros(value.shape), value.astype(np.float64)
            for mine, theirs in zip(self.expected, steps, strict=True):
                if name not in theirs or theirs[name].shape != value.shape:
                    return float("inf")
                now = mine[name].astype(np.float64)
                path += abs(now - before)
                before = now
                difference = abs(now - theirs[name].astype(np.float64))
                largest = max(largest, float(difference.max(initial=0.0)))
            longest = max(longest, float(path.max(initial=0.0)))
        if not largest:
            return 0.0
        return largest / longest if longest else float("inf")


def _framework(run: Mapping[str, Any]) -> str:
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return "keras"
    is_torch = any(isinstance(part, torch.nn.Module) for part in run.values())
    return "pytorch" if is_torch else "keras"


def _seed(number: int) -> None:
    """A random state as a process may begin with; what build() seeds itself comes after it."""
    random.seed(number)
    np.random.seed(number)
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(number)
    keras: Any = sys.modules.get("keras")
    if keras is not None:
        keras.utils.set_random_seed(number)


def _random_state() -> dict[str, Any]:
    """The global random states."""
    state: dict[str, Any] = {"python": random.getstate(), "numpy": np.random.get_state()}
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        state["torch"] = torch.get_rng_state()
    return state


def _set_random_state(state: Mapping[str, Any]) -> None:
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    if "torch" in state:
        sys.modules["torch"].set_rng_state(state["torch"])
