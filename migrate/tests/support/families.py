"""Right pairs: a PyTorch model and a Keras model that are the same, of many families."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from samestep.parity.tests.support.frameworks import keras, tf, torch

# isort: split
from keras import layers
from torch import nn
from torch.nn import functional

ADAM = "pytorch:Adam(lr=0.001)"


class Family(NamedTuple):
    """What a user's file of a right pair has. ``options`` of a model plant a fault."""

    torch_model: Callable[..., Any]
    keras_model: Callable[..., Any]
    batch: Callable[[int], Any]
    loss: Any = "cross_entropy"
    optimizers: Any = (ADAM, ADAM)

    def values(self, seed: int = 0) -> dict[str, Any]:
        """The names and values of the file."""
        return {
            "torch_model": self.torch_model,
            "keras_model": self.keras_model,
            "batch": lambda: self.batch(seed),
            "loss": self.loss,
            "optimizers": self.optimizers,
        }


def vectors(seed: int) -> Any:
    """Seven vectors of 20 numbers, and ten classes."""
    random = np.random.default_rng(seed)
    return random.standard_normal((7, 20)).astype("float32"), random.integers(0, 10, 7)


def images(seed: int, size: int = 8) -> Any:
    """Seven images with three channels."""
    random = np.random.default_rng(seed)
    shape = (7, 3, size, size)
    return random.standard_normal(shape).astype("float32"), random.integers(0, 10, 7)


def sequences(seed: int) -> Any:
    """Five sequences of six vectors of 5 numbers."""
    random = np.random.default_rng(seed)
    return random.standard_normal((5, 6, 5)).astype("float32"), random.integers(0, 10, 5)


def tokens(seed: int) -> Any:
    """Five sentences of six words out of twelve; the labels are words, too."""
    random = np.random.default_rng(seed)
    return random.integers(0, 12, (5, 6)), random.integers(0, 12, (5, 6))


def pictures(seed: int) -> Any:
    """Images and images that are to be made of them."""
    random = np.random.default_rng(seed)
    shape = (5, 3, 8, 8)
    return tuple(random.standard_normal(shape).astype("float32") for _ in range(2))


def torch_mlp() -> Any:
    return nn.Sequential(
        nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 16), nn.LeakyReLU(0.1), nn.Linear(16, 16),
        nn.GELU(), nn.Dropout(0.25), nn.Linear(16, 10),
    )  # fmt: skip


def keras_mlp(
    slope: float = 0.1, second: Any = "gelu", rate: float = 0.25, regularizer: Any = None
) -> Any:
    return keras.Sequential([
        layers.Input((20,)),
        layers.Dense(16, activation="relu", kernel_regularizer=regularizer), layers.Dense(16),
        layers.LeakyReLU(slope), layers.Dense(16, activation=second), layers.Dropout(rate),
        layers.Dense(10),
    ])  # fmt: skip


