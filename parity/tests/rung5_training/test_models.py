"""The models of the three frameworks are one model: the first steps of training, in one process."""

import importlib
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import tf, torch

from samestep.frameworks import FRAMEWORKS
from samestep.frameworks.experiment import facts, mnist, record
from samestep.frameworks.experiment.run import Run, execute
from samestep.frameworks.experiment.trainer import Observation
from samestep.frameworks.numpy import model
from samestep.parity.measure.bounded import ROUNDOFF
from samestep.parity.measure.limits import SAFETY
from samestep.parity.tests.support import disturbed
from samestep.parity.tests.support.require import LEFT_OUT, compiler
from samestep.reference import SGD, Adam

pytestmark = pytest.mark.rung(5)

STEPS = 5
COMPILED = (
    pytest.mark.compiled,
    pytest.mark.skipif(
        compiler() is None, reason="torch.compile needs a C++ compiler on the CPU; none was found"
    ),
)


def trained(framework: str, arithmetic: str, batches: Any) -> Any:
    """A trainer after the first steps."""
    trainer = importlib.import_module(f"samestep.frameworks.{framework}.train").Trainer(
        Adam(lr=0.01), arithmetic
    )
    for batch in batches[:STEPS]:
        trainer.step(*batch)
    return trainer


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_first_lockstep_steps_have_the_bits_of_the_definition(framework: str, batches: Any) -> None:
    """Forward and backward passes in whole numbers of grid units give the same weights."""
    expected = by_definition(batches[:STEPS])
    actual = trained(framework, "lockstep", batches).weights()
    assert facts.digest(actual) == facts.digest(expected)


MODES = [
    *((framework, {}) for framework in FRAMEWORKS),
    ("tensorflow", {"xla": True}),
    pytest.param("pytorch", {"compiled": True}, marks=COMPILED),
]


@pytest.mark.parametrize(("framework", "mode"), MODES)
def test_stretches_of_an_epoch_have_the_bits_of_the_definition(
    framework: str, mode: Any, batches: Any
) -> None:
    """A loop over many steps takes the same steps; losses are NumPy's, lengths are the steps'."""
    data, draws = mnist.load(), facts.draw(1, 60000).first(STEPS)
    trainer = importlib.import_module(f"samestep.frameworks.{framework}.train").Trainer(
        Adam(lr=0.01), "lockstep", **mode
    )
    trainer.begin(data.train_images, data.train_labels, draws)
    found = [trainer.advance(0, 2), trainer.advance(2, STEPS)]
    ways = [facts.initial_weights(), *(by_definition(batches[:n]) for n in range(1, STEPS + 1))]
    assert facts.digest(trainer.weights()) == facts.digest(ways[-1])
    plain = importlib.import_module("samestep.frameworks.numpy.train").Trainer(
        Adam(lr=0.01), "lockstep"
    )
    losses = np.concatenate(
        [steps.losses for steps in found]
    )  # libraries differ in the last bit of a logarithm
    assert losses.astype(np.float32).tolist() == [
        np.float32(plain.step(*batch)) for batch in batches[:STEPS]
    ]
    for length, (before, after) in zip(
        np.concatenate([steps.lengths for steps in found]), itertools.pairwise(ways), strict=True
    ):
        moved = np.concatenate(
            [(b - a).ravel() for a, b in zip(before, after, strict=True)]
        ).astype(np.float64)
        exact = math.sqrt(math.fsum(moved * moved))
        assert (
            abs(length - exact) <= (moved.size + 2) * ROUNDOFF["float64"] * exact
        )  # squares, their sum, its root


