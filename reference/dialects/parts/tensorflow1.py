"""How TensorFlow 1 writes averages of weights: ``tf.train.ExponentialMovingAverage``.

Read off tensorflow/python/training/moving_averages.py of tensorflow 2.21, where it still exists.
The average of a variable starts at the value that the variable has when ``apply`` is first called
in eager code, and at its initial value in a graph. ``zero_debias`` concerns tensors, not
variables. The share 1 - decay is computed in float32, whatever the variable's dtype.
"""

from typing import Any

from samestep.reference.dialects.call import Call, Inexpressible
from samestep.reference.parts import Average, MovingAverage, Start

from .signatures import REQUIRED, Signatures, complete

AVERAGES: Signatures = {
    "ExponentialMovingAverage": {"decay": REQUIRED, "num_updates": None, "zero_debias": False},
}


def read_average(name: str = "ExponentialMovingAverage", /, **arguments: Any) -> Average:
    """The average of ``tf.train.ExponentialMovingAverage(**arguments)`` of variables.

    With ``num_updates``, whatever it is, give the same numbers to ``Averages.update``. ValueError
    for an unknown name or argument, or one that is missing.
    """
    arguments.pop("name", None)
    a = complete("tf.train", AVERAGES, name, arguments)
    by_updates = a["num_updates"] is not None
    return MovingAverage(keep=a["decay"], start=Start.INITIAL, by_updates=by_updates)


def spell_average(average: Average) -> Call:
    """The call in tf.train that means the average, or Inexpressible."""
    what = f"{average!r} in tf.train"
    ours = "samestep.frameworks.tensorflow.parts.Averages(variables, average)"
    if not isinstance(average, MovingAverage):
        why = "ExponentialMovingAverage forgets at a constant pace"
        raise Inexpressible(what, why, ours)
    if average.start is not Start.INITIAL:
        why = "ExponentialMovingAverage starts at the values before training"
        raise Inexpressible(what, why, ours)
    if not average.by_updates:
        return Call("ExponentialMovingAverage", {"decay": average.keep})
    condition = "with num_updates = a variable that holds the number of training steps"
    return Call("ExponentialMovingAverage", {"decay": average.keep, "num_updates": 0}, condition)
