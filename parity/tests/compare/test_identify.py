"""``samestep identify`` names natives, and rules of which only the steps are seen."""

import dataclasses
from collections.abc import Sequence

import pytest

from samestep.parity.identify.answer import Identity, identify
from samestep.parity.identify.families import BY_GRADIENT, BY_SIZE
from samestep.parity.identify.observe import Request
from samestep.parity.runners import specs
from samestep.parity.runners.result import RunResult
from samestep.parity.runners.specs import OptimizerSpec
from samestep.parity.tests.support.boxes import (
    BOX,
    assert_is,
    assert_is_indistinguishable,
    blind,
    can_be_judged,
    drawn,
    drawn_widely,
    here,
)
from samestep.parity.tests.support.require import LEFT_OUT, require
from samestep.reference import (
    ASGD,
    RULES,
    Adafactor,
    Adagrad,
    Epsilon,
    Lion,
    Muon,
    Rprop,
    Rule,
    dialects,
)

require("torch")
require("keras")
require("tensorflow")


def named(text: str, long: bool = False) -> Identity:
    """The identity of the optimizer that the text means."""
    return identify(specs.read(text), here, long)


DAILY = ("pytorch:SGD()", "pytorch:Rprop()", "keras:RMSprop()", "pytorch:Muon()")
NATIVES = [
    f"{name}:{native}()" for name in ("pytorch", "keras") for native in dialects.find(name).natives
    if native not in dialects.find(name).read_only
]  # fmt: skip


@pytest.mark.parametrize("call", NATIVES)
def test_a_native_at_its_defaults_is_named(call: str, full: bool) -> None:
    """The rule, its hyperparameters, and the native itself, which has equal bits."""
    if not full and call not in DAILY:
        pytest.skip(LEFT_OUT)
    identity = named(f"native:{call}", long=full)
    assert_is(identity, dialects.read(call))
    assert identity.native.partition("(")[0] == f"native:{call}".partition("(")[0]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "kind", [kind for kind in RULES if kind is not Muon], ids=lambda kind: kind.__name__
)
def test_numbers_drawn_at_random_are_found(kind: type[Rule], seed: int, full: bool) -> None:
    """Every rule is identified from its steps alone."""
    if not full and (seed or kind not in RULES[::2]):
        pytest.skip(LEFT_OUT)
    rule = drawn(kind, 100 * RULES.index(kind) + seed)
    identity = identify(BOX, blind(rule), long=False, kinds=(kind,))
    assert_is(identity, rule)


# torch's Muon rounds to bfloat16 inside, which hides its numbers
RANDOM = [call for call in NATIVES if "Muon" not in call]
WITHOUT_EFFECT = {"keras:ScheduleFreeAdamW()": "beta1"}  # the argument changes no step in Keras
RANDOM_DAILY = ("pytorch:Adam()", "keras:SGD()")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("call", RANDOM)
def test_a_native_with_numbers_drawn_at_random_is_named(call: str, seed: int, full: bool) -> None:
    """The numbers are drawn for its arguments; all other fields are as in the framework."""
    if not full and (seed or call not in RANDOM_DAILY):
        pytest.skip(LEFT_OUT)
    dialect, name, _ = dialects.parse(call)
    native = dialects.find(dialect).natives[name]
    random = drawn(native.rule, 1000 * RANDOM.index(call) + seed)
    fields = [field for field in native.arguments.values() if field != WITHOUT_EFFECT.get(call)]
    values = {field: getattr(random, field) for field in fields}
    if values.get("nesterov") and (not values["momentum"] or values.get("dampening")):
        values["nesterov"] = False
    rule = native.rule(**{**native.fixed, **values})
    spelled = dialects.find(dialect).spell(rule)
    plain_call = dataclasses.replace(spelled, condition="", each_step="")
    assert_is(named(f"native:{dialect}:{plain_call}"), rule)


