"""Carry a run across frameworks, and audit a resumed run: files that execute nothing."""

from .refused import Refused
from .run import Around, Run, Tensor, check

__all__ = ["Around", "Refused", "Run", "Tensor", "check"]
