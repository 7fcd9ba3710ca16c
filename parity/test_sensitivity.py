"""Rung 4, sensitivity: a suite that cannot convict proves nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from parity import audit, mutants
from parity.conftest import LEFT_OUT
from parity.findings import Finding
from parity.mutants import ALL
from parity.nursery import Nurseries, Nursery
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


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """One for all runs here."""
    with Nurseries(1) as nurseries, nurseries.lent() as lent:
        yield lent


def test_run_is_of_its_own_folder_and_leaves_the_next_nothing(nursery: Nursery, tmp_path: Path) -> None:
    """Each imports the package that lies there."""
    for name, number in (("one", 1), ("other", 2)):
        (tmp_path / name / "reference").mkdir(parents=True)
        (tmp_path / name / "reference/__init__.py").write_text(f"NUMBER = {number}")
        test = (
            "import numpy, reference\n\ndef test():\n    assert reference.NUMBER == numpy.__dict__.setdefault('n', 1)"
        )
        (tmp_path / name / "test_it.py").write_text(test + " == 1\n    numpy.n = 2")
    codes = [nursery.run(tmp_path / name, ["-q", "test_it.py"], 60).code for name in ("one", "other", "one")]
    assert codes == [0, 1, 0]


def without_end(folder: Path) -> str:
    """Write a test there that never ends; gives the command line of the process that it starts."""
    asleep = f"sleep 600.{os.getpid()}"
    start = f"import subprocess\n\ndef test():\n    subprocess.Popen({asleep.split()})"
    (folder / "test_it.py").write_text(f"{start}\n    while True: pass")
    return asleep


def wait(asleep: str, there: bool) -> None:
    """Until the process is there, or gone; a signal takes its time on a busy machine."""
    patience = time.monotonic() + 60
    while bool(subprocess.run(["pgrep", "-fx", asleep], capture_output=True, check=False).stdout) != there:
        assert time.monotonic() < patience
        time.sleep(0.05)


def test_run_without_end_is_ended_and_what_it_has_started_too(nursery: Nursery, tmp_path: Path) -> None:
    """By the system, after its seconds of processor time."""
    asleep = without_end(tmp_path)
    assert nursery.run(tmp_path, ["-q", "test_it.py"], 2).code == -signal.SIGXCPU
    wait(asleep, there=False)


def test_slow_machine_is_no_mutant(nursery: Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that take long are given several times as long as without a mutant."""
    (tmp_path / "test_it.py").write_text("import time\n\ndef test():\n    while time.process_time() < 3: pass")
    monkeypatch.setattr(audit, "PATIENCE", 1)
    for usual, found in ((5.0, []), (0.1, ["test_it.py"])):
        monkeypatch.setattr(audit, "usual", lambda *_, usual=usual: usual)
        assert audit.failing(nursery, tmp_path, ["test_it.py"]) == found


def test_copy_leaves_the_record_behind(tmp_path: Path) -> None:
    """It is written anew, by way of another file, while mutants are judged."""
    audit.copy(tmp_path, None)
    assert [path.name for path in (tmp_path / "parity").glob("*.json")] == ["golden.json"]
    assert not list((tmp_path / "parity").glob(".audit*"))


def test_run_that_somebody_kills_is_no_catch(nursery: Nursery, tmp_path: Path) -> None:
    """As Linux does when memory is short."""
    (tmp_path / "test_it.py").write_text("import os\n\ndef test():\n    os.kill(os.getpid(), 9)")
    with pytest.raises(ValueError, match=r"must end by itself, but pytest test_it\.py was killed"):
        audit.failing(nursery, tmp_path, ["test_it.py"])


def test_usual_time_is_that_of_an_unaltered_copy(nursery: Nursery) -> None:
    """In processor seconds: collecting takes less than one, and a little."""
    assert 0 < audit.usual(nursery, ("parity/test_limits.py", "--collect-only")) < audit.PATIENCE


def test_run_ends_with_the_audit(tmp_path: Path) -> None:
    """However that ends, and whatever the run has started."""
    asleep = without_end(tmp_path)
    audit = f"from pathlib import Path; from parity.nursery import Nursery; Nursery().run(Path({str(tmp_path)!r}), "
    with subprocess.Popen([sys.executable, "-c", f"{audit}['-q', 'test_it.py'], 600)"]) as owner:
        wait(asleep, there=True)
        owner.kill()
    wait(asleep, there=False)


def test_process_that_cannot_fork_is_missed(tmp_path: Path) -> None:
    """No finding is made of it."""
    with Nurseries(1) as nurseries, nurseries.lent() as lent:
        lent.process.kill()
        with pytest.raises(RuntimeError, match="must live, but ended with -9"):
            lent.run(tmp_path, ["-q"], 60)


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
