"""Rung 1, the facts about the parts around a rule: defaults, what fields may be, their plain
form.
"""

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from samestep.parity.tests.support.parts import (
    AVERAGES,
    CLIPPINGS,
    FURTHER_AVERAGES,
    FURTHER_SCHEDULES,
    SCHEDULES,
)
from samestep.reference.parts import (
    Accumulation,
    After,
    Average,
    ClipGlobalNorm,
    ClipNorm,
    Clipping,
    ClipValue,
    Constant,
    Cosine,
    CosineRestarts,
    Cyclic,
    EqualAverage,
    Exponential,
    Infinite,
    InverseTime,
    LossScale,
    Mode,
    MovingAverage,
    OneCycle,
    Piecewise,
    Plateau,
    Polynomial,
    Product,
    Schedule,
    Shape,
    Skip,
    Stages,
    Start,
    Switch,
    ThresholdMode,
    Total,
    WarmUp,
    restore,
)
from samestep.reference.parts.part import Part

pytestmark = pytest.mark.rung(1)

GIVEN = dataclasses.MISSING
RATE = (0.01, "[0, inf)")  # the default of SGD in both frameworks

# of every field the default and the interval of its numbers
FACTS: dict[type[Part], dict[str, tuple[Any, str]]] = {
    Constant: {"lr": RATE},
    Piecewise: {"boundaries": (GIVEN, "[0, inf)"), "rates": (GIVEN, "[0, inf)"),
     "switch": (Switch.AT, "")},
    Exponential: {
        "lr": RATE, "factor": (GIVEN, "(0, inf)"), "steps": (1, "[1, inf)"),
        "staircase": (False, ""),
    },  # torch's counts single steps; Keras' is no staircase
    Polynomial: {"lr": RATE, "end": (0.0, "[0, inf)"), "steps": (GIVEN, "[1, inf)"),
     "power": (1.0, "(0, inf)"), "cycle": (False, "")},
    Cosine: {"lr": RATE, "end": (0.0, "[0, inf)"), "steps": (GIVEN, "[1, inf)"),
     "after": (After.STAY, "")},
    WarmUp: {"start": (0.0, "[0, inf)"), "steps": (GIVEN, "[1, inf)"), "then": (GIVEN, ""),
     "beneath": (False, "")},
    InverseTime: {"lr": RATE, "factor": (GIVEN, "[0, inf)"), "steps": (1, "[1, inf)"),
     "staircase": (False, "")},
    CosineRestarts: {"lr": RATE, "end": (0.0, "[0, inf)"), "steps": (GIVEN, "[1, inf)"),
     "lengthen": (1, "[1, inf)"), "factor": (1.0, "[0, inf)")},
    Cyclic: {"lr": RATE, "top": (GIVEN, "[0, inf)"), "up": (GIVEN, "[1, inf)"),
     "down": (GIVEN, "[1, inf)"), "factor": (1.0, "(0, inf)"), "each_step": (False, "")},
    OneCycle: {  # torch's share
        "lr": RATE, "start": (0.0, "[0, inf)"), "end": (0.0, "[0, inf)"),
        "steps": (GIVEN, "[2, whole)"), "rise": (0.3, "[0, 1]"), "shape": (Shape.COSINE, ""),
        "three_phases": (False, ""),
    },
    Stages: {"schedules": (GIVEN, ""), "boundaries": (GIVEN, "[0, inf)")},
    Product: {"lr": RATE, "factors": (GIVEN, "")},
    ClipValue: {"limit": (GIVEN, "(0, inf)")},
    ClipNorm: {"limit": (GIVEN, "(0, inf)")},
    ClipGlobalNorm: {"limit": (GIVEN, "(0, inf)"), "added": (0.0, "[0, inf)"),
     "infinite": (Infinite.ZERO, "")},
    MovingAverage: {"keep": (0.99, "[0, 1]"), "start": (Start.COPY, ""),
     "by_updates": (False, "")},  # Keras' ema_momentum
    EqualAverage: {},
    Plateau: {  # torch's, but for its eps
        "mode": (Mode.MIN, ""), "factor": (0.1, "[0, 1)"), "patience": (10, "[0, whole)"),
        "threshold": (1e-4, "[0, inf)"), "threshold_mode": (ThresholdMode.REL, ""),
        "cooldown": (0, "[0, whole)"), "min_lr": (0.0, "[0, inf)"),
        "least_change": (0.0, "[0, inf)"),
    },
    LossScale: {  # torch's, but for what its schedules do
        "scale": (65536.0, "(0, inf)"), "growth": (2.0, "[1.0, inf)"), "backoff": (0.5, "(0, 1]"),
        "steps": (2000, "[1, inf)"), "dynamic": (True, ""), "schedule": (Skip.WAIT, ""),
    },
    Accumulation: {"steps": (GIVEN, "[1, inf)"), "total": (Total.MEAN, "")},
}  # fmt: skip
LEAST: dict[str, Any] = {  # a value for every field that must be given
    "boundaries": (3,), "rates": (0.5, 0.25), "factor": 0.5, "steps": 3, "limit": 1.0,
    "then": Constant(), "top": 1.0, "up": 3, "down": 3, "schedules": (Constant(), Constant()),
    "factors": (Constant(),),
}  # fmt: skip
NUMBERS = [
    (kind, name)
    for kind, fields in FACTS.items()
    for name, (_, interval) in fields.items()
    if interval
]


