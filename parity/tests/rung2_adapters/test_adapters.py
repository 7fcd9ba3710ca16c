"""Rung 2, adapters: every framework and mode takes the rule's step, to the last bit."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, tf, torch

import samestep.frameworks.numpy
import samestep.frameworks.pytorch
import samestep.frameworks.tensorflow
from samestep.frameworks.tensorflow import native
from samestep.parity.measure import bounded, cases, limits, streams
from samestep.parity.measure.rule_run import run_tensor
from samestep.parity.measure.verdict import judge_tensor
from samestep.parity.tests.support.bits import (
    CALLS,
    DTYPES,
    POWERS,
    STEPS,
    Arrays,
    as_numpy,
    as_torch,
    different_bits,
    in_numpy,
    setting,
)
from samestep.parity.tests.support.products import supply_products
from samestep.parity.tests.support.require import LEFT_OUT, compiler
from samestep.reference import LAMB, Adafactor, Adam, Muon, Rule, dialects

pytestmark = pytest.mark.rung(2)

Stepper = Callable[[Rule, Arrays, list[Arrays], list[float]], Arrays]


def in_torch(compiled: bool, device: str = "cpu") -> Stepper:
    """Parameters and state after the last step in PyTorch."""

    def run(rule: Rule, start: Arrays, gradients: list[Arrays], rates: list[float]) -> Arrays:
        parameters = [torch.nn.Parameter(as_torch(array).to(device)) for array in start]
        optimizer = samestep.frameworks.pytorch.Optimizer(parameters, rule)
        # dynamo's recompilation limit is per function, and all rules share one
        torch.compiler.reset()
        step = torch.compile(optimizer.step) if compiled else optimizer.step
        for arrays, optimizer.param_groups[0]["lr"] in zip(gradients, rates, strict=True):
            for parameter, array in zip(parameters, arrays, strict=True):
                parameter.grad = as_torch(array).to(device)
            step()
        states = [
            optimizer.state[p][k]
            for p in parameters
            for k in sorted(optimizer.state[p])
            if k != "step"
        ]
        return [as_numpy(tensor) for tensor in [*parameters, *states]]

    return run


def in_tensorflow(mode: str) -> Stepper:
    """Parameters and state after the last step in TensorFlow."""

    def run(rule: Rule, start: Arrays, gradients: list[Arrays], rates: list[float]) -> Arrays:
        variables = [keras.Variable(array, dtype=array.dtype.name) for array in start]
        optimizer = samestep.frameworks.tensorflow.Optimizer(rule)
        optimizer.build(variables)
        apply = native.in_mode(optimizer, mode)
        for arrays, optimizer.learning_rate in zip(gradients, rates, strict=True):
            apply([tf.constant(array) for array in arrays])
        states = [state[name] for state in optimizer._states for name in sorted(state)]
        return [variable.numpy() for variable in [*variables, *states]]

    return run


EXACT: dict[str, Stepper] = {
    "torch eager": in_torch(compiled=False),
    "tensorflow eager": in_tensorflow("eager"),
    "tensorflow graph": in_tensorflow("graph"),
}


UNSAID = [rule for rule in cases.UNSAID if type(rule).__name__ not in cases.MATRIX]
DAILY = [rule for rule in UNSAID if isinstance(rule, Adam | LAMB)]  # where compiling takes long


def hold_to_numpy(rule: Rule, dtype: str, stepper: Stepper) -> None:
    """Assert equal bits in parameters and state; the parameters must have moved."""
    start, gradients, rates = setting(rule, dtype)
    expected = in_numpy(rule, start, gradients, rates)
    assert all((a != b).any() for a, b in zip(start, expected, strict=False) if a.size), (
        f"{rule!r} moved nothing"
    )
    differences = list(different_bits(expected, stepper(rule, start, gradients, rates)))
    assert not differences, (
        f"{rule!r} in {dtype}: {len(differences)} elements differ; first: {differences[0]}"
    )


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", EXACT)
def test_step_has_the_bits_of_numpy(mode: str, dtype: str, call: str, full: bool) -> None:
    """Parameters and state after fourteen steps at a falling rate equal NumPy's in every bit."""
    if not full and call not in cases.SHARE and dtype != "float32":
        pytest.skip(LEFT_OUT)
    hold_to_numpy(dialects.read(call), dtype, EXACT[mode])


@pytest.mark.parametrize("rule", UNSAID, ids=repr)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", [*EXACT, "tensorflow xla"])
def test_step_of_a_rule_that_no_call_means_has_the_bits_of_numpy(
    mode: str, dtype: str, rule: Rule, full: bool
) -> None:
    """Weight decay after the step, and Adam without bias correction."""
    by_day = DAILY if mode == "tensorflow xla" else UNSAID
    if not full and (rule not in by_day or dtype != "float32"):
        pytest.skip(LEFT_OUT)
    if mode == "tensorflow xla" and not converts(dtype):
        pytest.skip(f"XLA compiles no {dtype} for this instruction set")
    hold_to_numpy(rule, dtype, EXACT.get(mode, in_tensorflow("xla")))


