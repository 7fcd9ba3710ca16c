"""Rung 4, the other side: on seeds and streams that nobody looked at, nothing that is right is convicted."""

import numpy as np
import pytest

from samestep.parity.measure import cases, limits, nearest_wrong, streams
from samestep.parity.measure import verdict as verdicts
from samestep.parity.natives import deviations
from samestep.parity.runners import natives as witnesses
from samestep.parity.tests.support.require import require
from samestep.reference import Rule, dialects

pytestmark = pytest.mark.rung(4)

require("torch")

SEEDS, STEPS, DTYPE = range(1000, 1050), 40, "float32"
TRIALS = [(seed, stream) for stream in streams.PATTERNS for seed in SEEDS]  # 200
CALLS = [
    call for call in cases.CALLS
    if call.startswith("pytorch:") and not deviations.find("pytorch", "for-loop", DTYPE, dialects.read(call))
]  # fmt: skip


def trial(rule: Rule, seed: int, stream: str) -> nearest_wrong.TensorTrial:
    """Gradients and a start that no other test has drawn."""
    rates = [float(np.float32(rate)) for rate in streams.rates(rule.lr, STEPS)]
    start, gradients = streams.start(seed=seed), streams.gradients(stream, STEPS, seed=seed)
    return nearest_wrong.TensorTrial(streams.suit(rule, start), streams.suit(rule, gradients), rates)


@pytest.mark.parametrize("share", range(len(CALLS)), ids=lambda share: CALLS[share])
def test_no_verdict_is_red_on_any_seed(share: int) -> None:
    """The rule itself and PyTorch's own optimizer in float32, on this call's share of the 200 trials."""
    rule, call = dialects.read(CALLS[share]), dialects.Call(*dialects.parse(CALLS[share])[1:])
    for seed, stream in TRIALS[share :: len(CALLS)]:
        drawn = trial(rule, seed, stream)
        expected = verdicts.run(rule, drawn.start, drawn.gradients, "float64", drawn.rates)
        bounds = limits.bounds(rule, drawn.start, drawn.gradients, DTYPE, drawn.rates)
        ours = verdicts.run(rule, drawn.start, drawn.gradients, DTYPE, drawn.rates)
        theirs = witnesses.of("pytorch").run(call, "for-loop", DTYPE, drawn)
        for whose, actual in (("ours", ours), ("PyTorch's", theirs)):
            verdict = verdicts.compare(drawn.start, expected, actual, bounds)
            assert verdict.holds, f"{whose} {CALLS[share]}, seed {seed}, stream {stream}: {verdict}"


def test_trials_are_two_hundred_and_each_is_held() -> None:
    """All seeds with all streams, shared out among the calls."""
    shared = [trial for share in range(len(CALLS)) for trial in TRIALS[share :: len(CALLS)]]
    assert sorted(shared) == sorted(TRIALS)
    assert len(set(TRIALS)) >= 200
