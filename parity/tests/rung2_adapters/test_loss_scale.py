"""Loss scaling: against torch's GradScaler and Keras' LossScaleOptimizer, and equal among ours."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, tf, torch

import samestep.frameworks.numpy.parts as in_numpy
import samestep.frameworks.pytorch
import samestep.frameworks.pytorch.parts as in_torch
import samestep.frameworks.tensorflow
import samestep.frameworks.tensorflow.parts as in_keras
from samestep.parity.measure import streams
from samestep.reference import Adam
from samestep.reference.dialects import Inexpressible, parts
from samestep.reference.parts import ClipGlobalNorm, Exponential, LossScale, Skip

pytestmark = pytest.mark.rung(2)

FRAMEWORKS = [in_numpy, in_torch, in_keras]
LABELS = ["numpy", "torch", "keras"]
MAKE = {in_numpy: np.array, in_torch: torch.tensor, in_keras: tf.constant}
FINITE = [n % 7 not in (2, 6) and n < 20 for n in range(24)]
RATES = Exponential(lr=1.0, factor=0.5)


def gradient(finite: bool) -> np.ndarray:
    return np.array([1.0, 2.0 if finite else np.inf], np.float32)


def followed(loss_scale: LossScale, finite: Sequence[bool]) -> tuple[list[float], list[float]]:
    """The scale after each batch, and the parameter under a rate that halves with each step."""
    scaler, theta, taken = in_numpy.LossScaler(loss_scale), np.float32(0), 0
    scales, thetas = [], []
    for each in finite:
        gradients = scaler.unscaled([np.float32(scaler.scale) * gradient(each)])
        if gradients is not None:
            theta = theta - np.float32(RATES.rate(taken + 1)) * gradients[0][0]
        taken += scaler.schedule_moves
        scales.append(scaler.scale)
        thetas.append(float(theta))
    return scales, thetas


def torch_native(arguments: dict[str, Any], finite: Sequence[bool]) -> tuple[list[Any], list[Any]]:
    """As ``followed``, with the training loop of torch's documentation."""
    parameter = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    scaler, scales, thetas = torch.amp.GradScaler("cpu", **arguments), [], []
    for each in finite:
        optimizer.zero_grad()
        scaler.scale((parameter * torch.tensor(gradient(each))).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        scheduler.step()
        scales.append(scaler.get_scale())
        thetas.append(parameter[0].item())
    return scales, thetas


def keras_native(arguments: dict[str, Any], finite: Sequence[bool]) -> tuple[list[Any], list[Any]]:
    """As ``followed``, with Keras' wrapper around its own optimizer and schedule."""
    variable = tf.Variable(np.zeros(2, np.float32))
    schedule = keras.optimizers.schedules.ExponentialDecay(1.0, 1, 0.5)
    inner = keras.optimizers.SGD(schedule)
    scaler, scales, thetas = keras.optimizers.LossScaleOptimizer(inner, **arguments), [], []
    scaler.build([variable])
    for each in finite:
        scaler.apply([tf.constant(gradient(each)) * scaler.scale_loss(1.0)])
        scales.append(float(scaler.dynamic_scale.numpy()))
        thetas.append(float(variable.numpy()[0]))
    return scales, thetas


TORCH_CALLS: list[dict[str, Any]] = [
    {},
    {"init_scale": 2.0**10, "growth_interval": 3},
    {"init_scale": 2.0**10, "growth_interval": 2, "growth_factor": 4.0, "backoff_factor": 0.125},
    {"init_scale": 2.0**126, "growth_interval": 1},
    {"enabled": False},
]


@pytest.mark.parametrize("arguments", TORCH_CALLS, ids=str)
def test_scaler_of_torch_is_its_dialect(arguments: dict[str, Any]) -> None:
    """Growth, skipped steps, a schedule that goes on; the scale stays within float32."""
    loss_scale = parts.pytorch.read_loss_scale(**arguments)
    finite = FINITE if arguments.get("enabled", True) else [True] * 24
    if arguments.get("init_scale") == 2.0**126:
        finite = [True] * 3  # beyond, the scaled gradient itself is infinite
        scaler, native = in_numpy.LossScaler(loss_scale), torch.amp.GradScaler("cpu", **arguments)
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])
        for _ in finite:
            native.scale(torch.zeros(1))
            optimizer.param_groups[0]["params"][0].grad = torch.zeros(1)
            native.step(optimizer)
            native.update()
            scaler.unscaled([np.zeros(1)])
            assert scaler.scale == native.get_scale()
        assert scaler.scale == 2.0**127
    else:
        assert followed(loss_scale, finite) == torch_native(arguments, finite)
    call = parts.pytorch.spell_loss_scale(loss_scale)
    assert (call.name, call.arguments, call.condition) == ("GradScaler", arguments, "")


