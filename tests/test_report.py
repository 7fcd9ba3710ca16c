"""The report: what it says is what the records say, and it can say no."""

import html
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_checkout import ROOT, assert_mistake, samestep
from report_folder import (
    REQUEST,
    STEPS,
    add_growth,
    add_hostile,
    add_natives,
    add_part,
    add_sensitivity,
    add_steps,
    edit,
    page_of,
    path_of,
    set_ending,
    write_again,
)

from samestep import PACKAGE
from samestep.frameworks import FRAMEWORKS
from samestep.frameworks.experiment import facts, record
from samestep.parity.measure.cases import PLAIN
from samestep.parity.natives.reproductions import REPRODUCTIONS
from samestep.parity.tests.support.require import require

for module in ("typer", "rich", "jinja2", "plotly", "msgspec", "torch", "tensorflow"):
    require(module)

from samestep.report import build, content, request, suite  # noqa: E402  they need the packages above
from samestep.report.content import Agreement, Content  # noqa: E402
from samestep.report.dialect_tables import defaults_differ  # noqa: E402
from samestep.report.phrases import duration  # noqa: E402
from samestep.report.request import Request, State  # noqa: E402


def sentence(report: Content, name: str) -> str:
    """Return the sentence of one part of the verdict."""
    (message,) = (part.message for part in report.verdict.parts if part.name == name)
    return message


def test_the_report_says_what_the_records_say(small_report: Path) -> None:
    report = content.load(small_report)
    assert [row.call for row in report.training] == list(PLAIN["Adam"])
    for row in report.training:
        for framework in FRAMEWORKS:
            expected = record.read(path_of(small_report, row.call, framework))
            assert row.digests[framework] == expected.marks[-1]["digest"]
            assert row.accuracy[framework] == [epoch["accuracy"] for epoch in expected.epochs]
            assert row.marks == [mark["step"] for mark in expected.marks]
        assert (row.agreement, row.steps, row.order_dependent) == (Agreement.EQUAL, STEPS, 0)
        assert len(set(row.digests.values())) == 1
    assert report.verdict.holds is True
    assert report.verdict.headline == (
        "Yes: given the same rule, PyTorch and TensorFlow take the same training step, "
        "to the last bit."
    )


def test_the_report_is_read_back_as_it_was_written(small_report: Path) -> None:
    report = content.load(small_report)
    assert content.decode(content.encode(report)) == report


def test_a_report_with_a_wrong_field_is_refused_by_its_name(copied: Path) -> None:
    edit(copied / content.FILE, lambda body: body["training"][1].update(steps="many"))
    with pytest.raises(
        ValueError, match=r"report\.json must be .* `\$\.training\[1\]\.steps`; run"
    ):
        content.load(copied)


def test_the_drift_is_the_distance_of_the_weights_over_the_path(small_report: Path) -> None:
    (row,) = content.load(small_report).float32
    (pair,) = (pair for pair in row.pairs if pair.frameworks == ("numpy", "tensorflow"))
    paths = [path_of(small_report, row.call, name, "float32") for name in pair.frameworks]
    first, second = (record.read_weights(path)[STEPS].astype(float) for path in paths)
    travelled = max(record.read(path).marks[-1]["path"] for path in paths)
    assert pair.steps[-1] == STEPS
    assert pair.share[-1] == float(np.sqrt(np.square(first - second).sum())) / travelled


def test_the_commands_of_the_page_make_the_same_records(small_report: Path) -> None:
    command = content.load(small_report).training[0].commands["numpy"]
    assert command.startswith("python -m samestep.frameworks.experiment.run ")
    assert f'"steps": {STEPS}' in command
    escaped = html.escape(command, quote=True).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")
    assert escaped in page_of(small_report)


