"""The suite's own account: what a whole run took, rung by rung."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .checkout import ROOT

CONFTEST = """
from pathlib import Path

from parity import ledger


def pytest_configure(config):
    if ledger.whole(config):
        config.pluginmanager.register(ledger.Ledger(config, Path("out/parity.json")))
"""
CASES = '''"""{title}"""

import pytest


@pytest.mark.parametrize("x", range({count}))
def test_it(x):
    if x == 1:
        pytest.skip("left out")
    assert x != {bad}
'''


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A small suite of two files, of which one is a rung."""
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = .\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    write(tmp_path)
    return tmp_path


def write(folder: Path, bad: int = -1) -> None:
    """The two files; case number ``bad`` fails."""
    (folder / "test_a.py").write_text(CASES.format(title="Rung 2, by chance.", count=5, bad=bad))
    (folder / "test_b.py").write_text(CASES.format(title="Something else.", count=3, bad=-1))


def run(folder: Path, *words: str) -> Path:
    """Run the small suite; where its account lies if there is one."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
    subprocess.run(command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, check=False)
    return folder / "out" / "parity.json"


def test_whole_run_is_told_by_rung(suite: Path) -> None:
    """Cases that ran, cases left out, and the seconds that both took."""
    told = json.loads(run(suite).read_text())
    assert [(r["rung"], r["cases"], r["left_out"]) for r in told["rungs"]] == [
        ("2 adapters", 4, 1), ("beside the ladder", 2, 1),
    ]  # fmt: skip
    assert 0 < sum(r["seconds"] for r in told["rungs"]) < told["seconds"]


@pytest.mark.parametrize("words", [("-k", "it"), ("test_a.py",), ("--collect-only",)], ids=" ".join)
def test_part_of_a_run_is_no_account(suite: Path, words: tuple[str, ...]) -> None:
    """It would be taken for the whole."""
    assert not run(suite, *words).exists()


def test_run_that_fails_leaves_the_last_account(suite: Path) -> None:
    """What failed may have stopped early."""
    before = run(suite).read_text()
    write(suite, bad=2)
    assert run(suite).read_text() == before
