"""Rung 4: the mutants themselves. None of them is judged here."""

import ast
import warnings

import pytest

from samestep import PACKAGE
from samestep.parity.sensitivity.generated import FILES, Mark, marks_of, mutants_of_source
from samestep.parity.sensitivity.mutants import mutants_of

pytestmark = pytest.mark.rung(4)

EXAMPLE = '''"""Doc: 1 + 1."""
import functools

class A:
    lr: float = number(0.5, "(0, 1]", matters_with=("b",))

    def start(self, theta, xp):
        return {name: theta for name in "v"}

    def coefficients(self, t, lr):
        return named(lr=lr * t, keep=0.0)

    def update(self, theta: 1, g, state, c, xp):
        if not self.flag:
            raise ValueError(1 + 1)
        v = -c.k if g > 0 else xp.maximum(theta, g)
        v = xp.where(True, v, xp.sqrt(theta))
        return theta, {"v": v}

squares = functools.lru_cache(maxsize=256)(zip(a, b, strict=True))
'''
EXPECTED = [  # each change of EXAMPLE in its order, as a reader would write it
    'a: lr: float = number({0.5 -> 1.0}, "(0, 1]", matters_with=("b",))',
    'a: lr: float = number(0.5, "{( -> [}0, 1]", matters_with=("b",))',
    'a: lr: float = number(0.5, "(0, 1{] -> )}", matters_with=("b",))',
    'a: ... number(0.5, "(0, 1]", matters_with={("b",) -> ()})',
    """a, start: return {name: {theta -> (theta) + (name == 'v') * 1.0} for name in "v"}""",
    "a, coefficients: return named(lr={lr * t, keep=0.0 -> 0.0, keep=lr * t})",
    "a, coefficients: return named(lr=lr {* -> /} t, keep=0.0)",
    "a, coefficients: return named(lr=lr * {t -> (t - 1)}, keep=0.0)",
    "a, coefficients: return named(lr=lr * {t -> (t + 1)}, keep=0.0)",
    "a, coefficients: return named(lr=lr * t, keep={0.0 -> 1.0})",
    "a, update: if {not self.flag -> True}:",
    "a, update: if {not self.flag -> False}:",
    "a, update: if {not -> }self.flag:",
    "a, update: v = -c.k if {g > 0 -> True} else xp.maximum(theta, g)",
    "a, update: v = -c.k if {g > 0 -> False} else xp.maximum(theta, g)",
    "a, update: v = -c.k if g {> -> >=} 0 else xp.maximum(theta, g)",
    "a, update: v = -c.k if {g -> gradient} > 0 else xp.maximum(theta, g)",
    "a, update: v = -c.k if g > {0 -> 1} else xp.maximum(theta, g)",
    "a, update: v = {- -> }c.k if g > 0 else xp.maximum(theta, ...",
    "a, update: v = -c.k if g > 0 else xp.{maximum -> minimum}(theta, g)",
    "a, update: ...c.k if g > 0 else xp.maximum(theta, {g -> gradient})",
    "a, update: {v = xp.where(True, v, xp.sqrt(theta)) -> pass}",
    "a, update: v = xp.where(True, {v, xp.sqrt(theta) -> xp.sqrt(theta), v})",
    "a, update: v = xp.where({True -> False}, v, xp.sqrt(theta))",
    "a, update: v = xp.where(True, v, {xp.sqrt(theta) -> (theta)})",
    'a, update: return theta, {"v": {v -> state["v"]}}',
]


def test_every_part_of_a_source_is_changed() -> None:
    """Not docstrings, type hints, messages, sizes of caches, or checks of lengths."""
    mutants = mutants_of_source("reference/a.py", EXAMPLE)
    assert [mutant.patch.name for mutant in mutants] == EXPECTED


@pytest.mark.parametrize("file", FILES)
def test_every_mutant_stands_once_and_can_be_read(file: str) -> None:
    """Each changes exactly one place of the source as it is now, and the result is Python."""
    lines = (PACKAGE / file).read_text().splitlines()
    for mutant in mutants_of(file):
        assert mutant.patch.applies(), mutant
        assert mutant.patch.before != mutant.patch.after, mutant
        assert 0 < mutant.line <= len(lines), mutant
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            ast.parse(mutant.patch.patched())


def test_no_two_mutants_are_the_same() -> None:
    """Neither in text nor in name; a hand-written one is not generated again."""
    mutants = [mutant for file in FILES for mutant in mutants_of(file)]
    assert len({mutant.patch.name for mutant in mutants}) == len(mutants)
    assert len({(mutant.patch.file, mutant.patch.patched()) for mutant in mutants}) == len(mutants)


def test_source_with_other_letters_is_refused() -> None:
    """Its columns are counted in bytes."""
    with pytest.raises(ValueError, match="must be ASCII"):
        list(mutants_of_source("reference/a.py", "x = 'é'"))


MARKED = """
# equivalent mutant "{1 -> 2} + y": the first of both
# equivalent mutant "y -> (y)": nothing changes
# just a comment
x = 1 + y - 1

def f(a):
    return a > 0 or a > 0  # equivalent mutant "> -> >=": a is never 0

    # equivalent mutant: whatever it is
    a = a * (
        4 + 4  # equivalent mutant "4 -> 5": more of the same
    )
"""


def test_marks_are_read_from_comments() -> None:
    """At the end of a line, or above it."""
    assert marks_of(MARKED) == [
        Mark(5, "{1 -> 2} + y", "the first of both"),
        Mark(5, "y -> (y)", "nothing changes"),
        Mark(8, "> -> >=", "a is never 0"),
        Mark(11, None, "whatever it is"),
        Mark(12, "4 -> 5", "more of the same"),
    ]


def test_mark_covers_the_changes_that_it_names() -> None:
    """By the change alone, by the change in its place, or every change of the line."""
    marked = [
        (mutant.line, mutant.patch.name.partition(": ")[2])
        for mutant in mutants_of_source("x/a.py", MARKED)
        if mutant.mark
    ]
    assert marked == [
        (5, "x = {1 -> 2} + y - 1"),
        (8, "return a {> -> >=} 0 or a > 0"),
        (8, "return a > 0 or a {> -> >=} 0"),
        (11, "{a = a * ( 4 + 4 ) -> pass}"),
        (11, "a = a {* -> /} ("),
        (12, "{4 -> 5} + 4"),
        (12, "4 + {4 -> 5}"),
    ]


@pytest.mark.parametrize("file", FILES)
def test_every_mark_is_about_a_mutant(file: str) -> None:
    """A mark that is left over when the code has changed is an error."""
    used = [mutant.mark for mutant in mutants_of(file) if mutant.mark]
    unused = [mark for mark in marks_of((PACKAGE / file).read_text()) if mark not in used]
    assert unused == []
