"""A call in another dialect, with what stands inside it around the rule.

Keras' optimizers clip, average, accumulate, scale the loss and follow a schedule. PyTorch has all
that beside the optimizer, so a translation is a call and the lines that belong around it.
"""

import dataclasses
from typing import Any, NamedTuple

from samestep.reference.checks import require
from samestep.reference.parts import Accumulation, Average, Clipping, InverseTime, Schedule

from . import parts
from .beside import read_parts
from .call import CONSTANT, Call, Inexpressible
from .dialect import Dialect
from .keras import UNSUPPORTED
from .parts import in_keras, in_pytorch
from .pasted import PastedCall
from .relation import nearest
from .tf_keras import lowers_rate, tf_keras
from .values import Variable, is_number

KERAS = ("keras", "tf_keras")  # the dialects whose calls hold parts
CLIPPING = ("clipnorm", "clipvalue", "global_clipnorm")
PROBES = (0.0123456789, 0.0198765432)  # values in place of a variable; they look like no other


class Parts(NamedTuple):
    """What a call holds around the rule; None for what it does not hold."""

    loss_scale: float | None = None
    accumulation: Accumulation | None = None
    clipping: Clipping | None = None
    average: Average | None = None
    schedule: Schedule | None = None


class Translation(NamedTuple):
    """A call in another dialect.

    ``lines`` are the call and the code beside it. ``refusals`` say what the dialect cannot express,
    with a line for each remedy; with one, the lines are what comes nearest. ``assumptions`` are
    about variables.
    """

    lines: tuple[str, ...]
    refusals: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()


def translate(call: PastedCall, target: Dialect) -> Translation:
    """The call in another dialect.

    A variable stays in its place if the translation is the same whatever its value; ValueError if
    it is not, and for any mistake in the call.
    """
    require("target", target, Dialect, "a dialect such as dialects.keras")
    require("call", call, PastedCall, "the result of dialects.read_call")
    if not call.variables:
        return _translated(call, target)
    for argument, source in call.variables.items():
        if not _can_stay(call, argument):
            call.replace(arguments={argument: Variable(source)}).require_values()
    first, second = (_with_placeholders(call, target, probe) for probe in PROBES)
    if first != second:
        call.require_values()
    sources = ", ".join(call.variables.values())
    return first._replace(assumptions=(f"{sources}: any number above 0, and no schedule",))


def take_apart(call: PastedCall) -> tuple[PastedCall, Parts]:
    """The call without what stands around the rule, and that.

    Inexpressible for what no part describes, such as ``ema_overwrite_frequency``.
    """
    arguments = dict(call.arguments)
    schedule = None
    for name, value in arguments.items():
        if isinstance(value, Schedule):
            schedule = value
            arguments[name] = value.rate(1)
    if schedule is None and call.dialect == "tf_keras":
        schedule = _take_decay(call, arguments)
    inner_parts = Parts(schedule=schedule)
    if call.beside:
        default = _default(call, "lr")
        inner_parts = Parts(**read_parts(call.beside, arguments.get("lr", default)))
    if call.dialect in KERAS:
        inside = {name: arguments.pop(name) for name in UNSUPPORTED if name in arguments}
        inner_parts = _inside(inside, schedule)
    return call.replace(arguments=arguments), inner_parts


def _take_decay(call: PastedCall, arguments: dict[str, Any]) -> Schedule | None:
    """Take ``decay`` out of a legacy call's arguments: the schedule that it means, or None."""
    native = tf_keras.natives.get(call.name)
    if not arguments.get("decay") or native is None or not lowers_rate(native):
        return None
    rate = arguments.get("lr", arguments.get("learning_rate", native.defaults["learning_rate"]))
    return InverseTime(lr=rate, factor=arguments.pop("decay"))


def _inside(inside: dict[str, Any], schedule: Schedule | None) -> Parts:
    """The parts of a Keras optimizer's arguments."""
    clipping = {name: inside[name] for name in CLIPPING if inside.get(name) is not None}
    steps = inside.get("gradient_accumulation_steps")
    average = None
    if inside.get("use_ema"):
        names = ("ema_momentum", "ema_overwrite_frequency", "gradient_accumulation_steps")
        settings = {name: inside[name] for name in names if name in inside}
        average = parts.keras.read_average(**settings)
    return Parts(
        inside.get("loss_scale_factor"),
        parts.keras.read_accumulation(steps) if steps else None,
        parts.keras.read_clipping(**clipping) if clipping else None,
        average,
        schedule,
    )