@pytest.mark.parametrize(
    "text",
    [
        "Lion(lr=0.0001, weight_decay=0.01, decay=Decay.COUPLED)",
        "Lion(lr=0.0001, weight_decay=0.01, decay=Decay.AFTER)",
        "Rprop(lr=0.001, weight_decay=0.01, decay=Decay.DECOUPLED)",
        "Adam(lr=0.001, weight_decay=0.01, decay=Decay.AFTER, bias_correction=False)",
        "Adafactor(lr=0.1, relative_step=False)",
    ],
)
def test_settings_that_no_framework_has_are_named(text: str, full: bool) -> None:
    """Weight decay of rules that step by signs, late decay, no bias correction, a free rate."""
    if not full and text.startswith("Adafactor"):
        pytest.skip(LEFT_OUT)
    rule = specs.rule(text)
    assert_is(identify(BOX, blind(rule), long=full), rule)


ANYTHING = [  # a rule, a seed, and the framework whose adapter takes the steps
    (RULES[index % len(RULES)], index, ("pytorch", "tensorflow")[index // len(RULES) % 2])
    for index in range(300)
]  # fmt: skip
# six rules, three times each framework; RAdam and Lion with numbers that few gradients tell
ANYTHING_DAILY = (*range(0, 300, 59), 42, 44)


@pytest.mark.parametrize("index", range(len(ANYTHING)), ids=lambda index: _id(*ANYTHING[index]))
def test_any_rule_is_named_at_any_setting(index: int, full: bool) -> None:
    """All fields are drawn, choices too. The box is our adapter; its steps alone are looked at."""
    if not full and index not in ANYTHING_DAILY:
        pytest.skip(LEFT_OUT)
    kind, seed, framework = ANYTHING[index]
    rule = drawn_widely(kind, seed)
    if not can_be_judged(rule, long=full):
        pytest.skip(f"rounding may lead {rule!r} anywhere, so that no limit is of use")
    identity = identify(specs.read(f"adapter:{framework}:{rule!r}"), here, long=full)
    assert_is_indistinguishable(identity, rule)


def _id(kind: type[Rule], seed: int, framework: str) -> str:
    return f"{kind.__name__}-{seed}-{framework}"


def test_every_rule_is_looked_for() -> None:
    """By a family, or by the modules that treat Muon and the rules that step by a sign."""
    kinds = {family.kind for family in (*BY_GRADIENT, *BY_SIZE)}
    assert kinds | {Muon, Lion, Rprop} == set(RULES)


def test_rules_that_cannot_be_distinguished_are_listed() -> None:
    """Adagrad's epsilon under the root is part of its accumulator; ASGD's t0 moves no parameter."""
    identity = identify(
        BOX,
        blind(Adagrad(lr=0.01, epsilon=0.0, initial_accumulator=0.25)),
        long=False,
        kinds=(Adagrad,),
    )
    assert {
        getattr(rule, "epsilon_at", None)
        for rule in (identity.rule, *identity.indistinguishable)
        if rule
    } == {
        Epsilon.OUTSIDE,
        Epsilon.INSIDE,
    }
    identity = identify(BOX, blind(ASGD(lr=0.01, lambd=0.1)), long=False, kinds=(ASGD,))
    assert (
        len(
            {
                getattr(rule, "t0", None)
                for rule in (identity.rule, *identity.indistinguishable)
                if rule
            }
        )
        > 1
    )


def test_an_optimizer_that_cannot_run_is_a_user_error() -> None:
    """It is a ValueError, not a verdict."""
    with pytest.raises(ValueError, match="must return a torch"):
        named("builtins:len")


def test_an_optimizer_that_fails_on_the_smallest_trials_is_not_run_again() -> None:
    """The first failure is reported."""
    requests = []

    def run(spec: OptimizerSpec, new: Sequence[Request]) -> list[RunResult]:
        requests.append(new)
        raise ValueError(f"failure {len(requests)}")

    with pytest.raises(ValueError, match="failure 1"):
        identify(BOX, run)
    assert len(requests) == 2
    assert {job.dtype for _, job in requests[-1]} == {"float32"}


def test_a_native_with_equal_bits_is_named_even_beyond_the_limit(full: bool) -> None:
    """float32 has no square of 1e-30: torch's Adafactor gives NaN where the rule does not move."""
    if not full:
        pytest.skip(LEFT_OUT)
    call = "pytorch:Adafactor(lr=0.05, eps=(1e-30, 0.0325))"
    identity = identify(specs.read(f"native:{call}"), here, long=False, kinds=(Adafactor,))
    assert identity.rule == dialects.read(call)
    assert identity.native
    assert {result.dtype for result in identity.beyond} == {"float32"}
