"""Two steps timed in turn, on a machine that others use too: the ratio of their times.

A round is A B B A, so that a slow drift of the machine's speed hits both alike. If the two A or the
two B of a round disagree, other work has stalled one of them, and the round is measured again; the
rule is the same for both sides, so it favours none.
"""

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

ROUNDS = 15  # at least: fewer say little about a median
# Seconds that a sample lasts at least: long for a clock of 1e-7 s, short for a scheduler of 1e-3 s.
SAMPLE = 0.0002
# Two samples of one step in one round that differ by this factor were not equally disturbed.
STALL = 1.5
RESAMPLED, CONFIDENCE = 2000, 0.95  # of the bootstrap
SEED = 1

Step = Callable[[], Any]


class Ratio(NamedTuple):
    """The ratio of A's time to B's.

    ``value`` is the median over the rounds, ``low`` and ``high`` its bootstrap interval, ``a`` and
    ``b`` the seconds of one step of each. ``again`` counts the rounds that had a stall and were
    measured again, ``stalled`` those of them that are in the result, because the machine never
    became quiet.
    """

    value: float
    low: float
    high: float
    a: float
    b: float
    rounds: int
    again: int
    stalled: int

    @property
    def noise(self) -> float:
        """The largest distance of the interval from 1.

        For a step against itself it is the difference that this machine cannot measure.
        """
        return max(self.high - 1, 1 - self.low)

    def verdict(self, floor: float = 0.0) -> str:
        """Name the difference of A from B beyond the noise floor.

        It is "faster", "slower", or "cannot tell".
        """
        if self.high < 1 - floor:
            return "faster"
        return "slower" if self.low > 1 + floor else "cannot tell"


def compare(
    a: Step,
    b: Step,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
    rounds: int = ROUNDS,
) -> Ratio:
    """Time the warm, synchronised steps ``a`` and ``b`` in turn.

    It takes about so many ``seconds``, and so many ``rounds`` at least. As many rounds may be
    measured again.
    """
    calls = [_calls(step, clock) for step in (a, b)]
    calm: list[list[float]] = []
    stalled: list[list[float]] = []
    begin = clock()
    while clock() - begin < seconds or (
        len(calm) < rounds and len(calm) + len(stalled) < 2 * rounds
    ):
        times = [_sample((a, b)[which], calls[which], clock) for which in (0, 1, 1, 0)]
        undisturbed = _agree(times[0], times[3]) and _agree(times[1], times[2])
        (calm if undisturbed else stalled).append(times)
    used = calm if len(calm) >= rounds else [*calm, *stalled]
    return _summary(np.array(used), again=len(stalled), stalled=len(used) - len(calm))


def _agree(first: float, second: float) -> bool:
    """True if two samples of one step were equally disturbed."""
    return max(first, second) < STALL * min(first, second)


def best(step: Step, samples: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that the warm, synchronised ``step`` takes at best.

    The samples are as long as those that are compared. A few single steps would not do, since some
    optimizers need many to warm up, and the order of two could be reversed.
    """
    calls = _calls(step, clock)
    return min(_sample(step, calls, clock) for _ in range(samples))


def _sample(step: Step, calls: int, clock: Callable[[], float]) -> float:
    """The mean seconds of a step, over so many calls in a row."""
    start = clock()
    for _ in range(calls):
        step()
    return (clock() - start) / calls


def _summary(times: np.ndarray, again: int, stalled: int) -> Ratio:
    """The ratio of rounds of times (rounds, 4), seconds of A B B A."""
    a = times[:, [0, 3]].mean(axis=1)
    b = times[:, [1, 2]].mean(axis=1)
    ratios = np.log(a / b)
    drawn = np.random.default_rng(SEED).choice(ratios, (RESAMPLED, len(ratios)))
    edge = (1 - CONFIDENCE) / 2
    low, high = np.exp(np.quantile(np.median(drawn, axis=1), [edge, 1 - edge]))
    value = math.exp(np.median(ratios))
    seconds = float(np.median(a)), float(np.median(b))
    return Ratio(value, low, high, *seconds, len(times), again, stalled)


def _calls(step: Step, clock: Callable[[], float]) -> int:
    """How many calls make a sample."""
    start = clock()
    step()
    once = max(clock() - start, 1e-9)
    return max(1, math.ceil(SAMPLE / once))


class Unsynchronised(AssertionError):
    """A step that returned before it was done."""


def check_waits(step: Step, read: Callable[[], Any], calls: int = 4, tries: int = 3) -> None:
    """Raise ``Unsynchronised`` if work is left when ``step`` returns.

    ``read`` waits for work that is under way. The time that it takes after steps, beyond the time
    that it takes anyhow, is work that the clock would miss. A stall can look like that once; it
    counts if it is there in every try.
    """
    left = []
    for _ in range(tries):
        read()
        start = time.perf_counter()
        for _ in range(calls):
            step()
        returned = time.perf_counter()
        read()
        done = time.perf_counter()
        read()
        alone = time.perf_counter() - done
        left.append((done - returned - alone) / (returned - start))
    if min(left) > 1:
        raise Unsynchronised(
            "a step must return when it is done, but reading its results took "
            f"{min(left):.1f} times as long as the steps; wait for the device in the step"
        )
