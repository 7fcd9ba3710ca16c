"""``samestep compare``: same or not, where two optimizers part, why, and what makes them equal."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import torch

from samestep.parity.compare import difference
from samestep.parity.compare.answer import Answer, compare
from samestep.parity.compare.comparison import run_both
from samestep.parity.measure import cases, nearest_wrong, wrong_rules
from samestep.parity.measure import trial as trials
from samestep.parity.measure.disturbance import Job
from samestep.parity.measure.rule_run import run_rule
from samestep.parity.measure.trial import Trial
from samestep.parity.measure.verdict import Agreement
from samestep.parity.runners import specs, worker
from samestep.parity.runners.result import RunResult
from samestep.parity.runners.specs import Kind, OptimizerSpec
from samestep.reference import Adam, Epsilon, dialects
from samestep.report.terminal.comparison import Question, answer_lines

EQUAL = Agreement.EQUAL_BITS
WITHIN = Agreement.WITHIN_ROUNDING
DIFFERENT = Agreement.DIFFERENT


def here(spec: OptimizerSpec, jobs: Sequence[tuple[Trial, Job]]) -> list[RunResult]:
    """Run an optimizer in this process: both frameworks are loaded already, torch first."""
    return [worker.run_here(spec, trial, job) for trial, job in jobs]


def answer(
    a: str, b: str, dtype: str = "float32", constant: bool = False, steps: int = trials.STEPS
) -> Answer:
    """The answer on the designed gradients."""
    first = specs.read(a)
    second = specs.read(b)
    trial = trials.designed((first.rule, second.rule), steps)
    if constant:
        trial = trial.replace(rate_factors=np.ones(steps))
    return compare(first, second, trial, dtype, here)


ADAM = "pytorch:Adam(lr=0.001)"
SAME = [
    (ADAM, "Adam(lr=0.001)", "float32", EQUAL),
    ("Adam(lr=0.001, epsilon_at=Epsilon.HAT)", "Adam(lr=0.001, epsilon_at='HAT')", "float32",
     EQUAL),
    (ADAM, "adapter:pytorch:Adam(lr=0.001)", "float32", EQUAL),
    (ADAM, "adapter:tensorflow:graph:pytorch:Adam(lr=0.001)", "float32", EQUAL),
    (ADAM, "native:pytorch:Adam(lr=0.001)", "float32", WITHIN),
    (ADAM, "torch.optim:Adam", "float64", WITHIN),
    ("keras:Adagrad(learning_rate=0.01)",
     "pytorch:Adagrad(lr=0.01, initial_accumulator_value=0.1000001, eps=0)",
     "float32", WITHIN),
    ("keras:RMSprop(learning_rate=0.001)", "native:keras:RMSprop(learning_rate=0.001)", "float32",
     WITHIN),
    ("native:optax:sgd(learning_rate=0.25)", "SGD(lr=0.25)", "float32", EQUAL),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b", "dtype", "same"), SAME)
def test_what_is_the_same_is_called_so(a: str, b: str, dtype: str, same: str) -> None:
    """Equal bits where no rounding differs, else within the derived limit; nothing is accused."""
    found = answer(a, b, dtype)
    assert found.agreement in (EQUAL, same), found  # a native's roundings may happen to be ours
    assert (found.first, found.causes, found.remedies) == (None, [], [])
    assert (found.first_other_bits is None) == (found.agreement is EQUAL)


# the two, the first step that differs, its stage and state, the fields that make them equal
PARTED = [
    (ADAM, "keras:Adam(learning_rate=0.001)", 1, "update", "", ("epsilon", "epsilon_at")),
    ("Adam(lr=0.001)", "Adam(lr=0.001, beta2=0.99)", 1, "state", "v", ("beta2",)),
    ("Adam(lr=0.001)", "Adam(lr=0.001, beta1=0.9000000001)", 1, "state", "m", ("beta1",)),
    ("Adam(lr=0.001)", "Adam(lr=0.002)", 1, "update", "", ("lr",)),
    ("Adam(lr=0.001)", "Adam(lr=0.001, amsgrad=True)", 2, "update", "", ("amsgrad",)),
    ("keras:SGD(learning_rate=0.1, momentum=0.9)", "pytorch:SGD(lr=0.1, momentum=0.9)", 21,
     "update", "", ("buffer",)),
    ("pytorch:SGD(lr=0.1, momentum=0.9)", "pytorch:SGD(lr=0.1, momentum=0.9, dampening=0.5)", 2,
     "state", "b",
     ("dampening",)),
    ("keras:Adagrad(learning_rate=0.01)", "pytorch:Adagrad(lr=0.01, eps=1e-7)", 1, "state", "G",
     ("epsilon_at", "initial_accumulator")),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b", "step", "stage", "state", "fields"), PARTED)
def test_the_fields_that_part_two_rules_are_named(
    a: str, b: str, step: int, stage: str, state: str, fields: tuple[str, ...]
) -> None:
    """And the step and stage where they first part, worked out by hand from the equations."""
    found = answer(a, b, "float64")
    assert found.agreement is DIFFERENT
    assert found.first
    assert (found.first.step, found.first.stage, found.first.state) == (step, stage, state)
    *others, cause = found.causes
    assert cause.explains
    assert not [other for other in others if other.explains]
    assert all(f"{field}=" in cause.text for field in fields)
    assert cause.text.count(" instead of ") == len(fields)


def test_the_reference_decides_between_two_values() -> None:
    """In float32 it is A's rule in float64, in float64 the equation in 50 digits."""
    for dtype, source in (("float32", "in float64"), ("float64", "in 50 digits")):
        first = answer(ADAM, "keras:Adam(learning_rate=0.001)", dtype).first
        assert first
        assert first.source == f"Adam(lr=0.001) {source}"
        a, b = (abs(float(first.reference) - value) for value in first.values)
        assert a <= np.spacing(getattr(np, dtype)(first.values[0])) < b


