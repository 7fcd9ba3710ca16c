"""What the header of every test run says: the versions that the verdicts are about."""

import platform
from importlib import metadata


def pytest_report_header() -> str:
    """Versions, and the one thread that everything runs on."""
    found = []
    for package in ("numpy", "torch", "tensorflow", "keras"):
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            found.append(f"{package} absent")
    return f"{', '.join(found)}; {platform.machine()}, one thread"
