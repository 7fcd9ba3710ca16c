"""Rung 2, adapters: every framework and mode takes the rule's step, to the last bit."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from parity import cases, limits, streams, trajectory
from parity.conftest import LEFT_OUT
from parity.require import compiler, require
from reference import LAMB, Muon, Rule, dialects, sums

torch = require("torch")
tf = require("tensorflow")
keras = require("keras")
ml_dtypes = require("ml_dtypes")

import frameworks.numpy  # noqa: E402  # after require, which orders the imports and says what is missing
import frameworks.pytorch  # noqa: E402
import frameworks.tensorflow  # noqa: E402
from frameworks.tensorflow import native  # noqa: E402

STEPS = 14
SHAPES = ((streams.SIZE - 43,), (5, 3, 2), (2, 3), (3, 2), (), (0,))  # pieces of one stream: matrices, scalar, empty
DTYPES = {"float32": np.float32, "float64": np.float64, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
NORMAL = 2.0**-13  # every start is this large at least: a float16 is normal down to 2**-14

Arrays = list[np.ndarray]
Stepper = Callable[[Rule, Arrays, list[Arrays], list[float]], Arrays]


def pieces(rule: Rule, flat: np.ndarray) -> Arrays:
    """A flat array as tensors of ``SHAPES``, those that the rule moves."""
    sizes = [int(np.prod(shape)) for shape in SHAPES]
    ends = np.cumsum(sizes)
    tensors = [flat[end - size : end].reshape(shape) for end, size, shape in zip(ends, sizes, SHAPES, strict=True)]
    return [x for x in tensors if x.ndim == 2] if isinstance(rule, Muon) and not rule.adam else tensors


def setting(rule: Rule, dtype: str) -> tuple[Arrays, list[Arrays], list[float]]:
    """Parameters, gradients and learning rates of one case, in one dtype."""
    half = dtype.endswith("16")
    scales = np.logspace(-3, 0, streams.SIZE) if half else streams.SCALES
    gradients = streams.gradients("rare", STEPS, scales).astype(DTYPES[dtype])
    start = np.where(np.abs(streams.start()) < NORMAL, NORMAL, streams.start()).astype(DTYPES[dtype])
    lr = max(rule.lr, 2.0**-4) if isinstance(rule, LAMB) else rule.lr  # a share of theta that every dtype can show
    return pieces(rule, start), [pieces(rule, gradient) for gradient in gradients], streams.rates(lr, STEPS)


def in_numpy(rule: Rule, start: Arrays, gradients: list[Arrays], rates: list[float]) -> Arrays:
    """Parameters and state after the last step in NumPy; the oracle of this rung."""
    parameters = [array.copy() for array in start]
    optimizer = frameworks.numpy.Optimizer(parameters, rule)
    for step, optimizer.lr in zip(gradients, rates, strict=True):
        optimizer.step(step)
    return [*parameters, *(state[name] for state in optimizer.state for name in sorted(state))]


def as_torch(array: np.ndarray) -> "torch.Tensor":
    """A tensor of the same bits."""
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(np.array(array).view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(np.array(array))


def as_numpy(tensor: "torch.Tensor") -> np.ndarray:
    """An array of the same bits."""
    plain = tensor.detach().cpu()
    return plain.view(torch.int16).numpy().view(ml_dtypes.bfloat16) if plain.dtype == torch.bfloat16 else plain.numpy()


def in_torch(compiled: bool, device: str = "cpu") -> Stepper:
    """Parameters and state after the last step in PyTorch."""

    def run(rule: Rule, start: Arrays, gradients: list[Arrays], rates: list[float]) -> Arrays:
        parameters = [torch.nn.Parameter(as_torch(array).to(device)) for array in start]
        optimizer = frameworks.pytorch.Optimizer(parameters, rule)
        torch.compiler.reset()  # dynamo's recompilation limit is per function, and all rules share one
        step = torch.compile(optimizer.step) if compiled else optimizer.step
        for arrays, optimizer.param_groups[0]["lr"] in zip(gradients, rates, strict=True):
            for parameter, array in zip(parameters, arrays, strict=True):
                parameter.grad = as_torch(array).to(device)
            step()
        states = [optimizer.state[p][k] for p in parameters for k in sorted(optimizer.state[p]) if k != "step"]
        return [as_numpy(tensor) for tensor in [*parameters, *states]]

    return run


def in_tensorflow(mode: str) -> Stepper:
    """Parameters and state after the last step in TensorFlow."""

    def run(rule: Rule, start: Arrays, gradients: list[Arrays], rates: list[float]) -> Arrays:
        variables = [keras.Variable(array, dtype=array.dtype.name) for array in start]
        optimizer = frameworks.tensorflow.Optimizer(rule)
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


def different_bits(expected: Sequence[np.ndarray], actual: Sequence[np.ndarray]) -> Iterator[str]:
    """What differs: tensor, element and both values. Not-a-number equals not-a-number, 0 equals -0."""
    for index, (a, b) in enumerate(zip(expected, actual, strict=True)):
        assert a.dtype == b.dtype, f"tensor {index}: {a.dtype} against {b.dtype}"
        assert a.shape == b.shape, f"tensor {index}: {a.shape} against {b.shape}"
        for where in np.argwhere((a != b) & ~(np.isnan(a) & np.isnan(b))):
            yield f"tensor {index}, element {tuple(where.tolist())}: {a[tuple(where)]!r} against {b[tuple(where)]!r}"


def hold_to_numpy(rule: Rule, dtype: str, stepper: Stepper) -> None:
    """Assert equal bits in parameters and state; the parameters must have moved."""
    start, gradients, rates = setting(rule, dtype)
    expected = in_numpy(rule, start, gradients, rates)
    assert all((a != b).any() for a, b in zip(start, expected, strict=False) if a.size), f"{rule!r} moved nothing"
    differences = list(different_bits(expected, stepper(rule, start, gradients, rates)))
    assert not differences, f"{rule!r} in {dtype}: {len(differences)} elements differ; first: {differences[0]}"


POWERS = [call for call in cases.CALLS if "learning_rate_power" in call]  # an array's real power, which libraries round
CALLS = [call for call in cases.CALLS if call not in (*POWERS, *cases.MATRICES)]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", EXACT)
def test_step_has_the_bits_of_numpy(mode: str, dtype: str, call: str) -> None:
    """Parameters and state after fourteen steps at a falling rate equal NumPy's in every bit."""
    hold_to_numpy(dialects.read(call), dtype, EXACT[mode])


