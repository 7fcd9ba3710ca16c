"""``samestep identify``: what is known is named with its numbers, what is not is called none."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from parity import mutants
from parity.compare import contestants, in_numpy, worker
from parity.compare.contestants import Contestant
from parity.compare.feed import Feed
from parity.compare.worker import Ran
from parity.conftest import LEFT_OUT
from parity.identify import court
from parity.identify.answer import Identity, identify
from parity.require import require
from reference import RULES, Rule, dialects

torch = require("torch")
keras = require("keras")
require("tensorflow")


def here(contestant: Contestant, trials: Sequence[tuple[Feed, str]]) -> list[Ran]:
    """Run a contestant in this process; what it raises is told as its own process would."""
    if contestant.kind == "rule":
        return worker.ran_on(contestant, trials)
    try:
        return [worker.execute(contestant, feed, dtype) for feed, dtype in trials]
    except Exception as error:
        raise ValueError(str(error)) from error


def named(text: str, long: bool = False) -> Identity:
    """What the contestant of that text is."""
    return identify(contestants.read(text), here, long)


def blind(rule: Rule) -> Callable[[Contestant, Sequence[tuple[Feed, str]]], list[Ran]]:
    """Runs every contestant as this rule, which nothing but its steps tells."""

    def run(contestant: Contestant, trials: Sequence[tuple[Feed, str]]) -> list[Ran]:
        return [Ran(in_numpy.run(rule, feed, dtype), "numpy", None) for feed, dtype in trials]

    return run


BOX = Contestant("box", "factory", "")


def assert_is(found: Identity, rule: Rule) -> None:
    """The rule is the one that was found, or one of those that cannot be told from it."""
    assert found.rule, (found.nearest, found.held)
    told = {repr(known) for known in (found.rule, *found.alike)}
    assert repr(rule) in told, told


DAILY = (  # a native a rule
    "pytorch:SGD()", "pytorch:ASGD()", "pytorch:Rprop()", "keras:Adagrad()", "keras:Ftrl()", "pytorch:Adadelta()",
    "keras:RMSprop()", "pytorch:AdamW()", "pytorch:Adamax()", "pytorch:NAdam()", "pytorch:RAdam()",
    "keras:ScheduleFreeAdamW()", "keras:Lion()", "keras:Lamb()", "pytorch:Adafactor()", "pytorch:Muon()",
)  # fmt: skip
NATIVES = [
    f"{name}:{native}()" for name in ("pytorch", "keras") for native in dialects.find(name).NATIVES
    if native not in getattr(dialects.find(name), "READ_ONLY", ())
]  # fmt: skip


@pytest.mark.parametrize("call", NATIVES)
def test_a_native_at_its_defaults_is_named(call: str, full: bool) -> None:
    """Its rule, its numbers, and its call in its own dialect, with equal bits."""
    if not full and call not in DAILY:
        pytest.skip(LEFT_OUT)
    found = named(f"native:{call}", long=full)
    assert_is(found, dialects.read(call))
    assert found.native.partition("(")[0] == f"native:{call}".partition("(")[0]


def test_every_rule_has_a_native_for_every_day() -> None:
    """None is left to the full product alone."""
    assert {type(dialects.read(call)) for call in DAILY} == set(RULES)
