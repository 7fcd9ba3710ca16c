"""Any rule as an optimizer of NumPy arrays, changed in place."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from samestep.reference import Rule
from samestep.reference.checks import require_like_a_rule, require_no_others, several
from samestep.reference.saved_state import STEP

from . import namespace
from .state import checked_states, rounded, saved_rule, widened

ARRAYS = (np.ndarray, np.generic)


class Optimizer:
    """Moves ``parameters``, arrays of any shape and real floating dtype, by ``rule``.

    ``lr`` may be set at any time. Each parameter has its own step number, which advances only when
    it has a gradient. Half precision is computed in float32 and rounded once a step, parameters
    and state alike. ``rule`` must be given. ValueError for complex or integer parameters.
    """

    def __init__(self, parameters: Sequence[np.ndarray], rule: Any = None, **others: Any) -> None:
        require_no_others(others, rule)
        require_like_a_rule(rule, parameters)
        parameters = several("parameters", parameters, ARRAYS, "a list of arrays")
        for index, parameter in enumerate(parameters):
            if parameter.dtype.kind in "cbiu":
                raise ValueError(
                    f"parameter {index} must have a real floating dtype, got {parameter.dtype}"
                )
        self.parameters = list(parameters)
        self.rule = rule
        self.lr = rule.lr
        self.t = [0 for _ in parameters]
        self.state = [rounded(rule.start(widened(p), namespace), p.dtype) for p in parameters]
        self._points: list[np.ndarray] = []  # copies of the parameters during evaluation

    def step(self, gradients: Sequence[np.ndarray | None]) -> None:
        """Take one step; a parameter whose gradient is None is left alone.

        ValueError if a gradient has not its parameter's shape and dtype, and after ``eval()``.
        """
        if self._points:
            raise ValueError("train() must be called before step(): the parameters are averages")
        gradients = several("gradients", gradients, ARRAYS, "a list of arrays")
        coefficients: dict[int, Any] = {}  # by step number: parameters at one step share them
        for index, (parameter, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
            if gradient is None:
                continue
            if gradient.shape != parameter.shape or gradient.dtype != parameter.dtype:
                raise ValueError(
                    f"gradient {index} must have the parameter's shape {parameter.shape} "
                    f"and dtype {parameter.dtype}, got {gradient.shape} and {gradient.dtype}"
                )
            self.t[index] += 1
            state = {name: widened(array) for name, array in self.state[index].items()}
            theta, g = widened(parameter), widened(gradient)
            # NaN and infinity pass silently, as in the other frameworks.
            with np.errstate(all="ignore"):
                t = self.t[index]
                if t not in coefficients:
                    coefficients[t] = self.rule.coefficients(t, self.lr)
                c = coefficients[t]
                theta, state = self.rule.update(theta, g, state, c, namespace)
                parameter[...] = theta
                self.state[index] = rounded(state, parameter.dtype)

    def eval(self) -> None:
        """Put the averages that ScheduleFree and ASGD keep into the parameters, for evaluation.

        Under a rule without an average, and for a parameter that has not moved, nothing changes.
        """
        if self._points or type(self.rule).average is Rule.average:
            return
        self._points = [parameter.copy() for parameter in self.parameters]
        for parameter, state, t in zip(self.parameters, self.state, self.t, strict=True):
            if t:
                wide = {name: widened(array) for name, array in state.items()}
                parameter[...] = self.rule.average(widened(parameter), wide)

    def train(self) -> None:
        """Put the parameters back, bit for bit, where ``eval()`` found them."""
        for parameter, point in zip(self.parameters, self._points, strict=bool(self._points)):
            parameter[...] = point
        self._points = []

    def state_dict(self) -> dict[str, Any]:
        """A copy of the rule as a name and numbers, of ``lr``, and of every parameter's state."""
        states = [
            {STEP: t, **{name: array.copy() for name, array in state.items()}}
            for t, state in zip(self.t, self.state, strict=True)
        ]
        hyperparameters = self.rule.to_dict()
        rule = type(self.rule).__name__
        return {"rule": rule, "hyperparameters": hyperparameters, "lr": self.lr, "state": states}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from what ``state_dict`` gave: the whole of it, or ValueError and no change.

        The saved hyperparameters take the place of the present ones. ValueError if the state
        belongs to another rule, lacks something or has too much, and for a wrong shape or count,
        and if the parameter's dtype cannot hold its numbers.
        """
        rule = saved_rule(self.rule, saved)
        loaded = checked_states(self.parameters, rule, saved["state"])
        self.rule, self.lr = rule, saved["lr"]
        self.t = [count for count, _ in loaded]
        self.state = [state for _, state in loaded]
