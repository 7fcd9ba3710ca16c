"""What crosses from one framework to the other: conventions, maps, pairs of models, and runs."""

from .assertion import same_training_step
from .port.resume import same_after_resume

__all__ = ["same_after_resume", "same_training_step"]
