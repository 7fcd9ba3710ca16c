"""Arguments of a wrong kind, at every public entry: the error says what must hold, what came."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, tf, torch

import samestep.frameworks.numpy as in_numpy
import samestep.frameworks.pytorch as in_torch
import samestep.frameworks.tensorflow as in_keras
from samestep.parity import assert_same_steps
from samestep.reference import SGD, Adam, dialects
from samestep.reference.arguments import WrongArgument
from samestep.reference.parts import (
    Accumulation,
    ClipGlobalNorm,
    ClipNorm,
    ClipValue,
    Constant,
    Cosine,
    EqualAverage,
    MovingAverage,
)

pytestmark = pytest.mark.rung(2)

CLIP = ClipNorm(limit=1.0)
RULE = Adam()
MODULES = [in_numpy, in_torch, in_keras]
IDS = ["numpy", "pytorch", "tensorflow"]


def params() -> list[Any]:
    return [torch.nn.Parameter(torch.zeros(2))]


def torch_optimizer() -> Any:
    return in_torch.Optimizer(params(), RULE)


Make = Callable[[], Any]
WRONG: list[tuple[Make, str]] = [
    # optimizers
    (lambda: in_torch.Optimizer(params(), "adam"), r"rule must be a rule.*got 'adam'; .*dialects"),
    (lambda: in_torch.Optimizer(params(), lr=0.1), r"lr must be set on the rule, as in Adam\(lr="),
    (lambda: in_torch.Optimizer(params(), SGD(), momentum=0.9), r"as in SGD\(momentum=...\)"),
    (lambda: in_torch.Optimizer(params()), "rule must be a rule.*got none"),
    (lambda: in_torch.Optimizer(0.1), "rule must be a rule.*got none, and 0.1 beside it"),
    (lambda: in_torch.Optimizer(0.1, RULE), "params must be tensors.*got 0.1"),
    (lambda: in_torch.Optimizer(RULE, params()), "rule must be a rule.*Parameter containing"),
    (lambda: in_torch.Optimizer(params(), Adam), r"got the class Adam; write Adam\(\)"),
    (lambda: in_torch.Optimizer(params(), CLIP), r"got ClipNorm\(limit=1.0\)"),
    (lambda: in_torch.Optimizer(params(), torch.optim.Adam(params())), "got .*Adam"),
    (lambda: in_torch.Optimizer(torch.nn.Linear(2, 2), RULE), r"write model.parameters\(\)"),
    (lambda: in_torch.Optimizer(params(), RULE, compiled="yes"), "compiled must be True or False"),
    (lambda: in_keras.Optimizer("adam"), "rule must be a rule.*got 'adam'"),
    (lambda: in_keras.Optimizer(0.1), "rule must be a rule.*got 0.1"),
    (lambda: in_keras.Optimizer(), "rule must be a rule.*got none"),
    (lambda: in_keras.Optimizer(keras.optimizers.Adam()), "rule must be a rule.*got <keras"),
    (lambda: in_keras.Optimizer(RULE, "fast"), "learning_rate must be a number or a schedule"),
    (lambda: in_keras.Optimizer(RULE, Cosine(steps=3)), r"write samestep.*Schedule\(Cosine\(st"),
    (lambda: in_keras.Optimizer(RULE, lr=0.1), "lr is no argument.*did you mean learning_rate"),
    (lambda: in_keras.Optimizer(RULE, clipnorm=CLIP), "clipnorm must be a num.*write clipnorm=1"),
    (lambda: in_keras.Optimizer(RULE, clipnorm="1"), "clipnorm must be a number, got '1'"),
    (lambda: in_keras.Optimizer(RULE, clipvalue=ClipValue(limit=2.0)), "write clipvalue=2.0"),
    (lambda: in_keras.Optimizer(RULE, global_clipnorm=ClipGlobalNorm(limit=2.0)),
     "write global_clipnorm=2.0"),
    (lambda: in_keras.Optimizer(RULE, use_ema=MovingAverage(keep=0.9)),
     "use_ema must be True or False.*write use_ema=True, ema_momentum=0.9"),
    (lambda: in_keras.Optimizer(RULE, gradient_accumulation_steps=Accumulation(steps=4)),
     "must be a whole number.*write gradient_accumulation_steps=4"),
    (lambda: in_keras.Optimizer(RULE, gradient_accumulation_steps=2.5), "whole number, got 2.5"),
    (lambda: in_keras.Optimizer(RULE, loss_scale_factor="big"), "loss_scale_factor must be a num"),
    (lambda: in_numpy.Optimizer("adam"), "rule must be a rule.*got none, and 'adam' beside it"),
    (lambda: in_numpy.Optimizer([np.zeros(2)], "adam"), "rule must be a rule.*got 'adam'"),
    (lambda: in_numpy.Optimizer([np.zeros(2)], lr=0.1), "lr must be set on the rule"),
    (lambda: in_numpy.Optimizer(0.1, RULE), "parameters must be a list of arrays, got 0.1"),
    (lambda: in_numpy.Optimizer([0.1], RULE), "parameters must be a list of arrays, got 0.1 at 0"),
    (lambda: in_numpy.Optimizer([np.zeros(2)], RULE).step(0.1), "gradients must be a list"),
    # parts of one framework
    (lambda: in_torch.parts.Scheduler(torch_optimizer(), 0.1), "schedule must be .*got 0.1"),
    (lambda: in_torch.parts.Scheduler(torch_optimizer(), [0.1]), "schedule must be .*got 0.1"),
    (lambda: in_torch.parts.Scheduler(torch_optimizer(), CLIP), "schedule must be .*got ClipNorm"),
    (lambda: in_torch.parts.Scheduler(RULE, Constant()), "optimizer must be a torch.optim.Opt"),
    (lambda: in_torch.parts.clip_(params(), 1.0), "clipping must be one such as Clip.*got 1.0"),
    (lambda: in_torch.parts.clip_(params(), "norm"), "clipping must be one such as .*got 'norm'"),
    (lambda: in_torch.parts.clip_(1.0, CLIP), "parameters must be tensors .*got 1.0"),
    (lambda: in_torch.parts.clip_(["w"], CLIP), "parameters must be tensors .*got 'w' at 0"),
    (lambda: in_torch.parts.clip_(torch.nn.Linear(2, 2), CLIP), r"write model.parameters\(\)"),
    (lambda: in_torch.parts.averaging(0.9), "average must be one such as .*got 0.9"),
    (lambda: in_keras.parts.Schedule(0.1), "schedule must be .*got 0.1"),
    (lambda: in_keras.parts.Schedule(CLIP), "schedule must be .*got ClipNorm"),
    (lambda: in_keras.parts.Clipped(RULE, 1.0), "clipping must be one such as .*got 1.0"),
    (lambda: in_keras.parts.Clipped(RULE), "clipping must be one such as .*got None"),
    (lambda: in_keras.parts.Clipped(0.1, CLIP), "rule must be a rule.*got 0.1"),
    (lambda: in_numpy.parts.Scheduler(0.1, Constant()), "optimizer must be samestep"),
    # rules and parts
    (lambda: Adam(0.1), "Adam takes its fields by name, lr, .*got 0.1 without one"),
    (lambda: Adam(learning_rate=0.1), "Adam has no field 'learning_rate'; .*did you mean lr"),
    (lambda: Adam().replace(bta1=0.1), "Adam has no field 'bta1'; .*did you mean beta1"),
    (lambda: ClipNorm(1.0), "ClipNorm takes its fields by name, limit"),
    (lambda: ClipNorm(limits=1.0), "ClipNorm has no field 'limits'; .*did you mean limit"),
    # dialects
    (lambda: dialects.pytorch.read(0.1), "name must be the name of an optimizer.*got 0.1"),
    (lambda: dialects.pytorch.spell("Adam"), "rule must be a rule.*got 'Adam'"),
    (lambda: dialects.optax.spell(0.1), "rule must be a rule.*got 0.1"),
    (lambda: dialects.relate(RULE, "keras"), "dialect must be a dialect .*got 'keras'"),
    (lambda: dialects.translate("keras:Adam()", dialects.pytorch), "call must be the result of"),
    (lambda: dialects.parts.pytorch.spell_schedule(0.1), "schedule must be .*got 0.1"),
    (lambda: dialects.parts.keras.spell_clipping(1.0), "clipping must be one .*got 1.0"),
    (lambda: dialects.parts.pytorch.spell_average(0.9), "average must be one .*got 0.9"),
    (lambda: dialects.parts.keras.spell_accumulation(4), "accumulation must be one .*got 4"),
    (lambda: dialects.parts.pytorch.read_schedule("MultiStepLR", lr=0.1, milestones=3),
     "milestones of MultiStepLR must be a list of numbers, got 3"),
    (lambda: dialects.parts.pytorch.read_schedule("LinearLR", lr=0.1, start_factor="half"),
     "start_factor of LinearLR must be a number, got 'half'"),
    (lambda: dialects.parts.keras.read_schedule("CosineDecay", decay_steps=3,
                                                initial_learning_rate="fast"),
     "initial_learning_rate of CosineDecay must be a number, got 'fast'"),
    (lambda: dialects.read(0.1), "as text, got 0.1"),
    # assertions
    (lambda: assert_same_steps(0.1, RULE), "optimizer must be .*got 0.1"),
    (lambda: assert_same_steps(torch.optim.Adam, 0.1), "optimizer must be .*got 0.1"),
    (lambda: assert_same_steps(torch.optim.Adam, "Adm(params)"), "did you mean Adam"),
    (lambda: assert_same_steps(torch.optim.Adam, RULE, dtypes=5), "dtypes must be some of .*got 5"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), WRONG, ids=[message for _, message in WRONG])
def test_a_wrong_argument_is_answered_in_its_own_words(make: Make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("module", MODULES, ids=IDS)
def test_every_framework_answers_the_same_mistakes_in_the_same_words(module: Any) -> None:
    parts = module.parts
    array = {"numpy": np.zeros, "pytorch": torch.zeros, "tensorflow": tf.zeros}[
        module.__name__.rpartition(".")[2]
    ]
    mistakes: list[tuple[Make, str]] = [
        (lambda: parts.clipped(1.0, [array(2)]), "clipping must be one such as .*got 1.0"),
        (lambda: parts.clipped(CLIP, 1.0), "gradients must be a list of .*got 1.0"),
        (lambda: parts.clipped(CLIP, ["g"]), "gradients must be a list of .*got 'g' at 0"),
        (lambda: parts.Averages([array(2)], 0.99), "average must be one such as .*got 0.99"),
        (lambda: parts.Averages(1, EqualAverage()), "must be .*got 1"),
        (lambda: parts.Accumulator(4), r"accumulation must be one such as .*got 4"),
        (lambda: parts.Accumulator(Accumulation(steps=2)).add(1.0), "gradients must be a list"),
        (lambda: parts.Accumulator(Accumulation(steps=2)).add([1.0]), "got 1.0 at 0"),
    ]
    for make, message in mistakes:
        with pytest.raises(WrongArgument, match=message):
            make()


def test_an_error_is_one_line_and_short() -> None:
    """Whatever the value's own repr is, and for code that catches either kind of error."""
    many = [torch.nn.Parameter(torch.zeros(100, 100)) for _ in range(100)]
    with pytest.raises(TypeError) as caught:
        in_torch.Optimizer(RULE, many)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert len(message) < 250


def test_numbers_of_any_library_are_taken() -> None:
    for rate in (0.5, 1, np.float32(0.5), np.array(0.5), tf.constant(0.5)):
        optimizer = in_keras.Optimizer(RULE, rate, clipnorm=np.float64(1.0))
        assert float(optimizer.learning_rate) == float(rate)
    assert in_keras.Optimizer(RULE, gradient_accumulation_steps=np.int64(2))


def test_a_call_as_scripts_have_it_is_expected_by_the_assertion() -> None:
    assert_same_steps(torch.optim.Adam, "torch.optim.Adam(model.parameters(), lr=1e-3)")
