"""Every process of a test run imports samestep from the checkout that is tested."""

import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

import samestep
from samestep.frameworks.experiment import process
from samestep.parity.tests.support.require import require


def imported() -> str:
    """The file from which this process imported samestep."""
    return str(samestep.__file__)


def test_tests_import_the_checkout(pytestconfig: pytest.Config) -> None:
    """An installed copy would hide what was edited."""
    assert Path(imported()) == pytestconfig.rootpath / "samestep" / "__init__.py"


def test_worker_imports_what_the_controller_imports(pytestconfig: pytest.Config) -> None:
    """The root conftest.py hands the controller's file to each worker of pytest-xdist."""
    settings = getattr(pytestconfig, "workerinput", None)
    if settings is None:
        pytest.skip("the tests run in one process")
    assert settings["samestep"] == imported()


def test_child_process_imports_what_its_parent_imports(tmp_path: Path) -> None:
    """As the project starts its workers, from a folder elsewhere."""
    ended = process.run_python(["-c", "import samestep; print(samestep.__file__)"], cwd=tmp_path)
    assert ended.stdout.strip() == imported(), ended.stderr


def test_spawned_process_imports_what_its_parent_imports() -> None:
    """As executors of ``concurrent.futures`` start their workers."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        assert executor.submit(imported).result() == imported()


def test_matrix_products_have_the_threads_of_the_variable() -> None:
    """One, if it does not say otherwise; NumPy reads it when it is loaded, so it must stand before.

    Asked in another process, since a test may change the threads of this one.
    """
    threads = os.environ["OPENBLAS_NUM_THREADS"]
    code = (
        "import conftest, numpy, threadpoolctl; "
        "print({pool['num_threads'] for pool in threadpoolctl.threadpool_info()})"
    )
    require("threadpoolctl")
    unset = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    command = [sys.executable, "-c", code]
    printed = subprocess.run(
        command, env=unset, cwd=Path(samestep.__file__).parents[1], capture_output=True, text=True
    ).stdout
    assert (threads, printed.strip()) == ("1", "{1}")


def test_files_that_are_run_first_exist(pytestconfig: pytest.Config) -> None:
    """Under a name that is no file's the order would be lost without a word."""
    (plugin,) = (
        each for each in pytestconfig.pluginmanager.get_plugins() if hasattr(each, "LONGEST")
    )
    assert [name for name in plugin.LONGEST if not (pytestconfig.rootpath / name).is_file()] == []
