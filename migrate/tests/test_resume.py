"""A resumed run is compared with the unbroken one: the real losses are found, and what is whole is
not accused.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, torch

from samestep.frameworks import pytorch as our_pytorch
from samestep.frameworks import tensorflow as our_tensorflow
from samestep.migrate import same_after_resume
from samestep.migrate.port import Refused
from samestep.migrate.port.resume import Audit, Program, Stage, audit, lines, usual
from samestep.migrate.tests.support import resumed
from samestep.migrate.tests.support.resumed import Run, built, keras_run, scheduled, torch_run
from samestep.reference import Adam, NAdam, dialects

AT, STEPS = 6, 5
Make = Callable[[], Run]


def audited(build: Make, save: Any = usual.save, load: Any = usual.load, at: int = AT) -> Audit:
    """The audit of a run that is saved early, so that it is quick."""
    return audit(Program(build, save, load), at, STEPS)


def torch_native(kind: str, **arguments: Any) -> Make:
    """A run of torch's own optimizer."""
    make = getattr(torch.optim, kind)
    return functools.partial(torch_run, lambda parameters: make(parameters, **arguments))


def keras_native(kind: str, **arguments: Any) -> Make:
    """A run of Keras' own optimizer, which is built before it is loaded."""
    make = getattr(keras.optimizers, kind)
    return lambda: built(keras_run(lambda: make(**arguments)))


def assert_lost(result: Audit, stage: Stage, cure: str) -> None:
    """The stage is named, and the text has the cure; the command would end with 1."""
    text = list(lines(result))
    assert not result.same
    assert result.stage is stage, text
    assert f"first lost: {stage}" in text
    assert cure in text[-1]
    assert text[-1].startswith("cure: ")


def assert_same(result: Audit) -> None:
    text = "\n".join(lines(result))
    assert result.same, text
    assert "all bits are equal" in text


# what is whole is not accused

NATIVES = [name for name in dialects.pytorch.natives if name not in ("SparseAdam", "Muon")]


@pytest.mark.parametrize("kind", NATIVES)
def test_natives_of_torch_lose_nothing_in_float32(kind: str) -> None:
    """With the usual state_dict()s."""
    assert_same(audited(torch_native(kind)))


@pytest.mark.parametrize("kind", list(dialects.keras.natives))
def test_natives_of_keras_lose_nothing_once_they_are_built(kind: str) -> None:
    assert_same(audited(keras_native(kind)))


def test_ours_lose_nothing() -> None:
    """In both frameworks; NAdam in bfloat16, where torch's own loses its product."""
    ours = functools.partial(torch_run, lambda p: our_pytorch.Optimizer(p, NAdam()))
    assert_same(audited(ours))
    halved = lambda: torch_run(  # noqa: E731
        lambda p: our_pytorch.Optimizer(p, NAdam()), dtype=torch.bfloat16
    )
    assert_same(audited(halved, at=1))
    assert_same(audited(lambda: built(keras_run(lambda: our_tensorflow.Optimizer(Adam())))))


def test_a_loop_of_ones_own_in_keras_loses_nothing() -> None:
    """An optimizer that belongs to no compiled model is saved by TensorFlow's checkpoint."""
    assert_same(audited(resumed.custom_loop))


def test_schedulers_lose_nothing_when_they_are_made_first() -> None:
    for schedule in (
        lambda o: torch.optim.lr_scheduler.StepLR(o, 3, gamma=0.5),
        lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=40),
        lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda t: 0.9**t),
    ):
        build = functools.partial(scheduled, lambda p: torch.optim.Adam(p, lr=0.1), schedule)
        assert_same(audited(build))


# the real losses


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer:UserWarning")
def test_keras_forgets_everything_when_the_optimizer_is_not_built() -> None:
    """``load_weights`` warns, and goes on."""
    result = audited(lambda: keras_run(lambda: keras.optimizers.Adam(0.01)))
    assert_lost(result, Stage.ARRAYS, "optimizer.build(model.trainable_variables)")
    assert {loss.how for loss in result.losses if loss.stage is Stage.ARRAYS} == {"missing"}
    assert result.distance > 0.1  # PORT: 3e-1 to 2.9 of the path


@pytest.mark.parametrize("seed", [None, 5])
def test_dropout_of_keras_has_its_seeds_in_no_file(seed: int | None) -> None:
    layers = lambda: [keras.layers.Dropout(0.5, seed=seed)]  # noqa: E731
    result = audited(lambda: built(keras_run(lambda: keras.optimizers.SGD(0.1), layers)))
    assert_lost(result, Stage.RANDOM, "seed_generator_state")
    assert {loss.stage for loss in result.losses} == {Stage.RANDOM}
    assert result.first_step == 1


