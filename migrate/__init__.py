"""What crosses from one framework to the other: conventions, maps, and pairs of models."""

from .assertion import same_training_step

__all__ = ["same_training_step"]