OTHER_DTYPES = [dtype for dtype in DTYPES if dtype != "float32"]
DTYPE_OF_THE_SHARE = dict(zip(cases.SHARE, itertools.cycle(OTHER_DTYPES), strict=False))  # beside float32, every day


@pytest.mark.compiled
@pytest.mark.skipif(compiler() is None, reason="torch.compile needs a C++ compiler on the CPU; none was found")
@pytest.mark.parametrize(
    ("dtype", "call"),
    [("float32", call) for call in CALLS]
    + [(dtype, cases.PLAIN[name][-1]) for dtype in OTHER_DTYPES for name in cases.EVERYDAY],
)
def test_compiled_step_has_the_bits_of_numpy(dtype: str, call: str, full: bool) -> None:
    """The same under torch.compile: every call in float32, the everyday rules in the other dtypes."""
    if not full and (call not in cases.SHARE or dtype not in ("float32", DTYPE_OF_THE_SHARE[call])):
        pytest.skip(LEFT_OUT)
    hold_to_numpy(dialects.read(call), dtype, in_torch(compiled=True))


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Supplies every framework with matrix products whose sums have one order."""
    for framework in (frameworks.numpy, frameworks.pytorch, frameworks.tensorflow):
        xp = framework.namespace
        monkeypatch.setattr(xp, "matmul", lambda x, y, xp=xp: sums.total(x[:, None] * xp.transpose(y), xp)[..., 0])


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize("call", cases.MATRICES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", EXACT)
def test_step_has_the_bits_of_numpy_where_products_have(mode: str, dtype: str, call: str) -> None:
    """A matrix product is all that frameworks compute each in its own way."""
    hold_to_numpy(dialects.read(call), dtype, EXACT[mode])


@pytest.mark.compiled
@pytest.mark.skipif(compiler() is None, reason="torch.compile needs a C++ compiler on the CPU; none was found")
@pytest.mark.usefixtures("products")
@pytest.mark.parametrize("call", cases.MATRICES)
def test_compiled_step_has_the_bits_of_numpy_where_products_have(call: str) -> None:
    """The same under torch.compile."""
    hold_to_numpy(dialects.read(call), "float32", in_torch(compiled=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA device")
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_step_on_cuda_has_the_bits_of_numpy(dtype: str, call: str) -> None:
    """The same on a GPU, eagerly."""
    hold_to_numpy(dialects.read(call), dtype, in_torch(compiled=False, device="cuda"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("call", cases.CALLS)
def test_xla_step_stays_within_the_rule_s_own_rounding(call: str, dtype: str) -> None:
    """XLA contracts products and sums into fused multiply-adds, which round once for twice: no bits, but a limit."""
    rule = dialects.read(call)
    start, gradients = streams.suit(rule, streams.start()), streams.suit(rule, streams.gradients("rare", STEPS))
    rates = streams.rates(rule.lr, STEPS)
    variable = keras.Variable(start.astype(dtype), dtype=dtype)
    optimizer = frameworks.tensorflow.Optimizer(rule)
    optimizer.build([variable])
    apply, actual = native.in_mode(optimizer, "xla"), []
    for gradient, optimizer.learning_rate in zip(gradients, rates, strict=True):
        apply([tf.constant(gradient.astype(dtype))])
        actual.append(variable.numpy())
    expected = trajectory.run(rule, start, gradients, dtype, rates)
    bounds = limits.bounds(rule, start, gradients, dtype, rates)
    verdict = trajectory.compare(start, expected, np.array(actual), bounds)
    assert verdict.holds, f"{rule!r} in {dtype} under XLA: {verdict}"


@pytest.mark.parametrize("call", [*POWERS, *cases.MATRICES])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", EXACT)
def test_step_with_a_real_power_or_a_matrix_product_stays_within_its_own_rounding(
    mode: str, dtype: str, call: str
) -> None:
    """No bits, but the limit that the rule derives for itself, with powers of a few units in the last place and
    products that are summed in any order."""
    rule = dialects.read(call)
    start, gradients = streams.suit(rule, streams.start()), streams.suit(rule, streams.gradients("rare", STEPS))
    rates = streams.rates(rule.lr, STEPS)
    expected = trajectory.run(rule, start, gradients, dtype, rates)
    bounds = limits.bounds(rule, start, gradients, dtype, rates)
    arrays = [[gradient.astype(dtype)] for gradient in gradients]
    ends = [EXACT[mode](rule, [start.astype(dtype)], arrays[:n], rates[:n])[0] for n in (1, STEPS // 2, STEPS)]
    chosen = [0, STEPS // 2 - 1, STEPS - 1]
    verdict = trajectory.compare(start, expected[chosen], np.array(ends), bounds[chosen])
    assert verdict.holds, f"{rule!r} in {dtype}: {verdict}"


REAL_POWERS = (
    "pytorch:ASGD(lr=0.01, lambd=0.5, alpha=0.6, t0=3.0, weight_decay=0.25, maximize=True)",
    *(call for call in cases.CALLS if "Adafactor" in call),
)
STEP_NUMBERS = [*range(1, 600), *range(1000, 3000, 7), 10**5, 2**31 + 1]


@pytest.mark.parametrize("call", [call for call in cases.CALLS if call not in REAL_POWERS])
def test_coefficients_have_the_same_bits_on_the_host_and_in_a_graph(call: str) -> None:
    """At any step and rate: nothing that a step is made of depends on where it is computed."""
    rule = dialects.read(call)
    graph = in_a_graph(rule)
    for t in STEP_NUMBERS:
        lr = rule.lr / (1 + t % 3)
        assert tuple(graph(t, lr)) == tuple(rule.coefficients(t, lr)), f"{rule!r} at step {t}"


@pytest.mark.parametrize("call", REAL_POWERS)
def test_real_powers_differ_by_rounding_alone(call: str) -> None:
    """The platform's pow and TensorFlow's are two libraries."""
    rule = dialects.read(call)
    graph, bounded = in_a_graph(rule), limits.namespace("float64")
    for t in STEP_NUMBERS:
        host, allowed = rule.coefficients(t, rule.lr), rule.coefficients(t, limits.Bounded(rule.lr), bounded)
        for name, value in zip(host._fields, graph(t, rule.lr), strict=True):
            limit = limits.SAFETY * getattr(getattr(allowed, name), "error", 0.0)
            assert abs(value - getattr(host, name)) <= limit, f"{rule!r}: {name} at step {t}"


def in_a_graph(rule: Rule) -> Callable[[int, float], np.ndarray]:
    """The coefficients as a TensorFlow graph computes them."""
    from frameworks.tensorflow import namespace

    @tf.function(autograph=False)
    def compute(t: Any, lr: Any) -> Any:
        return tf.stack([tf.convert_to_tensor(c, tf.float64) for c in rule.coefficients(t, lr, namespace)])

    return lambda t, lr: compute(tf.constant(t, tf.float64), tf.constant(lr, tf.float64)).numpy()
