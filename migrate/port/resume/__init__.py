"""Is a resumed run the unbroken run? If not, what was lost first, and what cures it."""

from .assertion import same_after_resume
from .comparison import Audit, Program, audit
from .leaves import Loss, Stage
from .text import lines

__all__ = ["Audit", "Loss", "Program", "Stage", "audit", "lines", "same_after_resume"]
