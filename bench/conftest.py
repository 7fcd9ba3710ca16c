"""The benchmarks' options; the defaults are short measurements and a narrow table."""

import contextlib
import os

import pytest

from samestep.bench import sizes
from samestep.bench.options import Options
from samestep.parity.measure.cases import MATRIX, PLAIN
from samestep.parity.tests.support.require import compiler

with contextlib.suppress(ImportError):
    import torch  # noqa: F401  # before TensorFlow: the other order is known to crash

# Without this TensorFlow leaves PyTorch no memory on a GPU.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")

RULES = (*PLAIN, *MATRIX)
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
    options = _chosen(config)
    if options.threads < 1:
        raise pytest.UsageError(f"--threads must be at least 1, got {options.threads}")
    for rule in options.rules:
        if rule not in RULES:
            raise pytest.UsageError(f"--rules must name some of {', '.join(RULES)}, got {rule!r}")
    for size in options.sizes:
        if size not in sizes.SHAPES:
            known = ", ".join(sizes.SHAPES)
            raise pytest.UsageError(f"--sizes must name some of {known}, got {size!r}")
    command_line = " ".join(map(str, config.invocation_params.args))
    for name, value in {"max_time": options.seconds, "columns": COLUMNS}.items():
        if f"--benchmark-{name.replace('_', '-')}" not in command_line:
            setattr(config.option, f"benchmark_{name}", value)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip benchmarks that need a C++ compiler where there is none."""
    if item.get_closest_marker("compiled") and not compiler():
        pytest.skip("no C++ compiler: neither $CXX nor g++ nor clang++")


@pytest.fixture(scope="session")
def options(pytestconfig: pytest.Config) -> Options:
    """What the command line chose."""
    return _chosen(pytestconfig)


def _chosen(config: pytest.Config) -> Options:
    return Options(
        threads=int(config.getoption("threads", 1)),
        quick=bool(config.getoption("quick", False)),
        rules=tuple(str(config.getoption("rules", "SGD")).split(",")),
        sizes=tuple(str(config.getoption("sizes", "mnist")).split(",")),
    )
