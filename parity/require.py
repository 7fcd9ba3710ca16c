"""Frameworks are optional on a user's machine and compulsory in CI."""

import importlib
import os
import shutil
from types import ModuleType

import pytest


def require(module: str) -> ModuleType:
    """Import a framework for a test module, or skip the module with the reason; in CI its absence is an error."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{module} is not installed: {error}", allow_module_level=True)


def compiler() -> str | None:
    """The C++ compiler that torch.compile would use on the CPU, if there is one."""
    return shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")
