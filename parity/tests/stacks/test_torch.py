"""PyTorch's own schedulers, scaler, averages and compiler around our optimizer."""

import copy
import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from samestep.parity.tests.support.frameworks import torch

from samestep.frameworks.pytorch import Optimizer
from samestep.parity.tests.support.mnist_batches import batches
from samestep.parity.tests.support.replay import Recorder, assert_same
from samestep.reference import LAMB, SGD, Adam, Decay, Rule

STEPS = 24
Scheduler = Callable[[torch.optim.Optimizer], Any]
schedulers = torch.optim.lr_scheduler


def network() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(784, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10))


def tensors(count: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for images, labels in batches(count):
        yield torch.from_numpy(images), torch.from_numpy(labels)


def loss_of(model: Any, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(model(images), labels)


def adam_of(group: dict[str, Any]) -> Rule:
    return ADAM


ADAM = Adam(lr=1e-3, weight_decay=1e-2, decay=Decay.DECOUPLED)
MOMENTUM = SGD(lr=0.1, momentum=0.9)

FIXED_MOMENTUM: dict[str, Scheduler] = {
    "OneCycleLR": lambda o: schedulers.OneCycleLR(
        o, max_lr=0.01, total_steps=STEPS + 1, cycle_momentum=False
    ),
    "CyclicLR": lambda o: schedulers.CyclicLR(
        o, base_lr=1e-4, max_lr=0.01, step_size_up=5, cycle_momentum=False
    ),
    "SequentialLR": lambda o: schedulers.SequentialLR(
        o,
        [
            schedulers.LinearLR(o, start_factor=0.1, total_iters=5),
            schedulers.CosineAnnealingLR(o, T_max=STEPS - 5),
        ],
        milestones=[5],
    ),
    "ChainedScheduler": lambda o: schedulers.ChainedScheduler(
        [schedulers.ConstantLR(o, factor=0.5, total_iters=4), schedulers.ExponentialLR(o, 0.9)]
    ),
    "CosineAnnealingWarmRestarts": lambda o: schedulers.CosineAnnealingWarmRestarts(o, T_0=7),
    "LambdaLR": lambda o: schedulers.LambdaLR(o, lambda step: 1 / (1 + step)),
    "MultiplicativeLR": lambda o: schedulers.MultiplicativeLR(o, lambda step: 0.9),
    "MultiStepLR": lambda o: schedulers.MultiStepLR(o, milestones=[3, 9], gamma=0.3),
    "PolynomialLR": lambda o: schedulers.PolynomialLR(o, total_iters=STEPS, power=2.0),
}


def native_rates(schedule: Scheduler, lr: float, steps: int) -> list[float]:
    """The learning rates that the scheduler gives torch's own SGD."""
    native = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = schedule(native)
    rates = []
    for _ in range(steps):
        rates.append(native.param_groups[0]["lr"])
        native.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.compiled)])
@pytest.mark.parametrize("name", FIXED_MOMENTUM)
def test_scheduler_sets_the_rate_of_each_step(name: str, compiled: bool) -> None:
    """Also across a save and load of model, optimizer and scheduler, in the middle."""
    schedule = FIXED_MOMENTUM[name]
    model = network()
    optimizer = Optimizer(model.parameters(), ADAM, compiled=compiled)
    scheduler = schedule(optimizer)
    recorder = Recorder(optimizer, adam_of)
    for step, (images, labels) in enumerate(tensors(STEPS)):
        if step == STEPS // 2:
            saved = _through_a_file((optimizer.state_dict(), scheduler.state_dict()))
            optimizer = Optimizer(model.parameters(), ADAM, compiled=compiled)
            scheduler = schedule(optimizer)
            optimizer.load_state_dict(saved[0])
            scheduler.load_state_dict(saved[1])
            recorder.follow(optimizer)
        optimizer.zero_grad()
        loss_of(model, images, labels).backward()
        optimizer.step()
        scheduler.step()
    recorder.check(STEPS)
    assert recorder.rates == native_rates(schedule, ADAM.lr, STEPS)
    assert len(set(recorder.rates)) > 2


def _through_a_file(value: Any) -> Any:
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


MOVING_MOMENTUM: dict[str, Scheduler] = {
    "OneCycleLR": lambda o: schedulers.OneCycleLR(o, max_lr=0.01, total_steps=STEPS + 1),
    "CyclicLR": lambda o: schedulers.CyclicLR(o, base_lr=1e-4, max_lr=0.01, step_size_up=5),
}


