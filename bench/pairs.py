"""Two steps timed in turn, on a machine that others use too: the ratio of their times, and how sure it is.

A round is A B B A, so that a slow drift of the machine's speed hits both alike. A round whose two A or two B disagree
has met a stall, somebody else's work, and is measured again; the rule is the same for both sides, so it favours none.
"""

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

ROUNDS = 15  # at least: fewer say little about a median
SAMPLE = 0.0002  # seconds that one sample lasts at least: long for a clock of 1e-7 s, short for a scheduler of 1e-3 s
STALL = 1.5  # two samples of one step that differ by this factor, within one round, were not equally disturbed
RESAMPLED, CONFIDENCE = 2000, 0.95  # of the bootstrap
SEED = 1

Step = Callable[[], Any]


class Ratio(NamedTuple):
    """The median of the rounds' ratios of A's time to B's, its bootstrap interval, and seconds of one step of each.

    ``again``: how many rounds had met a stall and were measured again. ``stalled``: how many such were kept in the
    end, for the machine never came to rest.
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
        """How far the interval reaches from 1: of a step against itself, what this machine cannot tell."""
        return max(self.high - 1, 1 - self.low)

    def verdict(self, floor: float = 0.0) -> str:
        """Whether A is "faster" or "slower" than B by more than the noise floor, or one "cannot tell"."""
        if self.high < 1 - floor:
            return "faster"
        return "slower" if self.low > 1 + floor else "cannot tell"


def compare(
    a: Step, b: Step, seconds: float, clock: Callable[[], float] = time.perf_counter, rounds: int = ROUNDS
) -> Ratio:
    """Time the warm, synchronised steps ``a`` and ``b`` in turn for about so many seconds, so many rounds at least.

    As many rounds as there are may be measured again.
    """
    calls = [_calls(step, clock) for step in (a, b)]
    calm: list[list[float]] = []
    stalled: list[list[float]] = []
    begin = clock()
    while clock() - begin < seconds or (len(calm) < rounds and len(calm) + len(stalled) < 2 * rounds):
        times = [_sample((a, b)[which], calls[which], clock) for which in (0, 1, 1, 0)]
        calm_ones = [max(x, y) < STALL * min(x, y) for x, y in ((times[0], times[3]), (times[1], times[2]))]
        (calm if all(calm_ones) else stalled).append(times)
    kept = calm if len(calm) >= rounds else [*calm, *stalled]
    return _summary(np.array(kept), again=len(stalled), stalled=len(kept) - len(calm))


def best(step: Step, samples: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that the warm, synchronised ``step`` takes at best, in samples as long as those that are compared.

    A few single steps say something else, for some take many to warm up: which of two is quicker may turn round.
    """
    calls = _calls(step, clock)
    return min(_sample(step, calls, clock) for _ in range(samples))


def _sample(step: Step, calls: int, clock: Callable[[], float]) -> float:
    """Seconds of a step, in the mean of so many in a row."""
    start = clock()
    for _ in range(calls):
        step()
    return (clock() - start) / calls


def _summary(times: np.ndarray, again: int, stalled: int) -> Ratio:
    """The ratio told by rounds of times (rounds, 4), seconds of A B B A."""
    a, b = times[:, [0, 3]].mean(axis=1), times[:, [1, 2]].mean(axis=1)
    ratios = np.log(a / b)
    drawn = np.random.default_rng(SEED).choice(ratios, (RESAMPLED, len(ratios)))
    edge = (1 - CONFIDENCE) / 2
    low, high = np.exp(np.quantile(np.median(drawn, axis=1), [edge, 1 - edge]))
    value = math.exp(np.median(ratios))
    return Ratio(value, low, high, float(np.median(a)), float(np.median(b)), len(times), again, stalled)


def _calls(step: Step, clock: Callable[[], float]) -> int:
    """How many calls make a sample."""
    start = clock()
    step()
    once = max(clock() - start, 1e-9)
    return max(1, math.ceil(SAMPLE / once))


class Unsynchronised(AssertionError):
    """A step that returned before it was done."""


def check_waits(step: Step, read: Callable[[], Any], calls: int = 4, tries: int = 3) -> None:
    """Raise ``Unsynchronised`` if work is left when ``step`` returns: reading its results must not wait for it.

    ``read`` waits for what is under way. The time it takes after steps, beyond the time that it takes anyhow, is work
    that the clock would miss. A stall can look like that once; it counts if it is there in every try.
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
            f"a step must return when it is done, but reading its results took {min(left):.1f} times as long as the "
            "steps themselves; wait for the device in the step"
        )
