"""One difference between Keras and PyTorch, as data."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Convention:
    """What one matter means in Keras and in PyTorch.

    ``name`` is the key of the row. ``topic`` is the layer or the part of training. ``keras`` and
    ``pytorch`` are sentences for readers. ``effect`` says what follows for a pair of models.
    ``facts`` are the values that ``samestep.migrate.checks`` measures on the installed libraries:
    numbers, names, shapes as tuples, and truth values. ``needs`` names packages besides torch,
    TensorFlow and Keras 3 that the check needs.
    """

    name: str
    topic: str
    matter: str
    keras: str
    pytorch: str
    effect: str
    facts: Mapping[str, object]
    needs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """ValueError if a row has no fact: then nothing would hold it to the libraries."""
        if not self.facts:
            raise ValueError(f"convention {self.name!r} must have at least one fact, got none")