@pytest.mark.compiled
@pytest.mark.skipif(
    compiler() is None, reason="torch.compile needs a C++ compiler on the CPU; none was found"
)
@pytest.mark.parametrize("rule", UNSAID, ids=repr)
def test_compiled_step_of_a_rule_that_no_call_means_has_the_bits_of_numpy(
    rule: Rule, full: bool
) -> None:
    """The same under torch.compile."""
    if not full and rule not in DAILY:
        pytest.skip(LEFT_OUT)
    hold_to_numpy(rule, "float32", in_torch(compiled=True))


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize("mode", [*EXACT, "tensorflow xla"])
def test_decay_after_muons_step_has_the_bits_of_numpy_where_products_have(mode: str) -> None:
    """Of matrices, and of what Adam moves."""
    (rule,) = (rule for rule in cases.UNSAID if isinstance(rule, Muon))
    hold_to_numpy(rule, "float32", EXACT.get(mode, in_tensorflow("xla")))


@pytest.mark.parametrize("call", CALLS)
def test_large_tensors_step_in_pieces_with_the_bits_of_numpy(
    call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eager PyTorch cuts them so that a piece stays in the cache; not where elements of a tensor
    act on each other.
    """
    monkeypatch.setattr("samestep.frameworks.pytorch.recorded.LARGEST_PIECE", 16)
    hold_to_numpy(dialects.read(call), "float32", EXACT["torch eager"])


OTHER_DTYPES = [dtype for dtype in DTYPES if dtype != "float32"]
WHOLE = [cases.PLAIN[name][-1] for name in cases.EVERYDAY]
ANOTHER = dict(zip(WHOLE, itertools.cycle(OTHER_DTYPES), strict=False))  # every day, beside float32


@pytest.mark.compiled
@pytest.mark.skipif(
    compiler() is None, reason="torch.compile needs a C++ compiler on the CPU; none was found"
)
@pytest.mark.parametrize(
    ("dtype", "call"),
    [("float32", call) for call in CALLS]
    + [(dtype, cases.PLAIN[name][-1]) for dtype in OTHER_DTYPES for name in cases.EVERYDAY],
)
def test_compiled_step_has_the_bits_of_numpy(dtype: str, call: str, full: bool) -> None:
    """The same under torch.compile: every call in float32, the everyday rules in the other
    dtypes.
    """
    if not full and (call not in WHOLE or dtype not in ("float32", ANOTHER[call])):
        pytest.skip(LEFT_OUT)
    hold_to_numpy(dialects.read(call), dtype, in_torch(compiled=True))


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Supplies every framework with matrix products whose sums have one order."""
    supply_products(monkeypatch)


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize("call", cases.MATRICES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", EXACT)
def test_step_has_the_bits_of_numpy_where_products_have(
    mode: str, dtype: str, call: str, full: bool
) -> None:
    """A matrix product is all that frameworks compute each in its own way."""
    if not full and call != cases.MATRICES[0] and dtype != "float32":
        pytest.skip(LEFT_OUT)
    hold_to_numpy(dialects.read(call), dtype, EXACT[mode])


@pytest.mark.compiled
@pytest.mark.skipif(
    compiler() is None, reason="torch.compile needs a C++ compiler on the CPU; none was found"
)
@pytest.mark.usefixtures("products")
@pytest.mark.parametrize("call", cases.MATRICES)
def test_compiled_step_has_the_bits_of_numpy_where_products_have(call: str, full: bool) -> None:
    """The same under torch.compile."""
    if not full and call != cases.MATRICES[0]:
        pytest.skip(LEFT_OUT)
    hold_to_numpy(dialects.read(call), "float32", in_torch(compiled=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA device")
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_step_on_cuda_has_the_bits_of_numpy(dtype: str, call: str) -> None:
    """The same on a GPU, eagerly."""
    hold_to_numpy(dialects.read(call), dtype, in_torch(compiled=False, device="cuda"))


@tf.function(jit_compile=True)
def sum_of_a_product(x: Any, y: Any, z: Any) -> Any:
    """What XLA may round once."""
    return x * y + z


def rounds_once() -> bool:
    """Whether XLA does so; some instruction sets have no instruction for it."""
    x = tf.constant(1 + 2.0**-12)
    return float(sum_of_a_product(x, x, -1 - 2.0**-11)) == 2.0**-24


def converts(dtype: str) -> bool:
    """Whether XLA can make the dtype a float32: float16 it cannot where an instruction set has
    none.
    """
    try:
        tf.function(lambda x: tf.cast(x, tf.float32) + 1, jit_compile=True)(tf.ones(8, dtype))
    except tf.errors.InternalError as error:
        if "materialize symbols" not in str(error):
            raise
        return False
    return True


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_step_under_xla_has_the_bits_of_numpy(dtype: str, call: str, full: bool) -> None:
    """XLA would round a product and a sum once, but products reach it behind a number that it does
    not know.
    """
    if not full and (call not in cases.SHARE or dtype not in ("float32", ANOTHER.get(call))):
        pytest.skip(LEFT_OUT)
    if not converts(dtype):
        pytest.skip(f"XLA compiles no {dtype} for this instruction set")
    hold_to_numpy(dialects.read(call), dtype, in_tensorflow("xla"))


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize("call", cases.MATRICES)
def test_step_under_xla_has_the_bits_of_numpy_where_products_have(call: str, full: bool) -> None:
    """The same, of matrices."""
    if not full and call != cases.MATRICES[0]:
        pytest.skip(LEFT_OUT)
    hold_to_numpy(dialects.read(call), "float32", in_tensorflow("xla"))


def test_without_its_barrier_xla_rounds_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason for it: where XLA sees through a product, bits differ."""
    if not rounds_once():
        pytest.skip("XLA has no fused multiply-add in this instruction set")
    rule = dialects.read(WHOLE[-1])
    start, gradients, rates = setting(rule, "float32")
    monkeypatch.setattr(
        samestep.frameworks.tensorflow.guarded.Guarded,
        "behind_barrier",
        lambda self, *kinds: self.tensor,
    )
    actual = in_tensorflow("xla")(rule, start, gradients, rates)
    assert list(different_bits(in_numpy(rule, start, gradients, rates), actual))


@pytest.mark.parametrize("call", [*POWERS, *cases.MATRICES])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", [*EXACT, "tensorflow xla"])
def test_step_with_a_real_power_or_a_matrix_product_stays_within_its_own_rounding(
    mode: str, dtype: str, call: str, full: bool
) -> None:
    """No bits, but the limit that the rule derives for itself, with powers of a few units in the
    last place and products that are summed in any order."""
    if not full and call not in (POWERS[0], cases.MATRICES[0]) and dtype != "float32":
        pytest.skip(LEFT_OUT)
    rule = dialects.read(call)
    start, gradients = (
        streams.suit(rule, streams.start()),
        streams.suit(rule, streams.gradients("rare", STEPS)),
    )
    rates = streams.rates(rule.lr, STEPS)
    expected = run_tensor(rule, start, gradients, dtype, rates)
    bounds = limits.of_tensor(rule, start, gradients, dtype, rates)
    arrays = [[gradient.astype(dtype)] for gradient in gradients]
    stepper = EXACT.get(mode, in_tensorflow("xla"))
    ends = [
        stepper(rule, [start.astype(dtype)], arrays[:n], rates[:n])[0]
        for n in (1, STEPS // 2, STEPS)
    ]
    chosen = [0, STEPS // 2 - 1, STEPS - 1]
    verdict = judge_tensor(start, expected[chosen], np.array(ends), bounds[chosen])
    assert verdict.holds, f"{rule!r} in {dtype}: {verdict}"


REAL_POWERS = (
    "pytorch:ASGD(lr=0.01, lambd=0.5, alpha=0.6, t0=3.0, weight_decay=0.25, maximize=True)",
    *(call for call in cases.CALLS if "Adafactor" in call),
)
STEP_NUMBERS = [*range(1, 600), *range(1000, 3000, 7), 10**5, 2**31 + 1]


WITHOUT_REAL_POWERS = [
    *[dialects.read(call) for call in cases.CALLS if call not in REAL_POWERS],
    *[rule for rule in cases.UNSAID if not isinstance(rule, Adafactor)],
]


@pytest.mark.parametrize("rule", WITHOUT_REAL_POWERS, ids=repr)
def test_coefficients_have_the_same_bits_on_the_host_and_in_a_graph(rule: Rule) -> None:
    """At any step and rate: nothing that a step is made of depends on where it is computed."""
    graph = in_a_graph(rule)
    for t in STEP_NUMBERS:
        lr = rule.lr / (1 + t % 3)
        assert tuple(graph(t, lr)) == tuple(rule.coefficients(t, lr)), f"{rule!r} at step {t}"


@pytest.mark.parametrize("call", REAL_POWERS)
def test_real_powers_differ_by_rounding_alone(call: str) -> None:
    """The platform's pow and TensorFlow's are two libraries."""
    rule = dialects.read(call)
    graph, xp = in_a_graph(rule), bounded.namespace("float64")
    for t in STEP_NUMBERS:
        host, allowed = (
            rule.coefficients(t, rule.lr),
            rule.coefficients(t, bounded.Bounded(rule.lr), xp),
        )
        for name, value in zip(host._fields, graph(t, rule.lr), strict=True):
            limit = limits.SAFETY * getattr(getattr(allowed, name), "error", 0.0)
            assert abs(value - getattr(host, name)) <= limit, f"{rule!r}: {name} at step {t}"


def in_a_graph(rule: Rule) -> Callable[[int, float], np.ndarray]:
    """The coefficients as a TensorFlow graph computes them."""
    from samestep.frameworks.tensorflow import namespace

    @tf.function(autograph=False)
    def compute(t: Any, lr: Any) -> Any:
        return tf.stack(
            [tf.convert_to_tensor(c, tf.float64) for c in rule.coefficients(t, lr, namespace)]
        )

    return lambda t, lr: compute(tf.constant(t, tf.float64), tf.constant(lr, tf.float64)).numpy()
