"""Assert in a test that a saved and loaded run is the unbroken run."""

from collections.abc import Callable
from typing import Any

from . import usual
from .comparison import Audit, Program, audit
from .text import lines


def same_after_resume(
    build: Callable[[], dict[str, Any]],
    *,
    save: Callable[..., Any] = usual.save,
    load: Callable[..., Any] = usual.load,
    at: int = 50,
    steps: int = 20,
) -> Audit:
    """AssertionError unless a run that was saved and loaded goes on as if it had not been.

    ``build()`` gives a dict of the run's parts with a function "step", as for ``samestep resume``.
    ``save(run, folder)`` and ``load(run, folder)`` are yours; by default the usual ways. The run is
    saved after ``at`` steps and followed for ``steps``. Returns the audit. The message names the
    first lost stage and what cures it.
    """
    result = audit(Program(build, save, load), at, steps)
    if not result.same:
        raise AssertionError("\n".join(lines(result)))
    return result
