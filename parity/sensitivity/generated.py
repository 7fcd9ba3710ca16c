"""Mutants made from the source itself: every constant, sign, operator, comparison, condition, statement and so on.

Nobody chose them, so they show what the tables of mistakes that somebody thought of may have missed. They change the
code alone: not docstrings, type hints, decorators, messages or imports. Names show the place: ``1 {- -> +} x``.
"""

import ast
import functools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from samestep import PACKAGE
from samestep.parity.measure.wrong_rules.patch import Patch as Mutant
from samestep.reference import RULES

from .kinds import KINDS, Change, Place, Source

FRAMEWORKS = ("numpy", "pytorch", "tensorflow")
SHARED = ("rule", "scalars", "sums", "matrices")
FILES = (
    *(f"reference/{name}.py" for name in (*SHARED, *(rule.__name__.lower() for rule in RULES))),
    *(f"frameworks/{framework}/{name}.py" for framework in FRAMEWORKS for name in ("namespace", "optimizer")),
    *(f"frameworks/pytorch/{name}.py" for name in ("compiled", "hooks", "whole")),
    *(f"frameworks/tensorflow/{name}.py" for name in ("coefficients", "guarded")),
    *(f"reference/parts/{name}.py" for name in ("part", "schedules", "clipping", "average", "accumulation")),
    *(f"frameworks/{framework}/around.py" for framework in FRAMEWORKS),
)
WINDOW = 36  # characters of the line that a name shows on each side of the change
UNTOUCHED = {"annotation", "returns", "decorator_list"}  # fields of a syntax tree that are no arithmetic


@functools.cache
def made() -> tuple[Mutant, ...]:
    """The mutants of all files, in their order; made when they are first asked for."""
    return tuple(mutant for file in FILES for mutant in of_source(file, (PACKAGE / file).read_text()))


def of_source(file: str, text: str) -> list[Mutant]:
    """The mutants of one source, each under a name of its own; no two are the same text."""
    where, source = Path(file).with_suffix("").as_posix().partition("/")[2], Source(text)
    found, seen, texts = [], Counter[str](), {text}
    for place in places(ast.parse(text)):
        for change in (change for kind in KINDS for change in kind(place, source)):
            planted = text[: change.begin] + change.after + text[change.end :]
            if planted in texts:
                continue
            texts.add(planted)
            told = f"{where}{place.inside and ', '}{place.inside}: {shown(text, change)}"
            seen[told] += 1
            name = told if seen[told] == 1 else f"{told} ({seen[told]})"
            found.append(Mutant(name, file, *block(text, change)))
    return found


def places(node: ast.AST, parent: ast.AST | None = None, function: ast.FunctionDef | None = None) -> Iterator[Place]:
    """The code below a node, in the order of the source."""
    yield Place(node, parent or node, function)
    if isinstance(node, ast.Raise | ast.JoinedStr):
        return
    inside = node if isinstance(node, ast.FunctionDef) else function
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and field not in UNTOUCHED:
                yield from places(child, node, inside)


def block(source: str, change: Change) -> tuple[str, str]:
    """Whole lines around the change, as few as stand once in the source, before and after it."""
    begin = source.rfind("\n", 0, change.begin) + 1
    end = source.find("\n", change.end) % (len(source) + 1)
    while source.count(source[begin:end]) > 1:
        begin = source.rfind("\n", 0, begin - 1) + 1
    before = source[begin:end]
    return before, before[: change.begin - begin] + change.after + before[change.end - begin :]


def shown(source: str, change: Change) -> str:
    """The line around the change, and the change in braces."""
    begin, end = source.rfind("\n", 0, change.begin) + 1, source.find("\n", change.end) % (len(source) + 1)
    left, right = source[begin : change.begin].lstrip(), source[change.end : end]
    left = left if len(left) <= WINDOW else f"...{left[-WINDOW:]}"
    right = right if len(right) <= WINDOW else f"{right[:WINDOW]}..."
    old = source[change.begin : change.end]
    return f"{left}{{{brief(old)} -> {brief(change.after)}}}{right}"


def brief(code: str) -> str:
    """On one line, the middle left out if it is long."""
    line = " ".join(code.split())
    return line if len(line) <= 2 * WINDOW else f"{line[:WINDOW]} ... {line[-WINDOW:]}"
