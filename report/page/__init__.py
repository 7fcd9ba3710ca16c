"""The page: content and plots poured into one self-contained file, which needs no network."""

import json
from pathlib import Path
from typing import Any

import jinja2
from plotly.offline import get_plotlyjs

from samestep.frameworks.experiment import record

from . import console, figures, optimizer_figures, verdict

BARS = 8  # of a fingerprint


def write(content: dict[str, Any], out: Path) -> Path:
    """Write ``report.json`` and ``index.html`` to ``out``; the path of the latter."""
    body = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    record.write_whole(out / "report.json", lambda file: file.write(body.encode()))
    return record.write_whole(out / "index.html", lambda file: file.write(html(content).encode()))


def html(content: dict[str, Any]) -> str:
    """The page as text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    filters = {
        "count": lambda number: f"{number:,}", "percent": percent, "share": share, "microseconds": microseconds,
        "duration": console.duration, "fingerprint": fingerprint, "words": verdict.row_words, "figure": script,
        "title_of": verdict.TITLES.__getitem__,
    }  # fmt: skip
    environment.filters.update(filters)
    return environment.get_template("page.html.jinja").render(
        **content, content=content, figures=figures, optimizer_figures=optimizer_figures, plotly=get_plotlyjs(),
        titles=verdict.TITLES,
        unlike=verdict.defaults_differ(content["asked"]["rules"]), counted=verdict.counted, listed=verdict.listed,
    )  # fmt: skip


def percent(part: float | None) -> str:
    """A share as a percentage with two decimals: a test image is 0.01 %."""
    return "" if part is None else f"{100 * part:.2f} %"


def share(number: float | None) -> str:
    """A distance as a share, to two digits."""
    if number is None:
        return "not finite"
    return "0" if number == 0 else f"{number:.1e}"


def microseconds(seconds: float | None) -> str:
    """Seconds as microseconds, to three digits."""
    return "" if seconds is None else f"{float(f'{1e6 * seconds:.3g}'):,.0f}"


def fingerprint(digest: str) -> list[tuple[int, int, int]]:
    """A digest as coloured bars, (left, height, hue) each: equal ones look equal, others do not."""
    parts = [int(digest[start : start + 4], 16) for start in range(0, 4 * BARS, 4)]
    return [(4 * k, 4 + part % 9, 360 * part >> 16) for k, part in enumerate(parts)]


def script(figure: dict[str, Any]) -> str:
    """A figure as JSON that can stand inside a script element."""
    return json.dumps(figure, allow_nan=False).replace("<", "\\u003c")
