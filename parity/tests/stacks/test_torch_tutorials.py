"""Loops in the style of PyTorch's tutorials, with our optimizer in place of theirs."""

import copy
from pathlib import Path
from typing import Any

import pytest

from samestep.parity.tests.support.frameworks import torch

from samestep.frameworks.pytorch import Optimizer
from samestep.parity.tests.support.mnist_batches import batches, examples
from samestep.parity.tests.support.replay import Recorder
from samestep.reference import LAMB, SGD, Adadelta, Adam, Decay, Lion, Muon, RMSprop, Rule

RULES: list[Rule] = [
    SGD(lr=0.1),
    SGD(lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4),
    Adam(lr=1e-3),
    Adam(lr=1e-3, weight_decay=1e-2, decay=Decay.DECOUPLED),
    RMSprop(lr=1e-3, centered=True),
    Adadelta(lr=1.0),
    Lion(lr=1e-4, weight_decay=0.1),
    LAMB(lr=1e-3),
]


def recorder_of(optimizer: Any, rule: Rule) -> Recorder:
    return Recorder(optimizer, lambda group: rule)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_quickstart(rule: Rule, tmp_path: Path) -> None:
    """A module, a loader, ``train`` and ``test``, two epochs, saved and loaded between them."""

    class NeuralNetwork(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.flatten = torch.nn.Flatten()
            self.stack = torch.nn.Sequential(
                torch.nn.Linear(28 * 28, 32),
                torch.nn.ReLU(),
                torch.nn.Linear(32, 16),
                torch.nn.ReLU(),
                torch.nn.Linear(16, 10),
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.stack(self.flatten(x))

    images, labels = examples(640)
    data = torch.utils.data.TensorDataset(
        torch.from_numpy(images).view(-1, 1, 28, 28), torch.from_numpy(labels)
    )
    loader = torch.utils.data.DataLoader(data, batch_size=64, shuffle=True)
    loss_function = torch.nn.CrossEntropyLoss()
    torch.manual_seed(0)
    model = NeuralNetwork()
    optimizer = Optimizer(model.parameters(), rule)
    recorder = recorder_of(optimizer, rule)

    def train() -> None:
        model.train()
        for x, y in loader:
            loss = loss_function(model(x), y)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    train()
    torch.save(
        {"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "model.pth"
    )
    train()
    saved = torch.load(tmp_path / "model.pth", weights_only=True)
    recorder.check(20)
    half = {p: h._replace(steps=h.steps[:10]) for p, h in recorder.histories.items()}
    for parameter, history in half.items():
        assert torch.equal(torch.from_numpy(history.end()), saved["model"][_name(model, parameter)])
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    recorder.histories = half
    recorder.rates = recorder.rates[:10]
    train()
    recorder.check(20)
    model.eval()
    with torch.no_grad():
        model(next(iter(loader))[0])


def _name(model: Any, parameter: Any) -> str:
    return next(name for name, each in model.named_parameters() if each is parameter)


def test_convolutions_and_layer_norms_with_groups() -> None:
    """Biases and norms without decay, another rate for the head, one layer frozen."""
    rule = Adam(lr=1e-3, weight_decay=0.1, decay=Decay.DECOUPLED)
    torch.manual_seed(0)
    body = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, stride=2), torch.nn.BatchNorm2d(4), torch.nn.ReLU(),
        torch.nn.Conv2d(4, 8, 3, stride=2), torch.nn.GroupNorm(2, 8), torch.nn.ReLU(),
        torch.nn.Flatten(),
    )  # fmt: skip
    head = torch.nn.Linear(8 * 36, 10)
    model = torch.nn.Sequential(body, head)
    body[0].weight.requires_grad_(False)
    named = list(body.named_parameters())
    groups = [
        {"params": [p for _, p in named if p.ndim > 1]},
        {"params": [p for _, p in named if p.ndim == 1], "weight_decay": 0.0},
        {"params": head.parameters(), "lr": 1e-2},
    ]
    optimizer = Optimizer(groups, rule)
    recorder = Recorder(optimizer, lambda group: rule.replace(weight_decay=group["weight_decay"]))
    for images, labels in batches(8):
        optimizer.zero_grad()
        x = torch.from_numpy(images).view(-1, 1, 28, 28)
        torch.nn.functional.cross_entropy(model(x), torch.from_numpy(labels)).backward()
        optimizer.step()
    recorder.check(8)
    frozen = recorder.histories[body[0].weight]
    assert frozen.steps == []


def test_two_optimizers_of_a_gan() -> None:
    """Each moves its own network alone, on the gradients of its own loss."""
    rule = Adam(lr=2e-4, beta1=0.5)
    torch.manual_seed(0)
    generator = torch.nn.Sequential(
        torch.nn.Linear(8, 32), torch.nn.ReLU(), torch.nn.Linear(32, 784), torch.nn.Sigmoid()
    )
    discriminator = torch.nn.Sequential(
        torch.nn.Linear(784, 32), torch.nn.LeakyReLU(0.2), torch.nn.Linear(32, 1)
    )
    first = Optimizer(discriminator.parameters(), rule)
    second = Optimizer(generator.parameters(), rule)
    recorders = recorder_of(first, rule), recorder_of(second, rule)
    loss_function = torch.nn.BCEWithLogitsLoss()
    for images, _ in batches(8):
        real = torch.from_numpy(images)
        ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
        discriminator.zero_grad()
        loss_function(discriminator(real), ones).backward()
        fake = generator(torch.randn(len(real), 8))
        loss_function(discriminator(fake.detach()), zeros).backward()
        first.step()
        generator.zero_grad()
        loss_function(discriminator(fake), ones).backward()
        second.step()
    for recorder in recorders:
        recorder.check(8)


def test_closure_is_evaluated_once_and_its_loss_returned() -> None:
    rule = SGD(lr=0.1, momentum=0.9)
    torch.manual_seed(0)
    model = torch.nn.Linear(784, 10)
    optimizer = Optimizer(model.parameters(), rule)
    recorder = recorder_of(optimizer, rule)
    losses = []
    for images, labels in batches(5):

        def closure(images: Any = images, labels: Any = labels) -> Any:
            optimizer.zero_grad()
            output = model(torch.from_numpy(images))
            loss = torch.nn.functional.cross_entropy(output, torch.from_numpy(labels))
            loss.backward()
            losses.append(float(loss.detach()))
            return loss

        assert float(optimizer.step(closure).detach()) == losses[-1]
    assert len(losses) == 5
    recorder.check(5)


@pytest.mark.parametrize("reentrant", [False, True])
def test_gradient_checkpointing(reentrant: bool) -> None:
    from torch.utils.checkpoint import checkpoint

    rule = Adam(lr=1e-3)
    torch.manual_seed(0)
    first = torch.nn.Sequential(torch.nn.Linear(784, 16), torch.nn.ReLU())
    second = torch.nn.Linear(16, 10)
    optimizer = Optimizer([*first.parameters(), *second.parameters()], rule)
    recorder = recorder_of(optimizer, rule)
    for images, labels in batches(5):
        optimizer.zero_grad()
        x = torch.from_numpy(images).requires_grad_()
        hidden = checkpoint(first, x, use_reentrant=reentrant)
        loss = torch.nn.functional.cross_entropy(second(hidden), torch.from_numpy(labels))
        loss.backward()
        optimizer.step()
    recorder.check(5)


def test_optimizer_in_the_backward_pass() -> None:
    """One optimizer for each parameter, called by a hook as soon as its gradient is there."""
    rule = Adam(lr=1e-3)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(784, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10))
    optimizers = {p: Optimizer([p], rule) for p in model.parameters()}
    recorders = [recorder_of(optimizer, rule) for optimizer in optimizers.values()]

    def hook(parameter: torch.Tensor) -> None:
        optimizers[parameter].step()
        optimizers[parameter].zero_grad()

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(hook)
    for images, labels in batches(5):
        output = model(torch.from_numpy(images))
        torch.nn.functional.cross_entropy(output, torch.from_numpy(labels)).backward()
    for recorder in recorders:
        recorder.check(5)


