"""All dialects, by name."""

from samestep.reference.near_miss import did_you_mean

from .article import article
from .dialect import Dialect
from .keras import keras
from .onnx import onnx
from .optax import optax
from .paper import paper
from .pytorch import pytorch
from .tensorflow1 import tensorflow1
from .tf_keras import tf_keras

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (pytorch, keras, tf_keras, tensorflow1, optax, onnx, paper, article)
}
OTHER_NAMES = {  # what a dialect may be called by mistake
    "torch": "pytorch", "tf": "keras", "tensorflow": "keras", "tf.keras": "keras",
    "keras2": "tf_keras", "keras3": "keras", "tf1": "tensorflow1", "jax": "optax",
}  # fmt: skip


def find(name: str) -> Dialect:
    """The dialect of that name; ValueError lists the names there are."""
    if name not in DIALECTS:
        raise unknown(name)
    return DIALECTS[name]


def unknown(name: str) -> ValueError:
    """The error for a name that is no dialect's."""
    near = OTHER_NAMES.get(str(name).lower())
    advice = f"; did you mean {near}?" if near else did_you_mean(str(name), DIALECTS)
    return ValueError(f"there is no dialect {name!r}; there are: {', '.join(DIALECTS)}{advice}")
