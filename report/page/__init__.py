"""The page: the content and its plots in one self-contained file, which needs no network."""

import math
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import jinja2
import msgspec
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from samestep.frameworks.experiment import record
from samestep.report import content as contents
from samestep.report.content import Content, Drift, HostileRow
from samestep.report.phrases import TITLES, counted, duration, listed, titles

from . import figures, optimizer_figures
from .figures import Figure

FOLDER = Path(__file__).parent
FILE = "index.html"
BARS = 8  # of a fingerprint


def write(content: Content, out: Path) -> Path:
    """Write ``report.json`` and ``index.html`` to the folder ``out``.

    Return the path of the latter.
    """
    contents.save(content, out)
    body = html(content).encode()
    return record.write_whole(out / FILE, lambda file: file.write(body))


def html(content: Content) -> str:
    """Return the page as text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        count=lambda number: f"{number:,}",
        duration=duration,
        figure=script,
        last_drift=last_drift,
        fingerprint=fingerprint,
        microseconds=microseconds,
        percent=percent,
        share=share,
    )
    return environment.get_template("page.html.jinja").render(
        content=content,
        counted=counted,
        css=Markup((FOLDER / "page.css").read_text()),
        figures=figures,
        javascript=Markup((FOLDER / "page.js").read_text()),
        listed=listed,
        optimizer_figures=optimizer_figures,
        our_results=our_results,
        plotly=Markup(get_plotlyjs()),
        titles=TITLES,
    )


def percent(part: float | None) -> str:
    """Return a share as a percentage with two decimals: one test image is 0.01 %."""
    return "" if part is None else f"{100 * part:.2f} %"


def share(number: float | None) -> str:
    """Return a distance as a share, to two digits."""
    if number is None or not math.isfinite(number):
        return "not finite"
    return "0" if number == 0 else f"{number:.1e}"


def last_drift(row: Drift) -> str:
    """Return the largest distance of two frameworks after the last step, as a share of the path."""
    shares = [pair.share[-1] for pair in row.pairs if pair.share]
    if not shares:
        return ""
    finite = [each for each in shares if each is not None]
    return share(max(finite) if len(finite) == len(shares) else None)


def microseconds(seconds: float | None) -> str:
    """Return seconds as microseconds, to three digits."""
    return "" if seconds is None else f"{float(f'{1e6 * seconds:.3g}'):,.0f}"


def fingerprint(digest: str) -> Iterator[tuple[int, int, int]]:
    """Return a digest as coloured bars (left, height, hue); unequal digests look unequal."""
    for bar in range(BARS):
        number = int(digest[4 * bar : 4 * bar + 4], 16)
        yield 4 * bar, 4 + number % 9, 360 * number >> 16


def our_results(row: HostileRow) -> str:
    """Return what our optimizers did on difficult gradients.

    Frameworks are named where they differ.
    """
    if len(set(row.ours.values())) == 1:
        return next(iter(row.ours.values()))
    by_result = groupby(sorted(row.ours, key=row.ours.__getitem__), key=row.ours.__getitem__)
    return "; ".join(f"{result} in {titles(list(frameworks))}" for result, frameworks in by_result)


def script(figure: Figure) -> Markup:
    """Return a figure as JSON that can stand inside a script element.

    NaN and infinity become null.
    """
    return Markup(msgspec.json.encode(figure).decode().replace("<", "\\u003c"))
