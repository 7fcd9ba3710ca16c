"""The report: what it says is what the records say, and it can say no."""

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frameworks import experiment, record
from frameworks.run import FRAMEWORKS
from parity.cases import PLAIN
from parity.require import require

from .checkout import content, samestep

for module in ("typer", "rich", "jinja2", "plotly", "torch", "tensorflow"):
    require(module)

STEPS = 60
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
BROWSER = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to open the page in")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on one rule in three frameworks; made once, copied before it is harmed."""
    out = tmp_path_factory.mktemp("report")
    ended = samestep("report", "--rules", "Adam", "--steps", STEPS, "--no-bench", "--no-natives", "--out", out)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return out


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    """A copy of the report's folder."""
    return Path(shutil.copytree(made, tmp_path / "report"))


def again(folder: Path) -> tuple[int, dict[str, Any]]:
    """Write the page of the folder again: the exit code and the content."""
    from typer.testing import CliRunner

    from report.cli import app

    (folder / "report.json").unlink()
    return CliRunner().invoke(app, ["page", str(folder)]).exit_code, content(folder)


def path_of(folder: Path, call: str, framework: str, arithmetic: str = "lockstep") -> Path:
    """The path of a run's record."""
    (told,) = (
        told for told in json.loads((folder / "made.json").read_text())["runs"]
        if [told["run"][k] for k in ("call", "framework", "arithmetic")] == [call, framework, arithmetic]
    )  # fmt: skip
    return folder / told["record"]


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a JSON file."""
    body = json.loads(path.read_text())
    change(body)
    path.write_text(json.dumps(body))


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
    assert command.startswith("python -m frameworks.run ")
    assert f"--steps {STEPS}" in command
    assert html.escape(command, quote=True).replace("&#x27;", "&#39;") in (made / "index.html").read_text()


@pytest.mark.parametrize("where", ["marks", "epochs"])
def test_a_digest_that_is_not_that_of_the_weights_is_seen(copied: Path, where: str) -> None:
    call = PLAIN["Adam"][0]
    edit(path_of(copied, call, "pytorch"), lambda body: body[where][-1].update(digest="0" * 64))
    code, found = again(copied)
    assert code == 1
    assert found["verdict"]["holds"] is False
    assert found["verdict"]["headline"] == "Not shown: a record contradicts itself." or where == "marks"
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
            mark["digest"] = experiment.digest([weights[mark["step"]]])
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


@pytest.mark.parametrize(
    ("word", "holds"), [("agrees", True), ("deviates as recorded", True), ("differs", False), ("mended", False)]
)
def test_the_natives_verdicts_count(copied: Path, word: str, holds: bool) -> None:
    add_natives(copied, word)
    code, found = again(copied)
    assert (code, found["verdict"]["holds"]) == (int(not holds), holds)
    assert len(found["natives"]["rows"]) == 2


@pytest.mark.parametrize("part", ["natives", "steps"])
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


def add_natives(folder: Path, word: str) -> None:
    """What parity.natives writes, for two comparisons of Adam and one of a rule that was not asked for."""
    deviation = {"cause": "a cast", "size": 2e-6, "link": "https://example.org/issue"}
    row = {
        "call": PLAIN["Adam"][0], "rule": "Adam(lr=0.001)", "witness": "torch.optim fused", "dtype": "float32",
        "distance": 1e-8, "limit": 1e-7, "nearest_wrong": 1e-3, "wrong_rule": "adam: epsilon is forgotten",
        "verdict": "agrees", "told": "distance 1e-08", "deviation": None, "command": "python -m parity.natives",
    }  # fmt: skip
    other = {**row, "verdict": word, "distance": 1e-6, "deviation": deviation}
    rows = [row, other, {**other, "rule": "SGD(lr=0.1)", "verdict": "differs"}]
    (folder / "natives.json").write_text(json.dumps({"rows": rows}))
    edit(folder / "made.json", lambda body: body.update(natives={"state": "done", "words": "", "command": "natives"}))


def add_steps(folder: Path) -> None:
    """What pytest-benchmark writes."""
    times = {("ours", "eager"): 4e-4, ("ours", "compiled"): 1e-4, ("native", "fused"): 2e-4}
    shared = {
        "framework": "pytorch", "call": PLAIN["Adam"][0], "rule": "Adam(lr=0.001)", "parameters": 7, "device": "cpu",
        "gpu": None, "threads": 1, "versions": {}, "machine": {}, "first_step_seconds": 1.0,
    }  # fmt: skip
    rows = [
        {"stats": {"median": seconds}, "extra_info": {**shared, "implementation": whose, "mode": mode}}
        for (whose, mode), seconds in times.items()
    ]
    (folder / "steps.json").write_text(json.dumps({"benchmarks": rows}))
    edit(folder / "made.json", lambda body: body.update(steps={"state": "done", "words": "", "command": "bench"}))


@pytest.fixture
def full(copied: Path) -> Path:
    """The page with all its parts and plots."""
    add_natives(copied, "deviates as recorded")
    add_steps(copied)
    edit_epochs(copied)
    assert again(copied)[0] == 0
    return copied / "index.html"


def edit_epochs(folder: Path) -> None:
    """As if each run had gone on for a second epoch: then the page has a curve of accuracies, too."""
    for path in (folder / "records").glob("*.json"):
        edit(path, lambda body: body["epochs"].insert(0, {**body["epochs"][-1], "accuracy": 0.5}))


def chromium(page: Path, folder: Path, *flags: str) -> str:
    """The page's document after its scripts have run."""
    assert CHROMIUM
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-default-apps"]
    command += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=10000", *flags, "--dump-dom"]
    return subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120).stdout


