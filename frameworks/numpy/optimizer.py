"""Any rule as an optimizer of NumPy arrays, changed in place."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from samestep.reference.checks import require_like_a_rule, require_no_others, several

from . import namespace

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
        self.state = [_rounded(rule.start(_widened(p), namespace), p.dtype) for p in parameters]

    def step(self, gradients: Sequence[np.ndarray | None]) -> None:
        """Take one step; a parameter whose gradient is None is left alone.

        ValueError if a gradient has not its parameter's shape and dtype.
        """
        gradients = several("gradients", gradients, ARRAYS, "a list of arrays")
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


def _widened(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype.itemsize == 2 else array


def _rounded(state: dict[str, np.ndarray], dtype: np.dtype) -> dict[str, np.ndarray]:
    return {name: np.asarray(array).astype(dtype, copy=False) for name, array in state.items()}
