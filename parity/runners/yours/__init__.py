"""Anybody's optimizer, made fresh for every run. A module a framework, each with the same names.

``TITLE`` is the framework's; ``MODES`` are the ways in which a step can be run; ``accepts(made)`` says whether
something is an optimizer of the framework; and ``run`` says where it takes some tensors.
"""

import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from samestep.reference import Rule

Push = Callable[[np.ndarray], np.ndarray]  # a disturbance of the last digits
FORMS = (
    "a function of the parameters (PyTorch: lambda params: MyAdam(params, lr=1e-3)), a function of nothing (Keras: "
    "lambda: MyAdam(1e-3)), or a Keras optimizer"
)


class Subject(NamedTuple):
    """An optimizer that can be made again and again; ``make`` takes a list of parameters in PyTorch, nothing in Keras.

    ``framework`` is the module of this package that runs it.
    """

    name: str
    framework: ModuleType
    make: Callable[..., Any]

    def run(
        self, starts: Sequence[np.ndarray], gradients: Sequence[np.ndarray], factors: Sequence[float], dtype: str,
        mode: str, push: Push | None = None,
    ) -> list[np.ndarray]:  # fmt: skip
        """Where it takes each tensor, (steps, *shape), at its own learning rate times ``factors``.

        ``gradients`` has (steps, *shape) for each tensor. ``push`` disturbs gradients, and parameters and state after
        each step. AssertionError if a gradient is written to.
        """
        found = self.framework.run(self.make, starts, gradients, factors, dtype, mode, push)
        return [np.array(thetas) for thetas in zip(*found, strict=True)]

    def rate(self) -> float | None:
        """The learning rate that it starts with; None if it keeps none that could be set from outside."""
        rate: float | None = self.framework.rate(self.framework.made(self.make, [np.zeros(1)], "float32")[0])
        return rate


def of(optimizer: Any) -> Subject:
    """The subject that ``optimizer`` describes, in one of ``FORMS``; ValueError if it is none of them."""
    if isinstance(optimizer, Rule | str):
        raise ValueError(f"optimizer must be {FORMS}; {optimizer!r} can only be what is expected")
    if sys.modules.get("keras") and _framework("tensorflow").accepts(optimizer):
        return Subject(
            type(optimizer).__name__, _framework("tensorflow"), lambda: type(optimizer).from_config(config(optimizer))
        )
    if sys.modules.get("torch") and _framework("pytorch").accepts(optimizer):
        raise ValueError(
            f"optimizer must be made anew for every trial, got a {type(optimizer).__name__} that holds its parameters; "
            "give a function of them: lambda params: MyAdam(params, lr=1e-3)"
        )
    if not callable(optimizer):
        raise ValueError(f"optimizer must be {FORMS}, got {optimizer!r}")
    subject = Subject(
        _name(optimizer), _framework("pytorch" if _takes_parameters(optimizer) else "tensorflow"), optimizer
    )
    made = subject.framework.made(subject.make, [np.zeros(1)], "float32")[0]
    if not subject.framework.accepts(made):
        raise ValueError(f"optimizer must be {FORMS}; the function gave a {type(made).__name__}")
    return subject._replace(name=type(made).__name__)


def config(optimizer: Any) -> dict[str, Any]:
    """What makes a Keras optimizer again; ValueError if it does not say."""
    try:
        told: dict[str, Any] = optimizer.get_config()
        type(optimizer).from_config(dict(told))
    except Exception as error:
        raise ValueError(
            f"{type(optimizer).__name__} must be made anew for every trial, but its get_config does not say how "
            f"({error}); give a function: lambda: {type(optimizer).__name__}(...)"
        ) from error
    return told


def _takes_parameters(function: Callable[..., Any]) -> bool:
    """Whether it must be given one thing; ValueError unless that or nothing at all."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise ValueError(f"optimizer must be {FORMS}; the signature of {function!r} cannot be read") from error
    needed = [p.name for p in found if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(needed) > 1:
        raise ValueError(f"optimizer must be {FORMS}; {_name(function)} asks for {', '.join(needed)}")
    return len(needed) == 1


def _name(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _framework(name: str) -> ModuleType:
    return importlib.import_module(f".{name}", __name__)
