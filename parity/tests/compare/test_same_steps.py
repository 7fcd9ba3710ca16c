"""What other people's tests are given: it passes right optimizers, convicts wrong ones, and says
what they do.
"""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, tf, torch

import samestep.frameworks.pytorch
import samestep.frameworks.tensorflow
from samestep.parity import assert_same_steps
from samestep.parity.assertion.expected import ByOptimizer, ByRule
from samestep.parity.compare.answer import compare
from samestep.parity.measure.limits import SAFETY
from samestep.parity.measure.trial import designed_for_unknown
from samestep.parity.measure.verdict import Agreement
from samestep.parity.runners import factories, specs, worker
from samestep.reference import Adam, dialects

FAULTS = {  # of the optimizers below, and what the message must say
    "epsilon": "epsilon_at=Epsilon.HAT",
    "stale": "gradient of the step before",
    "shared": "shared between tensors",
    "decay": "decay=Decay.COUPLED",
    "rate": "does not follow the learning rate when it changes",
}


class TorchAdamW(torch.optim.Optimizer):
    """AdamW as somebody may write it; with one fault, if asked."""

    def __init__(self, params: Any, lr: float = 1e-3, fault: str = "") -> None:
        super().__init__(params, {"lr": lr})
        self.first, self.fault, self.shared = lr, fault, {}  # type: ignore[var-annotated]

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                s = self.shared if self.fault == "shared" else self.state[p]
                s.setdefault("t", 0)
                s["t"] += 1
                lr, g, t = self.first if self.fault == "rate" else group["lr"], p.grad, s["t"]
                if self.fault == "stale":
                    g, s["g"] = s.get("g", g), g
                if self.fault == "decay":
                    g = g + 0.25 * p
                elif self.fault == "in place":
                    g.mul_(2.0)
                    g = g / 2
                    p -= lr * 0.25 * p
                else:
                    p -= lr * 0.25 * p
                m = s["m"] = 0.9 * s.get("m", torch.zeros_like(p)) + (1 - 0.9) * g
                v = s["v"] = 0.999 * s.get("v", torch.zeros_like(p)) + (1 - 0.999) * g * g
                if self.fault == "epsilon":
                    p -= lr * (1 - 0.999**t) ** 0.5 / (1 - 0.9**t) * m / (v.sqrt() + 1e-4)
                else:
                    p -= lr / (1 - 0.9**t) * m / ((v / (1 - 0.999**t)).sqrt() + 1e-4)


class KerasAdamW(keras.optimizers.Optimizer):
    """The same in Keras; a fault of its own is the step number as a Python number, which a graph
    keeps for ever.
    """

    def __init__(self, learning_rate: float = 1e-3, fault: str = "") -> None:
        super().__init__(learning_rate=learning_rate)
        self.first, self.fault, self.python_step = learning_rate, fault, 0

    def build(self, variables: list[Any]) -> None:
        super().build(variables)
        self.m, self.v, self.g = (
            [self.add_variable_from_reference(v, name) for v in variables]
            for name in ("m", "v", "g")
        )

    def update_step(self, g: Any, p: Any, learning_rate: Any) -> None:
        index = 0 if self.fault == "shared" else self._get_variable_index(p)
        m, v, before = self.m[index], self.v[index], self.g[index]

        def exact(x: float) -> Any:
            return tf.constant(x, p.dtype)  # tf.cast would go through float32

        lr = exact(self.first) if self.fault == "rate" else tf.cast(learning_rate, p.dtype)
        t = tf.cast(self.iterations.value + 1, tf.float64)
        if self.fault == "baked":
            self.python_step += self._get_variable_index(p) == 0
            t = tf.constant(float(self.python_step), tf.float64)
        g, now = tf.identity(before.value) if self.fault == "stale" else g, tf.convert_to_tensor(g)
        if self.fault == "stale":
            g = tf.where(t > 1, g, now)
            before.assign(now)
        if self.fault == "decay":
            g = g + exact(0.25) * p
        else:
            p.assign(p - lr * exact(0.25) * p)
        m.assign(exact(0.9) * m + exact(1 - 0.9) * g)
        v.assign(exact(0.999) * v + exact(1 - 0.999) * g * g)
        powers = (tf.pow(tf.constant(beta, tf.float64), t) for beta in (0.9, 0.999))
        first, second = (tf.cast(1 - power, p.dtype) for power in powers)
        if self.fault == "epsilon":
            p.assign(p - lr * tf.sqrt(second) / first * m / (tf.sqrt(v) + exact(1e-4)))
        else:
            p.assign(p - lr / first * m / (tf.sqrt(v / second) + exact(1e-4)))


MINE = "pytorch:AdamW(lr=0.001, weight_decay=0.25, eps=0.0001)"
MAKERS: dict[str, Callable[[str], Any]] = {
    "torch": lambda fault: lambda params: TorchAdamW(params, fault=fault),
    "keras": lambda fault: lambda: KerasAdamW(fault=fault),
}