def test_steps_that_cannot_be_compiled_are_eager(
    batches: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same bits, and a warning that says why."""
    train = importlib.import_module("samestep.frameworks.pytorch.train")

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no compiler works here\nand more about it")

    monkeypatch.setattr("samestep.frameworks.pytorch.inductor._compile", fail)
    trainer = train.Trainer(Adam(lr=0.01), "lockstep", compiled=True)
    with pytest.warns(
        UserWarning,
        match="steps are eager, for compiling them failed: RuntimeError: no compiler works here$",
    ):
        trainer.step(*batches[0])
    for batch in batches[1:STEPS]:
        trainer.step(*batch)
    assert facts.digest(trainer.weights()) == facts.digest(by_definition(batches[:STEPS]))


@pytest.mark.compiled
@pytest.mark.skipif(
    compiler() is None, reason="torch.compile needs a C++ compiler on the CPU; none was found"
)
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_an_untested_torch_compiles_steps_by_public_functions(
    batches: Any, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    """With the same bits, and a warning that says so."""
    if not full:
        pytest.skip(LEFT_OUT)
    train = importlib.import_module("samestep.frameworks.pytorch.train")
    monkeypatch.setattr("samestep.frameworks.pytorch.inductor.TESTED", ())
    trainer = train.Trainer(Adam(lr=0.01), "lockstep", compiled=True)
    with pytest.warns(
        UserWarning, match="by public functions: the faster way is not tested with torch"
    ):
        trainer.step(*batches[0])
    for batch in batches[1:STEPS]:
        trainer.step(*batch)
    assert facts.digest(trainer.weights()) == facts.digest(by_definition(batches[:STEPS]))


@pytest.mark.compiled
@pytest.mark.skipif(
    compiler() is None, reason="torch.compile needs a C++ compiler on the CPU; none was found"
)
def test_where_steps_are_not_compiled_as_a_whole_loss_and_optimizer_are_apart(
    batches: Any, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    """As on a device, tried here on the CPU: with the same bits, and a warning that says why."""
    if not full:
        pytest.skip(LEFT_OUT)

    def refuse(*_: Any) -> None:
        raise ValueError("not here")

    train = importlib.import_module("samestep.frameworks.pytorch.train")
    monkeypatch.setattr(
        "samestep.frameworks.pytorch.compiled_training.CompiledTrainingStep", refuse
    )
    with pytest.warns(UserWarning, match="loss and optimizer are compiled apart: not here"):
        trainer = train.Trainer(Adam(lr=0.01), "lockstep", compiled=True)
    for batch in batches[:STEPS]:
        trainer.step(*batch)
    assert facts.digest(trainer.weights()) == facts.digest(by_definition(batches[:STEPS]))


@pytest.mark.parametrize("arithmetic", facts.ARITHMETICS)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_observed_step_has_the_same_bits(framework: str, arithmetic: str, batches: Any) -> None:
    """Loss and weights; the observer sees the gradients of the optimizer, kernels (in, out)."""
    train = importlib.import_module(f"samestep.frameworks.{framework}.train")
    plain, observed = (train.Trainer(SGD(lr=0.5), arithmetic) for _ in range(2))
    observations: list[Observation] = []
    for number, batch in enumerate(batches[:STEPS], start=1):
        before = [np.array(weight) for weight in observed.weights()]
        losses = plain.step(*batch), observed.step(*batch, observe=observations.append)
        assert facts.digest(observed.weights()) == facts.digest(plain.weights())
        assert len(observations) == number
        assert losses == (observations[-1].loss,) * 2
        assert observations[-1].logits.shape == (facts.BATCH, facts.LAYERS[-1])
        moved = [
            w - np.float64(0.5).astype(w.dtype) * g
            for w, g in zip(before, observations[-1].gradients, strict=True)
        ]
        assert facts.digest(moved) == facts.digest(observed.weights())


def test_observers_see_the_same_step_in_every_framework(batches: Any) -> None:
    """The same bits of logits and gradients; the loss but for the last bit of a logarithm."""
    seen: dict[str, Observation] = {}
    for framework in FRAMEWORKS:
        trainer = importlib.import_module(f"samestep.frameworks.{framework}.train").Trainer(
            Adam(), "lockstep"
        )
        trainer.step(*batches[0], observe=lambda step, name=framework: seen.__setitem__(name, step))
    assert len({facts.digest([step.logits]) for step in seen.values()}) == 1
    assert len({facts.digest(step.gradients) for step in seen.values()}) == 1
    assert len({np.float32(step.loss) for step in seen.values()}) == 1


def test_a_compiled_step_cannot_be_observed(batches: Any) -> None:
    """PyTorch's whole step is one function; the error says so before anything is compiled."""
    trainer = importlib.import_module("samestep.frameworks.pytorch.train").Trainer(
        Adam(), "lockstep", compiled=True
    )
    with pytest.raises(ValueError, match="a compiled step cannot be observed"):
        trainer.step(*batches[0], observe=lambda step: None)


def by_definition(batches: Any) -> list[np.ndarray]:
    """Lockstep from its definition: exact integer products, the chain rule, Adam by its paper."""
    weights = facts.initial_weights()
    m, v = ([np.zeros_like(weight) for weight in weights] for _ in range(2))
    for t, (images, labels, mask) in enumerate(batches, start=1):
        gradients = _gradients(
            [weight.astype(np.float64) for weight in weights], images / 255, labels, mask * 1.25
        )
        rate = np.float32(0.01 / (1 - _power(0.9, t)))
        stretch = np.float32(1 / np.sqrt(1 - _power(0.999, t)))
        for i, gradient in enumerate(g.astype(np.float32) for g in gradients):
            m[i] = np.float32(0.9) * m[i] + np.float32(1 - 0.9) * gradient
            v[i] = np.float32(0.999) * v[i] + np.float32(1 - 0.999) * (gradient * gradient)
            weights[i] = weights[i] - rate * m[i] / (stretch * np.sqrt(v[i]) + np.float32(1e-8))
    return weights


def _power(base: float, t: int) -> float:
    """base**t for t below 8, by the squares that its bits name: b, b^2, b^4."""
    b, b2, b4 = base, base * base, (base * base) * (base * base)
    return ((b if t & 1 else 1.0) * (b4 if t & 4 else 1.0)) * (b2 if t & 2 else 1.0)


def _whole(x: np.ndarray) -> tuple[np.ndarray, float]:
    """A tensor as whole multiples, at most 2^20 in magnitude, of a power of two."""
    _, exponent = np.frexp(np.abs(x).max())
    unit = float(np.ldexp(1.0, int(exponent) - 20))
    return np.rint(x / unit).astype(np.int64), unit


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The product of two tensors on their grids, exact."""
    (wa, ua), (wb, ub) = _whole(a), _whole(b)
    return (wa @ wb).astype(np.float64) * (ua * ub)


def _on_grid(x: np.ndarray) -> np.ndarray:
    whole, unit = _whole(x)
    return whole * unit


def _gradients(
    weights: Any, x: np.ndarray, labels: np.ndarray, mask: np.ndarray
) -> list[np.ndarray]:
    W1, b1, W2, b2 = weights
    before = _on_grid(_product(x, W1)) + b1
    hidden = np.where(before > 0, before, 0) * mask
    logits = _on_grid(_product(hidden, W2)) + b2
    e = _on_grid(np.exp(logits - logits.max(axis=1)[:, None]))
    p = e / e.sum(axis=1)[:, None]
    error = _on_grid((p - np.eye(10)[labels]) / len(labels))
    back = _on_grid(np.where(before > 0, _product(error, W2.T) * mask, 0))
    return [_product(x.T, back), back.sum(axis=0), _product(hidden.T, error), error.sum(axis=0)]


@pytest.mark.parametrize("epoch", [1, 2])
def test_draws_of_an_epoch_are_those_of_the_definition(epoch: int) -> None:
    """Order and masks by whole-number arithmetic; a unit stays if its draw is at least 2^32 / 5."""
    size, order, masks = 640, _words(1, epoch), _words(2, epoch)
    drawn = order.random_raw(size).tolist()
    expected = sorted(range(size), key=lambda i: (drawn[i], i))
    for step, (indices, mask) in enumerate(facts.batches(epoch, size)):
        words = masks.random_raw(32 * 128 // 2).tolist()
        halves = [half for word in words for half in (word % 2**32, word >> 32)]
        assert np.array_equal(indices, expected[32 * step : 32 * step + 32])
        assert np.array_equal(
            mask.ravel(), [5 * half >= 2**32 for half in halves]
        )  # no list: pytest would align them


def test_draws_of_the_weights_fill_glorot_s_interval() -> None:
    """From the upper 53 bits of Philox' words; biases are zero."""
    generator = _words(0, 0)
    kernel, bias, output, other = facts.initial_weights()
    for drawn, (rows, columns) in ((kernel, (784, 128)), (output, (128, 10))):
        words = generator.random_raw(rows * columns).tolist()
        limit = math.sqrt(6 / (rows + columns))
        expected = [(2 * ((word >> 11) / 2**53) - 1) * limit for word in words]
        assert np.array_equal(drawn, np.array(expected, np.float32).reshape(rows, columns))
    assert not bias.any()
    assert not other.any()


def _words(purpose: int, epoch: int) -> np.random.Philox:
    return np.random.Philox(key=20121 + purpose * 2**64 + epoch * 2**96)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_accuracy_is_the_share_of_right_answers(framework: str, batches: Any) -> None:
    """The same in every framework, and what counting by hand gives."""
    images, labels, _ = batches[0]
    trainer = trained(framework, "lockstep", batches)
    weights = [weight.astype(np.float64) for weight in trainer.weights()]
    *_, logits = model.forward(weights, images / 255, np.float64(1), model.on_grid)
    assert trainer.accuracy(images, labels) == np.mean([row.argmax() for row in logits] == labels)


@pytest.mark.parametrize("framework", FRAMEWORKS[1:])
def test_first_plain_steps_stay_within_the_derived_limit(framework: str, batches: Any) -> None:
    """In plain float64 no framework is farther from NumPy than the worst order of sums allows."""
    gaps = disturbed.response(Adam(lr=0.01), batches[:STEPS], seed=3)
    ours, theirs = (trained(name, "float64", batches).weights() for name in ("numpy", framework))
    apart = np.concatenate([(a - b).ravel() for a, b in zip(ours, theirs, strict=True)])
    assert np.linalg.norm(apart) <= SAFETY * np.linalg.norm(gaps[-1])


def test_accuracy_on_record_is_that_of_the_test_set(tmp_path: Path) -> None:
    """Worked out again from the weights on record."""
    *_, last = execute(Run("numpy", "keras:Adam(learning_rate=0.001)", steps=20), tmp_path)
    path, data = Path(last["record"]), mnist.load()
    flat, shapes = (
        record.read_weights(path)[20],
        [weight.shape for weight in facts.initial_weights()],
    )
    ends = np.cumsum([np.prod(shape) for shape in shapes])
    weights = [
        part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)
    ]
    doubles = [weight.astype(np.float64) for weight in weights]
    *_, logits = model.forward(doubles, data.test_images / 255, np.float64(1), model.on_grid)
    assert record.read(path).epochs[-1]["accuracy"] == np.mean(
        logits.argmax(axis=1) == data.test_labels
    )


