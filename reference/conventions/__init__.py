"""What layers, losses, optimizers and files mean in Keras and in PyTorch, as data.

Keras 3 on TensorFlow and PyTorch, in the versions that tox.ini pins. Each row has facts that
``samestep.migrate.checks`` measures on the installed libraries. The rows need no framework.

>>> from samestep.reference import conventions
>>> conventions.find("norm-epsilon").facts["pytorch LayerNorm"]
1e-05
"""

from .convention import Convention
from .layers import LAYERS
from .normalization import NORMALIZATION
from .training import TRAINING

CONVENTIONS: tuple[Convention, ...] = (*NORMALIZATION, *LAYERS, *TRAINING)


def find(name: str) -> Convention:
    """The row with this name; ValueError if there is none."""
    for row in CONVENTIONS:
        if row.name == name:
            return row
    known = ", ".join(row.name for row in CONVENTIONS)
    raise ValueError(f"there is no convention {name!r}; there are: {known}")


__all__ = ["CONVENTIONS", "Convention", "find"]