class TorchCnn(nn.Module):
    """Two blocks of convolution, normalization and pooling; in-place functions; a flatten."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(8, eps=1e-3, momentum=0.01)
        self.conv2 = nn.Conv2d(8, 6, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(6, eps=1e-3, momentum=0.01)
        self.drop = nn.Dropout(0.3)
        self.fc1 = nn.Linear(24, 16)
        self.fc2 = nn.Linear(16, 10)

    def forward(self, x: Any) -> Any:
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(x)), inplace=True), 2)
        x = functional.avg_pool2d(functional.relu(self.bn2(self.conv2(x))), 2)
        x = self.drop(torch.flatten(x, 1))
        return self.fc2(functional.relu(self.fc1(x)))


def keras_cnn(
    norm: dict[str, Any] | None = None, conv: dict[str, Any] | None = None,
    pool: Any = None, rate: float = 0.3,
) -> Any:  # fmt: skip
    return keras.Sequential([
        layers.Input((8, 8, 3)), layers.Conv2D(8, 3, padding="same"),
        layers.BatchNormalization(**(norm or {})), layers.ReLU(), layers.MaxPooling2D(),
        layers.Conv2D(6, 3, **{"padding": "same", **(conv or {})}), layers.BatchNormalization(),
        layers.ReLU(), pool() if pool else layers.AveragePooling2D(2), layers.Flatten(),
        layers.Dropout(rate), layers.Dense(16, activation="relu"), layers.Dense(10),
    ])  # fmt: skip


def torch_depthwise() -> Any:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, padding=1, groups=8),
        nn.Conv2d(16, 12, 1, groups=2), nn.BatchNorm2d(12, eps=1e-3, momentum=0.01), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 10),
    )  # fmt: skip


def keras_depthwise(groups: int = 2, dilation: int = 1) -> Any:
    return keras.Sequential([
        layers.Input((8, 8, 3)),
        layers.Conv2D(8, 3, padding="same", activation="relu", dilation_rate=dilation),
        layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2),
        layers.Conv2D(12, 1, groups=groups), layers.BatchNormalization(), layers.ReLU(),
        layers.GlobalAveragePooling2D(), layers.Dense(10),
    ])  # fmt: skip


class TorchUnet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 8, 3, padding=1)
        self.mid = nn.Conv2d(8, 8, 3, padding=1)
        self.up = nn.ConvTranspose2d(8, 8, 2, stride=2)
        self.last = nn.Conv2d(16, 8, 3, padding=1)
        self.head = nn.Conv2d(8, 3, 1)

    def forward(self, x: Any) -> Any:
        skip = functional.relu(self.down(x))
        y = self.up(functional.relu(self.mid(functional.max_pool2d(skip, 2))))
        return self.head(functional.relu(self.last(torch.cat([skip, y], 1))))


class KerasUnet(keras.Model):
    """Subclassed; ``detached`` stops the gradient of the skip, ``turned`` joins the other way."""

    def __init__(self, detached: bool = False, turned: bool = False) -> None:
        super().__init__()
        self.down = layers.Conv2D(8, 3, padding="same", activation="relu")
        self.mid = layers.Conv2D(8, 3, padding="same", activation="relu")
        self.pool = layers.MaxPooling2D()
        self.up = layers.Conv2DTranspose(8, 2, strides=2)
        self.last = layers.Conv2D(8, 3, padding="same", activation="relu")
        self.head = layers.Conv2D(3, 1)
        self.detached = detached
        self.turned = turned

    def call(self, x: Any) -> Any:
        skip = self.down(x)
        y = self.up(self.mid(self.pool(skip)))
        skip = tf.stop_gradient(skip) if self.detached else skip
        parts = [y, skip] if self.turned else [skip, y]
        return self.head(self.last(tf.concat(parts, -1)))


class TorchRnn(nn.Module):
    """An LSTM, whose second bias rests at 0 unless ``both`` are trained, or a GRU."""

    def __init__(self, kind: str, both: bool = False) -> None:
        super().__init__()
        self.rnn = getattr(nn, kind)(5, 7, batch_first=True)
        self.fc = nn.Linear(7, 10)
        if kind == "LSTM" and not both:
            nn.init.zeros_(self.rnn.bias_hh_l0)
            self.rnn.bias_hh_l0.requires_grad_(False)

    def forward(self, x: Any) -> Any:
        return self.fc(self.rnn(x)[0][:, -1])


def keras_rnn(kind: str, **options: Any) -> Any:
    return keras.Sequential(
        [layers.Input((6, 5)), getattr(layers, kind)(7, **options), layers.Dense(10)]
    )


class TorchBidirectional(nn.Module):
    """Two layers, both directions, then the mean over time."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(5, 4, num_layers=2, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(8, 10)
        for name, bias in self.rnn.named_parameters():
            if name.startswith("bias_hh"):
                nn.init.zeros_(bias)
                bias.requires_grad_(False)

    def forward(self, x: Any) -> Any:
        return self.fc(self.rnn(x)[0].mean(1))


