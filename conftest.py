"""What holds for every test of this project and of its benchmarks: the header, the options, the rungs.

It imports nothing of the project, so that each test file loads only what it needs.
"""

import getpass
import os
import platform
import tempfile
from importlib import metadata
from pathlib import Path

import pytest

PACKAGES = ("numpy", "torch", "tensorflow", "keras", "tf_keras", "optax", "onnx")

if kernels := os.environ.get("ATEN_CPU_CAPABILITY"):
    # torch compiles for these instructions, but would take what it has cached from runs with others
    os.environ.setdefault(
        "TORCHINDUCTOR_CACHE_DIR", str(Path(tempfile.gettempdir(), f"torchinductor_{getpass.getuser()}_{kernels}"))
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that chooses how much is run."""
    parser.addoption("--full", action="store_true", help="train every call, not a share of them")


def pytest_report_header() -> list[str]:
    """The copy of samestep that is tested, and the versions that the verdicts are about."""
    import samestep

    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{package} absent")
    return [f"samestep: {samestep.__file__}", f"{', '.join(versions)}; {platform.machine()}, one thread"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the rung of each test into the JUnit XML file, from which the report counts them."""
    for item in items:
        mark = item.get_closest_marker("rung")
        if mark:
            item.user_properties.append(("rung", mark.args[0]))


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """True if the whole product is run, False for the share that covers every rule and file."""
    return bool(request.config.getoption("--full"))
