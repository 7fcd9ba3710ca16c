"""Mutants generated from the source of ``samestep.reference``: every operator, number and so on.

Nobody chose them, so they show what the hand-written wrong rules may have missed. Only code is
changed: not docstrings, type hints, decorators, messages or imports.

A mutant that changes nothing is marked in the source, at the line of the change or above it::

    # equivalent mutant: REASON                            every mutant of the line
    # equivalent mutant "4 -> 8": REASON                   those that change 4 to 8
    # equivalent mutant "max(x, {4 -> 8})": REASON         those with this text around the change
"""

import ast
import functools
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from samestep import PACKAGE
from samestep.parity.measure.wrong_rules import SHARED, Patch
from samestep.reference import RULES

from .kinds import KINDS, Edit, Location, Source

RULE_FILES = tuple(f"reference/{rule.__name__.lower()}.py" for rule in RULES)
SHARED_FILES = tuple(f"reference/{name}.py" for name in SHARED)
FILES = (*SHARED_FILES, *RULE_FILES)

WINDOW = 36  # characters of the line that a mutant's name shows on each side of the change
UNCHANGED_FIELDS = {
    "annotation",
    "returns",
    "decorator_list",
}  # fields of a syntax tree that compute nothing
UNCHANGED_ARGUMENTS = {
    "strict",
    "stacklevel",
    "maxsize",
}  # checks, warnings and caches: no result depends on them
MARK = re.compile(r'#\s*equivalent mutant(?: "(?P<change>.+?)")?: (?P<reason>.+)')


class Mark(NamedTuple):
    """A comment that declares mutants of one line equivalent, because of ``reason``.

    ``change`` is None for all mutants of the line, else as in the module's docstring. ``line``
    counts from 1.
    """

    line: int
    change: str | None
    reason: str

    def covers(self, line: int, change: str, context: str) -> bool:
        """True for a mutant of this line with this change ("4 -> 8"), shown in the whole line ("x =
        {4 -> 8}").
        """
        if self.line != line or self.change is None:
            return self.line == line
        return self.change in context if "{" in self.change else self.change == change


class Mutant(NamedTuple):
    """One edit of one file, as a patch; ``mark`` is set if a comment in the source declares it
    equivalent.
    """

    patch: Patch
    line: int
    mark: Mark | None

    def __str__(self) -> str:
        return f"{self.patch.file}:{self.line}: {self.patch.name}"


@functools.cache
def mutants_of_file(file: str) -> tuple[Mutant, ...]:
    """The mutants of a file, a path below the package such as ``reference/adam.py``, in the order
    of its lines.
    """
    return tuple(mutants_of_source(file, (PACKAGE / file).read_text()))


def mutants_of_source(file: str, text: str) -> Iterator[Mutant]:
    """The mutants of one source text. No two have the same text or the same name.

    ValueError if the text is not ASCII.
    """
    module = Path(file).with_suffix("").as_posix().partition("/")[2]
    source, marks = Source(text), marks_of(text)
    name_counts, known_texts = Counter[str](), {text}
    for location, edit in edits_of(source):
        mutated = text[: edit.begin] + edit.replacement + text[edit.end :]
        if mutated in known_texts:
            continue
        known_texts.add(mutated)
        function = f", {location.function_name}" if location.function_name else ""
        name = f"{module}{function}: {shown(source.code, edit, WINDOW)}"
        name_counts[name] += 1
        if name_counts[name] > 1:
            name = f"{name} ({name_counts[name]})"
        line, change = source.line_of(edit.begin), described(source.code, edit)
        context = shown(source.code, edit, len(text))
        mark = next((mark for mark in marks if mark.covers(line, change, context)), None)
        yield Mutant(Patch(name, file, *surrounding_lines(text, edit)), line, mark)


def edits_of(source: Source) -> Iterator[tuple[Location, Edit]]:
    """All edits of all kinds, in the order of the source."""
    for location in locations(ast.parse(source.text)):
        for kind in KINDS:
            for edit in kind(location, source):
                yield location, edit


def locations(
    node: ast.AST, parent: ast.AST | None = None, function: ast.FunctionDef | None = None
) -> Iterator[Location]:
    """The nodes of code below and including ``node``, in the order of the source."""
    yield Location(node, parent or node, function)
    if isinstance(node, ast.Raise | ast.JoinedStr):
        return
    inner_function = node if isinstance(node, ast.FunctionDef) else function
    for field, value in ast.iter_fields(node):
        if field in UNCHANGED_FIELDS:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_unchanged_argument(child):
                yield from locations(child, node, inner_function)


def _is_unchanged_argument(node: ast.AST) -> bool:
    return isinstance(node, ast.keyword) and node.arg in UNCHANGED_ARGUMENTS


def marks_of(text: str) -> list[Mark]:
    """The marks in a source text. A comment on a line of its own is about the next line of code."""
    marks, waiting = [], list[re.Match[str]]()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            match = MARK.match(token.string)
            if match and token.line.lstrip().startswith("#"):
                waiting.append(match)
            elif match:
                marks.append(Mark(token.start[0], match["change"], match["reason"]))
        elif token.type not in (tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.NEWLINE):
            marks += [Mark(token.start[0], match["change"], match["reason"]) for match in waiting]
            waiting = []
    return marks


def surrounding_lines(text: str, edit: Edit) -> tuple[str, str]:
    """Whole lines around the edit, as few as stand once in the text, before and after the edit."""
    begin = text.rfind("\n", 0, edit.begin) + 1
    end = text.find("\n", edit.end) % (len(text) + 1)
    while text.count(text[begin:end]) > 1:
        begin = text.rfind("\n", 0, begin - 1) + 1
    before = text[begin:end]
    return before, before[: edit.begin - begin] + edit.replacement + before[edit.end - begin :]


def shown(text: str, edit: Edit, window: int) -> str:
    """The line of the edit, the change in braces, at most ``window`` characters on each side."""
    begin = text.rfind("\n", 0, edit.begin) + 1
    end = text.find("\n", edit.end) % (len(text) + 1)
    left, right = text[begin : edit.begin].lstrip(), text[edit.end : end].rstrip()
    if len(left) > window:
        left = f"...{left[-window:]}"
    if len(right) > window:
        right = f"{right[:window]}..."
    return f"{left}{{{described(text, edit)}}}{right}"


def described(text: str, edit: Edit) -> str:
    """The change as ``old -> new``, each on one line and shortened."""
    return f"{shortened(text[edit.begin : edit.end])} -> {shortened(edit.replacement)}"


def shortened(code: str) -> str:
    """Code on one line; the middle is left out if it is long."""
    line = " ".join(code.split())
    return line if len(line) <= 2 * WINDOW else f"{line[:WINDOW]} ... {line[-WINDOW:]}"