def keras_bidirectional(merge: str = "concat", **options: Any) -> Any:
    return keras.Sequential([
        layers.Input((6, 5)),
        layers.Bidirectional(layers.LSTM(4, return_sequences=True, **options)),
        layers.Bidirectional(layers.LSTM(4, return_sequences=True), merge_mode=merge),
        layers.GlobalAveragePooling1D(), layers.Dense(10),
    ])  # fmt: skip


class TorchTransformer(nn.Module):
    """A causal encoder layer; the output layer shares the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(12, 8)
        self.block = nn.TransformerEncoderLayer(
            8, 2, 16, dropout=0.0, batch_first=True, activation="gelu", layer_norm_eps=1e-3
        )
        self.norm = nn.LayerNorm(8, eps=1e-3)

    def forward(self, x: Any) -> Any:
        mask = torch.triu(torch.ones(x.shape[1], x.shape[1], dtype=torch.bool), 1)
        h = self.norm(self.block(self.emb(x), src_mask=mask))
        return functional.linear(h, self.emb.weight)


class KerasTransformer(keras.Model):
    def __init__(
        self, heads: int = 2, mask: str = "causal", epsilon: float = 1e-3, tied: bool = True
    ) -> None:
        super().__init__()
        self.emb = layers.ReversibleEmbedding(12, 8, tie_weights=tied)
        self.att = layers.MultiHeadAttention(heads, 8 // heads)
        self.n1 = layers.LayerNormalization(epsilon=epsilon)
        self.n2 = layers.LayerNormalization()
        self.norm = layers.LayerNormalization()
        self.d1 = layers.Dense(16, activation="gelu")
        self.d2 = layers.Dense(8)
        self.mask = mask

    def call(self, x: Any) -> Any:
        t = x.shape[1]
        mask = tf.linalg.band_part(tf.ones((t, t), tf.bool), -1, 0)[None]
        mask = {"causal": mask, "inverted": ~mask | tf.eye(t, dtype=tf.bool), "none": None}[
            self.mask
        ]
        h = self.emb(x)
        h = self.n1(h + self.att(h, h, attention_mask=mask))
        h = self.n2(h + self.d2(self.d1(h)))
        return self.emb(self.norm(h), reverse=True)


class TorchHandAttention(nn.Module):
    """Attention written by hand, with equal Linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.inp = nn.Linear(5, 8)
        self.q, self.k, self.v, self.o, self.fc = (nn.Linear(8, 8) for _ in range(5))
        self.head = nn.Linear(8, 10)

    def forward(self, x: Any) -> Any:
        h = self.inp(x)
        scores = self.q(h) @ self.k(h).transpose(1, 2) / 8**0.5
        a = functional.softmax(scores, -1) @ self.v(h)
        return self.head((h + self.fc(functional.relu(self.o(a)))).mean(1))


class KerasHandAttention(keras.Model):
    """The layers are made and called in another order."""

    def __init__(self, scale: float = 8**0.5, residual: bool = True) -> None:
        super().__init__()
        self.inp, self.head = layers.Dense(8), layers.Dense(10)
        self.fc, self.o, self.v, self.k, self.q = (layers.Dense(8) for _ in range(5))
        self.softmax = layers.Softmax()
        self.scale = scale
        self.residual = residual

    def call(self, x: Any) -> Any:
        h = self.inp(x)
        v, k, q = self.v(h), self.k(h), self.q(h)
        a = tf.matmul(self.softmax(tf.matmul(q, k, transpose_b=True) / self.scale), v)
        y = self.fc(tf.nn.relu(self.o(a)))
        return self.head(tf.reduce_mean(h + y if self.residual else y, 1))


