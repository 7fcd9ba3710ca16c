"""Parts as the arguments of a Keras optimizer, of Keras 3 or 2."""

from typing import Any

from samestep.reference.dialects.call import Inexpressible
from samestep.reference.parts import Accumulation, Average, Clipping, Schedule

from . import keras

MODULES = {"keras": "keras.optimizers", "tf_keras": "tf_keras.optimizers"}


class Code(str):
    """A piece of code whose repr is itself, so that a call shows it as an argument."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def arguments(dialect: str, name: str, part: Any) -> dict[str, Any]:
    """The arguments that mean the part, which is called ``name``; Inexpressible if there are none.

    ``dialect`` is "keras" or "tf_keras", whose legacy optimizers clip and follow schedules alone.
    """
    if isinstance(part, Clipping):
        return keras.spell_clipping(part)
    if isinstance(part, Schedule):
        module = f"{MODULES[dialect]}.schedules"
        return {"learning_rate": Code(f"{module}.{keras.spell_schedule(part)}")}
    if dialect != "keras":
        why = "the legacy optimizers have no argument for it"
        raise Inexpressible(f"{name} in {dialect}", why, "write it beside the optimizer")
    if isinstance(part, Average):
        return keras.spell_average(part)
    if isinstance(part, Accumulation):
        return dict(keras.spell_accumulation(part))
    return {"loss_scale_factor": part}