@BROWSER
def test_every_plot_is_drawn_with_title_units_and_legend(full: Path, tmp_path: Path) -> None:
    document = chromium(full, tmp_path)
    plots = document.split('<figure class="plot')[1:]
    assert len(plots) == 6  # loss, accuracy by epoch, accuracy, drift, natives, step times
    for plot in plots:
        drawn = plot.partition("</figure>")[0].partition("</script>")[2]
        for part in ("gtitle", "xtitle", "ytitle", "legendtext"):
            assert re.search(rf'class="{part}"[^>]*>[^<]*\w', drawn), f"{part} of {plot[:300]}"
        units = re.findall(r'class="[xy]title"[^>]*>([^<]+)', drawn)
        assert any("(" in title for title in units), units
        assert 'class="point"' in drawn or "js-line" in drawn


@BROWSER
@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_does_not_scroll_sideways(full: Path, tmp_path: Path, width: int) -> None:
    measured = measure(full, tmp_path, width)
    assert measured["width"] == width
    assert measured["scroll"] <= width
    assert measured["plots"]
    assert all(plot <= width for plot in measured["plots"])


def measure(page: Path, folder: Path, width: int) -> dict[str, Any]:
    """The page's own measurements in a frame of that width: a window of Chromium's cannot be so narrow."""
    probe = """<script>addEventListener("load", () => setTimeout(() => parent.postMessage({
      width: innerWidth, scroll: document.documentElement.scrollWidth,
      plots: [...document.querySelectorAll("svg.main-svg")].map(svg => svg.getBoundingClientRect().right),
    }, "*"), 1000))</script>"""
    (folder / "probed.html").write_text(page.read_text() + probe)
    frame = folder / "frame.html"
    frame.write_text(f"""<iframe src="probed.html" width="{width}" height="800" style="border: 0"></iframe><script>
      addEventListener("message", event => document.body.dataset.told = JSON.stringify(event.data))</script>""")
    measured: dict[str, Any] = told(chromium(frame, folder))
    return measured


@BROWSER
def test_the_page_asks_the_network_for_nothing(full: Path, tmp_path: Path) -> None:
    assert asked(full, tmp_path) == []


@BROWSER
@pytest.mark.parametrize("policed", [True, False])
def test_a_page_that_asked_the_network_would_be_noticed(full: Path, tmp_path: Path, policed: bool) -> None:
    page = full.read_text().replace("</main>", '<script src="http://127.0.0.1:9/x.js"></script></main>')
    full.write_text(page if policed else page.replace("Content-Security-Policy", "none"))
    assert "http://127.0.0.1:9/x.js" in asked(full, tmp_path)


def asked(page: Path, folder: Path) -> list[str]:
    """The addresses that the page fetched or tried to."""
    probe = """<script>const asked = [];
      addEventListener("securitypolicyviolation", event => asked.push(event.blockedURI));
      addEventListener("load", () => setTimeout(() => document.documentElement.dataset.told = JSON.stringify(
        [...asked, ...performance.getEntriesByType("resource").map(entry => entry.name)]), 1000));</script>"""
    (folder / "probed.html").write_text(page.read_text().replace("<head>", "<head>" + probe))
    return told(chromium(folder / "probed.html", folder))


def told(document: str) -> Any:
    """What a probe wrote into the document."""
    found = re.search(r'data-told="([^"]*)"', document)
    assert found, "the probe wrote nothing"
    return json.loads(html.unescape(found[1]))


def test_the_page_names_no_outside_source(made: Path) -> None:
    page = (made / "index.html").read_text()
    tags = re.findall(
        r"<(?:script|link|img|iframe|source|video)\b[^>]*>", re.sub(r"(?s)<script>.*?</script>", "", page)
    )
    assert not [tag for tag in tags if re.search(r"(src|href)\s*=\s*.?(https?:)?//", tag)]
    assert "default-src 'none'" in page
