"""Which library a dotted name of a script belongs to, such as ``tf.train.AdamOptimizer``."""

import difflib
from typing import NamedTuple

from .positions import NEW_KERAS_2

KERAS_ALONE = "keras.optimizers"  # Keras 3, unless an argument is of Keras 2 alone
KERAS_OF_TENSORFLOW = "tf.keras"  # the same, in TensorFlow from 2.16 on
CUSTOMARY = {  # names that scripts import under, where the text does not show the import
    "optim": "torch.optim", "tf": "tensorflow", "tf1": "tensorflow.compat.v1",
    "optimizers": "keras.optimizers", "optimizer_v2": "keras.optimizers", "tfk": "tensorflow.keras",
    "lr_scheduler": "torch.optim.lr_scheduler", "schedules": "keras.optimizers.schedules",
    "nn": "torch.nn", "np": "numpy", "jnp": "jax.numpy",
}  # fmt: skip
MODULES = {  # where optimizers are
    "torch.optim": "pytorch",
    "keras.optimizers": KERAS_ALONE,
    "tensorflow.keras.optimizers": KERAS_OF_TENSORFLOW,
    "tensorflow.optimizers": KERAS_OF_TENSORFLOW,
    "tensorflow.keras.optimizers.experimental": NEW_KERAS_2,
    "keras.optimizers.experimental": NEW_KERAS_2,
    "tf_keras.optimizers": NEW_KERAS_2,
    "tf_keras.optimizers.legacy": "tf_keras",
    "tensorflow.keras.optimizers.legacy": "tf_keras",
    "tensorflow.optimizers.legacy": "tf_keras",
    "keras.optimizers.legacy": "tf_keras",
    "tensorflow.train": "tensorflow1",
    "tensorflow.compat.v1.train": "tensorflow1",
    "optax": "optax",
}
NO_OPTIMIZERS = {  # modules beside them
    "torch.optim.lr_scheduler": "a learning rate schedule, and no optimizer",
    "torch.optim.swa_utils": "an average of weights, and no optimizer",
    "torch.nn.utils": "no optimizer, but stands beside one",
    "keras.optimizers.schedules": "a learning rate schedule, and no optimizer",
    "tensorflow.keras.optimizers.schedules": "a learning rate schedule, and no optimizer",
}
LIBRARIES = (
    "torch.optim, keras.optimizers, tf.keras.optimizers, tf_keras.optimizers, tf.compat.v1.train "
    "and optax"
)


class Place(NamedTuple):
    """An optimizer: its library, a key of ``ORDERS`` or ``KERAS_...``, and its name."""

    library: str
    name: str


def _did_you_mean(module: str, name: str) -> str:
    """What a path may have meant, from its first word or from a module spelled much alike."""
    first = module.partition(".")[0]
    related = [known for known in MODULES if known.partition(".")[0] == first]
    near = [known for known in related if known.startswith(f"{module}.")]
    near += difflib.get_close_matches(module, related, n=1, cutoff=0.0)
    near += difflib.get_close_matches(module, MODULES, n=1, cutoff=0.75)
    return f"; did you mean {_short(near[0])}.{name}?" if near else ""


def _short(path: str) -> str:
    return path.replace("tensorflow.", "tf.")


def canonical(path: str) -> str:
    """The path with the customary names of modules in full: ``tf.x`` is ``tensorflow.x``."""
    first, dot, rest = path.partition(".")
    return CUSTOMARY.get(first, first) + dot + rest


def locate(path: str) -> Place | None:
    """The optimizer at a dotted path.

    None for a path without a module. ValueError for a module without optimizers.
    """
    module, _, name = canonical(path).rpartition(".")
    if not module:
        return None
    if module in NO_OPTIMIZERS:
        raise ValueError(f"{_short(path)} is {NO_OPTIMIZERS[module]}; give the optimizer's call")
    if module.startswith("torch.optim.") and module.endswith(f".{name.lower()}"):
        module = "torch.optim"
    if module not in MODULES:
        raise ValueError(
            f"{_short(path)} is in no library that is read here; there are: {LIBRARIES}"
            f"{_did_you_mean(module, name)}"
        )
    return Place(MODULES[module], name)
