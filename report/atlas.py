"""The dialect table: what each framework means by each rule, side by side, and how one would say the other's call."""

import dataclasses
import enum
import inspect
from typing import Any

from samestep import reference
from samestep.reference import Rule, dialects

PREFIX = {
    "pytorch": "torch.optim.", "keras": "keras.optimizers.", "tf_keras": "tf_keras.optimizers.legacy.",
    "tensorflow1": "tf.compat.v1.train.", "optax": "optax.", "onnx": "ai.onnx.preview.training.",
    "paper": "the paper's ", "article": "the article's ",
}  # fmt: skip
COLUMNS = ("pytorch", "keras", "article")  # of the page's table
WRITTEN = {("pytorch", "beta1"): "betas[0]", ("pytorch", "beta2"): "betas[1]"}  # an argument that holds two
TARGETS = ("pytorch", "keras")
SHARED = ("weight_decay", "decay", "maximize")  # told last: every rule has them


def table(name: str) -> dict[str, Any]:
    """Everything about one rule in all dialects."""
    rule = next(rule for rule in reference.RULES if rule.__name__ == name)
    natives = _natives(rule)
    sentence, equation = explained(rule)
    return {
        "rule": name, "sentence": sentence, "equation": equation,
        "columns": [PREFIX[dialect] + native for dialect, native in natives],
        "rows": [_row(field, natives) for field in sorted(dataclasses.fields(rule), key=lambda f: f.name in SHARED)],
        "spelled": [_spelled(*native, target) for native in natives for target in TARGETS if target != native[0]],
    }  # fmt: skip


def explained(rule: type[Rule]) -> tuple[str, str]:
    """The first sentence of a rule's docstring, and its equation."""
    sentence, _, rest = inspect.cleandoc(rule.__doc__ or "").partition("\n\n::\n\n")
    block = rest.partition("\n\n")[0]
    return " ".join(sentence.split()), inspect.cleandoc("\n" + block)


def _natives(rule: type[Rule]) -> list[tuple[str, str]]:
    return [
        (dialect, name)
        for dialect in COLUMNS
        for name, native in dialects.find(dialect).natives.items()
        if native.rule is rule
    ]


def _row(field: "dataclasses.Field[Any]", natives: list[tuple[str, str]]) -> dict[str, Any]:
    """One hyperparameter: in each dialect its argument and default, or what the dialect fixes."""
    values = [getattr(_default(*native), field.name) for native in natives]
    moot = all(not _default(*native).is_active(field.name) for native in natives)
    return {
        "field": field.name,
        "with": list(field.metadata.get("matters_with", ())) if moot else [],
        "cells": [_cell(field.name, *native) for native in natives],
        "differ": len(set(values)) > 1,
    }


def _default(dialect: str, name: str) -> Rule:
    return dialects.find(dialect).read(name)


def _cell(field: str, dialect: str, name: str) -> dict[str, str]:
    native = dialects.find(dialect).natives[name]
    value = getattr(_default(dialect, name), field)
    arguments = [argument for argument, meant in native.arguments.items() if meant == field]
    if arguments:
        written = WRITTEN.get((dialect, arguments[0]), arguments[0])
        return {"kind": "argument", "text": f"{written} = {value!r}"}
    if isinstance(value, enum.Enum):
        if not _default(dialect, name).is_active(field) and not _wakes(field, native):
            return {"kind": "fixed", "text": "never matters"}
        return {"kind": "fixed", "text": value.value}
    return {"kind": "fixed", "text": f"always {value!r}"}


def _wakes(field: str, native: dialects.Native) -> bool:
    """Whether some argument of the native can make the hyperparameter matter."""
    (found,) = (f for f in dataclasses.fields(native.rule) if f.name == field)
    return set(found.metadata["matters_with"]) <= set(native.arguments.values())


def _spelled(dialect: str, name: str, target: str) -> dict[str, Any]:
    """How the dialect's call with its defaults is said in another, or why it cannot be."""
    rule = _default(dialect, name)
    row = {"call": f"{PREFIX[dialect]}{name}()", "into": PREFIX[target].rstrip(".")}
    try:
        return {**row, "possible": True, "words": PREFIX[target] + str(dialects.find(target).spell(rule))}
    except dialects.Inexpressible as reason:
        return {**row, "possible": False, "words": reason.why, "size": reason.size, "instead": reason.instead}


def matrix(name: str) -> dict[str, Any]:
    """How every call of one rule is said in every dialect that has the rule; ``notes`` are numbered from 1."""
    rule = next(rule for rule in reference.RULES if rule.__name__ == name)
    columns = [
        dialect for dialect, words in dialects.DIALECTS.items()
        if any(native.rule is rule for native in words.natives.values())
    ]  # fmt: skip
    rows: list[dict[str, Any]] = []
    notes: dict[str, int] = {}
    for dialect in columns:
        for call, meant in dialects.relation.calls(dialects.find(dialect), rule):
            cells = {target: _related(meant, target, notes) for target in columns if target != dialect}
            rows.append({"dialect": dialect, "call": call, "cells": cells})
    return {"rule": name, "columns": columns, "rows": rows, "notes": list(notes)}


def _related(rule: Rule, target: str, notes: dict[str, int]) -> dict[str, Any]:
    relation = dialects.relate(rule, dialects.find(target))
    number = notes.setdefault(relation.note, len(notes) + 1) if relation.note else None
    return {"kind": relation.kind.name, "note": number}
