"""Any rule as an optimizer of NumPy arrays, changed in place."""

from collections.abc import Sequence

import numpy as np

from samestep.reference import Rule

from . import namespace


class Optimizer:
    """Moves ``parameters``, arrays of any shape and real floating dtype, by ``rule``.

    ``lr`` may be set at any time. Each parameter keeps its own step number, which advances only when it has a gradient.
    Half precision is computed in float32 and rounded once a step, parameters and state alike.
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

    def step(self, gradients: Sequence[np.ndarray | None]) -> None:
        """One step; a parameter whose gradient is None is left alone."""
        for index, (parameter, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
            if gradient is None:
                continue
            if gradient.shape != parameter.shape or gradient.dtype != parameter.dtype:
                raise ValueError(
                    f"gradient {index} must have the parameter's shape {parameter.shape} and dtype {parameter.dtype}, "
                    f"got {gradient.shape} and {gradient.dtype}"
                )
            self.t[index] += 1
            state = {name: _widened(array) for name, array in self.state[index].items()}
            with np.errstate(
                all="ignore"
            ):  # NaN and infinity travel on in silence, as in the other frameworks
                c = self.rule.coefficients(self.t[index], self.lr)
                theta, state = self.rule.update(
                    _widened(parameter), _widened(gradient), state, c, namespace
                )
                parameter[...] = theta
                self.state[index] = _rounded(state, parameter.dtype)


def _widened(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype.itemsize == 2 else array


def _rounded(state: dict[str, np.ndarray], dtype: np.dtype) -> dict[str, np.ndarray]:
    return {name: np.asarray(array).astype(dtype, copy=False) for name, array in state.items()}
