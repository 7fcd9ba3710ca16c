"""Rung 3, remedies: what a dialect recommends takes the steps of the rule that was read.

Every remedy is read from its text, as a user would read it, and run at a falling learning rate. A
remedy with a condition is run where the condition holds.
"""

import copy
import dataclasses
import functools
import itertools
import random
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

from samestep.frameworks.numpy import namespace
from samestep.parity.measure import limits, streams
from samestep.parity.measure.rule_run import run_tensor
from samestep.parity.measure.verdict import judge_tensor
from samestep.parity.runners import specs
from samestep.parity.tests.support.require import require
from samestep.reference import RULES, Adafactor, Adam, Muon, Rule, dialects
from samestep.reference.dialects import Call, Inexpressible
from samestep.reference.dialects.call import CONSTANT

pytestmark = pytest.mark.rung(3)

STEPS = 16
BY_DAY = 20  # rules of a kind
DRAWS = 4  # of numbers for each combination of choices, in tox -e parity-full
LARGE = 2.0**60  # of gradients that stay far above any epsilon
NUMBERS = (0.0, 0.125, 0.5, 0.75)  # what a number may be beside its default
PLAIN = ("lr", "ns_steps", "a", "b", "c", "lr_power")  # numbers that stay at their defaults

BEFORE_EACH_STEP = ", before step t = 1, 2, ...: "
CONDITION = re.compile(r", (?P<text>(where|while) [^:]*)$")
RULE_IN_WORDS = (
    re.compile(r"samestep\.frameworks\.pytorch\.Optimizer\(params, (?P<rule>.*)\)"),
    re.compile(r"(in Keras 3 )?samestep\.frameworks\.tensorflow\.Optimizer\((?P<rule>.*)\)"),
    re.compile(r"ordinary operators that write out (?P<rule>.*)"),
    re.compile(r"(?P<rule>.*) itself\b.*"),
)
REGULARIZER = re.compile(
    r" with the L2 regularizer (keras|tf_keras)\.regularizers\.L2\((?P<l2>[^)]*)\) on each weight"
)
NEGATED = re.compile(r" and negate the loss")
START = re.compile(
    r" with optimizer\.get_slot\(variable, 'rms'\)\.assign\((?P<start>\S+) \* "
    r"tf\.ones_like\(variable\)\) before the first step"
)
SCHEDULE = re.compile(
    r" with learning_rate=keras\.optimizers\.schedules\.InverseTimeDecay\("
    r"initial_learning_rate=(?P<lr>[^,]*), decay_steps=1, decay_rate=(?P<rate>[^)]*)\)"
)


class Plan(NamedTuple):
    """A remedy as it was read: the rule to follow, and what happens around its steps.

    ``native`` is that of the call, None where no call is used.
    """

    rule: Rule
    native: dialects.Native | None
    sign: float
    penalty: float
    rate_decay: float
    each_step: str
    condition: str


def plan_of(text: str) -> Plan:
    """The remedy that the text means; AssertionError if a part of it cannot be understood."""
    rest, _, each_step = text.partition(BEFORE_EACH_STEP)
    condition = CONDITION.search(rest)
    rest = rest[: condition.start()] if condition else rest
    parts = {}
    for name, pattern in (("l2", REGULARIZER), ("start", START), ("rate", SCHEDULE)):
        if match := pattern.search(rest):
            parts[name] = float(match[name])
            rest = pattern.sub("", rest)
    sign = -1.0 if NEGATED.search(rest) else 1.0
    rule, native = rule_and_native(NEGATED.sub("", rest))
    if "start" in parts:
        rule = rule.replace(initial_mean_square=parts["start"])
    return Plan(
        rule,
        native,
        sign,
        2 * parts.get("l2", 0.0),
        parts.get("rate", 0.0),
        each_step,
        condition["text"] if condition else "",
    )


def rule_and_native(text: str) -> tuple[Rule, dialects.Native | None]:
    """The rule of a call, with its native, or of words that contain a rule."""
    dialect, colon, _ = text.partition("(")[0].partition(":")
    if colon:
        _, name, _ = dialects.parse(text)
        return dialects.read(text), dialects.find(dialect).natives.get(name)
    matches = [match for pattern in RULE_IN_WORDS if (match := pattern.fullmatch(text))]
    assert matches, f"what is to be used instead cannot be read: {text!r}"
    return specs.rule(matches[0]["rule"]), None


class Case(NamedTuple):
    """A start (*shape), gradients (steps, *shape), and learning rates."""

    start: np.ndarray
    gradients: np.ndarray
    rates: list[float]


