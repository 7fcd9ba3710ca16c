"""What a user installs: the contents of the wheel and the sdist, and use with few packages."""

import doctest
import re
import shutil
import stat
import subprocess
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from installed import ROOT, Completed, build, needs, run_python

from samestep import reference
from samestep.frameworks.experiment import process
from samestep.parity.natives.reproductions import REPRODUCTIONS


def contents(wheel: Path) -> set[str]:
    """The names of the files in a wheel, without its metadata."""
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


def test_wheel_holds_what_users_import_and_nothing_else(wheel: Path) -> None:
    """No tests, benchmarks, planted wrong rules, data or links; wrong_rules is used by limits."""
    names = contents(wheel)
    assert {name.split("/")[0] for name in names} == {"samestep"}
    left_out = (
        "samestep/bench",
        "samestep/migrate/tests",
        "samestep/parity/tests",
        "samestep/parity/sensitivity",
    )
    assert not [name for name in names if name.startswith(left_out)]
    assert not [name for name in names if re.search(r"test_|conftest|mutant|audit|\.gz$", name)]
    suffixes = {Path(name).suffix for name in names}
    assert suffixes == {".py", ".json", ".jinja", ".css", ".js", ".typed"}
    modes = [info.external_attr >> 16 for info in zipfile.ZipFile(wheel).infolist()]
    assert not any(stat.S_ISLNK(mode) for mode in modes), "the wheel must hold no links"


def test_wheel_holds_what_is_read_by_name(wheel: Path) -> None:
    """Files that no import statement names, which a build could lose unseen."""
    needed = {
        "parity/lockstep/golden.json",
        "parity/measure/wrong_rules/table.py",
        "report/page/page.html.jinja",
        "report/page/page.css",
        "report/page/pair.html.jinja",
        "report/page/page.js",
        "reference/dialects/keras.py",
        "py.typed",
    }
    scripts = {f"parity/natives/reproductions/{script.name}.py" for script in REPRODUCTIONS}
    assert {f"samestep/{name}" for name in needed | scripts} <= contents(wheel)


def test_every_folder_of_the_package_is_a_link() -> None:
    """In a checkout ``samestep/`` has links to the folders beside it, and no copies."""
    folders = [path for path in (ROOT / "samestep").iterdir() if path.is_dir()]
    links = {path.name: path for path in folders if path.name != "__pycache__"}
    assert {"reference", "frameworks", "parity", "migrate", "report", "bench"} <= set(links)
    for name, link in links.items():
        assert link.is_symlink()
        assert link.readlink() == Path("..", name)


