"""Any rule as an optimizer of NumPy arrays, changed in place."""

from collections.abc import Sequence

import numpy as np

from samestep.reference import Rule

from . import namespace


class Optimizer:
    """Moves ``parameters``, arrays of any shape and real floating dtype, by ``rule``.

    ``lr`` may be set at any time. Each parameter has its own step number, which advances only when
    it has a gradient. Half precision is computed in float32 and rounded once a step, parameters
    and state alike. ValueError for complex or integer parameters.
    """

    def __init__(self, parameters: Sequence[np.ndarray], rule: Rule) -> None:
        for index, parameter in enumerate(parameters):
            if parameter.dtype.kind in "cbiu":
                raise ValueError(
                    f"parameter {index} must have a real floating dtype, got {parameter.dtype}"
                )
        self.parameters = list(parameters)
        self.rule = rule
        self.lr = rule.lr
        self.t = [0 for _ in parameters]
        self.state = [_rounded(rule.start(_widened(p), namespace), p.dtype) for p in parameters]
        self._points: list[np.ndarray] = []  # copies of the parameters during evaluation

    def step(self, gradients: Sequence[np.ndarray | None]) -> None:
        """Take one step; a parameter whose gradient is None is left alone.

        ValueError if a gradient has not its parameter's shape and dtype, and after ``eval()``.
        """
        if self._points:
            raise ValueError("train() must be called before step(): the parameters are averages")
        for index, (parameter, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
            if gradient is None:
                continue
            if gradient.shape != parameter.shape or gradient.dtype != parameter.dtype:
                raise ValueError(
                    f"gradient {index} must have the parameter's shape {parameter.shape} "
                    f"and dtype {parameter.dtype}, got {gradient.shape} and {gradient.dtype}"
                )
            self.t[index] += 1
            state = {name: _widened(array) for name, array in self.state[index].items()}
            theta, g = _widened(parameter), _widened(gradient)
            # NaN and infinity pass silently, as in the other frameworks.
            with np.errstate(all="ignore"):
                c = self.rule.coefficients(self.t[index], self.lr)
                theta, state = self.rule.update(theta, g, state, c, namespace)
                parameter[...] = theta
                self.state[index] = _rounded(state, parameter.dtype)

    def eval(self) -> None:
        """Put the averages that ScheduleFree and ASGD keep into the parameters, for evaluation.

        Under a rule without an average, and for a parameter that has not moved, nothing changes.
        """
        if self._points or type(self.rule).average is Rule.average:
            return
        self._points = [parameter.copy() for parameter in self.parameters]
        for parameter, state, t in zip(self.parameters, self.state, self.t, strict=True):
            if t:
                wide = {name: _widened(array) for name, array in state.items()}
                parameter[...] = self.rule.average(_widened(parameter), wide)

    def train(self) -> None:
        """Put the parameters back, bit for bit, where ``eval()`` found them."""
        for parameter, point in zip(self.parameters, self._points, strict=bool(self._points)):
            parameter[...] = point
        self._points = []


def _widened(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype.itemsize == 2 else array


def _rounded(state: dict[str, np.ndarray], dtype: np.dtype) -> dict[str, np.ndarray]:
    return {name: np.asarray(array).astype(dtype, copy=False) for name, array in state.items()}
