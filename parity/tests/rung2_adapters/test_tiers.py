"""When steps go over from eager to compiled by themselves: how long all of them take at most, on
made-up clocks.
"""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from samestep.parity.tests.support.frameworks import torch  # noqa: F401

from samestep.frameworks.pytorch import tiers
from samestep.frameworks.pytorch.tiers import Expected, Notes, Tier

pytestmark = pytest.mark.rung(2)

# seconds of an eager step, of a compiled one and of compiling, in powers of two: sums are exact
TIMES = [(0.5, 0.125, 8.0), (0.5, 0.0, 8.0), (0.5, 0.46875, 8.0), (2.0, 1.0, 0.5), (0.5, 1.0, 8.0)]
STEPS = (0, 1, 2, 15, 16, 17, 31, 32, 33, 100, 10_000)


class Simulation:
    """Steps that take made-up times."""

    def __init__(self, eager: float, compiled: float, compiling: float) -> None:
        self.now = 0.0
        self.times = (eager, compiled, compiling)
        self.ways: list[str] = []

    def eager(self) -> None:
        self.now += self.times[0]
        self.ways.append("eager")

    def compiled(self) -> None:
        self.now += self.times[1]
        self.ways.append("compiled")

    def build(self) -> Callable[[], None]:
        self.now += self.times[2]
        return self.compiled

    def total(self, expected: Expected, steps: int) -> float:
        """Seconds that so many steps take."""
        tier = Tier(self.eager, self.build, expected, clock=lambda: self.now)
        for _ in range(steps):
            tier.take()
        return self.now


def better(times: tuple[float, float, float], steps: int) -> float:
    """Seconds of the better of always eager and always compiled."""
    eager, compiled, compiling = times
    return min(steps * eager, compiling + steps * compiled)


@pytest.mark.parametrize("times", TIMES, ids=str)
@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("known", [True, False], ids=["step known", "step unknown"])
def test_the_whole_takes_twice_the_better_at_most(times: Any, steps: int, known: bool) -> None:
    """Beyond that only the one step by which the switch is late, and, where the compiled step turns
    out to be slower, those in which that is seen.
    """
    eager, compiled, compiling = times
    expected = Expected(compiling, compiled if known else 0.0)
    rest = eager + tiers.WATCHED * max(0.0, compiled - eager)
    assert Simulation(*times).total(expected, steps) <= 2 * better(times, steps) + rest


@pytest.mark.parametrize("factor", [1 / 8, 1 / 2, 2, 8])
@pytest.mark.parametrize("steps", STEPS)
def test_a_wrong_expectation_costs_its_factor(factor: float, steps: int) -> None:
    """Compiling that takes k times as long as expected, or one k-th: 1 + k times the better."""
    times = TIMES[1]
    bound = (1 + max(factor, 1 / factor)) * better(times, steps) + times[0]
    assert Simulation(*times).total(Expected(times[2] / factor), steps) <= bound


def test_an_adversary_reaches_the_bound() -> None:
    """Steps that end as soon as they are compiled: nothing smaller could be promised."""
    times = TIMES[1]
    steps = int(times[2] / times[0])
    assert Simulation(*times).total(Expected(times[2]), steps + 1) == 2 * better(times, steps)


def test_steps_are_compiled_when_they_have_lost_what_compiling_takes() -> None:
    """An eager step loses what it takes beyond a compiled one; not a step earlier, not later."""
    simulation = Simulation(0.5, 0.25, 1.0)
    simulation.total(Expected(1.0, 0.25), 6)
    assert simulation.ways == ["eager"] * 4 + ["compiled"] * 2


def test_compiled_steps_that_are_slower_are_given_up() -> None:
    """After they have been watched, for good."""
    simulation = Simulation(0.5, 0.75, 1.0)
    tier = Tier(simulation.eager, simulation.build, Expected(1.0), clock=lambda: simulation.now)
    for _ in range(2 + tiers.WATCHED + 3):
        tier.take()
    assert simulation.ways == ["eager"] * 2 + ["compiled"] * tiers.WATCHED + ["eager"] * 3
    assert tier.how() == "eager, for compiled ones take 750 ms, an eager one 500 ms"


def test_a_compiler_that_fails_is_tried_once() -> None:
    """And the step in which it failed is taken, once."""
    steps, tries = [], []

    def fail() -> Any:
        tries.append(1)
        raise PermissionError("no such folder\nand more")

    clock = itertools.count()
    tier = Tier(lambda: steps.append(1), fail, Expected(2.0), clock=lambda: float(next(clock)))
    for _ in range(9):
        tier.take()
    assert (len(steps), len(tries)) == (9, 1)
    assert tier.how() == "eager, for compiling failed: PermissionError: no such folder"


def test_how_says_what_is_waited_for_and_what_was_measured() -> None:
    """Before the switch and after it."""
    simulation = Simulation(0.5, 0.001, 4.0)
    tier = Tier(simulation.eager, simulation.build, Expected(2.0), clock=lambda: simulation.now)
    tier.take()
    assert tier.how() == (
        "eager so far: compiling is expected to take 2 s, of which 500 ms have been lost by not "
        "doing it"
    )
    for _ in range(5):
        tier.take()
    assert tier.how() == (
        "compiled, after 4 eager steps of 500 ms and more; compiling took 4 s, a compiled step "
        "takes 1 ms"
    )


def test_what_was_measured_is_expected_the_next_time(tmp_path: Path) -> None:
    """A cold cache is warm the next time; of a set without notes, what another one took."""
    notes = Notes(tmp_path / "folder")
    unknown = notes.expected("one", True)
    assert unknown == Expected(tiers.SECONDS["first cold"], 0.0)
    notes.add("one", True, Expected(20.0, 0.5))
    assert notes.expected("one", True) == Expected(tiers.SECONDS["first warm"], 0.5)
    assert notes.expected("other", True) == Expected(20.0, 0.0)
    notes.add("one", True, Expected(4.0, 0.25))
    notes.add("other", True, Expected(30.0, 0.5))
    notes.add("other", True, Expected(8.0, 0.5))
    assert Notes(notes.folder).expected("one", True) == Expected(4.0, 0.25)
    assert notes.expected("one", False) == Expected(tiers.SECONDS["later warm"], 0.25)


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"step": "1"}', '{"step": NaN}', '{"step": -1.0}'], ids=repr
)
def test_notes_that_cannot_be_read_are_passed_over(content: str, tmp_path: Path) -> None:
    """Whatever stands in the file."""
    (tmp_path / "one.json").write_text(content)
    notes = Notes(tmp_path)
    assert notes.expected("one", True) == Expected(tiers.SECONDS["first cold"], 0.0)
    notes.add("one", True, Expected(20.0, 0.5))
    assert json.loads((tmp_path / "one.json").read_text())["step"] == 0.5


def test_notes_that_cannot_be_written_are_passed_over(tmp_path: Path) -> None:
    """A folder that is a file."""
    (tmp_path / "folder").write_text("")
    notes = Notes(tmp_path / "folder")
    notes.add("one", True, Expected(20.0, 0.5))
    assert notes.expected("one", True) == Expected(tiers.SECONDS["first cold"], 0.0)
