"""Mutants: wrong rules, made on purpose, by one change to the source.

Each is a mistake that somebody has made, or plausibly would. ``test_sensitivity`` plants them one at a time in a copy
of the project and runs the unchanged suite. The other tests take the wrong rules among them as the nearest wrong
answer that a limit must keep out.

Those are written by hand and read as tables: a mutant a line, however long. Others are made from the source itself
(``generated``), and only the audit plants them.
"""

import functools
import importlib.util
import itertools
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from reference import Rule

from .adapters import ADAPTERS
from .around import AROUND
from .dialects import DIALECTS
from .equivalent import EQUIVALENT
from .generated import made
from .mutant import ROOT, Mutant
from .rules import RULES

__all__ = [
    "ADAPTERS",
    "ALL",
    "AROUND",
    "DIALECTS",
    "EQUIVALENT",
    "ROOT",
    "RULES",
    "Mutant",
    "every",
    "reference",
    "wrong_rules",
]

ALL = [*RULES, *DIALECTS, *ADAPTERS, *AROUND]  # those written by hand


@functools.cache
def every() -> tuple[Mutant, ...]:
    """Those written by hand, then those made from the sources that are not among them."""
    written = {(mutant.file, mutant.planted(ROOT)) for mutant in ALL}
    return (*ALL, *(mutant for mutant in made() if (mutant.file, mutant.planted(ROOT)) not in written))


@functools.cache
def wrong_rules(name: str) -> dict[str, type[Rule]]:
    """The rule of that name under each mutant of ``reference`` written by hand."""
    files = [f"reference/{stem}.py" for stem in ("rule", "scalars", "sums", name.lower())]
    return {m.name: getattr(reference(m), name) for m in RULES if m.file in files and m.applies(ROOT)}


@functools.cache  # those of shared files are asked for by every rule
def reference(mutant: Mutant) -> ModuleType:
    """The package of rules with the mutant planted: a copy, imported beside the right one."""
    folder = Path(tempfile.mkdtemp(prefix="samestep-wrong-"))
    sys.path.insert(0, str(folder))
    try:
        shutil.copytree(
            ROOT / "reference", folder / "reference"
        )  # with what Python has compiled already: half the time
        mutant.apply(folder)
        Path(importlib.util.cache_from_source(str(folder / mutant.file))).unlink(missing_ok=True)
        package = f"wrong_reference_{next(_serial)}"
        (folder / "reference").rename(folder / package)
        return importlib.import_module(package)
    finally:
        sys.path.remove(str(folder))
        shutil.rmtree(folder)


_serial = itertools.count()
