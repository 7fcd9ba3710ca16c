"""Mutate the functions that a change touches, and run the nearest tests: ``tox -e mutants``.

``python -m samestep.parity.sensitivity.changed [REVISION]`` compares the working tree with the
merge base of ``main`` and HEAD, or with a revision. mutmut mutates each function of
``frameworks/``, ``reference/parts/`` and ``reference/dialects/`` that differs, in a copy of the
checkout at ``out/mutants``. It runs the test files that name the function or its class, else those
that name its module. Survivors are printed; the exit code is 1 if there are any.
"""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from samestep import SEARCH_PATH as ROOT

COPY = ROOT / "out" / "mutants"
FOLDERS = ("frameworks", "reference/parts", "reference/dialects")
COPIED = ("samestep", "reference", "frameworks", "parity", "report", "bench", "data", "conftest.py")
HUNK = re.compile(r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@", re.MULTILINE)


class Function(NamedTuple):
    """A function or method that has changed; ``owner`` is its class, or empty."""

    file: str
    owner: str
    name: str

    @property
    def pattern(self) -> str:
        """A pattern of the names that mutmut gives to the function's mutants."""
        module = f"samestep.{self.file.removesuffix('.py').replace('/', '.')}"
        owner = f"\u01c1{self.owner}\u01c1" if self.owner else "_"
        return f"{module}.x{owner}{self.name}__mutmut_*"


def git(*arguments: str) -> str:
    """The output of a git command in the checkout; CalledProcessError if it fails."""
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def changed_functions(revision: str) -> Iterator[Function]:
    """The functions of the working tree that have lines which ``revision`` does not have."""
    files = git("diff", "--name-only", "--diff-filter=d", revision, "--", *FOLDERS).split()
    for file in files:
        if not file.endswith(".py"):
            continue
        hunks = HUNK.findall(git("diff", "-U0", revision, "--", file))
        changed = set[int]()
        for begin, count in hunks:
            changed.update(range(int(begin), int(begin) + int(count or 1)))
        for owner, node in functions_of(ast.parse((ROOT / file).read_text())):
            if changed & set(range(node.lineno, (node.end_lineno or node.lineno) + 1)):
                yield Function(file, owner, node.name)


def functions_of(module: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """The functions of a module and the methods of its classes, each with the name of its class, or
    nothing.
    """
    for node in module.body:
        if isinstance(node, ast.FunctionDef):
            yield "", node
        elif isinstance(node, ast.ClassDef):
            yield from (
                (node.name, method) for method in node.body if isinstance(method, ast.FunctionDef)
            )


def nearest_tests(function: Function) -> list[str]:
    """The test files that name the function or its class; if there are none, those that name its
    folder's module.
    """
    tests = sorted((ROOT / "parity/tests").glob("rung[1-4]*/test_*.py"))
    module = Path(function.file).parent.as_posix().replace("/", ".")
    for name in (function.owner or function.name, f"samestep.{module}", module.rpartition(".")[2]):
        naming = [path for path in tests if re.search(rf"\b{re.escape(name)}\b", path.read_text())]
        if naming:
            return [path.relative_to(ROOT).as_posix() for path in naming]
    return [path.relative_to(ROOT).as_posix() for path in tests]


def copy_checkout(files: list[str], tests: list[str]) -> None:
    """A fresh copy of the tracked and new files, which tells mutmut what to mutate and which tests
    to run.
    """
    shutil.rmtree(COPY, ignore_errors=True)
    for name in git("ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        if (ROOT / name).exists() or (ROOT / name).is_symlink():
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, COPY / name, follow_symlinks=False)
    settings = {
        "source_paths": [
            f"samestep/{file}" for file in files
        ],  # by the name under which tests import it
        "pytest_add_cli_args_test_selection": tests,
        "also_copy": list(COPIED),
    }
    lines = [f"{name} = {value!r}" for name, value in settings.items()]
    with (COPY / "pyproject.toml").open("a") as file:
        file.write("\n".join(["", "[tool.mutmut]", *lines, ""]))


def main(arguments: list[str]) -> int:
    """Mutate, test, print; returns the exit code."""
    revision = arguments[0] if arguments else git("merge-base", "main", "HEAD").strip()
    functions = list(changed_functions(revision))
    if not functions:
        print(f"no function of {', '.join(FOLDERS)} differs from {revision}")
        return 0
    tests = sorted({test for function in functions for test in nearest_tests(function)})
    print(
        "functions:",
        *sorted({function.pattern for function in functions}),
        "tests:",
        *tests,
        sep="\n  ",
    )
    copy_checkout(sorted({function.file for function in functions}), tests)
    mutmut = [sys.executable, "-m", "mutmut"]
    patterns = [function.pattern for function in functions]
    if subprocess.run(
        [*mutmut, "run", "--max-children", "2", *patterns], cwd=COPY, check=False
    ).returncode:
        print("mutmut must run the tests above on unchanged sources, and failed; see its output")
        return 2
    results = subprocess.run(
        [*mutmut, "results"], cwd=COPY, capture_output=True, text=True, check=True
    ).stdout
    survivors = re.findall(r"(\S+): survived", results)
    for name in survivors:
        subprocess.run([*mutmut, "show", name], cwd=COPY, check=False)
    print(f"{len(survivors)} mutants survive; all results are in {COPY.relative_to(ROOT)}")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
