"""The mutants themselves, and what is kept and told of an audit; no framework, and none of them is planted."""

import ast
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from parity import audit, cases, findings, loads, mutants, streams, trajectory
from parity.mutants import EQUIVALENT, ROOT, Mutant, generated
from reference import RULES, Rule, dialects, scalars

EXAMPLE = '''"""Doc: 1 + 1."""
from numpy import abs, sign

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
'''
MADE = [  # each line in its order, as a reader would change it
    "a: from numpy import {abs -> sign as abs}, sign",
    "a: from numpy import abs, {sign -> abs as sign}",
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
    """Numbers, intervals, operators, functions, conditions, states, steps; not docstrings, hints or messages."""
    assert [mutant.name for mutant in generated.of_source("reference/a.py", EXAMPLE)] == MADE


def test_every_mutant_applies_and_changes_something() -> None:
    """Each stands for exactly one place in the source as it is now, under a name of its own, and can be read."""
    every = mutants.every()
    assert [mutant.name for mutant in every if not mutant.applies(ROOT)] == []
    assert [mutant.name for mutant in every if mutant.before == mutant.after] == []
    assert len({mutant.name for mutant in every}) == len(every)
    for mutant in every:
        ast.parse(mutant.planted(ROOT))


def test_no_two_mutants_are_the_same() -> None:
    """One written by hand is not made again."""
    planted = [(mutant.file, mutant.planted(ROOT)) for mutant in mutants.every()[len(mutants.ALL) :]]
    assert len(set(planted)) == len(planted)
    assert set(planted).isdisjoint((mutant.file, mutant.planted(ROOT)) for mutant in mutants.ALL)


def test_every_rule_and_optimizer_has_mutants_made() -> None:
    """None is passed over."""
    assert {mutant.file for mutant in generated.made()} == set(generated.FILES)


def test_source_with_other_letters_is_refused() -> None:
    """Its columns are counted in bytes."""
    with pytest.raises(ValueError, match="must be ASCII"):
        generated.of_source("reference/a.py", "x = 'é'")


def test_mutants_held_to_change_nothing_are_there() -> None:
    """Each is a mutant, with a reason."""
    assert EQUIVALENT.keys() <= {mutant.name for mutant in mutants.every()}
    assert all(reason.strip() for reason in EQUIVALENT.values())


HELD = [m for m in mutants.every() if m.name in EQUIVALENT and Path(m.file).parent.name == "reference"]


@pytest.mark.parametrize("mutant", HELD, ids=lambda mutant: mutant.name)
def test_what_changes_nothing_moves_no_bit(mutant: Mutant) -> None:
    """On no call, in either dtype."""
    assert powers(mutants.reference(mutant, "scalars").integer_power) == powers(scalars.integer_power)
    own = [kind.__name__ for kind in RULES if mutant.file == f"reference/{kind.__name__.lower()}.py"]
    for call in cases.CALLS:
        rule = dialects.read(call)
        name = type(rule).__name__
        if name in (own or [name]):
            start, gradients = streams.suit(rule, streams.start()), streams.suit(rule, streams.gradients("rare", 24))
            for dtype in ("float32", "float64"):
                moved = trajectory.run(twin(mutant, rule), start, gradients, dtype)
                np.testing.assert_array_equal(moved, trajectory.run(rule, start, gradients, dtype))


def powers(integer_power: Callable[[float, int], float]) -> list[float]:
    """Powers of 0.999 at every width of the exponent, and at its ends."""
    widths = [2**bits + beside for bits in range(32) for beside in (-1, 0, 1)]
    return [integer_power(0.999, exponent) for exponent in (*range(300), *widths)]


def twin(mutant: Mutant, rule: Rule) -> Rule:
    """The same rule with the mutant planted."""
    name = type(rule).__name__
    kind: type[Rule] = getattr(mutants.reference(mutant, name.lower()), name)
    return kind(**rule.plain())


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project, of which findings are kept."""
    for name in ("pyproject.toml", "reference/adam.py", "parity/test_one.py", "parity/test_other.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("as it was")
    monkeypatch.setattr(findings, "ROOT", tmp_path)
    monkeypatch.setattr(findings, "SUITE", ("test_one.py", "test_other.py", "test_new.py"))
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "standing"),
    [
        ("parity/test_one.py", ["by the other"]),
        ("parity/test_other.py", ["by one"]),
        ("parity/test_new.py", ["by one", "by the other"]),
        ("reference/adam.py", []),
        ("pyproject.toml", []),
        ("parity/suite.py", ["by one", "by the other"]),
        ("parity/audit.py", ["by one", "by the other", "by none"]),
        ("parity/mutants/equivalent.py", ["by one", "by the other", "by none"]),
        ("parity/test_of_no_rung.py", ["by one", "by the other", "by none"]),
        (None, ["by one", "by the other", "by none"]),
    ],
)
def test_finding_stands_while_what_it_depends_on_does(sources: Path, changed: str | None, standing: list[str]) -> None:
    """What a test has caught stands whatever becomes of other tests; what none has, until any of the suite changes."""
    caught = {"by one": "parity/test_one.py::test", "by the other": "parity/test_other.py", "by none": None}
    kept = [findings.Finding(name, "reference/adam.py", test) for name, test in caught.items()]
    findings.keep(sources / "audit.json", kept, findings.Sources())
    if changed:
        (sources / changed).parent.mkdir(exist_ok=True)
        (sources / changed).write_text("as it is now")
    found, before = findings.earlier(sources / "audit.json")
    assert [finding.mutant for finding in found] == standing
    assert before == {"by one": caught["by one"], "by the other": caught["by the other"]}


@pytest.mark.parametrize(
    ("loaded", "changes", "stands"),
    [
        (["parity/test_one.py"], ["reference/adam.py"], True),
        (["parity/test_one.py", "reference/adam.py"], ["reference/adam.py"], False),
        (["parity/test_one.py"], ["parity/test_one.py"], False),
        (["parity/test_one.py"], ["pyproject.toml"], False),
        (None, ["reference/adam.py"], False),
    ],
)
def test_finding_depends_on_what_its_test_loads(
    sources: Path, loaded: list[str] | None, changes: list[str], stands: bool
) -> None:
    """And on no more; on everything, if that is not known."""
    file, one = sources / "audit.json", findings.Finding("one", "reference/adam.py", "parity/test_one.py::test")
    findings.keep(file, [one], findings.Sources())
    findings.keep_loads(file, "parity/test_one.py", loaded)
    assert findings.earlier(file)[0] == [one]  # it was of these sources, and is
    for name in changes:
        (sources / name).write_text("as it is now")
    assert findings.earlier(file)[0] == [one] * stands


def test_what_a_changed_test_loads_is_not_known(sources: Path) -> None:
    """Until it is found anew, what it catches depends on everything."""
    file, one = sources / "audit.json", findings.Finding("one", "reference/adam.py", "parity/test_one.py::test")
    findings.keep(file, [], findings.Sources())
    findings.keep_loads(file, "parity/test_one.py", ["parity/test_one.py"])
    (sources / "parity/test_one.py").write_text("import reference.adam")
    findings.keep(file, [one], findings.Sources(findings.loads(file)))
    assert findings.earlier(file)[0] == [one]
    (sources / "reference/adam.py").write_text("as it is now")
    assert findings.earlier(file)[0] == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import reference.adam", {"reference/__init__.py", "reference/adam.py", "reference/rule.py"}),
        ("open({root!r} + '/parity/ledger.py').close()", {"parity/ledger.py"}),
        ("import subprocess, sys; subprocess.run([sys.executable, '-c', ''])", None),
    ],
    ids=["imports", "opens", "starts"],
)
def test_loads_are_what_a_run_imports_and_opens(tmp_path: Path, code: str, found: set[str] | None) -> None:
    """And not known of a run that starts another process."""
    test = tmp_path / "test_code.py"
    test.write_text(f"def test_code():\n    {code.format(root=str(mutants.ROOT))}\n")
    loaded = loads.of(str(test))
    assert (loaded is None) == (found is None)
    assert (found or set()) <= set(loaded or ())
    assert not loaded or "frameworks/run.py" not in loaded


def test_loads_are_known_where_nothing_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Python has compiled once it imports without its source, where pytest does not read that to rewrite it."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "--assert=plain")
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path / "cache"))
    test = tmp_path / "test_code.py"
    test.write_text("import reference.adam\n\n\ndef test_code():\n    pass\n")
    first, again = loads.of(str(test)), loads.of(str(test))
    assert first == again
    assert "reference/adam.py" in (again or [])


def test_findings_of_other_mutants_are_kept(sources: Path) -> None:
    """Though the sources have changed, they tell where to begin the next time."""
    one, other = (findings.Finding(name, "reference/adam.py", "parity/test_one.py") for name in ("[1], [2]", "other"))
    findings.keep(sources / "audit.json", [one], findings.Sources())
    (sources / "reference/adam.py").write_text("as it is now")
    findings.keep(sources / "audit.json", [other], findings.Sources())
    standing, before = findings.earlier(sources / "audit.json")
    assert (standing, set(before)) == ([other], {"[1], [2]", "other"})


def test_finding_falls_with_its_mutant(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is of that name today may be another."""
    one = findings.Finding("one", "reference/adam.py", "parity/test_one.py::test")
    found = []
    for after in ("+", "+", "*"):
        monkeypatch.setattr(findings, "_mutants", lambda after=after: {"one": Mutant("one", one.file, "-", after)})
        found.append(findings.earlier(sources / "audit.json")[0])
        findings.keep(sources / "audit.json", [one], findings.Sources())
    assert found == [[], [one], []]


def test_finding_falls_with_what_is_held_of_its_mutant(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held to change nothing is tried with the nearest tests alone."""
    monkeypatch.setattr(findings, "EQUIVALENT", {"one": "a reason"})
    kept = [findings.Finding("one", "reference/adam.py", test) for test in (None, "parity/test_one.py")]
    for finding, standing in zip(kept, ([], [kept[1]]), strict=True):
        findings.keep(sources / "audit.json", [finding], findings.Sources())
        with monkeypatch.context() as patch:
            patch.setattr(findings, "EQUIVALENT", {})
            assert findings.earlier(sources / "audit.json")[0] == standing


@pytest.mark.parametrize(("changed", "stands"), [("parity/test_one.py", True), ("parity/test_far.py", False)])
def test_finding_of_what_changes_nothing_depends_on_the_nearest_tests(
    sources: Path, monkeypatch: pytest.MonkeyPatch, changed: str, stands: bool
) -> None:
    """With no others was it tried."""
    monkeypatch.setattr(findings, "EQUIVALENT", {"one": "a reason"})
    one = findings.Finding("one", "reference/adam.py", None)
    findings.keep(sources / "audit.json", [one], findings.Sources())
    (sources / changed).write_text("as it is now")
    assert findings.earlier(sources / "audit.json")[0] == [one] * stands


def test_audit_stops_when_the_sources_change_under_it(
    sources: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No finding is of two states of the project."""

    def judge_all(chosen: Sequence[Mutant], jobs: int | None, before: dict[str, str]) -> Iterator[findings.Finding]:
        for mutant in chosen:
            yield findings.Finding(mutant.name, mutant.file, "parity/test_one.py")
            (sources / "reference/adam.py").write_text("as it is now")

    monkeypatch.setattr(audit, "judge_all", judge_all)
    assert audit.main(["--only", "epsilon is under the root"]) == 2
    assert "the sources changed while the audit ran" in capsys.readouterr().err


def test_audit_counts_by_file_and_names_what_is_not_as_it_must_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Caught, equivalent, surviving, and an equivalent that is caught."""
    for module in (findings, audit):
        monkeypatch.setattr(module, "EQUIVALENT", {"b": "it adds nothing", "d": "so it was said"})
    caught = {"a": "parity/test_one.py", "b": None, "c": None, "d": "parity/test_one.py"}
    found = [findings.Finding(name, "one.py" if name < "c" else "other.py", test) for name, test in caught.items()]
    assert findings.rows(found) == [("one.py", 2, 1, 1, 0), ("other.py", 2, 1, 0, 1), ("all", 4, 2, 1, 1)]
    said = list(audit.told(found, ["a test"]))[4:]
    assert said == [
        "changes nothing: b (one.py): it adds nothing",
        "is caught by parity/test_one.py, but held to change nothing: d (other.py): so it was said",
        "survives: c (other.py)",
        "a test fails without a mutant as well",
    ]
