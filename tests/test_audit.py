"""``samestep audit``: what stops it, and what it says."""

from pathlib import Path

import pytest

from parity import audit

pytest.importorskip("typer", reason="the command line is the extra 'report'")

from typer.testing import CliRunner

from report import cli


def asked(*words: str) -> tuple[int, str]:
    """Exit code and all that was said."""
    done = CliRunner().invoke(cli.app, ["audit", *words])
    return done.exit_code, done.output


def test_audit_without_the_tests_says_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package has none."""
    monkeypatch.setattr(audit, "SUITE", ("test_of_the_checkout.py",))
    told = (
        "samestep: an audit must run in a checkout of the project, with its tests; there is no test_of_the_checkout.py"
    )
    assert asked() == (2, f"{told} here\n")


def test_audit_without_a_package_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the command that brings it."""
    monkeypatch.setattr(audit, "NEEDS", ("sys", "no_such_package"))
    assert asked() == (2, "samestep: an audit needs no_such_package; run tox -e audit, which installs it\n")


def test_audit_that_no_mutant_matches_finds_nothing_and_says_so(tmp_path: Path) -> None:
    """Nothing caught is no success."""
    code, said = asked("--only", "no such mutant", "--out", str(tmp_path / "audit.json"))
    assert (code, said) == (2, "samestep: no mutant has 'no such mutant' in its name\n")