@pytest.mark.filterwarnings("ignore:sparse gradients are made dense")
def test_recurrent_network_with_embeddings() -> None:
    """Sparse gradients of an embedding, dense ones of an LSTM; characters as in the tutorial."""
    rule = Adam(lr=1e-2)
    torch.manual_seed(0)
    embedding = torch.nn.Embedding(20, 6, sparse=True)
    lstm = torch.nn.LSTM(6, 8, batch_first=True)
    head = torch.nn.Linear(8, 20)
    modules = torch.nn.ModuleList([embedding, lstm, head])
    optimizer = Optimizer(modules.parameters(), rule)

    class DenseRecorder(Recorder):
        def _record(self, optimizer: Any) -> None:
            weight = embedding.weight
            sparse, weight.grad = weight.grad, weight.grad.to_dense()
            super()._record(optimizer)
            weight.grad = sparse

    recorder = DenseRecorder(optimizer, lambda group: rule)
    for _ in range(5):
        tokens = torch.randint(0, 20, (4, 7))
        output = head(lstm(embedding(tokens[:, :-1]))[0])
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(output.flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        optimizer.step()
    recorder.check(5)


def test_fine_tuning_unfreezes_a_layer_later() -> None:
    """``add_param_group`` in the middle; the new layer's steps are counted from then on."""
    rule = Adam(lr=1e-3)
    torch.manual_seed(0)
    body, head = torch.nn.Linear(784, 16), torch.nn.Linear(16, 10)
    body.requires_grad_(False)
    optimizer = Optimizer(head.parameters(), rule)
    recorder = recorder_of(optimizer, rule)
    for step, (images, labels) in enumerate(batches(8)):
        if step == 4:
            body.requires_grad_(True)
            optimizer.add_param_group({"params": body.parameters(), "lr": 1e-4})
        optimizer.zero_grad()
        output = head(torch.relu(body(torch.from_numpy(images))))
        torch.nn.functional.cross_entropy(output, torch.from_numpy(labels)).backward()
        optimizer.step()
    recorder.check(8)
    assert [len(history.steps) for history in recorder.histories.values()] == [8, 8, 4, 4]


def test_copied_model_and_optimizer_go_on_apart() -> None:
    """``copy.deepcopy`` of both together, as hyperparameter searches do."""
    rule = Adam(lr=1e-3)
    torch.manual_seed(0)
    model = torch.nn.Linear(784, 10)
    optimizer = Optimizer(model.parameters(), rule)

    def train(model: Any, optimizer: Any, count: int) -> None:
        for images, labels in batches(count):
            optimizer.zero_grad()
            output = model(torch.from_numpy(images))
            torch.nn.functional.cross_entropy(output, torch.from_numpy(labels)).backward()
            optimizer.step()

    train(model, optimizer, 3)
    twin_model, twin = copy.deepcopy((model, optimizer))
    before = model.weight.detach().clone()
    recorder = recorder_of(optimizer, rule)
    train(twin_model, twin, 3)
    assert torch.equal(model.weight, before)
    train(model, optimizer, 3)
    assert len(recorder.rates) == 3
    assert torch.equal(model.weight, twin_model.weight)


def test_muon_for_matrices_and_adam_for_the_rest() -> None:
    """Two optimizers in one loop, as Muon's authors do; matrices within the derived limit."""
    muon, adam = Muon(lr=0.02), Adam(lr=1e-3)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(784, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10))
    matrices = [p for p in model.parameters() if p.ndim == 2]
    rest = [p for p in model.parameters() if p.ndim != 2]
    optimizers = Optimizer(matrices, muon), Optimizer(rest, adam)
    recorders = recorder_of(optimizers[0], muon), recorder_of(optimizers[1], adam)
    for images, labels in batches(5):
        model.zero_grad()
        output = model(torch.from_numpy(images))
        torch.nn.functional.cross_entropy(output, torch.from_numpy(labels)).backward()
        for optimizer in optimizers:
            optimizer.step()
    recorders[0].check_within_limits(5)
    recorders[1].check(5)
