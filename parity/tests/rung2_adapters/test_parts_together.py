"""Around the rule: all of it together, around any rule; and its words, what cannot be said, and
mistakes in calls.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, tf, torch

import samestep.frameworks.numpy
import samestep.frameworks.numpy.parts as in_numpy
import samestep.frameworks.pytorch
import samestep.frameworks.pytorch.parts as in_torch
import samestep.frameworks.tensorflow.parts as in_keras
from samestep.parity.measure import streams
from samestep.parity.tests.support.parts import FURTHER_SCHEDULES, SCHEDULES
from samestep.reference import SGD, Adagrad, Adam, RMSprop, Rule
from samestep.reference.dialects import Call, Inexpressible, parts
from samestep.reference.parts import (
    Accumulation,
    ClipGlobalNorm,
    ClipNorm,
    ClipValue,
    Constant,
    Cosine,
    CosineRestarts,
    Cyclic,
    EqualAverage,
    Exponential,
    OneCycle,
    Piecewise,
    Polynomial,
    Product,
    Stages,
    WarmUp,
)

pytestmark = pytest.mark.rung(2)


@keras.saving.register_keras_serializable(package="parity-around")
class Inner(keras.layers.Layer):
    """The inner product with weights, whose gradient is the input itself."""

    def build(self, shape: Any) -> None:
        self.w = self.add_weight(shape=(shape[-1],), initializer="zeros", name="w")

    def call(self, x: Any) -> Any:
        return tf.reduce_sum(x * self.w, axis=-1, keepdims=True)


@keras.saving.register_keras_serializable(package="parity-around")
def output(labels: Any, predicted: Any) -> Any:
    """The loss: the model's output."""
    return predicted[:, 0]


RULES: list[Rule] = [SGD(momentum=0.9), Adagrad(), RMSprop(centered=True), Adam(epsilon_at="HAT")]
WARM = WarmUp(start=0.01, steps=3, then=Cosine(lr=0.1, end=0.001, steps=9))
GLOBAL = ClipGlobalNorm(limit=0.5, added=1e-6)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_any_rule_ends_alike_with_schedule_clipping_and_accumulation(rule: Rule) -> None:
    """NumPy, PyTorch and ``model.fit`` (a graph), to the last bit; the mean of four gradients
    rounds nothing extra.
    """
    xs = streams.gradients("spread", 48, np.logspace(-3, 1, 17)).astype(np.float32)
    theta, param = np.zeros(17, np.float32), torch.nn.Parameter(torch.zeros(17))
    optimizer, other = (
        samestep.frameworks.numpy.Optimizer([theta], rule),
        samestep.frameworks.pytorch.Optimizer([param], rule),
    )
    schedulers = in_numpy.Scheduler(optimizer, WARM), in_torch.Scheduler(other, WARM)
    accumulators = [each.Accumulator(Accumulation(steps=4)) for each in (in_numpy, in_torch)]
    for x in xs:
        array, tensor = accumulators[0].add([x]), accumulators[1].add([torch.tensor(x)])
        if array is not None:
            optimizer.step(in_numpy.clipped(GLOBAL, array))
            param.grad = tensor[0]
            in_torch.clip_([param], GLOBAL)
            other.step()
            for scheduler in schedulers:
                scheduler.step()
    native = in_keras.Clipped(
        rule, GLOBAL, in_keras.Schedule(WARM, 4), gradient_accumulation_steps=4
    )
    model = keras.Sequential([keras.Input((17,)), Inner()])
    model.compile(optimizer=native, loss=output, jit_compile=False)
    model.fit(xs, np.zeros(len(xs)), batch_size=1, shuffle=False, verbose=0)
    assert theta.tolist() == param.detach().numpy().tolist() == model.get_weights()[0].tolist()
    assert np.isfinite(theta).all()
    assert theta.all()


def test_clipped_optimizer_survives_its_config() -> None:
    """Rule, clipping, schedule."""
    optimizer = in_keras.Clipped(Adam(beta1=0.5), GLOBAL, in_keras.Schedule(WARM))
    twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert (twin.rule, twin.clipping, twin._learning_rate.schedule) == (
        Adam(beta1=0.5),
        GLOBAL,
        WARM,
    )


def test_clipping_is_given_once() -> None:
    """Keras' own beside ours is refused, and so is what is no clipping."""
    with pytest.raises(ValueError, match=r"given once, got ClipNorm\(limit=1.0\) and clipnorm=2.0"):
        in_keras.Clipped(Adam(), ClipNorm(limit=1.0), clipnorm=2.0)
    with pytest.raises(ValueError, match=r"must be one such as ClipNorm.*, got 1.0"):
        in_keras.Clipped(Adam(), 1.0)