def test_wheel_of_the_sdist_is_the_wheel_of_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """The sdist holds folders where the checkout has links."""
    sdist = build("sdist", tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        assert all(member.isfile() for member in archive)
        archive.extractall(tmp_path, filter="data")
    again = build("wheel", tmp_path / "wheel", source=tmp_path / sdist.name.removesuffix(".tar.gz"))
    assert contents(again) == contents(wheel)
    for name in contents(wheel):
        assert zipfile.ZipFile(again).read(name) == zipfile.ZipFile(wheel).read(name), name


def test_editable_install_imports_the_checkout(tmp_path: Path) -> None:
    """``pip install -e .`` puts the checkout on the path and copies nothing."""
    wheel = build("wheel:editable", tmp_path / "wheel")
    assert {Path(name).suffix for name in contents(wheel)} == {".pth"}
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    folder = str(tmp_path / "site")
    without_installed = "sys.path = [path for path in sys.path if 'site-packages' not in path]"
    code = f"import site, sys; {without_installed}; site.addsitedir({folder!r})"
    show = "import samestep.reference; print(samestep.reference.__file__)"
    ended = run_python(f"{code}; {show}", cwd=tmp_path)
    file = ROOT / "samestep" / "reference" / "__init__.py"
    assert ended.stdout.splitlines() == [str(file)], ended.stderr


def test_links_that_git_wrote_as_text_files_are_explained(tmp_path: Path) -> None:
    """As on Windows, where symbolic links are often switched off; the cure works."""
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    for folder in ("samestep", "reference"):
        shutil.copytree(ROOT / folder, origin / folder, symlinks=True)
    git("init", "--quiet", cwd=origin)
    git("add", ".", cwd=origin)
    author = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    git(*author, "commit", "--quiet", "--message", "All", cwd=origin)
    git("clone", "-c", "core.symlinks=false", "--quiet", str(origin), str(clone), cwd=tmp_path)
    ended = run_python("import samestep.reference", cwd=clone)
    assert "ImportError" in ended.stderr
    assert f"{clone / 'samestep' / 'reference'} must be a link to a folder" in ended.stderr
    commands = re.findall(r"`git ([^`]*)`", ended.stderr)
    assert commands == ["config core.symlinks true", "checkout -- samestep"]
    for command in commands:
        git(*command.split(), cwd=clone)
    assert run_python("import samestep.reference", cwd=clone).returncode == 0


def git(*arguments: str, cwd: Path) -> None:
    """Run a command of Git."""
    subprocess.run(["git", *arguments], cwd=cwd, check=True, capture_output=True)


USE = """
import sys
REFUSED = ("torch", "tensorflow", "keras", "typer", "rich", "plotly", "mpmath", "gmpy2", "scipy")
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in REFUSED:
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
    """From the wheel, outside the checkout, where no framework can be imported."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    ended = run_python(USE, cwd=tmp_path)
    assert ended.stderr == ""
    file = tmp_path / "samestep" / "reference" / "__init__.py"
    assert ended.stdout.split() == ["samestep.reference.adam", str(file)]


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


def run_tests(wheel: Path, folder: Path, test: str, refused: tuple[str, ...]) -> Completed:
    """Run somebody's tests beside the wheel, where the modules ``refused`` cannot be imported.

    Pytest finds the fixture by the wheel's entry point.
    """
    zipfile.ZipFile(wheel).extractall(folder / "site")
    suite = folder / "suite"
    suite.mkdir()
    (suite / "conftest.py").write_text(REFUSED.format(names=refused))
    (suite / "test_mine.py").write_text(test)
    command = "import sys, pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider']))"
    return run_python(command, cwd=suite, search_path=folder / "site")


@pytest.mark.parametrize(
    ("framework", "test", "refused"),
    [("torch", example(), ("tensorflow", "keras")), ("keras", KERAS, ("torch", "jax"))],
    ids=["torch", "keras"],
)
def test_fixture_of_the_wheel_needs_one_framework(
    wheel: Path, tmp_path: Path, framework: str, test: str, refused: tuple[str, ...]
) -> None:
    """The README's example, and one in Keras: each without the other framework."""
    needs(framework)
    ended = run_tests(wheel, tmp_path, test, (*refused, "typer", "plotly"))
    assert "1 passed" in ended.stdout, ended.stdout + ended.stderr


def test_example_of_the_readme_fails_where_the_readme_says(wheel: Path, tmp_path: Path) -> None:
    """With epsilon inside the root."""
    needs("torch")
    wrong = example().replace("(s.sqrt() + 1e-10)", "(s + 1e-10).sqrt()")
    ended = run_tests(wheel, tmp_path, wrong, ("tensorflow", "keras"))
    assert "1 failed" in ended.stdout, ended.stdout + ended.stderr
    assert "Mine: it takes the steps of Adagrad(lr=0.01, epsilon_at=Epsilon.INSIDE)" in ended.stdout


def test_importing_parity_loads_neither_numpy_nor_a_framework() -> None:
    """Nor does loading the pytest plugin, which every run of pytest beside samestep does."""
    code = "import sys, samestep.parity, samestep.plugin; print(*sys.modules)"
    ended = process.run_python(["-c", code])
    assert ended.code == 0, ended.message
    assert not {"numpy", "torch", "tensorflow", "keras"} & set(ended.stdout.split())


def test_natives_are_read_without_their_frameworks() -> None:
    """Only the process that runs one loads its framework: the command itself starts in no time."""
    texts = ["native:pytorch:Adam()", "native:keras:Adam()"]
    code = (
        "import sys, samestep.parity.compare.answer; from samestep.parity.runners import specs; "
        f"[specs.read(text) for text in {texts}]; print(*sys.modules)"
    )
    ended = process.run_python(["-c", code])
    assert ended.code == 0, ended.message
    assert not {"torch", "tensorflow", "keras"} & set(ended.stdout.split())


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
