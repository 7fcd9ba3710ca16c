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

__all__ = ["RULES", "SHARED", "Patch", "PlantedPackage", "plant", "wrong_rules"]

SHARED = ("rule", "scalars", "sums", "matrices")  # modules that every rule stands on

_serial = itertools.count()


class PlantedPackage:
    """A package in memory like ``samestep.reference``, with a patch planted in one of its modules.

    A patched rule stands beside the shared modules as they are. For a patched shared module all
    others are imported again, each when it is first asked for.
    """

    def __init__(self, patch: Patch) -> None:
        """Compile and import the patched module; raises whatever the patched source raises."""
        stem = Path(patch.file).stem
        self.name = f"wrong_reference_{next(_serial)}"
        package = ModuleType(self.name)
        package.__path__ = [str(PACKAGE / "reference")]
        wrong = ModuleType(f"{self.name}.{stem}")
        wrong.__package__ = self.name
        sys.modules |= {package.__name__: package, wrong.__name__: wrong}
        if stem not in SHARED:
            right = {name: importlib.import_module(f"samestep.reference.{name}") for name in SHARED}
            sys.modules |= {f"{self.name}.{name}": module for name, module in right.items()}
        exec(compile(patch.patched(), PACKAGE / patch.file, "exec"), wrong.__dict__)

    def module(self, name: str) -> ModuleType:
        """The module that stands for ``samestep.reference.<name>``."""
        return importlib.import_module(f"{self.name}.{name}")

    def remove(self) -> None:
        """Forget the package and its modules, so that they take no memory."""
        for name in [name for name in sys.modules if name.partition(".")[0] == self.name]:
            del sys.modules[name]


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
    return _package(patch).module(module)


_package = functools.cache(PlantedPackage)  # every rule asks for the patches of shared modules