def message(optimizer: Any, expected: Any, **options: Any) -> str:
    """What the assertion says against a wrong optimizer."""
    with pytest.raises(AssertionError) as raised:
        assert_same_steps(optimizer, expected, **options)
    return str(raised.value)


@pytest.mark.parametrize("expected", [MINE, dialects.read(MINE)], ids=["a call", "a rule"])
def test_somebody_s_torch_optimizer_takes_the_steps_of_its_rule(expected: Any) -> None:
    """Its own order of operations is within the limit."""
    assert_same_steps(TorchAdamW, expected)


def test_somebody_s_keras_optimizer_takes_the_steps_of_its_rule() -> None:
    """Eagerly and in a graph, from a function."""
    assert_same_steps(lambda: KerasAdamW(), MINE)


@pytest.mark.parametrize("framework", MAKERS)
@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_convicted_and_named(framework: str, fault: str) -> None:
    """Where, how far, against which limit; and what the optimizer does instead."""
    said = message(MAKERS[framework](fault), MINE)
    for part in (
        r"stream \w+, float(32|64), (eager|graph)",
        r"distance \S+ of the path, BEYOND the limit \S+",
        r"at step \d+, element \d+: \S+ against \S+",
    ):
        assert re.search(part, said), f"{part!r} is not in: {said}"
    assert FAULTS[fault] in said, said
    assert "and rejected" in said


def test_writing_to_the_gradient_is_convicted() -> None:
    """Though the steps be right."""
    said = message(MAKERS["torch"]("in place"), MINE)
    assert "wrote to the gradient of tensor 0 in step 1, float32; work on a copy" in said


def test_torch_s_own_fault_of_writing_to_the_gradient_is_found() -> None:
    """SGD with Nesterov's momentum over lists of tensors; the plain loop does not."""
    call = "pytorch:SGD(lr=0.01, momentum=0.9, nesterov=True)"
    options = {"lr": 0.01, "momentum": 0.9, "nesterov": True}
    assert_same_steps(lambda params: torch.optim.SGD(params, **options, foreach=False), call)
    assert "wrote to the gradient" in message(
        lambda params: torch.optim.SGD(params, **options, foreach=True), call
    )


def test_step_number_that_a_graph_keeps_for_ever_is_convicted() -> None:
    """Eagerly all is right, so only the graph is told of."""
    said = message(MAKERS["keras"]("baked"), MINE, dtypes=["float64"])
    assert "float64, graph" in said
    assert "eager" not in said


def test_keras_own_adam_is_convicted_of_its_recorded_deviation() -> None:
    """With the cause that is recorded."""
    said = message(
        keras.optimizers.Adam(1e-3), "keras:Adam(learning_rate=0.001)", dtypes=["float64"]
    )
    assert "takes a Python number through float32" in said


def test_default_of_another_dialect_is_named() -> None:
    """The commonest mistake in porting: epsilon is left at the default."""
    said = message(
        lambda params: torch.optim.Adagrad(params, lr=0.01), "pytorch:Adagrad(lr=0.01, eps=1e-7)"
    )
    assert "has epsilon=1e-10 where 1e-07 is expected, or pytorch:Adagrad(lr=0.01)" in said


def test_other_learning_rate_is_named() -> None:
    """Before anything else is looked for."""
    said = message(
        lambda params: torch.optim.SGD(params, lr=0.02), "pytorch:SGD(lr=0.01)", dtypes=["float64"]
    )
    assert "Its learning rate is 0.02 where 0.01 is expected." in said
    assert "it takes the steps of SGD(lr=0.02)" in said


@pytest.mark.parametrize("implementation", ["foreach", "fused"])
def test_two_implementations_of_torch_agree(implementation: str) -> None:
    """Against another optimizer the limit is measured."""
    assert_same_steps(
        torch.optim.AdamW, lambda params: torch.optim.AdamW(params, **{implementation: True})
    )


def test_optimizers_of_two_frameworks_agree() -> None:
    """Ours have equal bits."""
    rule = Adam()
    assert_same_steps(
        lambda params: samestep.frameworks.pytorch.Optimizer(params, rule),
        samestep.frameworks.tensorflow.Optimizer(rule),
    )


def test_matrices_are_tried_against_another_optimizer() -> None:
    """Adafactor goes another way on a matrix than on a vector."""
    assert_same_steps(
        lambda params: torch.optim.Adafactor(params, lr=0.5, eps=(1e-7, 1e-3)),
        lambda params: samestep.frameworks.pytorch.Optimizer(
            params, dialects.pytorch.read("Adafactor", lr=0.5, eps=(1e-7, 1e-3))
        ),
    )