@pytest.mark.parametrize("rule", [ADAM, MOMENTUM, LAMB()], ids=repr)
@pytest.mark.parametrize("name", MOVING_MOMENTUM)
def test_scheduler_that_moves_momentum_moves_the_rules(name: str, rule: Rule) -> None:
    """The momentum of each step is the one that the scheduler gives torch's own optimizer."""
    schedule = MOVING_MOMENTUM[name]
    native: torch.optim.Optimizer
    zero = torch.zeros(1, requires_grad=True)
    if isinstance(rule, SGD):
        native = torch.optim.SGD([zero], lr=rule.lr, momentum=rule.momentum)
    else:
        native = torch.optim.AdamW([zero], lr=rule.lr)
    native_scheduler = schedule(native)

    def rule_now(group: dict[str, Any]) -> Rule:
        theirs = native.param_groups[0]
        if isinstance(rule, SGD):
            return rule.replace(momentum=theirs["momentum"])
        return rule.replace(beta1=theirs["betas"][0])

    model = network()
    optimizer = Optimizer(model.parameters(), rule)
    scheduler = schedule(optimizer)
    recorder = Recorder(optimizer, rule_now)
    momenta = []
    for images, labels in tensors(STEPS):
        momenta.append(repr(rule_now({})))
        optimizer.zero_grad()
        loss_of(model, images, labels).backward()
        optimizer.step()
        scheduler.step()
        native.step()
        native_scheduler.step()
    recorder.check(STEPS)
    assert len(set(momenta)) > 2


def test_plateau_scheduler_lowers_the_rate() -> None:
    losses = [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.4]

    def schedule(optimizer: torch.optim.Optimizer) -> Any:
        return schedulers.ReduceLROnPlateau(optimizer, factor=0.1, patience=1)

    native = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=ADAM.lr)
    model = network()
    optimizer = Optimizer(model.parameters(), ADAM)
    scheduler, native_scheduler = schedule(optimizer), schedule(native)
    recorder = Recorder(optimizer, adam_of)
    native_lr = []
    for loss, (images, labels) in zip(losses, tensors(len(losses)), strict=True):
        native_lr.append(native.param_groups[0]["lr"])
        optimizer.zero_grad()
        loss_of(model, images, labels).backward()
        optimizer.step()
        scheduler.step(loss)
        native_scheduler.step(loss)
    recorder.check(len(losses))
    assert recorder.rates == native_lr
    assert len(set(native_lr)) == 4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_grad_scaler_skips_steps_that_overflow(dtype: torch.dtype) -> None:
    """Skipped steps are not counted, and gradients are unscaled and clipped before each step."""
    model = network()
    optimizer = Optimizer(model.parameters(), ADAM)
    recorder = Recorder(optimizer, adam_of)
    first_scale = 2.0**40 if dtype is torch.bfloat16 else 2.0**24
    scaler = torch.amp.GradScaler("cpu", init_scale=first_scale, growth_interval=3)
    skipped = 0
    for step, (images, labels) in enumerate(tensors(STEPS)):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype):
            loss = loss_of(model, images, labels)
        scaler.scale(loss).backward()
        if step == 5:
            model[0].weight.grad[0, 0] = float("inf")
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        before = scaler.get_scale()
        scaler.step(optimizer)
        scaler.update()
        skipped += scaler.get_scale() < before
    recorder.check(STEPS - skipped)
    assert skipped >= 1


def test_grad_scaler_state_is_saved_beside_ours() -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    model = network()
    optimizer = Optimizer(model.parameters(), ADAM)
    recorder = Recorder(optimizer, adam_of)
    for step, (images, labels) in enumerate(tensors(6)):
        if step == 3:
            saved = _through_a_file((optimizer.state_dict(), scaler.state_dict()))
            optimizer = Optimizer(model.parameters(), ADAM)
            scaler = torch.amp.GradScaler("cpu")
            optimizer.load_state_dict(saved[0])
            scaler.load_state_dict(saved[1])
            recorder.follow(optimizer)
        optimizer.zero_grad()
        scaler.scale(loss_of(model, images, labels)).backward()
        scaler.step(optimizer)
        scaler.update()
    recorder.check(6)


@pytest.mark.parametrize("limit", [0.05, 1e6])
def test_clip_grad_norm_comes_before_the_step(limit: float) -> None:
    model = network()
    optimizer = Optimizer(model.parameters(), ADAM)
    recorder = Recorder(optimizer, adam_of)
    clipped = 0
    for images, labels in tensors(STEPS):
        optimizer.zero_grad(set_to_none=False)
        loss_of(model, images, labels).backward()
        clipped += float(torch.nn.utils.clip_grad_norm_(model.parameters(), limit)) > limit
        optimizer.step()
    recorder.check(STEPS)
    assert clipped == (STEPS if limit < 1 else 0)


