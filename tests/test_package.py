"""What a user installs: the wheel, and the rules with NumPy alone."""

import doctest
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from samestep import reference
from samestep.parity.natives.reproductions import REPRODUCTIONS

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
    names = [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    assert {name.split("/")[0] for name in names} == {"samestep"}
    folders = {tuple(name.split("/")[:3]) for name in names}
    assert not {("samestep", "parity", "tests"), ("samestep", "parity", "sensitivity")} & folders
    assert not [name for name in names if "test_" in name or "conftest" in name or name.endswith(".gz")]
    assert not [name for name in names if name.startswith("samestep/bench")]
    needed = {"parity/lockstep/golden.json", "report/page.html.jinja", "reference/dialects/keras.py", "py.typed"}
    assert {f"samestep/{name}" for name in needed} <= set(names)
    scripts = {f"samestep/parity/natives/reproductions/{found.name}.py" for found in REPRODUCTIONS}
    assert scripts <= set(names)


USE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "tensorflow", "keras", "typer", "rich", "plotly", "mpmath", "gmpy2"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import numpy as np
from samestep.reference import Adam, dialects, follow
import samestep.frameworks.numpy
rule = dialects.keras.read("Adam", learning_rate=0.1)
for theta, state in follow(rule, np.ones(3), [np.ones(3)] * 4, np): pass
parameter = np.ones(3)
optimizer = samestep.frameworks.numpy.Optimizer([parameter], rule)
for _ in range(4): optimizer.step([np.ones(3)])
assert (theta == parameter).all()
print(Adam.__module__, __import__("samestep.reference").reference.__file__)
"""


def test_rules_are_used_with_numpy_alone(wheel: Path, tmp_path: Path) -> None:
    """From the wheel, outside the checkout, with no framework to be had."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", USE], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.split() == ["samestep.reference.adam", str(tmp_path / "samestep" / "reference" / "__init__.py")]


REFUSED = """
import sys
sys.modules.update(dict.fromkeys({names!r}))  # None there: it cannot be imported
"""
KERAS = """
import keras
def test_keras(same_steps):
    same_steps(keras.optimizers.Adadelta(1.0), "keras:Adadelta(learning_rate=1.0)")
"""


def example() -> str:
    """The test file that the README shows."""
    readme = (ROOT / "README.md").read_text()
    (shown,) = re.findall(r"<!-- file: test_mine.py -->\n```python\n(.*?)```", readme, re.DOTALL)
    return str(shown)


def run_tests(wheel: Path, folder: Path, test: str, refused: tuple[str, ...]) -> "subprocess.CompletedProcess[str]":
    """Somebody's suite beside the installed wheel: pytest finds the plugin by its entry point."""
    zipfile.ZipFile(wheel).extractall(folder / "site")
    (folder / "suite").mkdir()
    (folder / "suite" / "conftest.py").write_text(REFUSED.format(names=refused))
    (folder / "suite" / "test_mine.py").write_text(test)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=folder / "suite",
        env={**os.environ, "PYTHONPATH": str(folder / "site")}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("framework", "test", "refused"),
    [("torch", example(), ("tensorflow", "keras")), ("keras", KERAS, ("torch", "jax"))],
    ids=["torch", "keras"],
)
def test_fixture_of_the_wheel_needs_one_framework(
    wheel: Path, tmp_path: Path, framework: str, test: str, refused: tuple[str, ...]
) -> None:
    """The README's example, and one in Keras; the other framework cannot be had, nor the report's packages."""
    pytest.importorskip(framework, reason=f"{framework} is not installed")
    ended = run_tests(wheel, tmp_path, test, (*refused, "typer", "plotly"))
    assert "1 passed" in ended.stdout, ended.stdout + ended.stderr


def test_example_of_the_readme_fails_where_the_readme_says(wheel: Path, tmp_path: Path) -> None:
    """With epsilon inside the root."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    wrong = example().replace("(s.sqrt() + 1e-10)", "(s + 1e-10).sqrt()")
    ended = run_tests(wheel, tmp_path, wrong, ("tensorflow", "keras"))
    assert "1 failed" in ended.stdout, ended.stdout + ended.stderr
    assert "Mine: it takes the steps of Adagrad(lr=0.01, epsilon_at=Epsilon.INSIDE)" in ended.stdout


def test_importing_parity_loads_neither_numpy_nor_a_framework() -> None:
    """Nor does loading its pytest plugin, which every pytest run beside it does."""
    code = "import sys, samestep.parity, samestep.plugin; print({'numpy', 'torch', 'tensorflow', 'keras'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    "module",
    [reference, reference.parts, reference.dialects, reference.dialects.parts],
    ids=lambda module: module.__name__,
)
def test_examples_of_the_documentation_run(module: ModuleType) -> None:
    """The doctests of the reference; there are some."""
    failed, attempted = doctest.testmod(module)
    assert attempted
    assert not failed