def test_the_page_shows_what_else_results_may_depend_on(small_report: Path) -> None:
    """Settings and environment of each framework are those of its records."""
    page = page_of(small_report)
    frameworks = content.load(small_report).environment.frameworks
    assert {name for name in FRAMEWORKS if frameworks[name].settings} == {"pytorch", "tensorflow"}
    for name in FRAMEWORKS:
        values = frameworks[name].settings | frameworks[name].options
        assert values["OMP_NUM_THREADS"] == "1"
        for setting, value in values.items():
            assert f"<code>{setting}={value}</code>" in page


def test_the_page_lists_all_recorded_deviations(small_report: Path) -> None:
    page = page_of(small_report)
    recorded = content.load(small_report).recorded
    assert [row.name for row in recorded] == [reproduction.name for reproduction in REPRODUCTIONS]
    for row in recorded:
        assert (PACKAGE / row.script).is_file()
        assert f"<code>{row.script}</code>" in page
        assert not row.link or f'<a href="{row.link}">upstream</a>' in page


@pytest.mark.parametrize("where", ["marks", "epochs"])
def test_a_digest_that_is_not_that_of_the_weights_is_noticed(copied: Path, where: str) -> None:
    path = path_of(copied, PLAIN["Adam"][0], "pytorch")
    edit(path, lambda body: body[where][-1].update(digest="0" * 64))
    code, report = write_again(copied)
    assert code == 1
    assert report.verdict.holds is False
    assert report.verdict.headline == "Not shown: a record contradicts itself."
    assert [row.agreement for row in report.training] == [Agreement.ALTERED, Agreement.EQUAL]
    assert [row.disagreeing for row in report.training] == [["pytorch"], []]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_one_other_weight_in_one_framework_turns_the_verdict_red(
    copied: Path, framework: str
) -> None:
    move_a_weight(path_of(copied, PLAIN["Adam"][1], framework), since=20)
    code, report = write_again(copied)
    row = report.training[1]
    assert code == 1
    assert row.agreement is Agreement.DIFFERENT
    assert (row.disagreeing, row.first_difference) == ([framework], 20)
    assert report.verdict.headline.startswith("No: ")
    page = page_of(copied)
    assert 'class="verdict fails"' in page
    assert len(re.findall('class="digest odd"', page)) == 1
    assert "different, first at the mark of step 20" in page


def move_a_weight(path: Path, since: int) -> None:
    """Change a record as if its framework had trained a little differently.

    One weight is another from the step ``since`` on, and the digests are those of the new weights.
    """
    weights = record.read_weights(path)
    changed = record.read(path)
    for mark in changed.marks:
        if mark["step"] >= since:
            array = weights[mark["step"]]
            array[7] = np.nextafter(array[7], np.float32(1))
            mark["digest"] = facts.digest([array])
    changed.epochs[-1]["digest"] = changed.marks[-1]["digest"]
    record.write(changed, weights, path.parent, path.stem)


@pytest.mark.parametrize("harm", ["deleted", "no JSON", "no weights"])
def test_a_record_that_cannot_be_read_is_missing(copied: Path, harm: str) -> None:
    path = path_of(copied, PLAIN["Adam"][0], "tensorflow")
    if harm == "deleted":
        path.unlink()
    elif harm == "no JSON":
        path.write_text(path.read_text()[:-100])
    else:
        weights = path.with_suffix(".npz")
        weights.write_bytes(weights.read_bytes()[:1000])
    code, report = write_again(copied)
    assert code == 1
    assert report.training[0].agreement is Agreement.MISSING
    assert report.training[0].disagreeing == ["tensorflow"]
    assert report.verdict.headline == "Not shown: a record is missing."
    assert len(report.failures) == 1