# a rule, a mistake of samestep.parity.measure.wrong_rules, the first step it shows at, its stage
# and state, by hand
WRONG = [
    ("Adam(lr=0.001, amsgrad=True)", "adam: step index is off by one", 1, "update", ""),
    ("Adam(lr=0.001, amsgrad=True)", "adam: epsilon is under the root", 1, "update", ""),
    ("Adam(lr=0.001, amsgrad=True)", "adam: mean square starts at one", 1, "state", "v"),
    ("Adam(lr=0.001, amsgrad=True)", "adam: maximum is never kept", 1, "state", "w"),
    ("Adam(lr=0.001, weight_decay=0.01)", "rule: decay is decoupled for everybody", 1, "state",
     "m"),
    ("pytorch:SGD(lr=0.01, momentum=0.9, dampening=0.5)", "sgd: step index is off by one", 1,
     "state", "b"),
    ("pytorch:Adagrad(lr=0.01, lr_decay=0.01)", "adagrad: rate decays by the root of time", 2,
     "update", ""),
    ("pytorch:Adadelta()", "adadelta: steps are never kept", 1, "state", "u"),
    ("pytorch:Adadelta()", "adadelta: gradient mean is one step late", 1, "state", "v"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "mistake", "step", "stage", "state"), WRONG)
def test_a_wrong_rule_is_convicted_at_its_step_and_stage(
    text: str, mistake: str, step: int, stage: str, state: str
) -> None:
    """A box that says it follows the rule, and makes a mistake."""
    rule = specs.rule(text)
    wrong = wrong_rules.wrong_rules(type(rule).__name__)[mistake](**rule.to_dict())
    right, box = specs.read(repr(rule)), OptimizerSpec("box", Kind.FACTORY, "")

    def run(spec: OptimizerSpec, jobs: Sequence[tuple[Trial, Job]]) -> list[RunResult]:
        followed = wrong if spec is box else rule
        return [
            RunResult(run_rule(followed, trial, job.dtype), "numpy", rule) for trial, job in jobs
        ]

    found = compare(right, box, trials.designed((rule,)), "float64", run)
    assert found.agreement is DIFFERENT
    assert found.first
    assert (found.first.step, found.first.stage, found.first.state) == (step, stage, state)
    assert [cause.explains for cause in found.causes] == [True]
    assert found.causes[0].text.startswith("B takes the steps of")


@pytest.mark.parametrize("text", [calls[0] for calls in cases.PLAIN.values()])
def test_the_limit_keeps_out_the_nearest_wrong_rule(text: str) -> None:
    """Of the mistakes that float32 can tell, the one that comes nearest is called different."""
    rule, dtype = specs.rule(text), "float32"
    name = nearest_wrong.nearest_wrong(rule, dtype).name
    wrong = wrong_rules.wrong_rules(type(rule).__name__)[name](**rule.to_dict())
    trial = trials.designed((rule,))
    right, box = specs.read(repr(rule)), OptimizerSpec("box", Kind.FACTORY, "")

    def run(spec: OptimizerSpec, jobs: Sequence[tuple[Trial, Job]]) -> list[RunResult]:
        return [
            RunResult(run_rule(wrong if spec is box else rule, given, dtype), "numpy", rule)
            for given, _ in jobs
        ]

    assert difference.first(run_both(right, box, trial, dtype, run)), name


