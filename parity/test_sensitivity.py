"""Rung 4, sensitivity: a suite that cannot convict proves nothing."""

import tempfile
from pathlib import Path

import pytest

from parity import audit, mutants
from parity.mutants import ALL, ROOT
from parity.require import require

require("torch")
require("tensorflow")


@pytest.fixture(scope="module")
def findings(request: pytest.FixtureRequest) -> dict[str, audit.Finding]:
    """What the unchanged suite makes of the mutants, of all with ``--full``."""
    chosen = ALL if request.config.getoption("--full") else audit.covering(ALL)
    return {finding.mutant: finding for finding in audit.judge_all(chosen)}


@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: mutant.name)
def test_mutant_is_caught(findings: dict[str, audit.Finding], mutant: mutants.Mutant) -> None:
    """In a fresh process on the altered source the suite turns red."""
    if mutant.name not in findings:
        pytest.skip("left to tox -e audit")
    assert findings[mutant.name].caught_by, f"the whole suite passes with this in {mutant.file}: {mutant.after}"


@pytest.mark.parametrize("begin", sorted(dict(sorted(audit.NEAREST.values())).items()), ids=" ".join)
def test_unaltered_copy_passes(begin: tuple[str, str]) -> None:
    """What catches mutants does not accuse the innocent."""
    file, selection = begin
    with tempfile.TemporaryDirectory() as folder:
        audit.copy(Path(folder), None)
        assert audit.failing(Path(folder), [[f"parity/{file}", "-k", selection]]) is None


def test_share_of_the_mutants_covers_every_file() -> None:
    """One of each; all are judged with ``--full``."""
    assert sorted(mutant.file for mutant in audit.covering(ALL)) == sorted({mutant.file for mutant in ALL})


def test_every_mutant_applies_and_changes_something() -> None:
    """Each stands for exactly one place in the source as it is now, under a name of its own."""
    assert [mutant.name for mutant in ALL if not mutant.applies(ROOT)] == []
    assert [mutant.name for mutant in ALL if mutant.before == mutant.after] == []
    assert len({mutant.name for mutant in ALL}) == len(ALL)


def test_audit_runs_the_whole_suite() -> None:
    """Every test file of the ladder is in it, but this one, the tests of the house and what runs no rule of ours."""
    files = {path.name for path in (ROOT / "parity").glob("test_*.py")}
    assert set(audit.SUITE) == files - {"test_sensitivity.py", "test_layers.py", "test_deviations.py"}
