"""The benchmarks' options; the defaults are short measurements and a narrow table."""

import contextlib
import os

import pytest

from samestep.bench import sizes
from samestep.parity.measure.cases import MATRIX, PLAIN
from samestep.parity.tests.support.require import compiler

with contextlib.suppress(ImportError):
    import torch  # noqa: F401  # before TensorFlow: the other order is known to crash

# Without this TensorFlow leaves PyTorch no memory on a GPU.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")

RULES = (*PLAIN, *MATRIX)
# Seconds of measuring, for each benchmark of a step and each comparison of two.
SECONDS, QUICK_SECONDS = 0.5, 0.05
COLUMNS = ["min", "median", "iqr", "rounds"]  # on busy cores a mean tells little


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the benchmarks."""
    group = parser.getgroup("bench", "what the clock measures")
    threads_help = "threads of every framework (default: 1)"
    group.addoption("--threads", type=int, default=1, metavar="N", help=threads_help)
    rules_help = "steps of these rules alone (default: all)"
    group.addoption("--rules", default=",".join(RULES), metavar="NAMES", help=rules_help)
    sizes_help = "ratios at these sizes alone (default: all)"
    group.addoption("--sizes", default=",".join(sizes.SHAPES), metavar="NAMES", help=sizes_help)
    quick_help = "measure shorter and leave out the compiled natives"
    group.addoption("--quick", action="store_true", help=quick_help)


def pytest_configure(config: pytest.Config) -> None:
    """Choose pytest-benchmark's settings unless the command line does."""
    threads = config.getoption("threads", 1)
    if threads < 1:
        raise pytest.UsageError(f"--threads must be at least 1, got {threads}")
    for name in config.getoption("rules", "SGD").split(","):
        if name not in RULES:
            known = ", ".join(RULES)
            raise pytest.UsageError(f"--rules must name some of {known}, got {name!r}")
    for name in config.getoption("sizes", "mnist").split(","):
        if name not in sizes.SHAPES:
            known = ", ".join(sizes.SHAPES)
            raise pytest.UsageError(f"--sizes must name some of {known}, got {name!r}")
    command_line = " ".join(map(str, config.invocation_params.args))
    seconds = QUICK_SECONDS if config.getoption("quick", False) else SECONDS
    for name, value in {"max_time": seconds, "columns": COLUMNS}.items():
        if f"--benchmark-{name.replace('_', '-')}" not in command_line:
            setattr(config.option, f"benchmark_{name}", value)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip benchmarks that need a C++ compiler where there is none."""
    if item.get_closest_marker("compiled") and not compiler():
        pytest.skip("no C++ compiler: neither $CXX nor g++ nor clang++")


@pytest.fixture(scope="session")
def threads(pytestconfig: pytest.Config) -> int:
    """The number of threads that every framework is bound to."""
    return int(pytestconfig.getoption("threads", 1))


@pytest.fixture(scope="session")
def rules(pytestconfig: pytest.Config) -> list[str]:
    """The rules whose steps are timed."""
    return str(pytestconfig.getoption("rules")).split(",")


@pytest.fixture(scope="session")
def chosen_sizes(pytestconfig: pytest.Config) -> list[str]:
    """The sizes at which ratios are measured."""
    return str(pytestconfig.getoption("sizes")).split(",")


@pytest.fixture(scope="session")
def seconds(quick: bool) -> float:
    """The seconds that each comparison of two steps lasts at least."""
    return QUICK_SECONDS if quick else SECONDS


@pytest.fixture(scope="session")
def quick(pytestconfig: pytest.Config) -> bool:
    """True if long measurements are left out."""
    return bool(pytestconfig.getoption("quick", False))