class TorchResnet(nn.Module):
    """A block with stride 2 whose shortcut has the kernel shape of the branch."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.conv1 = nn.Conv2d(8, 8, 3, stride=2, bias=False)
        self.bn1 = nn.BatchNorm2d(8, eps=1e-3, momentum=0.01)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(8, eps=1e-3, momentum=0.01)
        self.short = nn.Conv2d(8, 8, 3, stride=2, bias=False)
        self.bns = nn.BatchNorm2d(8, eps=1e-3, momentum=0.01)
        self.fc = nn.Linear(8, 10)

    def forward(self, x: Any) -> Any:
        x = functional.relu(self.stem(x))
        y = functional.relu(self.bn1(self.conv1(functional.pad(x, (0, 1, 0, 1)))))
        y = self.bn2(self.conv2(y))
        y += self.bns(self.short(functional.pad(x, (0, 1, 0, 1))))
        return self.fc(functional.relu(y).mean((2, 3)))


class TorchResnetPadded(TorchResnet):
    """Pads both sides, as ``padding=1`` does: the usual mistake."""

    def forward(self, x: Any) -> Any:
        x = functional.relu(self.stem(x))
        y = functional.relu(self.bn1(self.conv1(functional.pad(x, (1, 1, 1, 1)))))
        y = self.bn2(self.conv2(y))
        y += self.bns(self.short(functional.pad(x, (1, 1, 1, 1))))
        return self.fc(functional.relu(y).mean((2, 3)))


def keras_resnet(early_relu: bool = False, **norm: Any) -> Any:
    """The shortcut comes first."""
    conv = {"padding": "same", "use_bias": False}
    inputs = layers.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, activation="relu", **conv)(inputs)
    short = layers.BatchNormalization()(layers.Conv2D(8, 3, strides=2, **conv)(x))
    y = layers.Conv2D(8, 3, strides=2, **conv)(x)
    y = layers.ReLU()(layers.BatchNormalization(**norm)(y))
    y = layers.BatchNormalization()(layers.Conv2D(8, 3, **conv)(y))
    y = layers.Add()([layers.ReLU()(y), short]) if early_relu else layers.Add()([y, short])
    y = layers.GlobalAveragePooling2D()(layers.ReLU()(y))
    return keras.Model(inputs, layers.Dense(10)(y))


class TorchMobile(nn.Module):
    """Separable convolutions with ReLU6 and a hand-written swish."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.deep = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
        self.point = nn.Conv2d(8, 12, 1)
        self.norm = nn.BatchNorm2d(12, eps=1e-3, momentum=0.01)
        self.fc = nn.Linear(12, 10)

    def forward(self, x: Any) -> Any:
        x = functional.relu6(self.stem(x))
        x = self.norm(self.point(self.deep(x)))
        x = x * torch.sigmoid(x)
        return self.fc(x.mean([2, 3]))


def keras_mobile(cap: float = 6.0) -> Any:
    return keras.Sequential([
        layers.Input((9, 9, 3)), layers.Conv2D(8, 3, strides=2, padding="same"),
        layers.ReLU(cap), layers.SeparableConv2D(12, 3, padding="same"),
        layers.BatchNormalization(), layers.Activation("silu"), layers.GlobalAveragePooling2D(),
        layers.Dense(10),
    ])  # fmt: skip


class TorchConv1d(nn.Module):
    """Channels first on sequences, group normalization, and a flatten."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(5, 8, 3)
        self.norm = nn.GroupNorm(2, 8, eps=1e-3)
        self.act = nn.PReLU(8)
        self.fc = nn.Linear(32, 10)

    def forward(self, x: Any) -> Any:
        x = self.act(self.norm(self.conv(x.transpose(1, 2))))
        return self.fc(x.flatten(1))


def keras_conv1d(groups: int = 2) -> Any:
    return keras.Sequential([
        layers.Input((6, 5)), layers.Conv1D(8, 3),
        layers.GroupNormalization(groups), layers.PReLU(
            alpha_initializer=keras.initializers.Constant(0.25), shared_axes=[1]
        ),
        layers.Flatten(), layers.Dense(10),
    ])  # fmt: skip


class TorchPositions(nn.Module):
    """Parameters on the user's own module: positions, and a norm written by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(12, 8)
        self.positions = nn.Parameter(torch.randn(1, 6, 8) * 0.1)
        self.gain = nn.Parameter(torch.ones(8))
        self.fc = nn.Linear(8, 12)

    def forward(self, x: Any) -> Any:
        h = self.emb(x) + self.positions
        h = h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-6) * self.gain
        return self.fc(h)


