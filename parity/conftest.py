"""What every test starts from: torch before TensorFlow, one thread, versions in the header."""

import contextlib
import platform
from importlib import metadata

with contextlib.suppress(ImportError):  # the other order is known to crash
    import torch

    torch.set_num_threads(1)  # the first two-threaded torch.sqrt of a process was seen thousands of ulps off


def pytest_report_header() -> str:
    """The versions that the verdicts are about."""
    found = []
    for package in ("numpy", "torch", "tensorflow", "keras"):
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            found.append(f"{package} absent")
    return f"{', '.join(found)}; {platform.machine()}, one thread"
