"""Step times as tables (a table a framework and device, a row a rule, a column an implementation and mode), and as
curves."""

from collections.abc import Sequence
from typing import Any

WHOSE = ("ours", "native")


def tables(benchmarks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tables of what pytest-benchmark measured."""
    facts = [(row["extra_info"], row["stats"]["median"]) for row in benchmarks]
    places = dict.fromkeys((told["framework"], told["device"]) for told, _ in facts)
    return [
        _table([(told, median) for told, median in facts if (told["framework"], told["device"]) == place])
        for place in places
    ]


def _table(facts: Sequence[tuple[dict[str, Any], float]]) -> dict[str, Any]:
    first = facts[0][0]
    columns = dict.fromkeys((told["implementation"], told["mode"]) for told, _ in facts)
    calls = dict.fromkeys(told["call"] for told, _ in facts)
    shared = ("framework", "device", "gpu", "threads", "parameters", "versions", "machine")
    return {
        **{name: first.get(name) for name in shared},
        "columns": sorted(columns, key=lambda column: WHOSE.index(column[0])),
        "rows": [_row(call, [fact for fact in facts if fact[0]["call"] == call]) for call in calls],
    }


def curves(benchmarks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A curve for each implementation and mode: the median time of a step by what grows."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in benchmarks:
        told = row["extra_info"]
        names = {name: told[name] for name in ("framework", "call", "grows", "implementation", "mode", "device")}
        curve = found.setdefault(tuple(names.values()), {**names, "count": [], "seconds": [], "first": []})
        curve["count"].append(told["count"])
        curve["seconds"].append(row["stats"]["median"])
        curve["first"].append(told["first_step_seconds"])
    return list(found.values())


def _row(call: str, facts: Sequence[tuple[dict[str, Any], float]]) -> dict[str, Any]:
    """``seconds`` of a step and of the first one by implementation and mode; ``ratio``: our fastest to theirs."""
    times = {f"{told['implementation']} {told['mode']}": median for told, median in facts}
    first = {f"{told['implementation']} {told['mode']}": told["first_step_seconds"] for told, _ in facts}
    ours, native = (min((s for name, s in times.items() if name.startswith(whose)), default=None) for whose in WHOSE)
    ratio = ours / native if ours and native else None
    rule = facts[0][0]["rule"].partition("(")[0]
    return {"call": call, "rule": rule, "seconds": times, "first": first, "ratio": ratio}