def test_dropout_of_torch_goes_by_the_global_random_state() -> None:
    """No leaf shows it; putting the state back makes the steps equal."""
    layers = lambda: [torch.nn.Dropout(0.5)]  # noqa: E731
    build = functools.partial(torch_run, lambda p: torch.optim.SGD(p, lr=0.1), None, layers)
    result = audited(build)
    assert_lost(result, Stage.RANDOM, "torch.get_rng_state()")
    assert result.losses == ()

    def save(run: Run, folder: Path) -> None:
        usual.save(run, folder)
        torch.save(torch.get_rng_state(), folder / "random.pt")

    def load(run: Run, folder: Path) -> None:
        usual.load(run, folder)
        torch.set_rng_state(torch.load(folder / "random.pt", weights_only=True))

    assert_same(audited(build, save, load))


def test_torch_casts_the_state_of_asgd_to_bfloat16() -> None:
    """``load_state_dict`` casts all state but "step" to the dtype of the weights."""
    build = functools.partial(
        torch_run, lambda p: torch.optim.ASGD(p, lr=0.1, lambd=0.1), torch.bfloat16
    )
    result = audited(build)
    assert_lost(result, Stage.ARRAYS, "casts state to the dtype of the weights")
    cast = [loss for loss in result.losses if loss.how == "cast"]
    assert {loss.name.rpartition("/")[2] for loss in cast} == {"eta", "mu"}
    assert result.first_step is not None


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_torch_casts_the_product_of_nadam(dtype: str) -> None:
    build = functools.partial(
        torch_run, lambda p: torch.optim.NAdam(p, lr=0.01), getattr(torch, dtype)
    )
    result = audited(build, at=2)
    assert_lost(result, Stage.ARRAYS, "casts state to the dtype of the weights")
    assert {loss.name.rpartition("/")[2] for loss in result.losses} == {"mu_product"}


SCHEDULES: dict[str, Callable[[Any], Any]] = {
    "StepLR": lambda o: torch.optim.lr_scheduler.StepLR(o, 4, gamma=0.5),
    "CosineAnnealingLR": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 20),
    "OneCycleLR": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=40),
    "LambdaLR": lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda t: 0.9**t),
    "SequentialLR": lambda o: torch.optim.lr_scheduler.SequentialLR(
        o,
        [torch.optim.lr_scheduler.LinearLR(o, 0.1, total_iters=4),
         torch.optim.lr_scheduler.CosineAnnealingLR(o, 20)],
        [4],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_scheduler_that_is_not_saved_is_lost(name: str) -> None:
    build = functools.partial(scheduled, lambda p: torch.optim.SGD(p, lr=0.1), SCHEDULES[name])
    save = functools.partial(resumed.saved_states, leave_out=("scheduler",))
    result = audited(build, save, resumed.load_states)
    assert_lost(result, Stage.SCHEDULE, "save scheduler.state_dict()")
    assert result.first_step is not None


@pytest.mark.parametrize("name", ["OneCycleLR", "LambdaLR", "SequentialLR"])
def test_a_scheduler_made_after_the_optimizer_was_loaded_sets_the_rates_anew(name: str) -> None:
    """Though it is loaded itself: the optimizer goes on with the first rate for a step."""
    build = functools.partial(scheduled, lambda p: torch.optim.SGD(p, lr=0.1), SCHEDULES[name])

    def load(run: Run, folder: Path) -> None:
        states = torch.load(folder / "mine.pt", weights_only=True)
        for part in ("model", "optimizer"):
            run[part].load_state_dict(states[part])
        run["scheduler"] = SCHEDULES[name](run["optimizer"])
        run["scheduler"].load_state_dict(states["scheduler"])

    result = audited(build, resumed.saved_states, load)
    assert_lost(result, Stage.GROUPS, "make the scheduler before optimizer.load_state_dict")


@pytest.mark.parametrize(("part", "stage"), [("model", Stage.WEIGHTS), ("optimizer", Stage.ARRAYS)])
def test_a_part_that_the_users_function_forgets_is_lost(part: str, stage: Stage) -> None:
    save = functools.partial(resumed.saved_states, leave_out=(part,))
    result = audited(torch_native("Adam", lr=0.01), save, resumed.load_states)
    assert_lost(result, stage, f"save {part}.state_dict()")


def test_buffers_that_are_forgotten_are_lost() -> None:
    """A user saves the parameters alone."""
    layers = lambda: [torch.nn.BatchNorm1d(16)]  # noqa: E731
    build = functools.partial(torch_run, lambda p: torch.optim.SGD(p, lr=0.1), None, layers)

    def save(run: Run, folder: Path) -> None:
        torch.save(dict(run["model"].named_parameters()), folder / "mine.pt")

    def load(run: Run, folder: Path) -> None:
        state = torch.load(folder / "mine.pt", weights_only=True)
        run["model"].load_state_dict(state, strict=False)

    assert_same(audited(build))
    result = audited(build, save, load)
    assert_lost(result, Stage.BUFFERS, "save the whole model.state_dict()")
    assert result.first_step is None  # training goes by the batch's own statistics
    assert "though not yet seen" in "\n".join(lines(result))


def test_the_position_in_the_data_is_lost() -> None:
    """No part has it; leaving out the batches that were seen makes the steps equal."""
    result = audited(resumed.torch_feed)
    assert_lost(result, Stage.DATA, "how many batches were seen")
    assert result.losses == ()

    def load(run: Run, folder: Path) -> None:
        usual.load(run, folder)
        run["batches"] = resumed.Numbers(AT)

    assert_same(audited(resumed.torch_feed, usual.save, load))


def scaled() -> Run:
    """A run with a GradScaler of torch, which steps the optimizer."""
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=1)
    run = torch_run(lambda p: torch.optim.SGD(p, lr=0.1))
    model, optimizer = run["model"], run["optimizer"]

    def step(number: int) -> None:
        images, labels = resumed.batch(number)
        output = model(torch.from_numpy(images))
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(output, torch.from_numpy(labels))
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    return {**run, "scaler": scaler, "step": step}


