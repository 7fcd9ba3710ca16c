"""Settings of every test and benchmark of this project: the header, the options, the rungs.

It imports no other module of the project, so that each test file loads only what it needs.
"""

import os
import platform
from importlib import metadata

import pytest

import samestep

# Before NumPy is loaded: several processes test side by side, and threads of matrix products that
# wait for each other on busy cores take ten times as long as one.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

PACKAGES = ("numpy", "torch", "tensorflow", "keras", "tf_keras", "optax", "onnx")

# The files that take longest, in this order. They are run first: the tests of a file share a
# worker, and a long file that begins late would run alone at the end.
LONGEST = (
    "parity/tests/rung2_adapters/test_adapters.py",
    "parity/tests/rung5_training/test_training.py",
    "parity/tests/compare/test_causes.py",
    "tests/test_cli_compare.py",
    "parity/tests/compare/test_identify.py",
    "parity/tests/rung2_adapters/test_tiered_steps.py",
    "parity/tests/compare/test_identify_unknown.py",
    "parity/tests/compare/test_same_steps.py",
    "tests/test_docs.py",
    "parity/tests/rung3_natives/test_natives.py",
    "migrate/tests/test_pair_right.py",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that chooses how much is run."""
    parser.addoption(
        "--full", action="store_true", help="run or time every call, not a share of them"
    )


def pytest_report_header() -> list[str]:
    """The copy of samestep that is tested, and the versions that the verdicts are about."""
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{package} absent")
    return [
        f"samestep: {samestep.__file__}",
        f"{', '.join(versions)}; {platform.machine()}, one thread",
    ]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Tell each worker of pytest-xdist which copy of samestep the controller imported."""
    node.workerinput["samestep"] = samestep.__file__  # type: ignore[attr-defined]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest files first, and the rung of each test into the JUnit XML file.

    The report counts the rungs there.
    """
    places = {config.rootpath / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(LONGEST)))
    for item in items:
        mark = item.get_closest_marker("rung")
        if mark:
            item.user_properties.append(("rung", mark.args[0]))


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """True if the whole product is run, False for the share that covers every rule and file."""
    return bool(request.config.getoption("--full"))
