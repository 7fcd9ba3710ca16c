"""The natives' deviations: recorded, met in the comparisons and summed up by cause, or met on hostile gradients."""

from collections.abc import Sequence
from typing import Any

from samestep.parity.natives.reproductions import REPRODUCTIONS
from samestep.reference import dialects

from .atlas import PREFIX


def recorded() -> list[dict[str, Any]]:
    """All that are recorded, whether a comparison meets them or only a script of their own."""
    told = ("name", "native", "versions", "cause", "size", "link")
    return [
        {**{key: getattr(found, key) for key in told}, "script": f"parity/reproductions/{found.script.name}"}
        for found in REPRODUCTIONS
    ]


def summed(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each cause with a row an optimizer and dtype: how often, the largest distance and the recorded size."""
    deviating = [row for row in rows if row["deviation"]]
    causes = {row["deviation"]["cause"]: row["deviation"]["link"] for row in deviating}
    return [
        {"cause": cause, "link": link, "rows": _rows([row for row in deviating if row["deviation"]["cause"] == cause])}
        for cause, link in causes.items()
    ]


def _rows(deviating: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    met: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in deviating:
        dialect, name, _ = dialects.parse(row["call"])
        met.setdefault((PREFIX[dialect] + name, row["dtype"]), []).append(row)
    return [{"optimizer": optimizer, "dtype": dtype, **_sum(rows)} for (optimizer, dtype), rows in met.items()]


def _sum(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "comparisons": len(rows),
        "distance": max(row["distance"] for row in rows),
        "size": max(row["deviation"]["size"] for row in rows),
    }


def met(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows on hostile gradients in one table a call, in their order."""
    calls = dict.fromkeys(row["call"] for row in rows)
    return [{"call": call, "rows": [row for row in rows if row["call"] == call]} for call in calls]
