"""Frameworks are optional on a user's machine and compulsory in CI."""

import contextlib
import importlib
import os
import shutil
import sys
from types import ModuleType

import pytest

LEFT_OUT = "left to tox -e parity-full"  # the reason of a skip where a share is run


def require(module: str) -> ModuleType:
    """Import a framework for a test module, or skip the module with the reason; in CI its absence is an error.

    torch comes before TensorFlow, since the other order is known to crash, and so does the compiler of its CUDA build,
    which it imports late. It is given one thread, since the first two-threaded torch.sqrt of a process was seen
    thousands of ulps off.
    """
    if "torch" not in sys.modules:
        with contextlib.suppress(ImportError):
            importlib.import_module("torch").set_num_threads(1)
            importlib.import_module("triton")
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{module} is not installed: {error}", allow_module_level=True)


def compiler() -> str | None:
    """The C++ compiler that torch.compile would use on the CPU, if there is one."""
    return shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")
