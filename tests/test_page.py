"""The page, opened in a real browser."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from report_folder import (
    add_growth,
    add_hostile,
    add_natives,
    add_sensitivity,
    add_steps,
    edit,
    write_again,
)

from samestep.parity.tests.support.require import require

for module in ("typer", "rich", "jinja2", "plotly", "torch", "tensorflow"):
    require(module)

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
BROWSER = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to open the page in")


@pytest.fixture
def full(copied: Path) -> Path:
    """The page with all its parts and plots."""
    add_natives(copied, "deviates as recorded")
    add_hostile(copied, "flushes subnormals")
    add_sensitivity(copied, [])
    add_steps(copied)
    add_growth(copied)
    edit_epochs(copied)
    assert write_again(copied)[0] == 0
    return copied / "index.html"


def edit_epochs(folder: Path) -> None:
    """Add a second epoch to each record, so that the page has a curve of accuracies, too."""
    for path in (folder / "records").glob("*.json"):
        edit(path, lambda body: body["epochs"].insert(0, {**body["epochs"][-1], "accuracy": 0.5}))


def chromium(page: Path, folder: Path, *flags: str) -> str:
    """Return the page's document after its scripts have run."""
    assert CHROMIUM
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-sync",
    ]
    command += [
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-default-apps",
    ]
    command += [
        f"--user-data-dir={folder / 'profile'}",
        "--virtual-time-budget=10000",
        *flags,
        "--dump-dom",
    ]
    return subprocess.run(
        [*command, page.as_uri()], capture_output=True, text=True, timeout=120
    ).stdout


@BROWSER
def test_every_plot_is_drawn_with_title_units_and_legend(full: Path, tmp_path: Path) -> None:
    document = chromium(full, tmp_path)
    plots = document.split('<figure class="plot')[1:]
    assert len(plots) == 7  # loss, accuracy by epoch, accuracy, drift, natives, step times, growth
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
    """Return the page's own measurements in a frame: a window of Chromium cannot be so narrow."""
    probe = """<script>addEventListener("load", () => setTimeout(() => parent.postMessage({
      width: innerWidth, scroll: document.documentElement.scrollWidth,
      plots: [...document.querySelectorAll("svg.main-svg")].map(
        svg => svg.getBoundingClientRect().right),
    }, "*"), 1000))</script>"""
    (folder / "probed.html").write_text(page.read_text() + probe)
    frame = folder / "frame.html"
    frame.write_text(
        f"""<iframe src="probed.html" width="{width}" height="800" style="border: 0"></iframe>
        <script>addEventListener("message", event => {{
          document.body.dataset.probe = JSON.stringify(event.data);
        }})</script>"""
    )
    measured: dict[str, Any] = probed(chromium(frame, folder))
    return measured


@BROWSER
def test_the_page_asks_the_network_for_nothing(full: Path, tmp_path: Path) -> None:
    assert requested(full, tmp_path) == []


@BROWSER
@pytest.mark.parametrize("with_policy", [True, False])
def test_a_page_that_asked_the_network_would_be_noticed(
    full: Path, tmp_path: Path, with_policy: bool
) -> None:
    script = '<script src="http://127.0.0.1:9/x.js"></script></main>'
    page = full.read_text().replace("</main>", script)
    full.write_text(page if with_policy else page.replace("Content-Security-Policy", "none"))
    assert "http://127.0.0.1:9/x.js" in requested(full, tmp_path)


def requested(page: Path, folder: Path) -> list[str]:
    """Return the addresses that the page fetched, or tried to fetch."""
    probe = """<script>const refused = [];
      addEventListener("securitypolicyviolation", event => refused.push(event.blockedURI));
      addEventListener("load", () => setTimeout(() => {
        const fetched = performance.getEntriesByType("resource").map(entry => entry.name);
        document.documentElement.dataset.probe = JSON.stringify([...refused, ...fetched]);
      }, 1000));</script>"""
    (folder / "probed.html").write_text(page.read_text().replace("<head>", "<head>" + probe))
    return probed(chromium(folder / "probed.html", folder))


def probed(document: str) -> Any:
    """Return what a probe wrote into the document."""
    written = re.search(r'data-probe="([^"]*)"', document)
    assert written, "the probe wrote nothing"
    return json.loads(html.unescape(written[1]))


def test_the_page_names_no_outside_source(small_report: Path) -> None:
    page = (small_report / "index.html").read_text()
    tags = re.findall(
        r"<(?:script|link|img|iframe|source|video)\b[^>]*>",
        re.sub(r"(?s)<script>.*?</script>", "", page),
    )
    assert not [tag for tag in tags if re.search(r"(src|href)\s*=\s*.?(https?:)?//", tag)]
    assert "default-src 'none'" in page