KERAS_CALLS = [{}, {"initial_scale": 2.0**10, "dynamic_growth_steps": 3}]


@pytest.mark.parametrize("arguments", KERAS_CALLS, ids=str)
def test_scaler_of_keras_is_its_dialect(arguments: dict[str, Any]) -> None:
    """Growth, skipped steps, and a schedule that waits meanwhile."""
    loss_scale = parts.keras.read_loss_scale(**arguments)
    assert followed(loss_scale, FINITE) == keras_native(arguments, FINITE)
    assert parts.keras.spell_loss_scale(loss_scale).arguments == arguments  # type: ignore[union-attr]
    counting = parts.pytorch.read_loss_scale(
        init_scale=loss_scale.scale, growth_interval=loss_scale.steps
    )
    assert followed(counting, FINITE)[0] == followed(loss_scale, FINITE)[0]
    assert followed(counting, FINITE)[1] != followed(loss_scale, FINITE)[1]


def test_a_scale_that_stays_is_an_argument_in_keras() -> None:
    """It divides the gradient, skips nothing, and clips afterwards."""
    loss_scale = parts.keras.read_loss_scale(loss_scale_factor=128.0)
    arguments = parts.keras.spell_loss_scale(loss_scale)
    assert arguments == {"loss_scale_factor": 128.0}
    variable = tf.Variable(np.zeros(2, np.float32))
    optimizer = keras.optimizers.SGD(1.0, global_clipnorm=1.0, **arguments)
    optimizer.build([variable])
    scaled = [128 * np.array([0.25, 0.5], np.float32)]
    optimizer.apply([tf.constant(scaled[0])])
    scaler = in_numpy.LossScaler(loss_scale)
    unscaled = scaler.unscaled(scaled)
    assert unscaled is not None
    assert variable.numpy().tolist() == (-unscaled[0]).tolist() == [-0.25, -0.5]
    infinite = scaler.unscaled([gradient(False)])
    assert infinite is not None
    assert not np.isfinite(infinite[0]).all()
    assert (scaler.scale, scaler.skipped) == (128.0, 0)


@pytest.mark.parametrize("each", FRAMEWORKS, ids=LABELS)
def test_gradients_are_unscaled_before_they_are_clipped(each: Any) -> None:
    """(0.003, 0.004) at a scale of 65536 and a limit of 1 is untouched."""
    small = np.array([0.003, 0.004], np.float32)
    scaler = each.LossScaler(LossScale())
    gradients = scaler.unscaled([MAKE[each](np.float32(65536) * small), None])
    clipped = each.clipped(ClipGlobalNorm(limit=1.0), gradients)
    assert np.asarray(clipped[0]).tolist() == small.tolist()
    assert clipped[1] is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_framework_unscales_alike_and_goes_on_from_a_saved_state(dtype: str) -> None:
    """At scales that are no powers of two; saved in the middle as plain values."""
    loss_scale = LossScale(scale=1000.0, growth=3.0, backoff=0.3, steps=2)
    results = []
    for each in FRAMEWORKS:
        unbroken, outputs = each.LossScaler(loss_scale), []
        for number, finite in enumerate(FINITE[:12]):
            if number == 5:
                state = json.loads(json.dumps(unbroken.state_dict()))
                unbroken = each.LossScaler(loss_scale)
                unbroken.load_state_dict(state)
            values = (unbroken.scale * streams.normal((5,), number)).astype(dtype)
            values[0] = values[0] if finite else np.nan
            unscaled = unbroken.unscaled([MAKE[each](values)])
            outputs.append(None if unscaled is None else np.asarray(unscaled[0]).tolist())
            outputs.append(unbroken.scale)
        results.append([outputs, unbroken.skipped])
    assert results[0] == results[1] == results[2]
    assert results[0][1] == 3
    with pytest.raises(ValueError, match=r"must belong to LossScale\(\), got LossScale\(scale=10"):
        in_numpy.LossScaler(LossScale()).load_state_dict(state)


