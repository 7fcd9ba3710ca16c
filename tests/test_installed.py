"""The installed wheel works beside projects whose modules have the names of our folders."""

import json
import re
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from installed import ROOT, Installed, needs

NAMES = ("bench", "frameworks", "migrate", "parity", "reference", "report")
LAYOUTS = ("flat-packages", "flat-modules", "src-packages", "src-modules")
OWN = "OWNER = 'this project'\n"
SUITE = f"""
import {", ".join(NAMES)}
import samestep.parity, samestep.reference

def test_names_are_those_of_this_project():
    modules = ({", ".join(NAMES)})
    assert [module.OWNER for module in modules] == ["this project"] * {len(NAMES)}

def test_samestep_is_the_installed_one():
    assert "site-packages" in samestep.__file__
    assert samestep.reference.Adam.__module__ == "samestep.reference.adam"

def test_same_steps(same_steps):
    import torch
    same_steps(lambda parameters: torch.optim.Adagrad(parameters, 0.01), "pytorch:Adagrad(lr=0.01)")
"""
COMMANDS = """
import importlib.metadata, json, typer
(entry,) = importlib.metadata.entry_points(group="console_scripts", name="samestep")
app = entry.module and __import__(entry.module, fromlist=["app"]).app
print(json.dumps(sorted(typer.main.get_command(app).commands)))
"""


class Project(NamedTuple):
    """Somebody's project: its folder, and the folder of its modules."""

    folder: Path
    sources: Path


@pytest.fixture(scope="module", params=LAYOUTS)
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with packages or modules named like our folders, flat or in a ``src`` folder."""
    layout, kind = request.param.split("-")
    folder = tmp_path_factory.mktemp(request.param)
    sources = folder / "src" if layout == "src" else folder
    for name in NAMES:
        file = sources / (f"{name}/__init__.py" if kind == "packages" else f"{name}.py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(OWN)
    (folder / "tests").mkdir()
    (folder / "tests" / "test_project.py").write_text(SUITE)
    if layout == "src":
        (folder / "pytest.ini").write_text("[pytest]\npythonpath = src\n")
    else:
        (folder / "conftest.py").write_text("import parity, report\n")
    return Project(folder, sources)


def test_project_with_our_folders_names_runs_pytest(installed: Installed, project: Project) -> None:
    """The project imports its own modules, and uses the fixture ``same_steps`` of the wheel."""
    needs("torch")
    ended = installed.run("pytest", "-p", "no:cacheprovider", cwd=project.folder)
    assert "3 passed" in ended.stdout, ended.stdout + ended.stderr


def test_project_with_our_folders_names_runs_python_m_pytest(
    installed: Installed, project: Project
) -> None:
    """There the project's folder is the first on ``sys.path``; the fixture is tried above."""
    command = ("python", "-m", "pytest", "-k", "not same_steps", "-p", "no:cacheprovider")
    ended = installed.run(*command, cwd=project.folder)
    assert "2 passed, 1 deselected" in ended.stdout, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    "project", [layout for layout in LAYOUTS if "packages" in layout], indirect=True
)
def test_every_command_shows_its_help(installed: Installed, project: Project) -> None:
    """The commands are those of the installed command line, so that a new one is tried, too."""
    needs("typer")
    listed = installed.run("python", "-c", COMMANDS, cwd=project.folder)
    commands = json.loads(listed.stdout or "[]")
    assert {"report", "compare"} <= set(commands), listed.stderr
    for command in commands:
        shown = installed.run(
            "samestep", command, "--help", cwd=project.folder, search_path=project.sources
        )
        assert shown.returncode == 0, f"samestep {command} --help\n{shown.stderr}"
        assert f"samestep {command} [OPTIONS]" in shown.stdout


@pytest.mark.parametrize(
    "arguments",
    [("parity/tests/house",), ("-n", "1", "parity/tests/house/test_one_copy.py")],
    ids=["one process", "a worker"],
)
def test_pytest_in_a_checkout_tests_the_checkout(
    installed: Installed, arguments: tuple[str, ...]
) -> None:
    """Also where samestep is installed: plain ``pytest`` never tests the installed copy."""
    needs("xdist")
    ended = installed.run("pytest", "-p", "no:cacheprovider", *arguments, cwd=ROOT)
    assert f"samestep: {ROOT / 'samestep' / '__init__.py'}" in ended.stdout, ended.stderr
    assert ended.returncode == 0, ended.stdout
    assert re.search(r"\d+ passed", ended.stdout), ended.stdout


def test_bench_in_a_checkout_times_the_checkout(installed: Installed) -> None:
    """Collecting the benchmarks imports the adapters that they time."""
    needs("pytest_benchmark")
    ended = installed.run("pytest", "bench", "--collect-only", "-p", "no:cacheprovider", cwd=ROOT)
    assert f"samestep: {ROOT / 'samestep' / '__init__.py'}" in ended.stdout, ended.stderr
    assert ended.returncode == 0, ended.stdout


def test_folders_import_only_those_below_them(installed: Installed, tmp_path: Path) -> None:
    """The contracts of import-linter in pyproject.toml, checked on the wheel."""
    needs("importlinter")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    script = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    ended = installed.run("python", "-c", script, "--no-cache", "pyproject.toml", cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (analyzed,) = re.findall(r"Analyzed (\d+) files", ended.stdout)
    assert int(analyzed) >= len(list(Path(ROOT, "reference").rglob("*.py")))
