"""How PyTorch and Keras write the parts around a rule; and Optax and TensorFlow 1, averages.

Each module has functions ``read_...`` and ``spell_...`` for ``schedule``, ``clipping``, ``average``
and ``accumulation``; ``optax`` and ``tensorflow1`` for ``average`` alone.

>>> from samestep.reference.dialects import parts
>>> arguments = {"boundaries": [3, 7], "values": [0.5, 0.25, 0.125]}
>>> schedule = parts.keras.read_schedule("PiecewiseConstantDecay", **arguments)
>>> str(parts.pytorch.spell_schedule(schedule))
'MultiStepLR(milestones=[4, 8], gamma=0.5)  # on an optimizer with lr=0.5'
"""

from . import keras, optax, pytorch, tensorflow1

__all__ = ["keras", "optax", "pytorch", "tensorflow1"]
