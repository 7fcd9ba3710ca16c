"""Stand-ins for the framework that a process does not need, while the user's file is imported.

A file of a pair usually imports both frameworks at its top, and each takes seconds. In the process
of one side the other framework's names are stand-ins: classes can inherit from them and functions
can mention them, but nothing can be computed with them. A process in which that does not suffice
starts again with both frameworks.
"""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any


class _AbsentType(type):
    """The class of stand-ins: every attribute is a stand-in."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent


class Absent(metaclass=_AbsentType):
    """A name of a framework that is not imported here."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As a decorator it returns what it decorates."""
        return args[0] if len(args) == 1 and callable(args[0]) and not kwargs else Absent()


class _AbsentModule(ModuleType):
    """A module whose every name is a stand-in."""

    __path__: list[str] = []  # noqa: RUF012  it is a package

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules of absent frameworks."""

    def __init__(self, packages: Sequence[str]) -> None:
        self.packages = packages

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """A spec for the packages and everything in them."""
        if fullname.partition(".")[0] in self.packages:
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """A module of stand-ins."""
        return _AbsentModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is executed."""


@contextmanager
def absent(*packages: str) -> Iterator[None]:
    """Import stand-ins in place of these packages, unless they are imported already."""
    missing = [package for package in packages if package not in sys.modules]
    finder = _Finder(missing)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in list(sys.modules):
            if isinstance(sys.modules[name], _AbsentModule):
                del sys.modules[name]
