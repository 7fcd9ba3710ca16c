"""Rung 4: every mutant of the reference rules is caught, or marked at its line as one that changes
nothing.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from samestep import PACKAGE
from samestep.parity.measure import cases, streams
from samestep.parity.measure.rule_run import run_tensor
from samestep.parity.measure.wrong_rules import RULES as WRITTEN
from samestep.parity.measure.wrong_rules import Patch, PlantedPackage
from samestep.parity.sensitivity import __main__ as command
from samestep.parity.sensitivity import judge
from samestep.parity.sensitivity.generated import FILES, Mark, Mutant
from samestep.parity.sensitivity.mutants import mutants_of
from samestep.parity.truth import corners
from samestep.reference import RULES, dialects, scalars

pytestmark = pytest.mark.rung(4)

MARKED = [mutant for file in FILES for mutant in mutants_of(file) if mutant.mark]


@pytest.mark.parametrize("file", FILES)
def test_every_mutant_is_caught_or_marked(file: str) -> None:
    """And none that is marked is caught."""
    result = judge.judge_files([file])
    (row,) = result["rows"]
    counts = f"{row['mutants']} mutants, {row['caught']} caught, {row['equivalent']} equivalent"
    print(f"{file}: {counts}, {result['seconds']:.2f} processor seconds")  # noqa: T201 shown by -s
    assert row["survivors"] == []
    assert row["wrongly_marked"] == []
    assert row["caught"] + row["equivalent"] == row["mutants"] > 0


@pytest.mark.parametrize("file", FILES)
def test_right_source_is_not_accused(file: str) -> None:
    """The judge finds no fault in what was not changed."""
    text = (PACKAGE / file).read_text()
    assert (
        judge.complaint_about(Mutant(Patch("nothing is changed", file, text, text), 1, None))
        is None
    )


@pytest.mark.parametrize("mutant", MARKED, ids=str)
def test_marked_mutant_moves_no_bit(mutant: Mutant) -> None:
    """On no call, in either dtype, nor in any power."""
    package = PlantedPackage(mutant.patch)
    powers = [2**bits + offset for bits in range(32) for offset in (-1, 0, 1)]
    for exponent in powers:
        power = package.module("scalars").integer_power(0.999, exponent)
        assert power == scalars.integer_power(0.999, exponent)
    own = [kind for kind in RULES if mutant.patch.file == f"reference/{kind.__name__.lower()}.py"]
    for rule in map(dialects.read, cases.CALLS):
        if type(rule) not in (own or RULES):
            continue
        twin = corners.Reference(package.module).rule(type(rule).__name__)(**rule.to_dict())
        start = streams.suit(rule, streams.start())
        gradients = streams.suit(rule, streams.gradients("rare", 12))
        for dtype in ("float32", "float64"):
            moved = run_tensor(twin, start, gradients, dtype)
            np.testing.assert_array_equal(moved, run_tensor(rule, start, gradients, dtype))
    package.remove()


def test_survivor_is_named_with_file_line_and_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without examples the judge sees no update, and lets such mutants live."""
    monkeypatch.setattr(judge, "examples_of", lambda rule_name: ())
    result = judge.judge_file("reference/lion.py")
    lines = (PACKAGE / "reference/lion.py").read_text().splitlines()
    (line,) = (number for number, text in enumerate(lines, start=1) if "direction =" in text)
    survivor = 'lion, update: direction = xp.sign(c.keep1 {* -> /} state["m"] + c.take1 * g)'
    assert f"reference/lion.py:{line}: {survivor}" in result.survivors
    assert f"reference/lion.py:{line}: lion: sign of the gradient alone" in result.survivors


def test_marked_mutant_that_is_caught_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mark does not excuse what changes a step."""
    patch = next(patch for patch in WRITTEN if patch.name == "lion: betas are swapped")
    monkeypatch.setattr(
        judge, "mutants_of", lambda file: [Mutant(patch, 7, Mark(7, None, "I hope so"))]
    )
    result = judge.judge_file("reference/lion.py")
    assert result.survivors == []
    (complaint,) = result.wrongly_marked
    assert (
        "lion.py:7: lion: betas are swapped is marked as equivalent (I hope so), but Lion("
        in complaint
    )
    assert "leaves the truth" in complaint


def test_mutant_that_does_not_end_is_caught() -> None:
    """After half a second of processor time."""
    patch = Patch(
        "endless", "reference/scalars.py", "    table = [base]\n", "    while True:\n        pass\n"
    )
    assert judge.complaint_about(Mutant(patch, 1, None)) == "it does not end"


def test_mutant_that_raises_is_caught() -> None:
    """The error is the complaint."""
    patch = Patch("no name", "reference/lion.py", "xp.sign(", "xp.sing(")
    complaint = judge.complaint_about(Mutant(patch, 1, None))
    assert complaint is not None
    assert complaint.startswith("it raises AttributeError")


def test_command_writes_counts_by_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON argument; the rules that are named alone."""
    out = tmp_path / "sensitivity.json"
    assert command.main({"out": str(out), "rules": ["Lion"]}) == 0
    result = json.loads(out.read_text())
    (row,) = result["rows"]
    assert (row["file"], row["survivors"]) == ("reference/lion.py", [])
    assert (
        row["caught"] + row["equivalent"] == row["mutants"] == len(mutants_of("reference/lion.py"))
    )
    assert result["seconds"] > 0
    assert f"{row['mutants']} mutants" in capsys.readouterr().out


def test_command_refuses_a_rule_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By name, and writes nothing."""
    assert command.main({"out": str(tmp_path / "out.json"), "rules": ["Adan"]}) == 2
    assert "there is no reference/adan.py" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
