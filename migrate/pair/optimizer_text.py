"""Optimizers and clipping in the words of the two frameworks."""

import enum
from typing import Any

from samestep.reference import Rule, dialects
from samestep.reference.dialects import Inexpressible
from samestep.reference.parts import ClipGlobalNorm, ClipNorm, ClipValue

CLIPPINGS = {
    ClipValue: "each element to {limit} (clipvalue, clip_grad_value_)",
    ClipNorm: "each tensor to the norm {limit} (clipnorm)",
    ClipGlobalNorm: "all tensors together to the norm {limit} (global_clipnorm, clip_grad_norm_)",
}


def of_value(value: Any) -> str:
    """A hyperparameter's value for readers: of a choice its name, in small letters."""
    return value.name.lower() if isinstance(value, enum.Enum) else str(value)


def of_clipping(clipping: Any) -> str:
    """What is clipped, with the names of the two frameworks' arguments."""
    for kind, text in CLIPPINGS.items():
        if isinstance(clipping, kind):
            return text.format(limit=clipping.limit)
    return "none" if clipping is None else repr(clipping)


def remedy(of_pytorch: Rule, of_keras: Rule) -> str:
    """What to write in one framework so that it takes the other's steps."""
    lines = []
    for dialect, rule, framework in (
        (dialects.pytorch, of_keras, "PyTorch"),
        (dialects.keras, of_pytorch, "Keras"),
    ):
        try:
            call, hint, condition = str(dialect.spell(rule)).partition("  # ")
        except Inexpressible:
            continue
        lines.append(f"write {call} in {framework}{f' ({condition})' if hint else ''}")
    if lines:
        return ", or ".join(lines)
    return (
        "no optimizer of either framework takes the other's steps; use "
        "samestep.frameworks.pytorch.Optimizer or .tensorflow.Optimizer with one rule"
    )