def made(kind: type[Part], **chosen: Any) -> Part:
    """A part with what must be given, and what is chosen."""
    needed = {name: LEAST[name] for name, (default, _) in FACTS[kind].items() if default is GIVEN}
    return kind(**{**needed, **chosen})


@pytest.mark.parametrize("kind", FACTS, ids=lambda kind: kind.__name__)
def test_defaults_are_those_told_here(kind: type[Part]) -> None:
    """Of every field, and there is no other; what has none must be given."""
    assert {field.name: field.default for field in dataclasses.fields(kind)} == {
        name: default for name, (default, _) in FACTS[kind].items()
    }
    for name, (default, _) in FACTS[kind].items():
        if default is GIVEN:
            with pytest.raises(TypeError, match=name):
                kind(
                    **{
                        other: value
                        for other, value in LEAST.items()
                        if other in FACTS[kind] and other != name
                    }
                )


def test_every_part_is_told() -> None:
    """All that can be made; the bases cannot be used."""
    kinds: list[type[Part]] = [Part]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert {kind for kind in kinds if kind.__module__.startswith("samestep.reference.")} == {
        Part, Schedule, Clipping, Average, *FACTS,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name"), NUMBERS, ids=[f"{kind.__name__}.{name}" for kind, name in NUMBERS]
)
def test_numbers_end_where_they_must(kind: type[Part], name: str) -> None:
    """An end that belongs to the interval is kept as it is; an open end and what is beyond are
    refused.
    """
    _, interval = FACTS[kind][name]
    whole = interval.startswith("[1,") or interval.endswith("whole)")
    low, high = (float(bound) for bound in interval[1:-1].replace("whole", "inf").split(","))
    taken = [
        end for end, closed in ((low, interval[0] == "["), (high, interval[-1] == "]")) if closed
    ]
    several = isinstance(LEAST.get(name), tuple)

    def given(value: Any) -> Any:
        return [value] * len(LEAST[name]) if several else value

    for value in taken:
        kept = getattr(made(kind, **{name: given(int(value) if whole else value)}), name)
        assert kept == (tuple(given(value)) if several else value)
    beyond = [math.nextafter(low, -math.inf), math.nextafter(high, math.inf), math.nan]
    wrong: list[Any] = (
        [low - 1, int(low) - 1, 1.5, True, "3"]
        if whole
        else [*beyond, "3", True, *{low, high} - set(taken)]
    )
    for value in wrong:
        with pytest.raises(
            ValueError, match=f"^each of {name} must" if several else f"^{name} must"
        ):
            made(kind, **{name: given(value)})


def test_bases_leave_the_work_to_their_kinds() -> None:
    """They say so, and give no answer."""
    with pytest.raises(NotImplementedError):
        Schedule().rate(1)
    with pytest.raises(NotImplementedError):
        Average().weights(2)
    with pytest.raises(NotImplementedError):
        Clipping(limit=1.0)._clip([], None)


