"""Mutate the functions that a change touches, and run the nearest tests: ``tox -e mutants``.

``python -m samestep.parity.sensitivity.changed [REVISION]`` compares the working tree with the
merge base of ``main`` and HEAD, or with a revision. Each function of ``frameworks/``,
``reference/parts/`` and ``reference/dialects/`` that differs is mutated by cosmic-ray, in a copy of
the checkout at ``out/mutants``. It runs the test files that name the function or its class, else
those that name its package, in a fresh process for each mutant. Survivors are printed; the exit
code is 1 if there are any.
"""

import ast
import itertools
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkResult

from samestep import SEARCH_PATH as ROOT

COPY = ROOT / "out" / "mutants"
SESSION = "session.sqlite"
FOLDERS = ("frameworks", "reference/parts", "reference/dialects")
HUNK = re.compile(r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@", re.MULTILINE)
COUNTERPARTS = {  # of the replacements of an operator, the one that a mistake would make
    "Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Sub", "Mod_Mul", "Pow_Mul", "Lt_LtE",
    "LtE_Lt", "Gt_GtE", "GtE_Gt", "Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is",
}  # fmt: skip
TIMEOUT = 900.0  # seconds for the tests of one mutant
CONFIG = """[cosmic-ray]
module-path = {files}
timeout = {timeout}
excluded-modules = []
test-command = "{python} -m pytest -q -x -p no:cacheprovider {tests}"
[cosmic-ray.distributor]
name = "local"
"""


class Function(NamedTuple):
    """A function or method that has changed; ``owner`` is its class, or empty."""

    file: str
    owner: str
    name: str
    lines: range

    def contains(self, mutation: MutationSpec) -> bool:
        """True if the mutation is of this function."""
        same_file = mutation.module_path.as_posix() == self.file
        return same_file and mutation.start_pos[0] in self.lines


def git(*arguments: str) -> str:
    """The output of a git command in the checkout; CalledProcessError if it fails."""
    command = ["git", *arguments]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


def changed_functions(revision: str) -> Iterator[Function]:
    """The functions of the working tree that have lines which ``revision`` does not have."""
    names = git("diff", "--name-only", "--diff-filter=d", revision, "--", *FOLDERS).split()
    for file in [name for name in names if name.endswith(".py")]:
        changed = set[int]()
        for begin, count in HUNK.findall(git("diff", "-U0", revision, "--", file)):
            changed.update(range(int(begin), int(begin) + int(count or 1)))
        for function in functions_of(file, (ROOT / file).read_text()):
            if changed.intersection(function.lines):
                yield function


def functions_of(file: str, text: str) -> Iterator[Function]:
    """The functions of a module and the methods of its classes."""
    for node in ast.parse(text).body:
        owner = node.name if isinstance(node, ast.ClassDef) else ""
        for part in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(part, ast.FunctionDef):
                yield Function(
                    file, owner, part.name, range(part.lineno, (part.end_lineno or 0) + 1)
                )


def nearest_tests(function: Function) -> list[str]:
    """The test files that name the function or its class, else those that name its package."""
    tests = sorted((ROOT / "parity/tests").glob("rung[1-4]*/test_*.py"))
    package = Path(function.file).parent.as_posix().replace("/", ".")
    for name in (function.owner or function.name, f"samestep.{package}"):
        pattern = re.compile(rf"\b{re.escape(name)}\b")
        naming = [path for path in tests if pattern.search(path.read_text())]
        if naming:
            break
    return [path.relative_to(ROOT).as_posix() for path in naming or tests]


def copy_checkout() -> None:
    """A fresh copy of the tracked and the new files, since cosmic-ray changes sources in place."""
    shutil.rmtree(COPY, ignore_errors=True)
    for name in git("ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        if (ROOT / name).exists():
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, COPY / name, follow_symlinks=False)


def cosmic_ray(*arguments: str) -> None:
    """Run a command of cosmic-ray in the copy; CalledProcessError if it fails."""
    program = Path(sys.executable).with_name("cosmic-ray")
    subprocess.run([str(program), *arguments], cwd=COPY, check=True)


def skip_others(functions: list[Function]) -> int:
    """Skip mutants of other functions and unlikely ones; returns how many mutants are left."""
    skipped = WorkResult(worker_outcome=WorkerOutcome.SKIPPED)
    with use_db(str(COPY / SESSION)) as database:
        for item in list(database.pending_work_items):
            (mutation,) = item.mutations
            kind, _, change = mutation.operator_name.partition("Operator_")
            unlikely = kind.startswith("core/Replace") and change and change not in COUNTERPARTS
            if unlikely or not any(function.contains(mutation) for function in functions):
                database.set_result(item.job_id, skipped)
        return len(list(database.pending_work_items))


def survivors() -> list[str]:
    """The differences in the source that no test has noticed."""
    with use_db(str(COPY / SESSION)) as database:
        results = [result for _, result in database.results]
    return [str(result.diff) for result in results if result.test_outcome == TestOutcome.SURVIVED]


def main(arguments: list[str]) -> int:
    """Mutate, test, print; returns the exit code."""
    revision = arguments[0] if arguments else git("merge-base", "main", "HEAD").strip()
    functions = list(changed_functions(revision))
    if not functions:
        print(f"no function of {', '.join(FOLDERS)} differs from {revision}")
        return 0
    tests = " ".join(sorted(set(itertools.chain.from_iterable(map(nearest_tests, functions)))))
    copy_checkout()
    files = sorted({function.file for function in functions})
    config = CONFIG.format(files=files, timeout=TIMEOUT, python=sys.executable, tests=tests)
    (COPY / "cosmic-ray.toml").write_text(config)
    cosmic_ray("baseline", "cosmic-ray.toml")
    cosmic_ray("init", "cosmic-ray.toml", SESSION)
    print(f"{skip_others(functions)} mutants of {len(functions)} functions, tested by {tests}")
    cosmic_ray("exec", "cosmic-ray.toml", SESSION)
    unnoticed = survivors()
    print(*unnoticed, f"{len(unnoticed)} mutants survive; see {COPY / SESSION}", sep="\n")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