def test_optimizers_of_two_frameworks_that_mean_two_rules_are_named() -> None:
    """Both of them, and where they part."""
    said = message(
        torch.optim.Adam,
        lambda: samestep.frameworks.tensorflow.Optimizer(Adam(epsilon=1e-4)),
        dtypes=["float64"],
    )
    assert "Adam: it takes the steps of Adam(lr=0.001), as in pytorch:Adam(lr=0.001)." in said
    assert "Optimizer, which is expected: " in said


@pytest.mark.parametrize(
    ("optimizer", "said"),
    [
        (
            "pytorch:Adam()",
            "optimizer must be a function of the parameters .* can only be what is expected",
        ),
        (3, "optimizer must be a function of the parameters .* got 3"),
        (
            torch.optim.SGD([torch.nn.Parameter(torch.ones(1))]),
            "anew for every trial, got a SGD .* give a function",
        ),
        (lambda params, lr: None, "asks for params, lr"),
        (lambda: 3, "the function gave a int"),
        (KerasAdamW(), "its get_config does not say how"),
    ],
    ids=["text", "number", "instance", "two arguments", "gives a number", "no config"],
)
def test_what_is_no_optimizer_is_refused(optimizer: Any, said: str) -> None:
    """In one line, with what to give instead."""
    with pytest.raises(ValueError, match=said) as raised:
        assert_same_steps(optimizer, MINE)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "options", [{"dtypes": ["float16"]}, {"streams": "spread"}, {"streams": []}]
)
def test_unknown_options_are_refused(options: dict[str, Any]) -> None:
    """By name, with those there are."""
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be some of "):
        assert_same_steps(TorchAdamW, MINE, **options)


def test_pass_that_shows_nothing_is_a_failure() -> None:
    """Float32 cannot tell this epsilon from none, so a right optimizer has shown nothing; float64
    can.
    """
    call = "pytorch:Adagrad(lr=0.01, initial_accumulator_value=0.1, eps=1e-7)"
    said = message(
        lambda params: torch.optim.Adagrad(
            params, lr=0.01, initial_accumulator_value=0.1, eps=1e-7
        ),
        call,
        dtypes=["float32"],
    )
    assert "this shows nothing: in float32 the limit" in said
    assert "lets a wrong rule through (adagrad: epsilon is" in said


def test_measured_limit_is_of_the_size_of_the_rule_s_own() -> None:
    """Both follow from rounding; the safety factor covers more than what parts them on most
    elements.
    """
    rule = Adam(epsilon=1e-3)
    factory = factories.from_object(
        lambda params: samestep.frameworks.pytorch.Optimizer(params, rule)
    )
    by_optimizer = ByOptimizer(factory, factory, ["spread"], True)
    by_rule = ByRule(rule, ("spread",), True)
    for dtype in ("float32", "float64"):
        measured = by_optimizer.limits(dtype).thetas["spread"]
        derived = by_rule.limits(dtype).thetas["spread"]
        assert 1 / SAFETY < np.median(measured / derived) < SAFETY


def scaled(factor: float) -> Callable[[Any], Any]:
    """A class of PyTorch that says nothing of a rule: its step is ``factor`` times the hyperbolic
    tangent.
    """

    class Tangent(torch.optim.Optimizer):
        def __init__(self, params: Any) -> None:
            super().__init__(params, {"lr": 0.001})

        @torch.no_grad()
        def step(self, closure: Any = None) -> None:
            for parameter in self.param_groups[0]["params"]:
                parameter.sub_(parameter.grad.tanh() * (self.param_groups[0]["lr"] * factor))

    return Tangent


def plain(parameters: Any) -> Any:
    return scaled(1.0)(parameters)


FACTOR = 1.0  # of ``near``


def near(parameters: Any) -> Any:
    return scaled(FACTOR)(parameters)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_assertion_and_compare_agree_on_pairs_near_the_limit(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two optimizers of unknown rules, ever farther apart: both say the same, and both answers come
    up.
    """
    module = "samestep.parity.tests.compare.test_same_steps"
    answers = []
    for power in range(-2, 12):
        factor = 1.0 + np.finfo(dtype).eps * 2.0**power
        monkeypatch.setattr(f"{module}.FACTOR", factor)
        mine, theirs = (specs.read(f"{module}:{name}") for name in ("near", "plain"))
        answer = compare(
            mine, theirs, designed_for_unknown(), dtype,
            lambda spec, jobs: [worker.run_here(spec, trial, job) for trial, job in jobs],
        )  # fmt: skip
        try:
            assert_same_steps(scaled(factor), plain, dtypes=[dtype])
            accepted = True
        except AssertionError as failure:
            accepted = "this shows nothing" in str(failure)
        assert accepted == (answer.agreement is not Agreement.DIFFERENT), (power, answer.verdict)
        answers.append(accepted)
    assert set(answers) == {True, False}