def test_spelled_schedules_read_back() -> None:
    """Where a dialect has a word, its word means the schedule."""
    dyadic = [
        CosineRestarts(lr=0.5, end=0.125, steps=9, lengthen=2),
        Cyclic(lr=0.25, top=0.5, up=4, down=7, factor=0.5),
        Cyclic(lr=0.25, top=0.5, up=4, down=7, factor=0.75, each_step=True),
        OneCycle(lr=0.5, start=0.25, end=0.125, steps=60, rise=0.25, three_phases=True),
        WarmUp(start=0.25, steps=3, then=Exponential(lr=0.5, factor=0.5)),
        Stages(schedules=[Constant(lr=0.5), Exponential(lr=0.5, factor=0.5)], boundaries=[3]),
        Product(lr=0.5, factors=[Polynomial(lr=1.0, steps=3), Exponential(lr=1.0, factor=0.5)]),
    ]
    for schedule in (SCHEDULES[3], SCHEDULES[5], SCHEDULES[6], SCHEDULES[11], *dyadic):
        call = parts.pytorch.spell_schedule(schedule)
        lr = float(call.condition.split("lr=")[1].split(",")[0])
        assert parts.pytorch.read_schedule(call.name, lr=lr, **call.arguments) == schedule
    restarts = CosineRestarts(lr=0.5, end=0.125, steps=9, lengthen=3, factor=0.5)
    further = [*FURTHER_SCHEDULES[2:5], restarts]
    for schedule in (*SCHEDULES[2:10], SCHEDULES[12], *further):
        call = parts.keras.spell_schedule(schedule)
        assert parts.keras.read_schedule(call.name, **call.arguments) == schedule


def test_warm_up_is_a_sequence_in_torch() -> None:
    """With the start as a share of the optimizer's own rate."""
    call = parts.pytorch.spell_schedule(WarmUp(start=0.25, steps=3, then=Cosine(lr=0.5, steps=9)))
    assert call == Call(
        "SequentialLR",
        {
            "schedulers": [
                Call("LinearLR", {"start_factor": 0.5, "total_iters": 3}),
                Call("CosineAnnealingLR", {"T_max": 9, "eta_min": 0.0}),
            ],
            "milestones": [3],
        },
        "on an optimizer with lr=0.5, for the first 10 steps after the warm-up",
    )


