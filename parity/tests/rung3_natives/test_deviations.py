"""Rung 3, reproductions: what is recorded of a native can be seen in ten lines, and is noticed once
it is mended.
"""

import ast
import os
import sys
from pathlib import Path

import pytest

from samestep.parity.natives import reproduce
from samestep.parity.natives.deviations import DEVIATIONS
from samestep.parity.natives.reproduce import ScriptVerdict
from samestep.parity.natives.reproductions import REPRODUCTIONS, Reproduction
from samestep.parity.tests.support.require import LEFT_OUT

pytestmark = pytest.mark.rung(3)

SCRIPTS = sorted(
    path for path in Path(reproduce.__file__).with_name("reproductions").glob("[!_]*.py")
)
CODE_LINES = 10
# its package is always there
EXAMPLE = Reproduction("example", "sys", "sys 1", "none", "a number", "2", "1")


# one a native's home
DAILY = {tuple(each.packages): each for each in reversed(REPRODUCTIONS)}.values()


@pytest.fixture(scope="module")
def findings(full: bool) -> dict[str, reproduce.Finding]:
    """What the scripts show, each run once in a process of its own: one of each native's home, all
    with ``--full``.
    """
    return {
        finding.name: finding for finding in reproduce.run_all(REPRODUCTIONS if full else DAILY)
    }


@pytest.mark.parametrize("reproduction", REPRODUCTIONS, ids=lambda reproduction: reproduction.name)
def test_native_deviates_as_recorded(
    findings: dict[str, reproduce.Finding], reproduction: Reproduction
) -> None:
    """Strictly: the script prints the recorded values; a script that crashes shows nothing."""
    if reproduction.name not in findings:
        pytest.skip(LEFT_OUT)
    finding = findings[reproduction.name]
    if finding.verdict == ScriptVerdict.ABSENT and not os.environ.get("CI"):
        pytest.skip(finding.message)
    assert finding.verdict == ScriptVerdict.RECORDED, (
        f"{reproduction.native} {finding.verdict}: {finding.message}"
    )


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("print('got 2, expected 1'); sys.exit(1)", ScriptVerdict.RECORDED),
        ("print('got 1, expected 1'); sys.exit(0)", ScriptVerdict.MENDED),
        ("print('got 3, expected 1'); sys.exit(1)", ScriptVerdict.DIFFERS),
        ("print('got 2, expected 3'); sys.exit(1)", ScriptVerdict.DIFFERS),
        ("print('got 2, expected 1'); sys.exit(0)", ScriptVerdict.FAILED),
        ("print('got 1, expected 1'); sys.exit(1)", ScriptVerdict.FAILED),
        ("print('got 2, expected 1'); sys.exit(2)", ScriptVerdict.FAILED),
        ("print('got 2, expected 1'); import no_such_module", ScriptVerdict.FAILED),
        ("import no_such_module; print('got 2, expected 1')", ScriptVerdict.FAILED),
        ("print('more, got 2, expected 1'); sys.exit(1)", ScriptVerdict.FAILED),
        ("sys.exit(1)", ScriptVerdict.FAILED),
        ("", ScriptVerdict.FAILED),
    ],
)
def test_only_the_recorded_numbers_count_as_the_deviation(
    code: str, verdict: ScriptVerdict, tmp_path: Path
) -> None:
    """Neither a mended native nor a script that crashes, says nothing or contradicts itself."""
    script = tmp_path / "script.py"
    script.write_text(f"import sys; {code}")
    assert reproduce.run(EXAMPLE, script).verdict == verdict


def test_script_on_a_native_that_does_what_is_due_says_so(tmp_path: Path) -> None:
    """torch's for-loop has not the fault that its foreach implementation has."""
    (reproduction,) = (r for r in REPRODUCTIONS if r.name == "torch_nesterov_gradient")
    source, script = reproduction.script.read_text(), tmp_path / "script.py"
    script.write_text(
        source.replace("nesterov=True, foreach=True).step", "nesterov=True, foreach=False).step")
    )
    finding = reproduce.run(reproduction, script)
    if finding.verdict == ScriptVerdict.ABSENT and not os.environ.get("CI"):
        pytest.skip(finding.message)
    assert (finding.verdict, script.read_text() != source) == (ScriptVerdict.MENDED, True)


def test_package_that_is_not_installed_is_named() -> None:
    """Its verdict differs from that of a script that fails."""
    example = Reproduction(
        "example", "none", "no_such_package 1, sys 1", "none", "a number", "2", "1"
    )
    finding = reproduce.run(example, Path("no/such/script.py"))
    assert (finding.verdict, finding.message) == (
        ScriptVerdict.ABSENT,
        "no_such_package must be installed to run it",
    )


def test_scripts_are_selected_by_name() -> None:
    """No name stands for all; an unknown one is refused, with the names that there are."""
    assert reproduce.select([]) == list(REPRODUCTIONS)
    assert [each.name for each in reproduce.select(["torch_counter"])] == ["torch_counter"]
    with pytest.raises(ValueError, match="there is no torch_clock; there are: keras_schedule_free"):
        reproduce.select(["torch_clock"])


def test_every_deviation_has_a_script_and_every_script_a_deviation() -> None:
    """Those that rung 3 meets in its trials, too."""
    assert sorted(reproduction.script for reproduction in REPRODUCTIONS) == SCRIPTS
    scripts = {deviation.script for deviation in DEVIATIONS}
    assert scripts <= {reproduction.name for reproduction in REPRODUCTIONS}
    for reproduction in REPRODUCTIONS:
        assert reproduction.cause
        assert reproduction.got != reproduction.expected
        assert reproduction.link.startswith("https://") or not reproduction.link


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_is_short_and_needs_its_framework_alone(script: Path) -> None:
    """Ten lines of code and a docstring, to be pasted into an issue upstream."""
    tree = ast.parse(script.read_text())
    assert ast.get_docstring(tree)
    (begin,) = tree.body[:1]
    code = [line for line in script.read_text().splitlines()[begin.end_lineno :] if line.strip()]
    assert len(code) <= CODE_LINES, f"{script.name} has {len(code)} lines of code"
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {
        alias.name.split(".")[0]
        for node in imports
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    (packages,) = (set(r.packages) for r in REPRODUCTIONS if r.script == script)
    assert all(isinstance(node, ast.Import) for node in imports)
    assert names - set(sys.stdlib_module_names) <= packages
