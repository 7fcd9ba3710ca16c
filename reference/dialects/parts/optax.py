"""How Optax writes averages of weights: optax 0.2.

Read off optax/transforms/_accumulation.py (``ema``) and optax/_src/update.py
(``incremental_update``). ``optax.ema`` starts at zero; its ``update`` gives the corrected average,
unless ``debias=False``. It is meant for gradients, and averages parameters if it is given
parameters. ``incremental_update(new, old, step_size)`` has no state: ``old`` is the average, which
users begin as a copy of the parameters before training.
"""

from typing import Any

from samestep.reference.dialects.call import Call, Inexpressible
from samestep.reference.parts import Average, MovingAverage, Start

from .signatures import REQUIRED, Signatures, complete

AVERAGES: Signatures = {
    "ema": {"decay": REQUIRED, "debias": True, "accumulator_dtype": None},
    "incremental_update": {"step_size": REQUIRED},
}


def read_average(name: str, /, **arguments: Any) -> Average:
    """The average of ``optax.ema`` on parameters, or of ``optax.incremental_update``.

    ValueError for an unknown name or argument, or one that is missing.
    """
    a = complete("optax", AVERAGES, name, arguments)
    if name == "incremental_update":
        return MovingAverage(keep=1 - a["step_size"], start=Start.INITIAL)
    return MovingAverage(keep=a["decay"], start=Start.CORRECTED if a["debias"] else Start.ZERO)


def spell_average(average: Average) -> Call:
    """The call in optax that means the average, or Inexpressible."""
    what = f"{average!r} in optax"
    ours = "samestep.reference.parts, whose update() works on JAX arrays, too"
    if not isinstance(average, MovingAverage):
        raise Inexpressible(what, "optax.ema forgets at a constant pace", ours)
    if average.by_updates:
        raise Inexpressible(what, "optax.ema has one decay for all updates", ours)
    match average.start:
        case Start.CORRECTED:
            return Call("ema", {"decay": average.keep})
        case Start.ZERO:
            return Call("ema", {"decay": average.keep, "debias": False})
        case Start.INITIAL:
            step_size = 1 - average.keep
            condition = "with old = the parameters before training"
            return Call("incremental_update", {"step_size": step_size}, condition)
    instead = (
        f"incremental_update(new, old, step_size={1 - average.keep!r}) from the second step on, "
        f"with old = the parameters after the first, or {ours}"
    )
    raise Inexpressible(what, "optax.ema starts at zero and does not copy", instead)
