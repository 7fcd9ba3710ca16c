"""Mutants: wrong rules, made on purpose, by one change to the source.

Each is a mistake that somebody has made, or plausibly would. ``test_sensitivity`` plants them one at a time in a copy
of the project and runs the unchanged suite. The other tests take the wrong rules among them as the nearest wrong
answer that a limit must keep out.

Those are written by hand and read as tables: a mutant a line, however long. Others are made from the source itself
(``generated``), and only the audit plants them.
"""

import functools
import importlib
import itertools
import sys
from pathlib import Path
from types import ModuleType

from reference import Rule

from .adapters import ADAPTERS
from .around import AROUND
from .dialects import DIALECTS
from .equivalent import EQUIVALENT
from .generated import SHARED, made
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
    wrong = [mutant for mutant in RULES if mutant.file in files and mutant.applies(ROOT)]
    return {mutant.name: getattr(reference(mutant, name.lower()), name) for mutant in wrong}


def reference(mutant: Mutant, module: str) -> ModuleType:
    """A module of ``reference`` with the mutant planted, in a package beside the right one."""
    return importlib.import_module(f"{_package(mutant)}.{module}")


@functools.cache  # those of shared files are asked for by every rule
def _package(mutant: Mutant) -> str:
    """The name of a package with the mutant planted. A rule of its own is planted beside the shared modules as they
    are; for a shared one, all others are read anew, each when it is first asked for."""
    package = ModuleType(f"wrong_reference_{next(_serial)}")
    package.__path__ = [str(ROOT / "reference")]
    wrong = ModuleType(f"{package.__name__}.{Path(mutant.file).stem}")
    wrong.__package__ = package.__name__
    sys.modules |= {package.__name__: package, wrong.__name__: wrong}
    if Path(mutant.file).stem not in SHARED:
        right = {stem: importlib.import_module(f"reference.{stem}") for stem in SHARED}
        sys.modules |= {f"{package.__name__}.{stem}": module for stem, module in right.items()}
    exec(compile(mutant.planted(ROOT), ROOT / mutant.file, "exec"), wrong.__dict__)
    return package.__name__


_serial = itertools.count()