@functools.cache
def case_of(rule: Rule, condition: str, flat: bool) -> Case:
    """Gradients of all sizes at a falling rate, or what the condition asks for; flat: a vector."""
    start = streams.suit(rule, streams.start(16))
    scales = np.ones(16) * LARGE if "far above" in condition else np.logspace(-6, 1, 16)
    gradients = streams.suit(rule, streams.gradients("spread", STEPS, scales))
    if flat:
        start, gradients = start.ravel(), gradients.reshape(STEPS, -1)
    rates = [rule.lr] * STEPS if CONSTANT in condition else streams.rates(rule.lr, STEPS)
    return Case(start, gradients, rates)


def run_plan(plan: Plan, case: Case) -> np.ndarray:
    """The parameters after each step, (steps, *shape), float64."""
    theta = case.start
    state = plan.rule.start(theta, namespace)
    thetas = []
    for t, (gradient, lr) in enumerate(zip(case.gradients, case.rates, strict=True), start=1):
        lr_before = case.rates[max(t - 2, 0)]
        rule = plan.rule
        rate = lr / (1 + plan.rate_decay * (t - 1))
        if plan.each_step:
            settings = settings_of(plan.each_step, {"t": t, "lr": lr, "lr_before": lr_before})
            rule, rate = with_settings(plan, settings, rate)
        g = plan.sign * gradient + plan.penalty * theta
        theta, state = rule.update(theta, g, state, rule.coefficients(t, rate), namespace)
        thetas.append(theta)
    return np.array(thetas)


class Assigned:
    """An attribute of an optimizer that is assigned by ``assign``, as a variable is."""

    def __init__(self) -> None:
        self.value: float | None = None

    def assign(self, value: float) -> None:
        self.value = value


def settings_of(code: str, names: dict[str, float]) -> dict[str, float]:
    """The arguments that the code of ours sets, by name."""
    group: dict[str, float] = {}
    epsilon = Assigned()
    optimizer = SimpleNamespace(epsilon=epsilon)
    locals_of_code: dict[str, float] = {}
    exec(code, {**names, "group": group, "optimizer": optimizer}, locals_of_code)
    settings = {**locals_of_code, **group, **vars(optimizer)}
    if optimizer.epsilon is epsilon:
        settings.pop("epsilon")
        settings |= locals_of_code
    if epsilon.value is not None:
        settings["epsilon"] = epsilon.value
    return settings


def with_settings(plan: Plan, settings: dict[str, float], rate: float) -> tuple[Rule, float]:
    """The rule and the learning rate of a step whose native has these arguments."""
    assert plan.native or plan.rule.to_dict()["amsgrad"]
    fields = {"learning_rate": "lr", "eps": "epsilon", "momentum": "momentum", "epsilon": "epsilon"}
    fields |= plan.native.arguments if plan.native else {}
    rule = plan.rule
    for argument, value in settings.items():
        if argument == "T":  # ONNX corrects no bias at step number 0
            assert value == 0
            rule = rule.replace(bias_correction=False)
        elif fields[argument] == "lr":
            rate = abs(value)
        else:
            rule = copy.copy(rule)  # a native does not check what is set later
            object.__setattr__(rule, fields[argument], value)
    return rule, rate


@functools.lru_cache(maxsize=4096)
def expected_of(rule: Rule, condition: str, flat: bool) -> tuple[np.ndarray, np.ndarray]:
    """The parameters of the rule after each step, and how far two roundings can part them."""
    case = case_of(rule, condition, flat)
    with np.errstate(all="ignore"):
        thetas = run_tensor(rule, case.start, case.gradients, "float64", case.rates)
        bounds = limits.of_tensor(rule, case.start, case.gradients, "float64", case.rates)
    return thetas, 2 * bounds


def takes_the_steps(rule: Rule, plan: Plan) -> str:
    """What is wrong if the plan leaves the steps of the rule; else nothing."""
    if plan == Plan(rule, plan.native, 1.0, 0.0, 0.0, "", plan.condition):
        return ""
    for flat in (False, True) if has_vectors(rule, plan.condition) else (False,):
        case = case_of(rule, plan.condition, flat)
        expected, bounds = expected_of(rule, plan.condition, flat)
        with np.errstate(all="ignore"):
            actual = run_plan(plan, case)
        verdict = judge_tensor(case.start, expected, actual, bounds)
        if not verdict.holds:
            return str(verdict)
    return ""


def has_vectors(rule: Rule, condition: str) -> bool:
    """True if the rule moves vectors in another way than matrices, and may be given some."""
    is_told = "all tensors are matrices" in condition
    return isinstance(rule, Adafactor) or (isinstance(rule, Muon) and rule.adam and not is_told)


def drawn(kind: type[Rule], draws: int) -> Iterator[Rule]:
    """Every combination of the choices of a rule, with numbers that are drawn."""
    fields = dataclasses.fields(kind)
    choices = [field for field in fields if "choices" in field.metadata]
    draw = random.Random(kind.__name__)
    for values in itertools.product(*[field.metadata["choices"] for field in choices]):
        chosen = dict(zip([field.name for field in choices], values, strict=True))
        for _ in range(draws):
            numbers = {
                field.name: drawn_number(field, draw)
                for field in fields
                if field not in choices and field.name not in PLAIN
            }
            try:
                yield kind(**{**numbers, **chosen, "lr": 0.125})
            except ValueError:  # such as nesterov with dampening
                continue


