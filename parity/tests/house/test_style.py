"""The code stays plain: no names without content, few parameters, one thought a comprehension."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from samestep import SEARCH_PATH

FOLDERS = ("samestep", "reference", "frameworks", "parity", "migrate", "bench", "report")
NO_CONTENT = {  # names that say nothing about what they hold
    "words", "told", "found", "went", "meant", "kept", "came", "said", "held", "ran", "apart",
    "called",
}  # fmt: skip
FORMER = {  # names of things that have a plainer name now
    "around", "Reach", "Measure", "Standard", "Subject", "meetings", "Nursery", "Nurseries", "lent",
    "waited_for",
    "Account", "Journal", "Feed", "Allowed", "Ran", "Trained", "ran_on", "astray", "exchanges",
    "carried", "Standing",
    "Held", "Ruling", "Reading", "alike", "stuck", "tidied", "shut", "asked", "summed", "_bare",
    "_choosing", "_veiled",
    "_undone", "_meddling", "_put_back", "_anew", "_begun", "_ended", "_spared", "_woken", "_wider",
    "strangers",
    "witnesses", "Witness", "nearest_wrong_rule",
}  # fmt: skip
MOST_PARAMETERS = 5
DICTATED = {  # signatures that torch, Keras or a public command dictate: file, function
    ("parity/assertion/same_steps.py", "assert_same_steps"),
    ("frameworks/pytorch/optimizer.py", "__init__"),
    ("frameworks/tensorflow/optimizer.py", "__init__"),
}


def sources() -> list[Path]:
    """Every source file that is no test."""
    files = []
    for folder in FOLDERS:
        for path in sorted((SEARCH_PATH / folder).glob("**/*.py")):
            inside = path.relative_to(SEARCH_PATH)
            of_tests = (
                "tests" in inside.parts
                or path.name.startswith("test_")
                or path.name == "conftest.py"
            )
            linked = inside.parts[0] == "samestep" and len(inside.parts) > 2
            if not of_tests and not linked:
                files.append(path)
    return files


SOURCES = sources()


def label(path: Path) -> str:
    return path.relative_to(SEARCH_PATH).as_posix()


def bound_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of everything that the code gives a name to."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, ast.alias) and node.asname:
            yield 0, node.asname


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_names_say_what_they_hold(path: Path) -> None:
    names = bound_names(ast.parse(path.read_text()))
    assert [
        (line, name) for line, name in names if name.lstrip("_") in NO_CONTENT or name in FORMER
    ] == []


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_functions_take_few_parameters(path: Path) -> None:
    """At most five besides ``self``; commands of the command line are free to have more."""
    if "cli" in path.parts:
        return
    many = []
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.FunctionDef):
            continue
        arguments = node.args
        names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        count = len([name for name in names if name not in ("self", "cls")])
        if count > MOST_PARAMETERS and (label(path), node.name) not in DICTATED:
            many.append((node.lineno, node.name, count))
    assert many == []


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_a_comprehension_has_one_loop_and_one_condition(path: Path) -> None:
    kinds = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
    folded = []
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, kinds):
            continue
        if len(node.generators) > 1 or len(node.generators[0].ifs) > 1:
            folded.append(node.lineno)
    assert folded == []


def test_the_checks_see_what_they_look_for() -> None:
    tree = ast.parse(
        "def told(a, *, words=1):\n    self.kept = [x for y in a for x in y]\n    import b as went"
    )
    assert {name for _, name in bound_names(tree)} >= {"told", "words", "kept", "went"}