@pytest.mark.parametrize(
    ("harm", "parts"),
    [
        ("format before", [REQUEST, "of format 4"]),
        ("file before", ["made.json is of a format before 5"]),
        ("missing", [REQUEST, "No such file"]),
        ("field", [REQUEST, "Object missing required field `runs`"]),
        ("type", [REQUEST, "`$.runs[1].seconds`"]),
        ("value", [REQUEST, "epochs must be at least 1, got 0"]),
        ("no JSON", [REQUEST, "JSON is malformed"]),
    ],
)
def test_a_folder_that_is_not_of_this_release_is_refused(
    copied: Path, harm: str, parts: list[str]
) -> None:
    """The message names the file and the field; the page that is there stays."""
    path = copied / REQUEST
    if harm == "format before":
        edit(path, lambda body: body.update(format=request.FORMAT - 1))
    elif harm == "file before":
        path.rename(copied / "made.json")
    elif harm == "missing":
        path.unlink()
    elif harm == "field":
        edit(path, lambda body: body.pop("runs"))
    elif harm == "type":
        edit(path, lambda body: body["runs"][1].update(seconds="long"))
    elif harm == "value":
        edit(path, lambda body: body["request"].update(epochs=0))
    else:
        path.write_text("{" + path.read_text())
    page = (copied / "index.html").read_bytes()
    ended = samestep("page", copied)
    assert_mistake(ended, *parts, f"run samestep report --out {copied} first")
    assert (copied / "index.html").read_bytes() == page


@pytest.mark.parametrize(
    ("verdict", "holds"),
    [("agrees", True), ("deviates as recorded", True), ("differs", False), ("mended", False)],
)
def test_the_natives_verdicts_count(copied: Path, verdict: str, holds: bool) -> None:
    add_natives(copied, verdict)
    code, report = write_again(copied)
    assert (code, report.verdict.holds) == (int(not holds), holds)
    assert len(report.natives.rows) == 2
    (deviation,) = report.natives.deviations
    (row,) = deviation.rows
    assert deviation.cause == "a cast"
    assert (row.optimizer, row.dtype, row.comparisons) == ("torch.optim.Adam", "float32", 1)
    assert (row.distance, row.size) == (1e-6, 2e-6)


def test_a_distance_that_is_not_finite_is_shown_as_that(copied: Path) -> None:
    """Python writes NaN into JSON, which has no such number."""
    add_natives(copied, "differs")
    edit(copied / "natives.json", lambda body: body["rows"][1].update(distance=float("nan")))
    code, report = write_again(copied)
    assert code == 1
    assert report.natives.rows[1].distance is None
    assert report.natives.deviations[0].rows[0].distance is None
    assert ">not finite</td>" in page_of(copied)


@pytest.mark.parametrize(
    ("in_tensorflow", "holds"),
    [("equal bits", True), ("flushes subnormals", True), ("differs: step 1", False)],
)
def test_hostile_gradients_are_shown_and_only_ours_are_judged(
    copied: Path, in_tensorflow: str, holds: bool
) -> None:
    add_hostile(copied, in_tensorflow)
    code, report = write_again(copied)
    page = page_of(copied)
    assert (code, report.verdict.holds) == (int(not holds), holds)
    assert [row.case for row in report.hostile.rows] == ["zero", "sparse"]
    assert "no &lt;sparse&gt; gradients" in page
    differ = in_tensorflow != "equal bits"
    assert ("equal bits in PyTorch" in page) == differ
    assert (f"{in_tensorflow} in TensorFlow" in page) == differ
    end = "do otherwise, or refuse, in 1 of them." if holds else f"{PLAIN['Adam'][0]} (sparse)."
    assert sentence(report, "hostile gradients").endswith(end)


def test_planted_wrong_rules_are_shown_and_counted(copied: Path) -> None:
    add_sensitivity(copied, [])
    code, report = write_again(copied)
    page = page_of(copied)
    assert code == 0
    assert sentence(report, "sensitivity") == (
        "1,016 wrong rules planted in this run: 1,014 caught, "
        "2 marked as equivalent to the right rule, none left over."
    )
    assert '<td class="number">1,012</td><td class="number">1,010</td>' in page
    assert "They took 1 min 15 s of processor time." in page