def drawn_number(field: "dataclasses.Field[Any]", draw: random.Random) -> float:
    """The default, or another number that the field may have."""
    low, high = (float(bound) for bound in field.metadata["interval"][1:-1].split(","))
    allowed = [x for x in NUMBERS if low < x < high or (x == low == 0 and "[0" in str(field))]
    return float(draw.choice([field.default, *allowed]))


@pytest.mark.parametrize("dialect", dialects.DIALECTS.values(), ids=repr)
@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.__name__)
def test_call_or_remedy_takes_the_steps_of_the_rule(
    kind: type[Rule], dialect: dialects.Dialect, full: bool
) -> None:
    """Whatever the rule's choices and numbers: the call that means it, or each remedy if none does.

    The rule is named in every refusal, and so is a condition.
    """
    wrong = []
    rules = list(drawn(kind, DRAWS))
    random.Random(kind.__name__).shuffle(rules)
    for rule in rules if full else rules[:BY_DAY]:
        faults = {text: takes_the_steps(rule, plan_of(text)) for text in answers(rule, dialect)}
        wrong += [f"{rule!r}: {text}: {fault}" for text, fault in faults.items() if fault]
    assert not wrong, f"{len(wrong)} answers are wrong; first: {wrong[0]}"


def answers(rule: Rule, dialect: dialects.Dialect) -> list[str]:
    """What the dialect says for the rule: its call as a remedy is written, or its remedies."""
    call = dialect.express(rule)
    if call is None:
        with pytest.raises(Inexpressible) as refusal:
            dialect.spell(rule)
        texts = [str(remedy) for remedy in refusal.value.remedies]
        assert str(refusal.value).startswith(f"{rule!r} in {dialect.prefix}: ")
        assert str(refusal.value).endswith(f" Instead: {'; or '.join(texts)}.")
        return texts
    plain = f"{dialect.name}:{Call(call.name, call.arguments)}"
    said = [f"{plain}, {call.condition}" if call.condition else plain]
    return [*said, f"{plain}{BEFORE_EACH_STEP}{call.each_step}"] if call.each_step else said


def test_remedy_keeps_the_buffer_of_the_rule_that_was_read() -> None:
    """PyTorch's buffer of gradients in Keras, at rates of 0.1, 0.1 and 0.01 along gradients of 1.

    A buffer of steps would be at -0.6339.
    """
    rule = dialects.read("pytorch:SGD(lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)")
    ours, call = answers(rule, dialects.keras)
    case = Case(np.zeros(1), np.ones((3, 1)), [0.1, 0.1, 0.01])
    assert round(run_plan(plan_of(ours), case)[-1].item(), 4) == -0.4954
    assert plan_of(call).condition == CONSTANT


def onnx_adam(t: int, start: float, lr: float, post: float) -> list[float]:
    """The places of ONNX' own Adam after two steps along gradients of 1 and -2.

    ``t`` is the T of both steps, ``post`` the norm_coefficient_post.
    """
    require("onnx")
    from onnx.reference.ops.aionnx_preview_training.op_adam import _apply_adam

    x, v, h = start, 0.0, 0.0
    places = []
    for step, g in enumerate((1.0, -2.0)):
        now = t + step if t else 0
        x, v, h = _apply_adam(lr, now, x, g, v, h, 0.0, post, 0.9, 0.999, 1e-6)
        places.append(float(x))
    return places


@pytest.mark.parametrize(
    ("rule", "t", "post"),
    [
        (Adam(lr=0.1, epsilon=1e-6, bias_correction=False), 0, 0.0),
        (Adam(lr=0.1, epsilon=1e-6, epsilon_at="HAT", weight_decay=0.5, decay="AFTER"), 1, 0.05),
    ],
    ids=repr,
)
def test_onnx_takes_the_steps_of_its_remedies(rule: Rule, t: int, post: float) -> None:
    """T = 0 in every step corrects no bias; norm_coefficient_post decays after the step."""
    start, gradients = np.ones(1), np.array([[1.0], [-2.0]])
    bounds = limits.of_tensor(rule, start, gradients, "float64")
    actual = np.array(onnx_adam(t, 1.0, rule.lr, post))[:, None]
    expected = run_tensor(rule, start, gradients, "float64")
    verdict = judge_tensor(start, expected, actual, bounds)
    assert verdict.holds, verdict
    if post:
        with pytest.raises(Inexpressible) as refusal:
            dialects.onnx.read("Adam", R=rule.lr, norm_coefficient_post=post)
        (remedy,) = refusal.value.remedies
        assert remedy.use == repr(rule)
        assert remedy.condition == CONSTANT
