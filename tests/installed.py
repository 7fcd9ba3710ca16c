"""The wheel and the sdist, and a virtual environment into which the wheel is installed."""

import importlib.util
import os
import subprocess
import sys
import sysconfig
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent  # the checkout
OF_THIS_RUN = ("PYTHON", "PYTEST")  # beginnings of environment variables that a user does not have
SCRIPT = """\
#!{python}
import sys
from {entry.module} import {entry.attr}
if __name__ == "__main__":
    sys.exit({entry.attr}())
"""
Completed = subprocess.CompletedProcess[str]


class Installed(NamedTuple):
    """A virtual environment with the wheel; other packages are those of the running Python."""

    folder: Path

    @property
    def scripts(self) -> Path:
        """The folder of the commands ``python``, ``pytest`` and ``samestep``."""
        return self.folder / ("Scripts" if os.name == "nt" else "bin")

    def run(self, *command: str, cwd: Path, search_path: Path | None = None) -> Completed:
        """Run a command of the environment in ``cwd``, with ``search_path`` as PYTHONPATH."""
        script, *arguments = command
        return _run([str(self.scripts / script), *arguments], cwd, search_path)


def run_python(code: str, cwd: Path, search_path: Path | None = None) -> Completed:
    """Run code with the running Python in ``cwd``, which is searched for modules first."""
    return _run([sys.executable, "-c", code], cwd, search_path)


def _run(command: list[str], cwd: Path, search_path: Path | None) -> Completed:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(OF_THIS_RUN)
    }
    if search_path:
        environment["PYTHONPATH"] = str(search_path)
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def needs(module: str) -> None:
    """Skip the test where a module is not installed; in CI its absence is an error."""
    if importlib.util.find_spec(module) is None:
        assert not os.environ.get("CI"), f"{module} must be installed in CI"
        pytest.skip(f"{module} is not installed")


def build(target: str, folder: Path, source: Path = ROOT) -> Path:
    """Build a target of hatch, like ``wheel``, of the project in ``source``; returns the file."""
    needs("hatchling")
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


def install(wheel: Path, folder: Path) -> Installed:
    """Make a virtual environment in ``folder`` and install ``wheel`` there, without a connection.

    A .pth file brings the packages of the running Python: NumPy, pytest, the frameworks.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    installed = Installed(folder)
    python = installed.scripts / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps"]
    subprocess.run([*command, "--no-index", "--quiet", str(wheel)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    borrowed = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    (packages / "borrowed.pth").write_text("\n".join(borrowed) + "\n")
    (entry,) = entry_points(group="console_scripts", name="pytest")
    (installed.scripts / "pytest").write_text(SCRIPT.format(python=python, entry=entry))
    (installed.scripts / "pytest").chmod(0o755)
    return installed