def test_a_wrong_rule_that_survives_fails(copied: Path) -> None:
    add_sensitivity(copied, ["power: <= instead of <"])
    code, report = write_again(copied)
    assert code == 1
    assert report.verdict.holds is False
    assert sentence(report, "sensitivity").endswith("equivalent to the right rule, 1 not noticed.")
    assert "<code>power: &lt;= instead of &lt;</code>" in page_of(copied)


def test_a_wrong_rule_that_is_wrongly_marked_as_equivalent_fails(copied: Path) -> None:
    add_sensitivity(copied, [], ("power: 2 becomes 3 is marked",))
    code, report = write_again(copied)
    assert code == 1
    assert sentence(report, "sensitivity").endswith(
        "none left over; 1 of the caught are wrongly marked as equivalent."
    )
    assert '<span class="bad">power: 2 becomes 3 is marked</span>' in page_of(copied)


def test_no_wrong_rule_at_all_fails(copied: Path) -> None:
    """Nothing is proven by a program that planted nothing."""
    add_part(copied, "sensitivity", {"rows": [], "seconds": 1.0})
    assert write_again(copied)[0] == 1


def test_wrong_rules_need_a_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build.samestep, "checkout", lambda: None)
    ending = build._sensitivity(Request(("SGD",)), tmp_path)
    assert ending.state is State.LEFT_OUT
    assert ending.message == "it needs a checkout, and this is an installed package"


@pytest.mark.parametrize("part", ["natives", "hostile", "sensitivity", "steps", "growth"])
def test_a_part_that_failed_is_shown_and_does_not_hold(copied: Path, part: str) -> None:
    message = "ended with exit code 3: no <compiler>"
    set_ending(copied, part, {"state": "failed", "message": message, "command": "python -m part"})
    code, report = write_again(copied)
    assert code == 1
    assert report.verdict.holds is False
    assert "ended with exit code 3: no &lt;compiler&gt;" in page_of(copied)


@pytest.mark.parametrize("part", ["natives", "hostile", "sensitivity", "steps", "growth"])
def test_a_part_whose_result_cannot_be_read_does_not_hold(copied: Path, part: str) -> None:
    add_part(copied, part, {"rows": [{}], "benchmarks": [{}]})
    code, report = write_again(copied)
    assert code == 1
    assert getattr(report, part).ending.state is State.FAILED
    assert f"{part}.json cannot be read: " in page_of(copied)


def test_step_times_are_shown_with_the_ratio_of_the_fastest(copied: Path) -> None:
    add_steps(copied)
    code, report = write_again(copied)
    (table,) = report.steps.tables
    (row,) = table.rows
    assert code == 0
    assert (table.framework, table.threads) == ("pytorch", 1)
    assert row.seconds == {"ours eager": 4e-4, "ours compiled": 1e-4, "native fused": 2e-4}
    assert row.ratio == 0.5


def test_step_times_are_drawn_as_models_grow(copied: Path) -> None:
    """There is a curve for each implementation and mode, in the order of measurement."""
    add_growth(copied)
    code, report = write_again(copied)
    ours, native = report.growth.curves
    assert code == 0
    assert (ours.implementation, ours.count, ours.seconds) == ("ours", [1, 10], [1e-5, 1e-4])
    assert (native.implementation, native.count) == ("native", [1, 10])
    assert native.seconds == [2e-5, 2e-4]
    assert "TensorFlow, Adam by tensors" in page_of(copied)


def test_step_times_without_their_package_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And they do not hold: they were asked for."""

    def find_spec(name: str) -> Any:
        return None if name == "pytest_benchmark" else name

    monkeypatch.setattr(build.importlib.util, "find_spec", find_spec)
    ending = build._steps(Request(("SGD",), ("numpy", "pytorch")), tmp_path)
    assert ending.state is State.FAILED
    assert ending.message.startswith(
        "they need pytest_benchmark, which is not installed; pip install pytest"
    )


def test_wrong_rules_without_their_package_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And they do not hold: they were asked for."""

    def find_spec(name: str) -> Any:
        return None if name == "gmpy2" else name

    monkeypatch.setattr(build.importlib.util, "find_spec", find_spec)
    ending = build._sensitivity(Request(("SGD",)), tmp_path)
    assert ending.state is State.FAILED
    assert ending.message.startswith(
        "it needs gmpy2, which is not installed; pip install mpmath gmpy2"
    )