def test_torch_unscales_in_place_or_skips() -> None:
    """The gradients of parameters; True where a step is due."""
    first, second = (torch.nn.Parameter(torch.zeros(2)) for _ in range(2))
    scaler = in_torch.LossScaler(LossScale(scale=4.0))
    (scaler.scale * (first * torch.tensor([1.0, 3.0])).sum()).backward()
    assert scaler.unscale_([first, second])
    assert first.grad.tolist() == [1.0, 3.0]
    assert second.grad is None
    first.grad[0] = float("inf")
    assert not scaler.unscale_([first, second])
    assert (scaler.scale, scaler.skipped, scaler.schedule_moves) == (2.0, 1, False)


def test_the_natives_scale_around_our_optimizers() -> None:
    """GradScaler and LossScaleOptimizer: finite steps have our bits, others are skipped."""
    gradients = [streams.normal((3,), n).astype(np.float32) for n in range(6)]
    finite = [n not in (2, 3) for n in range(6)]
    alone = torch.nn.Parameter(torch.zeros(3))
    steps = samestep.frameworks.pytorch.Optimizer([alone], Adam(lr=0.1))
    scaled = torch.nn.Parameter(torch.zeros(3))
    ours = samestep.frameworks.pytorch.Optimizer([scaled], Adam(lr=0.1))
    scaler = torch.amp.GradScaler("cpu")
    variable = tf.Variable(np.zeros(3, np.float32))
    wrapped = keras.optimizers.LossScaleOptimizer(
        samestep.frameworks.tensorflow.Optimizer(Adam(lr=0.1))
    )
    wrapped.build([variable])
    for each, good in zip(gradients, finite, strict=True):
        if good:
            alone.grad = torch.tensor(each)
            steps.step()
        broken = each if good else np.full(3, np.nan, np.float32)
        ours.zero_grad()
        scaler.scale((scaled * torch.tensor(broken)).sum()).backward()
        scaler.step(ours)
        scaler.update()
        wrapped.apply([tf.constant(broken) * wrapped.scale_loss(1.0)])
    assert scaled.tolist() == alone.tolist() == variable.numpy().tolist()
    assert scaler.get_scale() == 2.0**14


REFUSALS: list[tuple[Callable[[], Any], str]] = [
    (lambda: parts.pytorch.spell_loss_scale(LossScale(dynamic=False)), "changes its scale"),
    (lambda: parts.pytorch.spell_loss_scale(LossScale(growth=1.0)), "growth_factor above 1"),
    (lambda: parts.keras.spell_loss_scale(LossScale(growth=4.0)), "doubles and halves its scale"),
]


@pytest.mark.parametrize(("refused", "why"), REFUSALS)
def test_what_cannot_be_said_is_refused(refused: Callable[[], Any], why: str) -> None:
    with pytest.raises(Inexpressible, match=why) as raised:
        refused()
    assert "Instead: " in str(raised.value)


def test_what_a_schedule_does_meanwhile_is_a_condition() -> None:
    """GradScaler's loop goes on, LossScaleOptimizer's schedule waits."""
    torch_call = parts.pytorch.spell_loss_scale(parts.keras.read_loss_scale())
    assert str(torch_call) == (
        "GradScaler(init_scale=32768.0)  # with scheduler.step() only where scaler.update() has "
        "not lowered get_scale()"
    )
    keras_call = parts.keras.spell_loss_scale(parts.pytorch.read_loss_scale())
    assert str(keras_call) == (
        "LossScaleOptimizer(initial_scale=65536.0)  # without a schedule, which would wait while "
        "steps are skipped"
    )
    assert parts.pytorch.read_loss_scale().schedule is Skip.COUNT


def test_mistakes_are_named() -> None:
    half = [np.zeros(2, np.float16)]
    with pytest.raises(ValueError, match="float32, float64 or bfloat16 to be unscaled, got float"):
        in_numpy.LossScaler(LossScale()).unscaled(half)
    with pytest.raises(ValueError, match=r"one such as LossScale\(scale=65536.0\), got 1.0"):
        in_numpy.LossScaler(1.0)
    with pytest.raises(ValueError, match="GradScaler has no argument 'scale'"):
        parts.pytorch.read_loss_scale(scale=3)
