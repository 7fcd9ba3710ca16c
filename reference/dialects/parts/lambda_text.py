"""A schedule as the text of a function for torch's ``LambdaLR``: any schedule can be said there.

The text is plain Python with ``math``, ``min`` and ``max``. Its argument n is the number of steps
taken, and its value a share of the optimizer's learning rate.
"""

import dataclasses
from typing import Any

from samestep.reference.parts import (
    After,
    Constant,
    Cosine,
    CosineRestarts,
    Cyclic,
    Exponential,
    InverseTime,
    OneCycle,
    Piecewise,
    Polynomial,
    Product,
    Schedule,
    Shape,
    Stages,
    Switch,
    WarmUp,
)
from samestep.reference.parts.cycles import Phase

RATES = ("lr", "start", "end", "top")  # the fields that have the units of the rate


class Code(str):
    """A text that stands in a call as it is, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def lambda_text(schedule: Schedule) -> tuple[float, Code] | None:
    """The optimizer's learning rate, and the function that makes the schedule of it.

    None for a schedule that takes more than a line.
    """
    lr = _highest(schedule) or 1.0
    value = _value(_share(schedule, lr), "n")
    return None if value is None else (lr, Code(f"lambda n: {_without_parentheses(value)}"))


def _highest(schedule: Schedule) -> float:
    """The highest rate that the schedule names."""
    match schedule:
        case Piecewise(rates=rates):
            return max(rates)
        case Stages(schedules=schedules):
            return max(map(_highest, schedules))
        case WarmUp(then=then):
            return _highest(then)
        case Product(lr=lr):
            return lr
    fields = {field.name for field in dataclasses.fields(schedule)}
    return max(getattr(schedule, name) for name in RATES if name in fields)


def _share(schedule: Schedule, lr: float) -> Schedule:
    """The schedule with all rates divided by ``lr``."""
    match schedule:
        case Piecewise(rates=rates):
            return dataclasses.replace(schedule, rates=[rate / lr for rate in rates])
        case Stages(schedules=schedules):
            stages = [_share(stage, lr) for stage in schedules]
            return dataclasses.replace(schedule, schedules=stages)
        case WarmUp(start=start, then=then):
            return dataclasses.replace(schedule, start=start / lr, then=_share(then, lr))
    fields = {field.name for field in dataclasses.fields(schedule)}
    shares: dict[str, Any] = {
        name: getattr(schedule, name) / lr for name in RATES if name in fields
    }
    return dataclasses.replace(schedule, **shares)


def _value(schedule: Schedule, n: str) -> str | None:
    """The rate after ``n`` steps, as text in parentheses or as a number; ``n`` has them, too."""
    match schedule:
        case Constant(lr=lr):
            return repr(lr)
        case Piecewise():
            return _piecewise(schedule, n)
        case Exponential(lr=lr, factor=factor, steps=steps, staircase=staircase):
            exponent = n if steps == 1 else f"({n} {'//' if staircase else '/'} {steps})"
            return _between(lr, 0.0, f"{factor!r} ** {exponent}")
        case Polynomial(lr=lr, end=end):
            return _between(lr, end, _polynomial(schedule, n))
        case Cosine(lr=lr, end=end, steps=steps, after=after):
            place = f"min({n}, {steps})" if after is After.STAY else f"({n} % {2 * steps})"
            return _between(lr, end, _wave(place, str(steps)))
        case InverseTime(lr=lr, factor=factor, steps=steps, staircase=staircase):
            time = f"({n} // {steps})" if staircase else f"{n} / {steps}"
            return f"({lr!r} / (1 + {factor!r} * {time}))"
        case CosineRestarts():
            return _restarts(schedule, n)
        case Cyclic():
            return _cyclic(schedule, n)
        case OneCycle():
            return _one_cycle(schedule, n)
    return _combined(schedule, n)


def _combined(schedule: Schedule, n: str) -> str | None:
    """As ``_value``, of a schedule that is made of others."""
    match schedule:
        case WarmUp(start=start, steps=steps, then=then, beneath=beneath):
            rest = _value(then, n if beneath else f"({n} - {steps})")
            line = _between(then.rate(1), start, f"({n} / {steps})")
            return _choice([line, rest], [steps], n)
        case Stages(schedules=schedules, boundaries=boundaries):
            begins = [0, *(int(boundary) for boundary in boundaries)]
            stages = zip(begins, schedules, strict=True)
            values = [_value(stage, f"({n} - {b})" if b else n) for b, stage in stages]
            return _choice(values, begins[1:], n)
        case Product(lr=lr, factors=factors):
            values = [repr(lr), *(_value(factor, n) for factor in factors)]
            return None if None in values else f"({' * '.join(filter(None, values))})"
    return None


def _without_parentheses(text: str) -> str:
    """The text without its outer parentheses."""
    return text[1:-1] if text.startswith("(") and _closes_last(text) else text


def _closes_last(text: str) -> bool:
    """True if the first parenthesis is closed by the last character."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if not depth:
            return place == len(text) - 1
    return False


