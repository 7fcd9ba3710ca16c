"""Which of the three generations of Keras' optimizers a call means.

The legacy ones are ``tf.keras.optimizers`` up to TensorFlow 2.10, the new ones 2.11 to 2.15, those
of Keras 3 from 2.16 on. A script does not say its version, but an argument may.

The new ones take the steps of Keras 3's, read off tf_keras/src/optimizers/*.py 2.21, apart from
Lion's default learning rate and Adam's ``adaptive_epsilon``; a test holds that.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from samestep.reference.near_miss import did_you_mean

from .call import Inexpressible
from .libraries import KERAS_ALONE, KERAS_OF_TENSORFLOW, Place
from .positions import NEW_KERAS_2, ORDERS

LEGACY = (
    "tf_keras: means the legacy optimizers, tf_keras.optimizers.legacy, which are those of "
    "TensorFlow up to 2.10; the new ones of 2.11 to 2.15 are written tf_keras.optimizers.Adam(...)"
)
LION_RATE = 1e-4  # the default of the new ones; Keras 3 has 1e-3


class Version(NamedTuple):
    """The dialect of a call, its arguments in that dialect, and what was assumed."""

    dialect: str
    arguments: dict[str, Any]
    assumptions: tuple[str, ...] = ()


def library_of(place: Place, names: list[str]) -> str:
    """The library whose signature a call has, from the names of its keyword arguments."""
    if place.library not in (KERAS_ALONE, KERAS_OF_TENSORFLOW):
        return place.library
    takes = {library: ORDERS[library].get(place.name) for library in ("keras", NEW_KERAS_2)}
    new = takes[NEW_KERAS_2]
    keras_3 = takes["keras"]
    legacy = ORDERS["tf_keras"].get(place.name)
    if keras_3 and not set(names) <= set(keras_3.every):
        if legacy and {"lr", "decay", "schedule_decay"} & set(names):
            return "tf_keras" if set(names) <= set(legacy.every) else "keras"
        if new and set(names) <= set(new.every):
            return NEW_KERAS_2
    return "keras"


def decide(place: Place, library: str, arguments: dict[str, Any]) -> Version:
    """The call in a dialect. ``library`` is the one whose signature the arguments have."""
    name = place.name
    if library == NEW_KERAS_2:
        assumption = f"tf_keras.optimizers.{name} is read as keras.optimizers.{name}, whose steps "
        assumption += "it takes"
        return Version("keras", _as_keras_3(name, arguments), (assumption,))
    if place.library == library or (place.library, library) == (KERAS_ALONE, "keras"):
        return Version(library, arguments)
    if library == "tf_keras":
        old = next(each for each in ("lr", "decay", "schedule_decay") if each in arguments)
        assumption = (
            f"{old}= is an argument of the legacy optimizers alone, so {name} is read as "
            f"tf_keras.optimizers.legacy.{name}, that of TensorFlow up to 2.10"
        )
        return Version(library, arguments, (assumption,))
    assumption = (
        f"tf.keras.optimizers.{name} is read as that of Keras 3, in TensorFlow from 2.16 on"
    )
    if name in ORDERS["tf_keras"]:
        assumption += f"; write tf.keras.optimizers.legacy.{name} for that of TensorFlow up to 2.10"
    return Version(library, arguments, (assumption,))


def _as_keras_3(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of Keras 3 that mean those of a new optimizer of Keras 2."""
    title = f"tf_keras.optimizers.{name}"
    natives = ORDERS[NEW_KERAS_2]
    if name not in natives:
        raise ValueError(
            f"tf_keras.optimizers has no optimizer {name!r} here; there are: "
            f"{', '.join(natives)}{did_you_mean(name, natives)}"
        )
    values = {key: value for key, value in arguments.items() if key != "jit_compile"}
    for argument in values:
        if argument in ("decay", "gradient_aggregator", "gradient_transformers"):
            raise ValueError(
                f"{title} has no argument {argument!r}: the legacy optimizers have it, "
                f"tf_keras.optimizers.legacy.{name}"
            )
        if argument not in natives[name].every and not argument.startswith("*"):
            raise ValueError(
                f"{title} has no argument {argument!r}; it takes: {', '.join(natives[name].every)}"
                f"{did_you_mean(argument, natives[name].every)}"
            )
    if values.pop("adaptive_epsilon", False):
        instead = f"pytorch:{name}(lr=..., eps=...), which does so"
        why = "it adds epsilon after the bias correction of v, and keras.optimizers before it"
        raise Inexpressible(f"adaptive_epsilon of {title}", why, instead)
    if "lr" in values:
        values["learning_rate"] = values.pop("lr")
    if name == "Lion":
        values.setdefault("learning_rate", LION_RATE)
    return values