@pytest.mark.parametrize("call", [call for calls in cases.PLAIN.values() for call in calls])
def test_every_native_is_the_same_as_its_call_or_deviates_as_recorded(call: str) -> None:
    """No false alarm: in float64 whatever differs has a recorded cause."""
    found = answer(call, f"native:{call}", "float64")
    differs = found.agreement is DIFFERENT
    assert not differs or [cause.explains for cause in found.causes] == [True], found.causes
    assert ("known deviation" in "".join(cause.text for cause in found.causes)) == differs


class Faulty(torch.optim.Adam):
    """torch's Adam, which at its third step does what ``fault`` says."""

    AT = 3

    def __init__(self, parameters: Any, fault: str) -> None:
        super().__init__(parameters, lr=0.001)
        self.fault, self.count = fault, 0
        self.before: list[Any] = []

    def step(self, closure: Any = None) -> None:
        self.count += 1
        parameters = self.param_groups[0]["params"]
        given = [parameter.grad.clone() for parameter in parameters]
        for parameter, old in zip(parameters, self.before, strict=False):
            if self.fault == "late" or (self.fault == "stale" and self.count == self.AT):
                parameter.grad = old
        self.before = given
        if self.count == self.AT and self.fault == "lost":
            for parameter in parameters:
                self.state[parameter]["exp_avg_sq"].zero_()
        if (self.fault == "late" and self.count == 1) or (
            self.fault == "skipped" and self.count == self.AT
        ):
            return
        super().step()


def late(parameters: list[Any]) -> Any:
    return Faulty(parameters, "late")


def stale(parameters: list[Any]) -> Any:
    return Faulty(parameters, "stale")


def lost(parameters: list[Any]) -> Any:
    return Faulty(parameters, "lost")


def skipped(parameters: list[Any]) -> Any:
    return Faulty(parameters, "skipped")


FAULTS = [
    (
        "late",
        1,
        "gradient",
        "takes at each step the gradient of the step before, and nothing at the first",
    ),
    ("stale", 3, "gradient", "takes the gradient of step 2 again at step 3"),
    ("lost", 3, "state", "begins step 3 with a new v"),
    ("skipped", 3, "update", "leaves out step 3, without counting it"),
]


@pytest.mark.parametrize(("fault", "step", "stage", "words"), FAULTS)
def test_what_goes_wrong_around_a_rule_is_named(
    fault: str, step: int, stage: str, words: str
) -> None:
    """A user's own optimizer, in torch, whose arithmetic is right."""
    found = answer(ADAM, f"samestep.parity.tests.compare.test_compare:{fault}")
    assert found.agreement is DIFFERENT
    assert found.first
    assert (found.first.step, found.first.stage) == (step, stage)
    assert [cause.text for cause in found.causes] == [
        f"B takes the steps of Adam(lr=0.001), except that it {words}"
    ]


@pytest.mark.parametrize(
    ("dtype", "words"), [("float64", "through float32"), ("float32", "betas rounded to it")]
)
def test_a_recorded_deviation_of_a_native_is_its_cause(dtype: str, words: str) -> None:
    """Keras takes its betas through float32, and computes 1 - beta^t in the variable's dtype."""
    found = answer(
        "keras:Adam(learning_rate=0.001)", "native:keras:Adam(learning_rate=0.001)", dtype
    )
    assert found.agreement is DIFFERENT
    (cause,) = found.causes
    assert cause.explains
    assert words in cause.text
    assert found.remedies == [
        "in place of B, "
        f"samestep.frameworks.tensorflow.Optimizer({dialects.read('keras:Adam()')!r})"
    ]


def unknown(parameters: list[Any]) -> Any:
    """A class of its own, which says nothing of a rule."""

    class Signed(torch.optim.Optimizer):
        def __init__(self) -> None:
            super().__init__(parameters, {"lr": 0.001})

        @torch.no_grad()
        def step(self, closure: Any = None) -> None:
            for parameter in self.param_groups[0]["params"]:
                parameter.sub_(self.param_groups[0]["lr"] * parameter.grad.tanh())

    return Signed()