TESTS = """
import time
import pytest

@pytest.mark.rung(2)
def test_right():
    time.sleep(0.02)

@pytest.mark.rung(2)
@pytest.mark.skip(reason="no GPU")
def test_skipped():
    pass

@pytest.mark.rung(2)
@pytest.mark.xfail
def test_expected_to_fail():
    assert False

@pytest.mark.rung(4)
def test_other():
    assert {outcome}

def test_beside():
    pass
"""


def run_tests(folder: Path, outcome: bool) -> Path:
    """Run a small test file under the project's conftest; return the root of that checkout."""
    (folder / "out").mkdir(exist_ok=True)
    (folder / "conftest.py").write_text((ROOT / "conftest.py").read_text())
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = rung(number): of the ladder\n")
    (folder / "test_small.py").write_text(TESTS.format(outcome=outcome))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ended = subprocess.run(
        [*command, f"--junitxml={folder / suite.FILE}"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == int(not outcome), ended.stdout + ended.stderr
    return folder


@pytest.mark.parametrize("outcome", [True, False])
def test_the_last_run_of_the_tests_is_shown_and_not_judged(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: bool
) -> None:
    """It is read from the file that pytest writes."""
    checkout = run_tests(tmp_path, outcome)
    monkeypatch.setattr("samestep.report.suite.samestep.checkout", lambda: checkout)
    code, report = write_again(copied)
    assert code == 0
    counts = [(rung.name, rung.tests, rung.skipped, rung.failed) for rung in report.suite.rungs]
    assert counts == [
        ("2 adapters", 3, 1, 0),
        ("4 sensitivity", 1, 0, int(not outcome)),
        ("beside the ladder", 1, 0, 0),
    ]
    assert 0.02 <= report.suite.rungs[0].seconds <= report.suite.seconds
    page = page_of(copied)
    assert ("No test failed." in page) == outcome
    assert ('<span class="bad">1 test failed.</span>' in page) == (not outcome)
    assert '<th>2 adapters</th><td class="number">3</td><td class="number">1</td>' in page


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (None, "the tests have not been run as a whole in this checkout: tox -e parity"),
        ("<testsuites><testsuite", "cannot be read: ParseError("),
        ("<html></html>", "cannot be read: ValueError("),
        ("<testsuites><testsuite/></testsuites>", "cannot be read: KeyError('timestamp')"),
    ],
)
def test_a_run_of_the_tests_that_cannot_be_shown_says_why(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str | None, message: str
) -> None:
    """It changes no verdict."""
    monkeypatch.setattr("samestep.report.suite.samestep.checkout", lambda: tmp_path)
    if body is not None:
        (tmp_path / "out").mkdir()
        (tmp_path / suite.FILE).write_text(body)
    code, report = write_again(copied)
    assert code == 0
    assert message in report.suite.message
    assert html.escape(message).replace("&#x27;", "&#39;") in page_of(copied)


def test_durations_are_written_as_minutes_and_seconds() -> None:
    assert [duration(seconds) for seconds in (0.4, 59.4, 59.6, 60, 605)] == [
        "0 s",
        "59 s",
        "1 min 0 s",
        "1 min 0 s",
        "10 min 5 s",
    ]


def test_rules_that_one_framework_lacks_are_not_in_the_warning_about_names() -> None:
    """Such as LAMB and FTRL, which PyTorch does not have: ``samestep report --rules all``."""
    named = defaults_differ(tuple(PLAIN))
    assert {"SGD", "Adagrad", "RMSprop", "Adam"} < set(named)
    assert not {"LAMB", "FTRL"} & set(named)
