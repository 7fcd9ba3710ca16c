"""Rung 4, sensitivity: a suite that cannot convict proves nothing."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from parity import audit, mutants
from parity.conftest import LEFT_OUT
from parity.findings import Finding
from parity.mutants import ALL
from parity.require import require
from parity.suite import SUITE
from reference import RULES

require("torch")
require("tensorflow")


@pytest.fixture(scope="module")
def findings(full: bool) -> dict[str, Finding]:
    """What the unchanged suite makes of the mutants, of all with ``--full``."""
    chosen = ALL if full else audit.covering(ALL)
    return {finding.mutant: finding for finding in audit.judge_all(chosen)}


@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: mutant.name)
def test_mutant_is_caught(findings: dict[str, Finding], mutant: mutants.Mutant) -> None:
    """In a fresh process on the altered source the suite turns red."""
    if mutant.name not in findings:
        pytest.skip(LEFT_OUT)
    assert findings[mutant.name].caught_by, f"the whole suite passes with this in {mutant.file}: {mutant.after}"


def test_what_catches_a_mutant_passes_without_it(findings: dict[str, Finding]) -> None:
    """The innocent are not accused: the same tests, on an unaltered copy."""
    assert audit.false_alarms(findings.values()) == []


def test_test_that_fails_without_a_mutant_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the copy is at fault, and only the tests that it turns red are named."""
    plant, wrong = audit.copy, next(mutant for mutant in ALL if mutant.name == "adam: epsilon is in the wrong place")
    monkeypatch.setattr(audit, "copy", lambda root, _: plant(root, wrong))
    test = "parity/test_rules.py::test_first_step_is_the_one_worked_by_hand"
    named = audit.false_alarms([Finding("", "", test)])
    assert named
    assert all(name.startswith(f"{test}[") and "Adam" in name for name in named)


def test_audit_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was judged is not judged again."""
    judged: list[str] = []

    def judge_all(chosen: Sequence[mutants.Mutant], jobs: int | None, before: dict[str, str]) -> Iterator[Finding]:
        for mutant in chosen:
            judged.append(mutant.name)
            if len(judged) == 2:
                raise KeyboardInterrupt
            yield Finding(mutant.name, mutant.file, None if mutant.name == survivor else "a test")

    survivor = "adam: epsilon is under the root"
    monkeypatch.setattr(audit, "judge_all", judge_all)
    monkeypatch.setattr(audit, "false_alarms", lambda findings: [])
    ask = ["--only", "epsilon is under the root", "--out", str(tmp_path / "audit.json")]
    with pytest.raises(KeyboardInterrupt):
        audit.main(ask)
    assert audit.main(ask) == 1
    assert len(judged) == len(set(judged)) + 1 == len([m for m in mutants.every() if ask[1] in m.name]) + 1
    assert f"survives: {survivor}" in capsys.readouterr().out


def test_share_of_the_mutants_covers_every_rule_and_folder() -> None:
    """One of each; all are judged with ``--full``."""
    files = [Path(mutant.file) for mutant in audit.covering(ALL)]
    rules = {Path("reference", f"{rule.__name__.lower()}.py") for rule in RULES}
    assert rules <= set(files)
    assert {file.parent for file in files} == {Path(mutant.file).parent for mutant in ALL}
    assert len(files) == len(set(files))


def test_audit_runs_the_whole_suite() -> None:
    """Every test file of the ladder is in it, but this one, the tests of the house and what runs no rule of ours."""
    files = {path.name for path in (mutants.ROOT / "parity").glob("test_*.py")}
    assert set(SUITE) == files - {
        "test_sensitivity.py",
        "test_mutants.py",
        "test_layers.py",
        "test_deviations.py",
    }