SAYINGS: list[tuple[Callable[[], Any], str]] = [
    (lambda: parts.pytorch.spell_schedule(CosineRestarts(steps=3, lengthen=3, factor=0.5)),
     r"no line of Python.*LambdaLR\(optimizer, lambda n: schedule.rate\(n \+ 1\) / lr\)"),
    (lambda: parts.pytorch.read_schedule("LambdaLR", lr=0.1, lr_lambda=lambda n: 0.5),
     "functions are not executed here"),
    (lambda: parts.pytorch.read_schedule("MultiplicativeLR", lr=0.1, lr_lambda=lambda n: 0.5),
     "functions are not executed here"),
    (lambda: parts.pytorch.read_schedule("ReduceLROnPlateau", lr=0.1, patience=3),
     r"depends on a measured value.*read_plateau\("),
    (lambda: parts.pytorch.read_schedule("SWALR", lr=0.1, swa_lr=0.01),
     "another scheduler has reached"),
    (lambda: parts.pytorch.read_schedule("StepLR", lr=0.1, step_size=2, last_epoch=3),
     "starts with the first step"),
    (lambda: parts.pytorch.read_schedule("CyclicLR", lr=0.1, base_lr=0.1, max_lr=1.0,
                                         scale_fn=abs, cycle_momentum=False),
     r"CyclicLR\(scale_fn=...\): functions are not executed"),
    (lambda: parts.pytorch.read_schedule(
        "ChainedScheduler", lr=0.1, schedulers=[Call("CosineAnnealingLR", {"T_max": 3})]),
     "does not multiply the rate"),
    (lambda: parts.pytorch.spell_clipping(ClipNorm(limit=1.0)), "one call for each parameter"),
    (lambda: parts.pytorch.spell_clipping(ClipGlobalNorm(limit=1.0)), "shorter by the share 1e-6"),
    (lambda: parts.pytorch.read_clipping("clip_grad_norm_", max_norm=1.0, norm_type=1.0),
     "the norm here is Euclid's"),
    (lambda: parts.pytorch.spell_accumulation(Accumulation(steps=4)), r"\(loss / 4\).backward\(\)"),
    (lambda: parts.pytorch.spell_accumulation(Accumulation(steps=4, total="SUM")),
     r"Instead: loss.backward\(\)"),
    (lambda: parts.keras.read_schedule("CosineDecayRestarts", initial_learning_rate=1.0,
     first_decay_steps=3, t_mul=1.5),
     "cycles end within a step"),
    (lambda: parts.keras.spell_schedule(CosineRestarts(lr=0.0, end=0.1, steps=3)),
     "share of its beginning, here 0"),
    (lambda: parts.keras.spell_schedule(Piecewise(boundaries=[2, 2], rates=[1, 2, 3])),
     "each above the last"),
    (lambda: parts.keras.spell_schedule(Cosine(lr=0.0, end=0.1, steps=3)),
     "share of its beginning, here 0"),
    (lambda: parts.keras.spell_clipping(ClipGlobalNorm(limit=1.0, added=1e-6)),
     "longer by the share added / norm"),
    (lambda: parts.keras.spell_clipping(ClipGlobalNorm(limit=1.0)), "NaN of all elements"),
    (lambda: parts.keras.read_average(ema_overwrite_frequency=5), "writes the average back"),
    (lambda: parts.keras.read_average(gradient_accumulation_steps=4), "acts 4 times a step"),
    (lambda: parts.keras.spell_average(EqualAverage()), "forgets at a constant pace"),
    (lambda: parts.keras.spell_accumulation(Accumulation(steps=4, total="SUM")),
     "Keras takes the mean"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("say", "why"), SAYINGS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_cannot_be_said_is_inexpressible(say: Callable[[], Any], why: str) -> None:
    """With a reason and a remedy."""
    with pytest.raises(Inexpressible, match=why) as raised:
        say()
    assert "Instead: " in str(raised.value)


def test_spelled_clippings() -> None:
    """The words of both."""
    assert (
        str(parts.pytorch.spell_clipping(ClipValue(limit=0.5)))
        == "clip_grad_value_(clip_value=0.5)"
    )
    assert (
        str(parts.pytorch.spell_clipping(ClipGlobalNorm(limit=0.5, added=1e-6)))
        == "clip_grad_norm_(max_norm=0.5)"
    )
    for arguments in ({"clipnorm": 0.5}, {"global_clipnorm": 0.5}, {"clipvalue": 0.5}):
        clipping = parts.keras.read_clipping(
            **arguments, **dict.fromkeys({"clipnorm", "clipvalue"} - {*arguments})
        )
        assert parts.keras.spell_clipping(clipping) == arguments
    assert parts.keras.spell_accumulation(Accumulation(steps=1)) == {}


MISTAKES: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: parts.pytorch.read_schedule("OneCycle", lr=0.1),
        "nothing called 'OneCycle' here; there are: Con",
    ),
    (
        lambda: parts.pytorch.read_schedule("OneCycleLR", lr=0, max_lr=1, cycle_momentum=False),
        "must be given total_steps, or epochs and steps_per_epoch",
    ),
    (
        lambda: parts.pytorch.read_schedule(
            "CyclicLR", lr=0, base_lr=0, max_lr=1, mode="up", cycle_momentum=False
        ),
        "mode must be 'triangular' or 'triangular2' or 'exp_range', got 'up'",
    ),
    (
        lambda: parts.pytorch.read_schedule("SequentialLR", lr=1, schedulers=[3], milestones=[]),
        r"each of schedulers must be a Call, such as Call\('ExponentialLR', .*, got 3",
    ),
    (
        lambda: parts.pytorch.read_momentum("StepLR", step_size=3),
        "nothing called 'StepLR' here; there are: CyclicLR, OneCycleLR",
    ),
    (lambda: parts.pytorch.read_schedule("StepLR", lr=0.1), "StepLR must be given step_size"),
    (
        lambda: parts.pytorch.read_schedule("StepLR", lr=0.1, step_size=2, gama=1),
        "StepLR has no argument 'gama'",
    ),
    (
        lambda: parts.keras.read_schedule("CosineDecay", initial_learning_rate=0.1),
        "must be given decay_steps",
    ),
    (
        lambda: parts.keras.read_clipping(clipnorm=1.0, clipvalue=1.0),
        "one of clipnorm, global_clipnorm, clipvalue",
    ),
    (lambda: parts.keras.read_clipping(clipnorm=None), "must be given, got {}"),
    (lambda: parts.keras.read_clipping(max_norm=1.0), "must be given, got {'max_norm': 1.0}"),
]


@pytest.mark.parametrize(
    ("mistake", "message"), MISTAKES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_mistakes_are_named(mistake: Callable[[], Any], message: str) -> None:
    """What must hold, and what came."""
    with pytest.raises(ValueError, match=message):
        mistake()