def scaled(parameters: list[Any]) -> Any:
    """The same in another order of operations, and ``FACTOR`` times as far."""
    optimizer = unknown(parameters)

    @torch.no_grad()
    def step(closure: Any = None) -> None:
        for parameter in parameters:
            parameter.copy_(
                parameter + parameter.grad.neg().tanh() * (optimizer.param_groups[0]["lr"] * FACTOR)
            )

    optimizer.step = step
    return optimizer


FACTOR = 1.0


def test_two_black_boxes_are_held_to_their_measured_response(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Equal but for rounding, then one a little longer; the limit is called measured."""
    same = answer(
        "samestep.parity.tests.compare.test_compare:unknown",
        "samestep.parity.tests.compare.test_compare:scaled",
    )
    assert same.agreement in (EQUAL, WITHIN)
    assert same.limit_source.startswith("measured")
    monkeypatch.setattr("samestep.parity.tests.compare.test_compare.FACTOR", 1 + 2**-10)
    found = answer(
        "samestep.parity.tests.compare.test_compare:unknown",
        "samestep.parity.tests.compare.test_compare:scaled",
    )
    assert found.agreement is DIFFERENT
    assert found.first
    assert found.first.step == 1
    assert [cause.explains for cause in found.causes] == [False]


MISTAKES = [
    ("Adamm(lr=0.1)", "there is no rule 'Adamm'"),
    ("Adam(rho=0.1)", "Adam has no rho; it takes: lr"),
    ("keras:Adamm()", "keras.optimizers has no optimizer 'Adamm' here"),
    ("native:flax:adam()", "a native must read like native:keras:Adam()"),
    (
        "native:keras:jit:Adam()",
        "the mode of native:keras must be one of eager, graph, xla, got 'jit'",
    ),
    ("adapter:jax:Adam()", "an adapter must read like adapter:pytorch:Adam()"),
    ("Adam", "a call must read like keras:Adam(learning_rate=0.001), and Adam alone is not clear"),
]


EXTREME = [
    ("pytorch:SGD(lr=1e38, momentum=0.99)", "pytorch:SGD(lr=1e38, momentum=0.99, nesterov=True)"),
    ("pytorch:SGD(lr=1e37)", "native:pytorch:SGD(lr=1e37, momentum=0.5)"),
    ("pytorch:SGD(lr=10.0, weight_decay=1e30)", "pytorch:SGD(lr=10.0, weight_decay=2e30)"),
    ("pytorch:Adam(lr=0.1, eps=1e-45)", "pytorch:Adam(lr=0.1, eps=0.0)"),
    ("pytorch:Adam(lr=0.1, eps=0.0)", "native:pytorch:Adam(lr=0.1)"),
    ("pytorch:Adadelta(eps=0.0)", "pytorch:Adadelta(eps=1e-30)"),
    ("keras:Ftrl(learning_rate=0.5, initial_accumulator_value=0.0)",
     "keras:Ftrl(learning_rate=0.5, initial_accumulator_value=1e-30)"),
    ("FTRL(lr=1e30, initial_accumulator=0.0)", "FTRL(lr=1e-30, initial_accumulator=0.0)"),
    ("pytorch:Adam(lr=1e-42)", "pytorch:Adam(lr=2e-40)"),
    ("pytorch:SGD(lr=0.0)", "pytorch:SGD(lr=0.1)"),
    ("LAMB(lr=1e30)", "LAMB(lr=1e-30)"),
    ("Muon(lr=1e30)", "Muon(lr=0.1)"),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), EXTREME)
def test_no_number_is_too_large_or_too_small_to_be_compared(a: str, b: str) -> None:
    """A warning of NumPy would be an error here; a distance that is no number is said in words."""
    question = Question(a, b, None, "float32", trials.STEPS, False, None, False)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        given = answer(a, b)
        lines = list(answer_lines(question, given, ""))
    growth = [line for line in lines if "step 1:" in line or line.startswith(("SAME", "DIFFERENT"))]
    assert not [line for line in growth if "distance nan" in line or "(nan)" in line]
    assert not [line for line in growth if "limit nan" in line or "inf of" in line]
    if given.first:
        assert given.causes
        assert all(cause.explains for cause in given.causes), given.causes


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_a_spec_that_means_nothing_is_refused(text: str, message: str) -> None:
    """What must hold, what came."""
    with pytest.raises(ValueError, match="^" + message.replace("(", r"\(").replace(")", r"\)")):
        specs.read(text)


def test_a_rule_is_read_from_its_own_label() -> None:
    """Enumerations, too."""
    rule = Adam(lr=0.5, epsilon_at=Epsilon.HAT, weight_decay=0.25)
    assert specs.rule(repr(rule)) == rule
