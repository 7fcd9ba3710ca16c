"""The header of every test run: the versions that the verdicts are about. And the batches that tests share."""

import platform
from importlib import metadata

import numpy as np
import pytest

from frameworks import experiment, mnist
from parity import ledger

BATCHES = 200  # steps of the tests that need no whole epoch
LEFT_OUT = "left to tox -e parity-full"


def pytest_addoption(parser: pytest.Parser) -> None:
    """How much to run."""
    parser.addoption("--full", action="store_true", help="train every call and plant every mutant, not a share of them")


def pytest_configure(config: pytest.Config) -> None:
    """Keep account of a run of the whole suite."""
    if ledger.whole(config):
        config.pluginmanager.register(ledger.Ledger(config))


def pytest_report_header() -> str:
    """Versions, and the one thread that everything runs on."""
    found = []
    for package in ("numpy", "torch", "tensorflow", "keras", "tf_keras", "optax", "onnx"):
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            found.append(f"{package} absent")
    return f"{', '.join(found)}; {platform.machine()}, one thread"


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether the whole product is run, or the share that covers every rule and file."""
    return bool(request.config.getoption("--full"))


@pytest.fixture(scope="session")
def batches() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The first batches of the experiment: images, labels, masks."""
    data = mnist.load()
    drawn = experiment.batches(1, len(data.train_labels))
    chosen = (next(drawn) for _ in range(BATCHES))
    return [(data.train_images[i], data.train_labels[i], mask) for i, mask in chosen]
