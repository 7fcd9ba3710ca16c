"""Frameworks are optional on a user's machine. In CI all must be installed."""

import contextlib
import importlib
import os
import shutil
import sys
from types import ModuleType

import pytest

LEFT_OUT = "left to tox -e parity-full"  # the reason of a skip where a share is run


def require(module: str) -> ModuleType:
    """Import a module, or skip the test module that asks for it; in CI raise ImportError.

    PyTorch is imported before TensorFlow, since the other order is known to crash. So is triton,
    the compiler of its CUDA build, which it would import later. PyTorch gets one thread, since the
    first two-threaded torch.sqrt of a process was seen thousands of ulps off.
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
    """The path of the C++ compiler that torch.compile would use on the CPU, or None."""
    return shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")
