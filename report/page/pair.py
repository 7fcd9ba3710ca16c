"""The page of ``samestep pair --html``: one self-contained file without scripts."""

import math
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from samestep.frameworks.experiment import record
from samestep.migrate.pair.compare import Comparison
from samestep.migrate.pair.findings import Finding
from samestep.migrate.pair.limits import MOST_ROUNDINGS

FOLDER = Path(__file__).parent
SHOWN = 60  # findings in the table
WIDEST = 2.0**53  # roundings of float64 that fill a bar: as large as the value itself


def write(comparison: Comparison, name: str, out: Path) -> Path:
    """Write the page of a comparison to the file ``out``; ``name`` is the pair's."""
    body = html(comparison, name).encode()
    return record.write_whole(out, lambda file: file.write(body))


def html(comparison: Comparison, name: str) -> str:
    """The page as text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(short=short, width=width, title=title)
    answer = comparison.to_dict()
    return environment.get_template("pair.html.jinja").render(
        answer=answer,
        css=Markup((FOLDER / "page.css").read_text()),
        layers=layers(comparison),
        most=round(MOST_ROUNDINGS[answer["facts"]["dtype"]]),
        name=name,
        shown=SHOWN,
    )


def layers(comparison: Comparison) -> list[dict[str, Any]]:
    """Each layer of the first step with its findings forward and backward."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for stage in ("forward", "backward"):
        for finding in comparison.judgement.of_stage(stage):
            if finding.step == 1:
                empty = {"a": finding.a, "b": finding.b, "forward": None, "backward": None}
                rows.setdefault((finding.a, finding.b), empty)[stage] = finding
    return list(rows.values())


def short(number: float | None) -> str:
    """A number in three digits; a dash for none."""
    return "-" if number is None else f"{number:.3g}"


def width(finding: Finding) -> int:
    """The length of a finding's bar in per cent, on a logarithmic scale."""
    if finding.roundings <= 1:
        return 1
    share = math.log(min(finding.roundings, WIDEST)) / math.log(WIDEST)
    return max(1, round(100 * share))


def title(finding: Finding) -> str:
    """What a bar says under the pointer."""
    if math.isinf(finding.roundings):
        return finding.note or finding.kind
    return f"{finding.roundings:.3g} roundings, distance {finding.distance:.3g}"
