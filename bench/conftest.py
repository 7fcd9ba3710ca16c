"""The clock's options; short measurements and a narrow table unless the command line says otherwise."""

import contextlib
import os

import pytest

from samestep.bench import sizes
from samestep.parity.measure.cases import MATRIX, PLAIN
from samestep.parity.tests.support.require import compiler

with contextlib.suppress(ImportError):
    import torch  # noqa: F401  # before TensorFlow: the other order is known to crash

os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # else TensorFlow leaves PyTorch no memory on a GPU

RULES = (*PLAIN, *MATRIX)
SECONDS, QUICK_SECONDS = 0.5, 0.05  # of measuring, for each benchmark of a step and each comparison of two
COLUMNS = ["min", "median", "iqr", "rounds"]  # on busy cores a mean tells little


def pytest_addoption(parser: pytest.Parser) -> None:
    """How to run the clock."""
    group = parser.getgroup("bench", "what the clock measures")
    group.addoption("--threads", type=int, default=1, metavar="N", help="threads of every framework (default: 1)")
    everything = ",".join(RULES)
    group.addoption("--rules", default=everything, metavar="NAMES", help="steps of these rules alone (default: all)")
    everything = ",".join(sizes.SHAPES)
    group.addoption("--sizes", default=everything, metavar="NAMES", help="ratios at these sizes alone (default: all)")
    group.addoption("--quick", action="store_true", help="measure shorter and leave out the compiled natives")


def pytest_configure(config: pytest.Config) -> None:
    """Choose pytest-benchmark's settings where the command line does not."""
    threads = config.getoption("threads", 1)
    if threads < 1:
        raise pytest.UsageError(f"--threads must be at least 1, got {threads}")
    for name in config.getoption("rules", "SGD").split(","):
        if name not in RULES:
            raise pytest.UsageError(f"--rules must name some of {', '.join(RULES)}, got {name!r}")
    for name in config.getoption("sizes", "mnist").split(","):
        if name not in sizes.SHAPES:
            raise pytest.UsageError(f"--sizes must name some of {', '.join(sizes.SHAPES)}, got {name!r}")
    said = " ".join(map(str, config.invocation_params.args))
    seconds = QUICK_SECONDS if config.getoption("quick", False) else SECONDS
    for name, value in {"max_time": seconds, "columns": COLUMNS}.items():
        if f"--benchmark-{name.replace('_', '-')}" not in said:
            setattr(config.option, f"benchmark_{name}", value)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a C++ compiler where there is none."""
    if item.get_closest_marker("compiled") and not compiler():
        pytest.skip("no C++ compiler: neither $CXX nor g++ nor clang++")


@pytest.fixture(scope="session")
def threads(pytestconfig: pytest.Config) -> int:
    """To how many threads every framework is bound."""
    return int(pytestconfig.getoption("threads", 1))


@pytest.fixture(scope="session")
def rules(pytestconfig: pytest.Config) -> list[str]:
    """The rules whose steps are wanted."""
    return str(pytestconfig.getoption("rules")).split(",")


@pytest.fixture(scope="session")
def chosen_sizes(pytestconfig: pytest.Config) -> list[str]:
    """The sizes at which ratios are wanted."""
    return str(pytestconfig.getoption("sizes")).split(",")


@pytest.fixture(scope="session")
def seconds(quick: bool) -> float:
    """How long each comparison of two steps lasts at least."""
    return QUICK_SECONDS if quick else SECONDS


@pytest.fixture(scope="session")
def quick(pytestconfig: pytest.Config) -> bool:
    """Whether to leave out what takes long."""
    return bool(pytestconfig.getoption("quick", False))