def test_a_loss_scale_that_is_forgotten_is_lost_though_no_step_shows_it() -> None:
    """It is a power of two, so the bits of the steps are equal."""
    assert_same(audited(scaled))
    save = functools.partial(resumed.saved_states, leave_out=("scaler",))
    result = audited(scaled, save, resumed.load_states)
    assert_lost(result, Stage.SCALE, "save scaler.state_dict()")
    assert result.first_step is None


def averaged() -> Run:
    """A run that keeps an average of its weights beside them."""
    run = torch_run(lambda p: torch.optim.SGD(p, lr=0.1))
    average = torch.optim.swa_utils.AveragedModel(run["model"])
    by_number = run["step"]

    def step(number: int) -> None:
        by_number(number)
        average.update_parameters(run["model"])

    return {**run, "average": average, "step": step}


def test_an_average_that_is_forgotten_is_lost() -> None:
    assert_same(audited(averaged))
    save = functools.partial(resumed.saved_states, leave_out=("average",))
    result = audited(averaged, save, resumed.load_states)
    assert_lost(result, Stage.AVERAGES, "save the averaged model's state_dict()")


def test_an_average_of_keras_is_saved_with_a_built_optimizer() -> None:
    assert_same(audited(keras_native("Adam", learning_rate=0.01, use_ema=True)))
    assert_same(audited(keras_native("Adam", learning_rate=0.01, gradient_accumulation_steps=4)))


# the audit itself


def test_a_run_that_does_not_repeat_itself_is_not_accused_of_a_loss() -> None:
    drawn = np.random.default_rng()

    def build() -> Run:
        run = torch_run(lambda p: torch.optim.SGD(p, lr=0.1))
        by_number = run["step"]
        return {**run, "step": lambda number: by_number(int(drawn.integers(50)))}

    result = audited(build)
    assert not result.same
    assert not result.repeatable
    assert "does not repeat itself" in "\n".join(lines(result))


def test_a_loss_that_nothing_explains_is_called_so() -> None:
    """A count of the user's own, which is in no part."""

    def build() -> Run:
        run = torch_run(lambda p: torch.optim.SGD(p, lr=0.1))
        by_number, seen = run["step"], []

        def step(number: int) -> None:
            seen.append(number)
            run["optimizer"].param_groups[0]["lr"] = 0.1
            by_number(len(seen))

        return {**run, "step": step}

    result = audited(build)
    text = list(lines(result))
    assert (result.same, result.stage, result.repeatable) == (False, None, True)
    assert "first lost: not found" in text
    assert "give all that the step uses as parts" in text[-1]


def test_distance_is_a_share_of_the_path() -> None:
    """Without the moments of Adam, the weights go elsewhere by a good part of the path."""
    save = functools.partial(resumed.saved_states, leave_out=("optimizer",))
    result = audited(torch_native("Adam", lr=0.01), save, resumed.load_states)
    assert 0.01 < result.distance < 10


def test_the_assertion_has_the_cure_in_its_message() -> None:
    same_after_resume(torch_native("Adam"), at=3, steps=2)
    save = functools.partial(resumed.saved_states, leave_out=("optimizer",))
    with pytest.raises(AssertionError, match="cure: save optimizer"):
        same_after_resume(torch_native("Adam"), save=save, load=resumed.load_states, at=3, steps=2)


def test_what_is_no_run_is_refused() -> None:
    for build in (lambda: None, dict, lambda: {"step": 3}):
        with pytest.raises(Refused, match="must give a dict"):
            audited(build)
    with pytest.raises(Refused, match="must have a model"):
        audited(lambda: {"step": print})
    with pytest.raises(Refused, match="at least one batch"):
        audited(lambda: {**torch_native("SGD")(), "batches": []})