class KerasPositions(keras.Model):
    def __init__(self, scaled: bool = False) -> None:
        super().__init__()
        self.emb = layers.Embedding(12, 8)
        self.norm = layers.RMSNormalization(epsilon=1e-6)
        self.fc = layers.Dense(12)
        self.positions = self.add_weight(shape=(6, 8), name="positions")
        self.scaled = scaled

    def call(self, x: Any) -> Any:
        h = self.emb(x)
        h = h * tf.constant(8**0.5, h.dtype) if self.scaled else h
        return self.fc(self.norm(h + self.positions))


def torch_generator() -> Any:
    """Makes an image of a vector: PyTorch's channels come first when it is unflattened."""
    return nn.Sequential(
        nn.Linear(20, 128), nn.Unflatten(1, (8, 4, 4)), nn.ReLU(),
        nn.ConvTranspose2d(8, 3, 4, stride=2, padding=1),
    )  # fmt: skip


def keras_generator() -> Any:
    return keras.Sequential([
        layers.Input((20,)), layers.Dense(128), layers.Reshape((4, 4, 8)), layers.ReLU(),
        layers.Conv2DTranspose(3, 4, strides=2, padding="same"),
    ])  # fmt: skip


def noise(seed: int) -> Any:
    """Vectors, and images that are to be made of them."""
    return vectors(seed)[0], images(seed)[0]


class TorchSmall(nn.Module):
    """Convolution, normalization, an activation, the mean, a linear layer."""

    def __init__(self, norm: Any = None, **conv: Any) -> None:
        super().__init__()
        options = {"kernel_size": 3, "padding": 1, **conv}
        self.conv = nn.Conv2d(3, 6, **options)
        self.norm = norm if norm else nn.BatchNorm2d(6, eps=1e-3, momentum=0.01)
        self.fc = nn.Linear(6, 10)

    def forward(self, x: Any) -> Any:
        return self.fc(functional.relu(self.norm(self.conv(x))).mean((2, 3)))


def keras_small(
    *between: Callable[[], Any], norm: Any = layers.BatchNormalization, head: Any = None,
    pool: Any = layers.GlobalAveragePooling2D, **conv: Any,
) -> Any:  # fmt: skip
    """The twin of TorchSmall; ``between`` are further layers before the pooling."""
    options = {"kernel_size": 3, "padding": "same", **conv}
    return keras.Sequential([
        layers.Input((8, 8, 3)), layers.Conv2D(6, **options), norm(), layers.ReLU(),
        *(make() for make in between), pool(), layers.Dense(10, activation=head),
    ])  # fmt: skip


