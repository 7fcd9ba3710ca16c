"""Rung 4, the other side: on seeds and streams that nobody looked at, nothing that is right is
convicted.
"""

import pytest

from samestep.parity.measure import cases, streams
from samestep.parity.measure.rule_run import run_rule
from samestep.parity.measure.trial import Trial
from samestep.parity.natives import deviations
from samestep.parity.runners import Native, runner_of
from samestep.parity.tests.support.one_tensor import trial_of, verdict_on
from samestep.parity.tests.support.require import require
from samestep.reference import Rule, dialects

pytestmark = pytest.mark.rung(4)

require("torch")

SEEDS, STEPS, DTYPE = range(1000, 1050), 40, "float32"
TRIALS = [(seed, stream) for stream in streams.PATTERNS for seed in SEEDS]  # 200


def deviates(call: str) -> bool:
    """True if a deviation of torch's for-loop is known for the call."""
    return bool(deviations.find("pytorch", "for-loop", DTYPE, dialects.read(call)))


PYTORCH_CALLS = [call for call in cases.CALLS if call.startswith("pytorch:")]
CALLS = [call for call in PYTORCH_CALLS if not deviates(call)]


def trial(rule: Rule, seed: int, stream: str) -> Trial:
    """Gradients and a start that no other test has drawn."""
    start = streams.suit(rule, streams.start(seed=seed))
    gradients = streams.suit(rule, streams.gradients(stream, STEPS, seed=seed))
    return trial_of(start, gradients, streams.rates(1.0, STEPS))


@pytest.mark.parametrize("share", range(len(CALLS)), ids=lambda share: CALLS[share])
def test_no_verdict_is_red_on_any_seed(share: int) -> None:
    """The rule itself and PyTorch's own optimizer in float32, on this call's share of the 200
    trials.
    """
    rule, call = dialects.read(CALLS[share]), dialects.Call(*dialects.parse(CALLS[share])[1:])
    for seed, stream in TRIALS[share :: len(CALLS)]:
        drawn = trial(rule, seed, stream)
        ours = run_rule(rule, drawn, DTYPE)
        theirs = runner_of("pytorch").run_native(Native(call, "for-loop"), drawn, DTYPE)
        for whose, actual in (("ours", ours), ("PyTorch's", theirs)):
            verdict = verdict_on(rule, drawn, actual, DTYPE)
            assert verdict.holds, f"{whose} {CALLS[share]}, seed {seed}, stream {stream}: {verdict}"


def test_trials_are_two_hundred_and_each_is_held() -> None:
    """All seeds with all streams, shared out among the calls."""
    shared = [trial for share in range(len(CALLS)) for trial in TRIALS[share :: len(CALLS)]]
    assert sorted(shared) == sorted(TRIALS)
    assert len(set(TRIALS)) >= 200
