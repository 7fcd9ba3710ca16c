"""The benchmarks' options, what they choose, and the table at the end."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import pytest

from samestep.bench import options as chosen
from samestep.bench import tables
from samestep.bench.options import Options
from samestep.bench.progress import Progress
from samestep.parity.measure.cases import EVERYDAY
from samestep.parity.tests.support.require import compiler

with contextlib.suppress(ImportError):
    import torch  # noqa: F401  # before TensorFlow: the other order is known to crash

# Without this TensorFlow leaves PyTorch no memory on a GPU.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")

MEASURED = pytest.StashKey[list[tables.Measured]]()
# Who asks for these wants pytest-benchmark's own table, too.
OWN_TABLE = ("columns", "sort", "group-by", "name", "compare", "histogram", "verbose")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the benchmarks."""
    group = parser.getgroup("bench", "what the clock measures")
    threads_help = "threads of every framework (default: 1)"
    group.addoption("--threads", type=int, default=1, metavar="N", help=threads_help)
    rules_help = f"steps of these rules alone, or all (default: {','.join(EVERYDAY)})"
    group.addoption("--rules", metavar="NAMES", help=rules_help)
    sizes_help = f"ratios at these sizes alone, or all (default: {chosen.SIZES[0]})"
    group.addoption("--sizes", metavar="NAMES", help=sizes_help)
    quick_help = "measure shorter and leave out the compiled natives"
    group.addoption("--quick", action="store_true", help=quick_help)


def pytest_configure(config: pytest.Config) -> None:
    """Check the options, and choose pytest-benchmark's unless the command line does."""
    options = _chosen(config)
    if options.threads < 1:
        raise pytest.UsageError(f"--threads must be at least 1, got {options.threads}")
    for noun, names, known in (
        ("rules", options.rules, chosen.RULES),
        ("sizes", options.sizes, chosen.SIZES),
    ):
        for name in names:
            if name not in known:
                raise pytest.UsageError(
                    f"--{noun} must name some of {', '.join(known)}, or all, got {name!r}"
                )
    config.stash[MEASURED] = []
    given = " ".join(map(str, config.invocation_params.args))
    if "--benchmark-max-time" not in given:
        config.option.benchmark_max_time = options.seconds
    if not any(f"--benchmark-{name}" in given for name in OWN_TABLE):
        config.option.benchmark_quiet = True


def pytest_sessionstart(session: pytest.Session) -> None:
    """Show the progress where pytest shows anything."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter:
        session.config.pluginmanager.register(Progress(reporter), "bench-progress")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the options do not ask for."""
    options, named = _chosen(config), " ".join(map(str, config.args))
    asked: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        marker = item.get_closest_marker("subject")
        usual = item.path.name in (*chosen.USUAL_FILES, *named.replace("/", " ").split())
        facts = {"usual": usual, **(marker.kwargs if marker else {})}
        (asked if chosen.asks_for(options, **facts) else left_out).append(item)
    items[:] = asked
    config.hook.pytest_deselected(items=left_out)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip benchmarks that need a C++ compiler where there is none."""
    if item.get_closest_marker("compiled") and not compiler():
        pytest.skip("no C++ compiler: neither $CXX nor g++ nor clang++")


@pytest.fixture(autouse=True)
def measured(benchmark: Any, pytestconfig: pytest.Config) -> Iterator[None]:
    """Keep what a benchmark measured, for the table at the end."""
    yield
    if benchmark.stats:
        pytestconfig.stash[MEASURED].append(
            tables.Measured(benchmark.extra_info, benchmark.stats.stats.median)
        )


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show rule, mode, whose step, time and ratio, a line each."""
    benchmarks = config.stash[MEASURED]
    for title, legend, lines in tables.all_of(benchmarks):
        terminalreporter.section(title)
        terminalreporter.write("\n".join([*lines, "", legend, ""]))


@pytest.fixture(scope="session")
def options(pytestconfig: pytest.Config) -> Options:
    """What the command line chose."""
    return _chosen(pytestconfig)


def _chosen(config: pytest.Config) -> Options:
    full = bool(config.getoption("full", False))
    return Options(
        threads=int(config.getoption("threads", 1)),
        quick=bool(config.getoption("quick", False)),
        full=full,
        rules=chosen.rules_of(config.getoption("rules", None), full),
        sizes=chosen.sizes_of(config.getoption("sizes", None), full),
    )