class TorchSequences(nn.Module):
    """An encoder whose state starts a decoder; both share the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(12, 6)
        self.encoder = nn.LSTM(6, 5, batch_first=True)
        self.decoder = nn.LSTM(6, 5, batch_first=True)
        self.fc = nn.Linear(5, 12)
        for rnn in (self.encoder, self.decoder):
            nn.init.zeros_(rnn.bias_hh_l0)
            rnn.bias_hh_l0.requires_grad_(False)

    def forward(self, x: Any, y: Any) -> Any:
        _, state = self.encoder(self.emb(x))
        return self.fc(self.decoder(self.emb(y), state)[0])


class KerasSequences(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.emb = layers.Embedding(12, 6)
        self.encoder = layers.LSTM(5, return_state=True)
        self.decoder = layers.LSTM(5, return_sequences=True)
        self.fc = layers.Dense(12)

    def call(self, inputs: Any) -> Any:
        x, y = inputs
        _, h, c = self.encoder(self.emb(x))
        return self.fc(self.decoder(self.emb(y), initial_state=[h, c]))


def two_sentences(seed: int) -> Any:
    """Sentences, and others that the decoder reads and writes."""
    x, y = tokens(seed)
    return (x, y), y


class TorchHeads(nn.Module):
    """Three outputs, two of which the third is made of; the noise is an input."""

    def __init__(self) -> None:
        super().__init__()
        self.inp, self.mean, self.spread = nn.Linear(20, 8), nn.Linear(8, 3), nn.Linear(8, 3)
        self.hidden, self.out = nn.Linear(3, 8), nn.Linear(8, 20)

    def forward(self, x: Any, noise: Any) -> Any:
        h = functional.relu(self.inp(x))
        mean, spread = self.mean(h), self.spread(h)
        z = mean + noise * torch.exp(0.5 * spread)
        return {"y": self.out(functional.relu(self.hidden(z))), "m": mean, "s": spread}


class KerasHeads(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.inp, self.mean = layers.Dense(8, activation="relu"), layers.Dense(3)
        self.spread, self.hidden = layers.Dense(3), layers.Dense(8, activation="relu")
        self.out = layers.Dense(20)

    def call(self, inputs: Any) -> Any:
        x, noise = inputs
        h = self.inp(x)
        mean, spread = self.mean(h), self.spread(h)
        y = self.out(self.hidden(mean + noise * tf.exp(0.5 * spread)))
        return {"y": y, "m": mean, "s": spread}


def vectors_with_noise(seed: int) -> Any:
    """Vectors with noise for each; the vectors are to be made again."""
    x = vectors(seed)[0]
    return (x, np.random.default_rng(seed + 1).standard_normal((7, 3)).astype("float32")), x


def heads_in_torch(outputs: Any, x: Any) -> Any:
    penalty = outputs["m"].square() + outputs["s"].exp() - outputs["s"]
    return functional.mse_loss(outputs["y"], x) + penalty.mean()


def heads_in_keras(x: Any, outputs: Any) -> Any:
    penalty = tf.square(outputs["m"]) + tf.exp(outputs["s"]) - outputs["s"]
    return tf.reduce_mean(tf.square(outputs["y"] - x)) + tf.reduce_mean(penalty)


class Recurrent(nn.Module):
    """An LSTM of which both biases are trained, as by default."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(5, 4, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Any) -> Any:
        return self.head(self.rnn(x)[0][:, -1])


def torch_flat() -> Any:
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 12), nn.ReLU(), nn.Linear(12, 10))


def keras_flat() -> Any:
    """The images of several channels are flattened before anything else."""
    return keras.Sequential([
        layers.Input((8, 8, 3)), layers.Flatten(), layers.Dense(12, activation="relu"),
        layers.Dense(10),
    ])  # fmt: skip


FAMILIES: dict[str, Family] = {
    "mlp": Family(torch_mlp, keras_mlp, vectors),
    "flat": Family(torch_flat, keras_flat, images),
    "cnn": Family(TorchCnn, keras_cnn, images),
    "depthwise": Family(torch_depthwise, keras_depthwise, images),
    "unet": Family(TorchUnet, KerasUnet, pictures, "mse"),
    "lstm": Family(lambda: TorchRnn("LSTM"), lambda: keras_rnn("LSTM"), sequences),
    "gru": Family(lambda: TorchRnn("GRU"), lambda: keras_rnn("GRU"), sequences),
    "bidirectional": Family(TorchBidirectional, keras_bidirectional, sequences),
    "transformer": Family(TorchTransformer, KerasTransformer, tokens),
    "hand attention": Family(TorchHandAttention, KerasHandAttention, sequences),
    "resnet": Family(TorchResnet, keras_resnet, images),
    "mobile": Family(TorchMobile, keras_mobile, lambda seed: images(seed, 9)),
    "conv1d": Family(TorchConv1d, keras_conv1d, sequences),
    "generator": Family(torch_generator, keras_generator, noise, "mse"),
    "small": Family(TorchSmall, keras_small, images),
    "sequences": Family(TorchSequences, KerasSequences, two_sentences),
    "heads": Family(TorchHeads, KerasHeads, vectors_with_noise, (heads_in_torch, heads_in_keras)),
    "positions": Family(TorchPositions, KerasPositions, tokens),
}