def _between(first: float, last: float, w: str) -> str:
    """first w + last (1 - w)."""
    if last:
        return f"({last!r} + {first - last!r} * {w})"
    if first == 1:
        return w if _without_parentheses(w) != w else f"({w})"
    return f"({first!r} * {w})"


def _choice(values: list[str | None], begins: list[int], n: str) -> str | None:
    """Each value until the next one begins."""
    if None in values:
        return None
    text = values[-1]
    for value, begin in zip(reversed(values[:-1]), reversed(begins), strict=True):
        text = f"({value} if {n} < {begin} else {text})"
    return text


def _piecewise(schedule: Piecewise, n: str) -> str | None:
    late = schedule.switch is Switch.AFTER
    begins = [int(boundary) + late for boundary in schedule.boundaries]
    return _choice([repr(rate) for rate in schedule.rates], begins, n)


def _polynomial(schedule: Polynomial, n: str) -> str:
    steps = schedule.steps
    if schedule.cycle:
        rest = f"(1 - {n} / ({steps} * max(1, -(-{n} // {steps}))))"
    else:
        rest = f"(1 - min({n}, {steps}) / {steps})"
    return rest if schedule.power == 1 else f"{rest} ** {schedule.power!r}"


def _wave(place: str, length: str) -> str:
    return f"(0.5 + 0.5 * math.cos(math.pi * {place} / {length}))"


def _restarts(schedule: CosineRestarts, n: str) -> str | None:
    steps = schedule.steps
    if schedule.lengthen == 1:
        count, place, length = f"({n} // {steps})", f"({n} % {steps})", str(steps)
    elif schedule.lengthen == 2:
        count = f"(({n} // {steps} + 1).bit_length() - 1)"
        place = f"({n} - {steps} * (2 ** {count} - 1))"
        length = f"({steps} * 2 ** {count})"
    else:
        return None
    w = _wave(place, length)
    if schedule.factor != 1:
        w = f"{schedule.factor!r} ** {count} * {w}"
    return _between(schedule.lr, schedule.end, w)


def _cyclic(schedule: Cyclic, n: str) -> str:
    total = schedule.up + schedule.down
    place = f"({n} % {total})"
    w = (
        f"({place} / {schedule.up} if {place} <= {schedule.up} "
        f"else ({total} - {place}) / {schedule.down})"
    )
    if schedule.factor != 1:
        count = n if schedule.each_step else f"({n} // {total})"
        w = f"{schedule.factor!r} ** {count} * {w}"
    return _between(schedule.top, schedule.lr, w)


def _one_cycle(schedule: OneCycle, n: str) -> str:
    n = f"min({n}, {schedule.steps - 1})"
    *earlier, last = schedule.phases()
    text = _phase(schedule, last, n)
    for phase in reversed(earlier):
        text = f"({_phase(schedule, phase, n)} if {n} <= {phase.end!r} else {text})"
    return text


def _phase(schedule: OneCycle, phase: Phase, n: str) -> str:
    length = phase.end - phase.begin
    if not length:
        return repr(phase.last)
    place = f"({n} - {phase.begin!r})" if phase.begin else n
    line = schedule.shape is Shape.LINE
    w = f"(1 - {place} / {length!r})" if line else _wave(place, repr(length))
    return _between(phase.first, phase.last, w)
