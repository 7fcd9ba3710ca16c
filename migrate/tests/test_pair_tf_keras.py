"""Models of tf_keras (Keras 2) are read as those of Keras 3, with their own BatchNorm."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, torch  # noqa: F401  the order

# isort: split
from samestep.migrate.pair.compare import Comparison, compare
from samestep.migrate.pair.limits import Verdict
from samestep.migrate.pair.program import Program
from samestep.migrate.pair.recording import record_keras, record_pytorch
from samestep.migrate.tests.support import families as f
from samestep.parity.tests.support.require import require

tf_keras = require("tf_keras")
layers, nn = tf_keras.layers, torch.nn
KerasModel: Any = tf_keras.Model
RECORDS = {"pytorch": record_pytorch, "keras": record_keras}


def images() -> Any:
    random = np.random.default_rng(0)
    return random.standard_normal((5, 3, 8, 8)).astype("float32"), random.integers(0, 10, 5)


def torch_cnn() -> Any:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4, eps=1e-3, momentum=0.01), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


def keras_cnn(epsilon: float = 1e-3, dtype: str | None = None) -> Any:
    return tf_keras.Sequential([
        layers.Input((8, 8, 3)), layers.Conv2D(4, 3, padding="same", dtype=dtype),
        layers.BatchNormalization(epsilon=epsilon, dtype=dtype), layers.ReLU(dtype=dtype),
        layers.MaxPooling2D(dtype=dtype), layers.Flatten(dtype=dtype),
        layers.Dense(10, dtype=dtype),
    ])  # fmt: skip


class KerasBlock(KerasModel):
    """Attention, LayerNorm and an LSTM in a subclassed model, with two layers of one name."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = layers.MultiHeadAttention(2, 4)
        self.norm = layers.LayerNormalization(epsilon=1e-5)
        self.rnn = layers.LSTM(6)
        self.first = layers.Dense(8, activation="tanh", name="dense")
        self.last = layers.Dense(10, name="dense")

    def call(self, x: Any) -> Any:
        return self.last(self.first(self.rnn(self.norm(x + self.attention(x, x)))))


class TorchBlock(torch.nn.Module):
    """The same in PyTorch."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.rnn = nn.LSTM(8, 6, batch_first=True)
        self.rnn.bias_hh_l0.requires_grad_(False)
        nn.init.zeros_(self.rnn.bias_hh_l0)
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 10)

    def forward(self, x: Any) -> Any:
        h = self.norm(x + self.attention(x, x, x, need_weights=False)[0])
        return self.last(torch.tanh(self.first(self.rnn(h)[0][:, -1])))


def sequences() -> Any:
    random = np.random.default_rng(0)
    return random.standard_normal((5, 4, 8)).astype("float32"), random.integers(0, 10, 5)


PAIRS = {
    "cnn": (torch_cnn, keras_cnn, images),
    "block": (TorchBlock, KerasBlock, sequences),
}


def judged(name: str, reference: str = "pytorch", **changes: Any) -> Comparison:
    in_torch, in_keras, batch = PAIRS[name]
    values = {"torch_model": in_torch, "keras_model": in_keras, "batch": batch,
              "optimizers": (f.ADAM, f.ADAM), **changes}  # fmt: skip
    program = Program(values, "mine.py")
    return compare(RECORDS[reference](program, 2), program)


@pytest.mark.parametrize("reference", RECORDS)
@pytest.mark.parametrize("name", PAIRS)
def test_a_right_pair_is_the_same(name: str, reference: str) -> None:
    """But that tf_keras takes 1 - momentum of BatchNormalization through float32."""
    comparison = judged(name, reference)
    assert [each.place for each in comparison.judgement.different] == []
    below = {each.stage for each in comparison.judgement.findings if each.verdict is Verdict.BELOW}
    assert below == ({"buffers after"} if name == "cnn" else set())
    assert comparison.judgement.not_compared == []


def test_a_planted_epsilon_is_named() -> None:
    comparison = judged("cnn", keras_model=lambda: keras_cnn(1e-5))
    first = comparison.judgement.first
    assert first is not None
    assert (first.stage, first.a) == ("forward", "1")
    assert comparison.causes[0]["text"].startswith("epsilon is 1e-05 in Keras and 0.001 in PyTorch")


def test_the_fused_batchnorm_stores_the_unbiased_variance() -> None:
    """In float32 Keras 2 fuses it; in float64 it cannot, and stores the biased one."""
    comparison = judged("cnn", keras_model=lambda: keras_cnn(dtype="float32"))
    assert comparison.facts["dtype"] == "float32"
    assert [each.place for each in comparison.judgement.different] == []
    (variance,) = [
        each for each in comparison.judgement.of_stage("buffers after")
        if each.step == 1 and each.a.endswith("running_var")
    ]  # fmt: skip
    assert variance.note == ""
    in_float64 = judged("cnn").judgement.of_stage("buffers after")
    notes = {each.note for each in in_float64 if each.a.endswith("running_var")}
    assert notes == {"Keras stores the biased variance, PyTorch n / (n - 1) times as much"}