@pytest.mark.parametrize("kind", ["mean", "ema"])
def test_averaged_model_averages_the_rules_own_weights(kind: str) -> None:
    """SWALR sets the rates; the average is torch's average of the replayed weights."""
    swa = torch.optim.swa_utils
    function = swa.get_ema_multi_avg_fn(0.9) if kind == "ema" else None
    model = network()
    replayed = copy.deepcopy(model)
    optimizer = Optimizer(model.parameters(), MOMENTUM)
    recorder = Recorder(optimizer, lambda group: MOMENTUM)
    scheduler = swa.SWALR(optimizer, swa_lr=0.02, anneal_epochs=7)
    averaged = swa.AveragedModel(model, multi_avg_fn=function)
    for images, labels in tensors(STEPS):
        optimizer.zero_grad()
        loss_of(model, images, labels).backward()
        optimizer.step()
        averaged.update_parameters(model)
        scheduler.step()
    recorder.check(STEPS)
    assert recorder.rates == native_rates(
        lambda o: swa.SWALR(o, swa_lr=0.02, anneal_epochs=7), MOMENTUM.lr, STEPS
    )
    expected = swa.AveragedModel(replayed, multi_avg_fn=function)
    for values in zip(*(h.replay() for h in recorder.histories.values()), strict=True):
        for parameter, value in zip(replayed.parameters(), values, strict=True):
            parameter.data = torch.from_numpy(value)
        expected.update_parameters(replayed)
    assert_same(
        [p.detach().numpy() for p in expected.module.parameters()],
        [p.detach().numpy() for p in averaged.module.parameters()],
    )


@pytest.mark.compiled
@pytest.mark.parametrize("compiled", [False, True])
def test_compiled_model_is_stepped_by_the_rule(compiled: bool) -> None:
    model = network()
    optimizer = Optimizer(model.parameters(), ADAM, compiled=compiled)
    recorder = Recorder(optimizer, adam_of)
    forward = torch.compile(model)
    for images, labels in tensors(6):
        optimizer.zero_grad()
        loss_of(forward, images, labels).backward()
        optimizer.step()
    recorder.check(6)


@pytest.mark.compiled
def test_whole_step_is_compiled() -> None:
    """As in torch's tutorial on compiled optimizers, with a rate that a scheduler moves."""
    model = network()
    optimizer = Optimizer(model.parameters(), ADAM)
    scheduler = schedulers.LinearLR(optimizer, start_factor=0.5, total_iters=4)
    recorder = Recorder(optimizer, adam_of)

    @torch.compile(fullgraph=False)
    def step() -> None:
        optimizer.step()
        scheduler.step()

    for images, labels in tensors(6):
        optimizer.zero_grad()
        loss_of(model, images, labels).backward()
        step()
    recorder.check(6)


@pytest.fixture
def process_group(tmp_path: Any) -> Iterator[None]:
    """A group of this process alone."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("process_group")
@pytest.mark.parametrize("moved", [False, True])
def test_zero_redundancy_optimizer_shards_the_rule(moved: bool) -> None:
    """torch builds the optimizer itself, from the class and its keyword arguments.

    What changes its outer groups moves ours, to which torch copies them.
    """
    from torch.distributed.optim import ZeroRedundancyOptimizer

    model = network()
    optimizer = ZeroRedundancyOptimizer(model.parameters(), Optimizer, rule=ADAM)
    momentum = [ADAM.beta1]
    recorder = Recorder(optimizer.optim, lambda group: ADAM.replace(beta1=momentum[-1]))
    for images, labels in tensors(6):
        optimizer.zero_grad()
        loss_of(model, images, labels).backward()
        optimizer.step()
        if moved:
            momentum.append(momentum[-1] / 2)
            optimizer.param_groups[0]["lr"] /= 2
            optimizer.param_groups[0]["betas"] = (momentum[-1], ADAM.beta2)
    recorder.check(6)
    assert len(set(recorder.rates)) == (6 if moved else 1)


@pytest.mark.parametrize("flat", [False, True])
def test_distributed_checkpoint_goes_on(flat: bool) -> None:
    """By the names of torch.distributed.checkpoint, as a whole or an entry for each number."""
    from torch.distributed.checkpoint import state_dict as checkpoints

    options = checkpoints.StateDictOptions(flatten_optimizer_state_dict=flat)
    model = network()
    optimizer = Optimizer(model.parameters(), ADAM)
    recorder = Recorder(optimizer, adam_of)
    resumed_model, resumed = copy.deepcopy((model, optimizer))

    def train(model: Any, optimizer: Any) -> None:
        for images, labels in tensors(3):
            loss_of(model, images, labels).backward()
            optimizer.step()
            optimizer.zero_grad()

    train(model, optimizer)
    saved = checkpoints.get_state_dict(model, optimizer, options=options)
    weights, state = copy.deepcopy(saved)
    checkpoints.set_state_dict(
        resumed_model,
        resumed,
        model_state_dict=weights,
        optim_state_dict=state,
        options=options,
    )
    train(model, optimizer)
    recorder.check(6)
    train(resumed_model, resumed)
    pairs = zip(model.parameters(), resumed_model.parameters(), strict=True)
    assert all(torch.equal(first, second) for first, second in pairs)
