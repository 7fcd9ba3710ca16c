"""``samestep identify``: natives, and rules known by nothing but their steps, are named with their numbers."""

import dataclasses
from collections.abc import Sequence

import pytest

from samestep.parity.identify.answer import Identity, identify
from samestep.parity.measure.trial import Trial
from samestep.parity.runners import contestants
from samestep.parity.runners.contestants import Contestant
from samestep.parity.runners.worker import RunResult
from samestep.parity.tests.support.boxes import BOX, assert_is, blind, drawn, here
from samestep.parity.tests.support.require import LEFT_OUT, require
from samestep.reference import ASGD, RULES, Adafactor, Adagrad, Epsilon, Muon, Rule, dialects

require("torch")
require("keras")
require("tensorflow")


def named(text: str, long: bool = False) -> Identity:
    """What the contestant of that text is."""
    return identify(contestants.read(text), here, long)


DAILY = ("pytorch:SGD()", "pytorch:Rprop()", "keras:RMSprop()", "pytorch:Muon()")
NATIVES = [
    f"{name}:{native}()" for name in ("pytorch", "keras") for native in dialects.find(name).natives
    if native not in dialects.find(name).read_only
]  # fmt: skip


@pytest.mark.parametrize("call", NATIVES)
def test_a_native_at_its_defaults_is_named(call: str, full: bool) -> None:
    """Its rule, its numbers, and its call in its own dialect, with equal bits."""
    if not full and call not in DAILY:
        pytest.skip(LEFT_OUT)
    found = named(f"native:{call}", long=full)
    assert_is(found, dialects.read(call))
    assert found.native.partition("(")[0] == f"native:{call}".partition("(")[0]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", [kind for kind in RULES if kind is not Muon], ids=lambda kind: kind.__name__)
def test_numbers_drawn_at_random_are_found(kind: type[Rule], seed: int, full: bool) -> None:
    """Of every rule, from its steps alone."""
    if not full and (seed or kind not in RULES[::2]):
        pytest.skip(LEFT_OUT)
    rule = drawn(kind, 100 * RULES.index(kind) + seed)
    found = identify(BOX, blind(rule), long=False, kinds=(kind,))
    assert_is(found, rule)


RANDOM = [call for call in NATIVES if "Muon" not in call]  # torch's rounds to bfloat16 inside: too coarse a view
UNTOLD = {"keras:ScheduleFreeAdamW()": "beta1"}  # as Keras takes it, it makes no difference to any step
RANDOM_DAILY = ("pytorch:Adam()", "keras:SGD()")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("call", RANDOM)
def test_a_native_with_numbers_drawn_at_random_is_named(call: str, seed: int, full: bool) -> None:
    """What its arguments can say, the rest as the framework has it."""
    if not full and (seed or call not in RANDOM_DAILY):
        pytest.skip(LEFT_OUT)
    dialect, name, _ = dialects.parse(call)
    native = dialects.find(dialect).natives[name]
    told = drawn(native.rule, 1000 * RANDOM.index(call) + seed)
    spoken = {field: getattr(told, field) for field in native.arguments.values() if field != UNTOLD.get(call)}
    if spoken.get("nesterov") and (not spoken["momentum"] or spoken.get("dampening")):
        spoken["nesterov"] = False
    rule = native.rule(**{**native.fixed, **spoken})
    said = dialects.find(dialect).spell(rule)
    found = named(f"native:{dialect}:{dataclasses.replace(said, condition='', each_step='')}")
    assert_is(found, rule)


def test_what_cannot_be_told_is_told_as_a_set() -> None:
    """Epsilon under Adagrad's root is part of what the sum starts at; ASGD's t0 moves nothing that is seen."""
    found = identify(BOX, blind(Adagrad(lr=0.01, epsilon=0.0, initial_accumulator=0.25)), long=False, kinds=(Adagrad,))
    assert {getattr(rule, "epsilon_at", None) for rule in (found.rule, *found.alike) if rule} == {
        Epsilon.OUTSIDE,
        Epsilon.INSIDE,
    }
    found = identify(BOX, blind(ASGD(lr=0.01, lambd=0.1)), long=False, kinds=(ASGD,))
    assert len({getattr(rule, "t0", None) for rule in (found.rule, *found.alike) if rule}) > 1


def test_what_cannot_run_is_a_mistake() -> None:
    """In one line, not a verdict."""
    with pytest.raises(ValueError, match="must return a torch"):
        named("builtins:len")


def test_what_fails_at_the_least_is_asked_no_more() -> None:
    """And what it said first is told."""
    asked = []

    def run(contestant: Contestant, trials: Sequence[tuple[Trial, str]]) -> list[RunResult]:
        asked.append(trials)
        raise ValueError(f"failure {len(asked)}")

    with pytest.raises(ValueError, match="failure 1"):
        identify(BOX, run)
    assert len(asked) == 2
    assert {dtype for _, dtype in asked[-1]} == {"float32"}


def test_equal_bits_beyond_the_limit_are_told_as_that(full: bool) -> None:
    """float32 has no square of 1e-30: torch's Adafactor is no number where the rule stands still, and yet is named."""
    if not full:
        pytest.skip(LEFT_OUT)
    call = "pytorch:Adafactor(lr=0.05, eps=(1e-30, 0.0325))"
    found = identify(contestants.read(f"native:{call}"), here, long=False, kinds=(Adafactor,))
    assert found.rule == dialects.read(call)
    assert found.native
    assert {held.dtype for held in found.beyond} == {"float32"}