def test_a_record_tells_what_else_a_result_may_depend_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings of the framework and of the environment, as they are at the run."""
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    torch.use_deterministic_algorithms(True)
    try:
        *_, last = execute(Run("pytorch", "keras:Adam(learning_rate=0.001)", steps=1), tmp_path)
    finally:
        torch.use_deterministic_algorithms(False)
    header = record.read(Path(last["record"])).header
    assert header["options"]["ATEN_CPU_CAPABILITY"] == "default"
    assert (
        header["settings"].items()
        >= {"deterministic_algorithms": True, "cudnn.benchmark": False}.items()
    )


@pytest.mark.parametrize("allowed", [True, False])
def test_tensorflow_tells_whether_it_may_round_products_to_tensor_float_32(allowed: bool) -> None:
    """As it is now, not as it is by default."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(allowed)
    try:
        assert importlib.import_module("samestep.frameworks.tensorflow.train").settings() == {
            "tensor_float_32": allowed
        }
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


@pytest.mark.parametrize(
    ("framework", "mode"),
    [("numpy", "xla"), ("pytorch", "xla"), ("numpy", "compiled"), ("tensorflow", "compiled")],
)
def test_a_compiler_is_refused_where_there_is_none(framework: str, mode: str) -> None:
    """By name."""
    with pytest.raises(ValueError, match=f"{mode} must be off for"):
        importlib.import_module(f"samestep.frameworks.{framework}.train").Trainer(
            Adam(), "lockstep", **{mode: True}
        )
