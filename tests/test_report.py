"""The report: what it says is what the records say, and it can say no."""

import html
import re
from pathlib import Path

import numpy as np
import pytest
from report_checkout import assert_mistake, content, samestep
from report_folder import (
    STEPS,
    add_growth,
    add_hostile,
    add_natives,
    add_steps,
    again,
    edit,
    path_of,
)

from samestep.frameworks.experiment import facts, record
from samestep.frameworks.experiment.run import FRAMEWORKS
from samestep.parity.measure.cases import PLAIN
from samestep.parity.natives.reproductions import REPRODUCTIONS
from samestep.parity.tests.support.require import require

for module in ("typer", "rich", "jinja2", "plotly", "torch", "tensorflow"):
    require(module)


def test_the_report_says_what_the_records_say(made: Path) -> None:
    found = content(made)
    assert [row["call"] for row in found["training"]] == list(PLAIN["Adam"])
    for row in found["training"]:
        for framework in FRAMEWORKS:
            kept = record.read(path_of(made, row["call"], framework))
            assert row["digests"][framework] == kept.marks[-1]["digest"]
            assert row["accuracy"][framework] == [epoch["accuracy"] for epoch in kept.epochs]
            assert row["marks"] == [mark["step"] for mark in kept.marks]
        assert (row["state"], row["steps"], row["order_dependent"]) == ("equal", STEPS, 0)
        assert len(set(row["digests"].values())) == 1
    assert found["verdict"]["holds"] is True
    assert found["verdict"]["headline"].startswith("Yes: told the same rule, PyTorch and TensorFlow take the same")


def test_the_drift_is_the_distance_of_the_weights_over_the_path(made: Path) -> None:
    (row,) = content(made)["float32"]
    pair = next(pair for pair in row["pairs"] if pair["frameworks"] == ["numpy", "tensorflow"])
    paths = [path_of(made, row["call"], framework, "float32") for framework in pair["frameworks"]]
    one, other = (record.read_weights(path)[STEPS].astype(float) for path in paths)
    path = max(record.read(path).marks[-1]["path"] for path in paths)
    assert pair["steps"][-1] == STEPS
    assert pair["share"][-1] == pytest.approx(np.linalg.norm(one - other) / path)


def test_the_commands_of_the_page_make_the_same_records(made: Path) -> None:
    row = content(made)["training"][0]
    command = row["commands"]["numpy"]
    assert command.startswith("python -m samestep.frameworks.experiment.run ")
    assert f'"steps": {STEPS}' in command
    assert html.escape(command, quote=True).replace("&#x27;", "&#39;") in (made / "index.html").read_text()


def test_the_page_tells_what_else_results_may_depend_on(made: Path) -> None:
    """Settings and environment of each framework, as its records have them."""
    page, frameworks = (made / "index.html").read_text(), content(made)["environment"]["frameworks"]
    assert {name for name in FRAMEWORKS if frameworks[name]["settings"]} == {"pytorch", "tensorflow"}
    for name in FRAMEWORKS:
        told = frameworks[name]["settings"] | frameworks[name]["options"]
        assert told["OMP_NUM_THREADS"] == "1"
        assert all(f"<code>{setting}={value}</code>" in page for setting, value in told.items())


def test_the_page_lists_all_recorded_deviations(made: Path) -> None:
    page = (made / "index.html").read_text()
    assert [row["name"] for row in content(made)["recorded"]] == [found.name for found in REPRODUCTIONS]
    for found in REPRODUCTIONS:
        assert f"<code>parity/reproductions/{found.name}.py</code>" in page
        assert not found.link or f'<a href="{found.link}">upstream</a>' in page


def told(folder: Path) -> str:
    """The page of a report."""
    return (folder / "index.html").read_text()


@pytest.mark.parametrize("where", ["marks", "epochs"])
def test_a_digest_that_is_not_that_of_the_weights_is_seen(copied: Path, where: str) -> None:
    call = PLAIN["Adam"][0]
    edit(path_of(copied, call, "pytorch"), lambda body: body[where][-1].update(digest="0" * 64))
    code, found = again(copied)
    assert code == 1
    assert found["verdict"]["holds"] is False
    assert found["verdict"]["headline"] == "Not shown: a record contradicts itself."
    assert [(row["state"], row["odd"]) for row in found["training"]] == [("altered", ["pytorch"]), ("equal", [])]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_one_other_weight_in_one_framework_turns_the_verdict_red(copied: Path, framework: str) -> None:
    call = PLAIN["Adam"][1]
    move_a_weight(path_of(copied, call, framework), since=20)
    code, found = again(copied)
    row = found["training"][1]
    assert code == 1
    assert (row["state"], row["odd"], row["first_difference"]) == ("different", [framework], 20)
    assert found["verdict"]["headline"].startswith("No: ")
    page = (copied / "index.html").read_text()
    assert 'class="verdict fails"' in page
    assert len(re.findall('class="digest odd"', page)) == 1
    assert "different, first at the mark of step 20" in page


def move_a_weight(path: Path, since: int) -> None:
    """As if a framework had trained a little differently: other weights, and the digests that are theirs."""
    weights = record.read_weights(path)
    kept = record.read(path)
    for mark in kept.marks:
        if mark["step"] >= since:
            weights[mark["step"]][7] = np.nextafter(weights[mark["step"]][7], np.float32(1))
            mark["digest"] = facts.digest([weights[mark["step"]]])
    kept.epochs[-1]["digest"] = kept.marks[-1]["digest"]
    record.write(kept, weights, path.parent, path.stem)


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
    code, found = again(copied)
    assert code == 1
    assert (found["training"][0]["state"], found["training"][0]["odd"]) == ("missing", ["tensorflow"])
    assert found["verdict"]["headline"] == "Not shown: a record is missing."
    assert len(found["failures"]) == 1