MISTAKES: list[tuple[Callable[[], Any], str]] = [
    (lambda: ClipNorm(limit=0.0), r"limit must lie in \(0, inf\), got 0.0"),
    (lambda: Cosine(lr=0.1, steps=0), "steps must be a whole number from 1 on, got 0"),
    (lambda: Cosine(lr=0.1, steps=2.5), "steps must be a whole number from 1 on, got 2.5"),
    (lambda: Cosine(lr=-0.1, steps=2), r"lr must lie in \[0, inf\), got -0.1"),
    (
        lambda: Cosine(lr=0.1, steps=2, after="STOP"),
        "after must be After.STAY or After.RETURN, got 'STOP'",
    ),
    (
        lambda: Piecewise(boundaries=[3, 2], rates=[1, 2, 3]),
        "must be whole numbers that do not fall",
    ),
    (
        lambda: Piecewise(boundaries=[0, 1.5], rates=[1, 2, 3]),
        "must be whole numbers that do not fall",
    ),
    (lambda: Piecewise(boundaries=[0.5], rates=[1, 2]), "must be whole numbers that do not fall"),
    (lambda: Piecewise(boundaries=[3], rates=[1]), "rates must be one more than boundaries, got 1"),
    (
        lambda: Piecewise(boundaries=[3], rates=[1, -2]),
        r"each of rates must lie in \[0, inf\), got -2",
    ),
    (
        lambda: Piecewise(boundaries="3", rates=[1, 2]),
        "boundaries must be a sequence of numbers, got '3'",
    ),
    (lambda: OneCycle(steps=10, rise=0.1), r"rise \* steps must not be 1, .* got 0.1 \* 10"),
    (
        lambda: Stages(schedules=[Constant(), Constant()], boundaries=[]),
        r"boundaries must be one fewer than schedules, got \(\) for 2",
    ),
    (
        lambda: Stages(schedules=[Constant()] * 3, boundaries=[4, 3]),
        "boundaries must be whole numbers that do not fall",
    ),
    (
        lambda: Stages(schedules=[Constant(), 0.1], boundaries=[4]),
        r"schedules must be a list of parts such as Cosine\(.*\), got \[Constant\(\), 0.1\]",
    ),
    (lambda: Product(factors=[]), r"factors must be a list of parts such as Exponential\("),
    (lambda: WarmUp(steps=3, then=0.1), r"then must be a schedule such as Cosine\(.*\), got 0.1"),
    (
        lambda: MovingAverage(keep=1, start=Start.CORRECTED),
        "Start.CORRECTED must have a constant keep below 1, got keep=1.0, by_updates=False",
    ),
    (
        lambda: MovingAverage(by_updates=True, start=Start.CORRECTED),
        "must have a constant keep below 1, got keep=0.99, by_updates=True",
    ),
    (lambda: MovingAverage(keep=1.5), r"keep must lie in \[0, 1\], got 1.5"),
    (
        lambda: restore({"part": "restore"}),
        "must be the name of a part of samestep.reference.parts, got 'restore'",
    ),
]


@pytest.mark.parametrize(
    ("mistake", "message"), MISTAKES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_mistakes_are_named(mistake: Callable[[], Any], message: str) -> None:
    """What must hold, and what came."""
    with pytest.raises(ValueError, match=message):
        mistake()


def test_parts_come_back_from_plain_values() -> None:
    """Every part that the tests use; and their labels say what is no default."""
    schedules, averages = (*SCHEDULES, *FURTHER_SCHEDULES), (*AVERAGES, *FURTHER_AVERAGES)
    accumulation = Accumulation(steps=3, total="SUM")
    parts: list[Part] = [*schedules, *CLIPPINGS, *averages, Plateau(), LossScale(), accumulation]
    assert [restore(part.to_dict()) for part in parts] == parts
    assert [json.loads(json.dumps(part.to_dict())) for part in parts] == [
        part.to_dict() for part in parts
    ]
    assert (
        repr(SCHEDULES[13]) == "WarmUp(start=0.02, steps=5, then=Cosine(lr=0.1, end=0.001, "
        "steps=40))"
    )
