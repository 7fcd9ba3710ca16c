"""Wrong rules: rules with one planted mistake each. Every limit must reject them.

Each is a mistake that somebody has made, or plausibly would. ``table`` lists them, one a line, as
text replacements; ``wrong_rules`` gives them as classes.
"""

import functools
import importlib
import itertools
import sys
from pathlib import Path
from types import ModuleType

from samestep import PACKAGE
from samestep.reference import Rule

from .patch import Patch
from .table import RULES

__all__ = ["RULES", "SHARED", "Patch", "plant", "wrong_rules"]

SHARED = ("rule", "scalars", "sums", "matrices")  # modules that every rule stands on

_serial = itertools.count()


@functools.cache
def wrong_rules(name: str) -> dict[str, type[Rule]]:
    """The rule class called ``name`` with each mistake of the table that applies to it, by the
    mistake's name.
    """
    files = [f"reference/{stem}.py" for stem in ("rule", "scalars", "sums", name.lower())]
    patches = [patch for patch in RULES if patch.file in files and patch.applies()]
    return {patch.name: getattr(plant(patch, name.lower()), name) for patch in patches}


def plant(patch: Patch, module: str) -> ModuleType:
    """The module ``samestep.reference.<module>`` with the mistake planted, in a package beside the
    right one.
    """
    return importlib.import_module(f"{_package(patch)}.{module}")


@functools.cache  # every rule asks for the patches of shared modules
def _package(patch: Patch) -> str:
    """The name of a package like ``samestep.reference`` with the mistake planted.

    A patched rule stands beside the shared modules as they are. For a patched shared module all
    others are imported again, each when it is first asked for.
    """
    stem = Path(patch.file).stem
    package = ModuleType(f"wrong_reference_{next(_serial)}")
    package.__path__ = [str(PACKAGE / "reference")]
    wrong = ModuleType(f"{package.__name__}.{stem}")
    wrong.__package__ = package.__name__
    sys.modules |= {package.__name__: package, wrong.__name__: wrong}
    if stem not in SHARED:
        right = {name: importlib.import_module(f"samestep.reference.{name}") for name in SHARED}
        sys.modules |= {f"{package.__name__}.{name}": shared for name, shared in right.items()}
    exec(compile(patch.patched(), PACKAGE / patch.file, "exec"), wrong.__dict__)
    return package.__name__
