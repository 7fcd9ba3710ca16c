"""What a user installs: the wheel, and the rules with NumPy alone."""

import doctest
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

import reference
from parity.reproductions import REPRODUCTIONS

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel."""
    pytest.importorskip("hatchling", reason="hatchling, which builds the wheel, is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_holds_what_users_import_and_nothing_else(wheel: Path) -> None:
    """The packages, the page's template and the golden digests; no tests, no benchmarks, no data."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {
        "reference", "frameworks", "parity", "report",
    }  # fmt: skip
    assert not [name for name in names if "test_" in name or "conftest" in name or name.endswith(".gz")]
    assert {"parity/golden.json", "report/page.html.jinja", "reference/dialects/keras.py"} <= set(names)
    assert {f"parity/reproductions/{found.name}.py" for found in REPRODUCTIONS} <= set(names)


USE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "tensorflow", "keras", "typer", "rich", "plotly", "mpmath"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import numpy as np
from reference import Adam, dialects, follow
import frameworks.numpy
rule = dialects.keras.read("Adam", learning_rate=0.1)
for theta, state in follow(rule, np.ones(3), [np.ones(3)] * 4, np): pass
parameter = np.ones(3)
optimizer = frameworks.numpy.Optimizer([parameter], rule)
for _ in range(4): optimizer.step([np.ones(3)])
assert (theta == parameter).all()
print(Adam.__module__, __import__("reference").__file__)
"""


def test_rules_are_used_with_numpy_alone(wheel: Path, tmp_path: Path) -> None:
    """From the wheel, outside the checkout, with no framework to be had."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", USE], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.split() == ["reference.adam", str(tmp_path / "reference" / "__init__.py")]


@pytest.mark.parametrize(
    "module",
    [reference, reference.around, reference.dialects, reference.dialects.around],
    ids=lambda module: module.__name__,
)
def test_examples_of_the_documentation_run(module: ModuleType) -> None:
    """The doctests of the reference; there are some."""
    failed, attempted = doctest.testmod(module)
    assert attempted
    assert not failed
