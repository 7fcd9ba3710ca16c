"""The dialect table: what each framework means by each rule, side by side, and how one would say the other's call."""

import dataclasses
import enum
import inspect
from typing import Any

import reference
from reference import Rule, dialects

PREFIX = {"pytorch": "torch.optim.", "keras": "keras.optimizers.", "article": "the article's "}
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
        for dialect, module in dialects.DIALECTS.items()
        for name, native in module.NATIVES.items()
        if native.rule is rule
    ]


def _row(field: "dataclasses.Field[Any]", natives: list[tuple[str, str]]) -> dict[str, Any]:
    """One hyperparameter: in each dialect its argument and default, or what the dialect fixes."""
    values = [getattr(_default(*native), field.name) for native in natives]
    moot = all(not _default(*native).matters(field.name) for native in natives)
    return {
        "field": field.name,
        "with": list(field.metadata.get("matters_with", ())) if moot else [],
        "cells": [_cell(field.name, *native) for native in natives],
        "differ": len(set(values)) > 1,
    }


def _default(dialect: str, name: str) -> Rule:
    return dialects.find(dialect).read(name)


def _cell(field: str, dialect: str, name: str) -> dict[str, str]:
    native = dialects.find(dialect).NATIVES[name]
    value = getattr(_default(dialect, name), field)
    arguments = [argument for argument, meant in native.arguments.items() if meant == field]
    if arguments:
        written = WRITTEN.get((dialect, arguments[0]), arguments[0])
        return {"kind": "argument", "text": f"{written} = {value!r}"}
    if isinstance(value, enum.Enum):
        if not _default(dialect, name).matters(field) and not _wakes(field, native):
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