def _translated(call: PastedCall, target: Dialect) -> Translation:
    plain, call_parts = take_apart(call)
    rule = plain.rule()
    if target.name == "pytorch" and call_parts.schedule:
        rule = rule.replace(lr=in_pytorch.first_rate(call_parts.schedule))
    refusals: list[str] = []
    try:
        spelled: Call | None = target.spell(rule)
    except Inexpressible as refusal:
        refusals.append(refusal.paragraph)
        spelled = _nearest(target, rule, refusal) if any(call_parts) else None
    if spelled and call_parts.schedule and spelled.condition == CONSTANT:
        refusals.append(_only_at_a_constant_rate(rule, target))
    present = {name: part for name, part in call_parts._asdict().items() if part is not None}
    beside: list[str] = []
    if target.name in KERAS:
        inside = _inside_call(present, target, refusals)
        if spelled:
            arguments = {**spelled.arguments, **inside}
            spelled = dataclasses.replace(spelled, arguments=arguments)
        elif inside:
            pairs = (f"{name}={value!r}" for name, value in inside.items())
            beside = [f"in its call as well: {', '.join(pairs)}"]
    elif target.name == "pytorch":
        beside = in_pytorch.lines(**present)
    else:
        refusals += [_no_words(name, part, target) for name, part in present.items()]
    lines = [f"{target.name}:{spelled}"] if spelled else []
    return Translation((*lines, *beside), tuple(refusals))


def _inside_call(present: dict[str, Any], target: Dialect, refusals: list[str]) -> dict[str, Any]:
    """The arguments of a Keras optimizer that mean the parts; what has none is a refusal."""
    inside: dict[str, Any] = {}
    for name, part in present.items():
        try:
            inside.update(in_keras.arguments(target.name, name, part))
        except Inexpressible as refusal:
            refusals.append(refusal.paragraph)
    return inside


def _no_words(name: str, part: Any, target: Dialect) -> str:
    return (
        f"{name} {part!r} beside the rule: dialect {target.name} has no words for it here; "
        "translate the call without it, and write the part by samestep.reference.parts"
    )


def _only_at_a_constant_rate(rule: Any, target: Dialect) -> str:
    """The refusal of a call that means the rule at a constant rate, beside a schedule."""
    what = f"{rule!r} under a schedule in {target.prefix}"
    why = f"the call means the rule only {CONSTANT}"
    ours = target.ours.format(rule=repr(rule))
    return Inexpressible(what, why, ours).paragraph


def _nearest(target: Dialect, rule: Any, refusal: Inexpressible) -> Call | None:
    """The nearest call, if a setting before each step makes it exact."""
    near = nearest(rule, target)
    if near is None or not refusal.each_step:
        return None
    return Call(near.name, near.arguments, f"with, before step t = 1, 2, ...: {refusal.each_step}")


def _can_stay(call: PastedCall, argument: str) -> bool:
    """True for an argument that takes any number above 0, and nothing else."""
    default = _default(call, argument)
    return argument in _numbers(call) and (default is None or is_number(default))


def _numbers(call: PastedCall) -> list[str]:
    from .known import find

    native = find(call.dialect).natives.get(call.name)
    return [name for name in native.arguments if name not in native.literals] if native else []


def _default(call: PastedCall, argument: str) -> Any:
    from .known import find

    return find(call.dialect).natives[call.name].defaults.get(argument)


def _with_placeholders(call: PastedCall, target: Dialect, probe: float) -> Translation:
    """The translation with a number of its own for each variable, and then the variable again."""
    arguments = dict(call.arguments)
    sources: dict[str, str] = {}
    for index, (argument, source) in enumerate(call.variables.items()):
        value = probe / (index + 1)
        arguments[argument] = value
        sources[repr(value)] = source
    translation = _translated(call.replace(arguments=arguments), target)
    lines = tuple(_replaced(line, sources) for line in translation.lines)
    refusals = tuple(_replaced(refusal, sources) for refusal in translation.refusals)
    return Translation(lines, refusals)


def _replaced(text: str, sources: dict[str, str]) -> str:
    for number, source in sources.items():
        text = text.replace(number, source)
    return text