def test_a_folder_of_an_earlier_release_is_told_to_be_made_again(copied: Path) -> None:
    """Its records tell less than the page shows; the page that is there stays."""
    edit(copied / "made.json", lambda body: body.update(format=body["format"] - 1))
    page = (copied / "index.html").read_bytes()
    ended = samestep("page", copied)
    assert_mistake(ended, "made.json", "format", f"run samestep report --out {copied} first")
    assert (copied / "index.html").read_bytes() == page


@pytest.mark.parametrize(
    ("word", "holds"), [("agrees", True), ("deviates as recorded", True), ("differs", False), ("mended", False)]
)
def test_the_natives_verdicts_count(copied: Path, word: str, holds: bool) -> None:
    add_natives(copied, word)
    code, found = again(copied)
    assert (code, found["verdict"]["holds"]) == (int(not holds), holds)
    assert len(found["natives"]["rows"]) == 2
    (deviation,) = found["natives"]["deviations"]
    assert deviation["cause"] == "a cast"
    assert deviation["rows"] == [
        {"optimizer": "torch.optim.Adam", "dtype": "float32", "comparisons": 1, "distance": 1e-6, "size": 2e-6}
    ]


@pytest.mark.parametrize(
    ("word", "holds"), [("equal bits", True), ("flushes subnormals", True), ("differs: step 1", False)]
)
def test_hostile_gradients_are_shown_and_only_ours_are_judged(copied: Path, word: str, holds: bool) -> None:
    add_hostile(copied, word)
    code, found = again(copied)
    page = (copied / "index.html").read_text()
    assert (code, found["verdict"]["holds"]) == (int(not holds), holds)
    assert [row["case"] for row in found["hostile"]["rows"]] == ["zero", "sparse"]
    assert "no &lt;sparse&gt; gradients" in page
    assert ("equal bits in PyTorch" in page) == (f"{word} in TensorFlow" in page) == (word != "equal bits")
    (words,) = (part["words"] for part in found["verdict"]["parts"] if part["name"] == "hostile gradients")
    assert words.endswith("do otherwise, or refuse, in 1 of them." if holds else f"bits: {PLAIN['Adam'][0]} (sparse).")


@pytest.mark.parametrize("part", ["natives", "hostile", "steps", "growth"])
def test_a_part_that_failed_is_told_and_does_not_hold(copied: Path, part: str) -> None:
    told = {"state": "failed", "words": "ended with exit code 3: no <compiler>", "command": "python -m part"}
    edit(copied / "made.json", lambda body: body.update({part: told}))
    code, found = again(copied)
    assert code == 1
    assert found["verdict"]["holds"] is False
    assert "ended with exit code 3: no &lt;compiler&gt;" in (copied / "index.html").read_text()


def test_step_times_are_told_with_the_ratio_of_the_fastest(copied: Path) -> None:
    add_steps(copied)
    code, found = again(copied)
    (table,) = found["steps"]["rows"]
    (row,) = table["rows"]
    assert code == 0
    assert (table["framework"], table["threads"]) == ("pytorch", 1)
    assert row["seconds"] == {"ours eager": 4e-4, "ours compiled": 1e-4, "native fused": 2e-4}
    assert row["ratio"] == 0.5


def test_step_times_are_drawn_as_models_grow(copied: Path) -> None:
    """A curve for each implementation and mode, in the order of what was measured."""
    add_growth(copied)
    code, found = again(copied)
    assert code == 0
    assert [(curve["implementation"], curve["count"], curve["seconds"]) for curve in found["growth"]["rows"]] == [
        ("ours", [1, 10], [1e-5, 1e-4]), ("native", [1, 10], [2e-5, 2e-4]),
    ]  # fmt: skip
    assert "TensorFlow, Adam by tensors" in (copied / "index.html").read_text()


def test_what_the_suite_took_is_told(copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the last whole run left it, or that there was none."""
    trajectory = {
        "date": "today", "seconds": 90.0, "machine": {"cores": 2}, "workers": 2, "full": False,
        "rungs": [{"rung": "2 adapters", "cases": 1000, "left_out": 7, "seconds": 80.0}],
    }  # fmt: skip
    monkeypatch.setattr("samestep.report.content.ledger.last", lambda: None)
    again(copied)
    assert "have not been run as a whole" in (copied / "index.html").read_text()
    monkeypatch.setattr("samestep.report.content.ledger.last", lambda: trajectory)
    again(copied)
    page = (copied / "index.html").read_text()
    assert '<td class="number">1,000</td><td class="number">7</td>' in page
    assert '<td class="number">80</td><td class="number">12.5</td>' in page


def test_step_times_without_their_package_say_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And do not hold: they were asked for."""
    from samestep.report import work

    monkeypatch.setattr(work.importlib.util, "find_spec", lambda name: None if name == "pytest_benchmark" else name)
    part = work._steps(work.Request(("SGD",), ("numpy", "pytorch")), tmp_path, lambda title: None)
    assert part["state"] == work.FAILED
    assert part["words"].startswith("they need pytest_benchmark, which is not installed; pip install pytest")
