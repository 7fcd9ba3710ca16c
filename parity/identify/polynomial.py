"""Find the polynomial by which Muon moves singular values, from the first step alone.

At the first step Muon's momentum is the gradient, or a multiple of it. So the step has the
gradient's singular vectors, and its singular values are a polynomial of the gradient's, applied
several times.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from samestep.reference import ShapeScale

COARSE = np.stack(  # polynomials a, b, c to start from, (3, polynomials)
    [axis.ravel() for axis in np.meshgrid(
        np.linspace(0.5, 5, 28), np.linspace(-6, 0, 25), np.linspace(0, 4, 21)
    )]
)  # fmt: skip
USUAL = (3.4445, -4.7750, 2.0315)
SPREAD = np.linspace(0.3, 1.7, 281)  # factors of one of the usual numbers
EXACT = 1e-7  # an error so small that the polynomial may be right
MOST = 4  # polynomials that are returned
MOST_STARTS = 6  # points of the grid that are fitted from, for each number of steps
EVALUATIONS = 60


def _grid() -> np.ndarray:
    """Polynomials to start from, (3, polynomials): also the usual one with one number changed."""
    lines = []
    for i in range(len(USUAL)):
        line = np.repeat(np.array(USUAL)[:, None], len(SPREAD), axis=1)
        line[i] *= SPREAD
        lines.append(line)
    return np.concatenate([COARSE, *lines], axis=1)


GRID = _grid()


class Polynomial(NamedTuple):
    """a s + b s^3 + c s^5, how often it is applied, and how the shape scales the result.

    ``error`` is the root mean square of what is left, as a share of the steps.
    """

    error: float
    a: float
    b: float
    c: float
    steps: int
    shape_scale: ShapeScale


def find_polynomials(
    gradients: Sequence[np.ndarray], moves: Sequence[np.ndarray], most_steps: int
) -> list[Polynomial]:
    """Polynomials that fit the first step of some matrices, the likely ones first.

    ``moves`` are what was subtracted from each matrix. Polynomials are applied up to ``most_steps``
    times.
    """
    if not all(np.isfinite(move).all() and move.any() for move in moves):
        return []
    before = []
    after = []
    for gradient, move in zip(gradients, moves, strict=True):
        left, values, right = np.linalg.svd(gradient, full_matrices=False)
        before.append(values / np.sqrt(np.sum(values**2)))
        after.append(np.diag(left.T @ move @ right.T))
    polynomials = []
    for shape_scale, steps in itertools.product(ShapeScale, range(1, most_steps + 1)):
        scales = [_scale(shape_scale, gradient.shape) for gradient in gradients]
        due = np.concatenate([y / scale for y, scale in zip(after, scales, strict=True)])
        x = np.concatenate(before)
        for start in _best_of_grid(x, due, steps):
            error, numbers = _fit(x, due, steps, start)
            polynomials.append(Polynomial(error, *numbers, steps, shape_scale))
    exact = [polynomial for polynomial in polynomials if polynomial.error < EXACT]
    if exact:  # more steps can imitate fewer
        return sorted(exact, key=lambda polynomial: (polynomial.steps, polynomial.error))[:MOST]
    return sorted(polynomials, key=lambda polynomial: polynomial.error)[:MOST]


def _scale(shape_scale: ShapeScale, shape: tuple[int, ...]) -> float:
    rows, columns = shape
    if shape_scale is ShapeScale.ASPECT_RATIO:
        return float(np.sqrt(max(1.0, rows / columns)))
    return float(np.sqrt(max(rows, columns))) if shape_scale is ShapeScale.LONGER_SIDE else 1.0


@np.errstate(all="ignore")
def _best_of_grid(x: np.ndarray, due: np.ndarray, steps: int) -> np.ndarray:
    """The polynomials of the grid that come nearest, (MOST_STARTS, 3)."""
    errors = _errors(x, due, GRID[:, :, None], steps)
    sizes = np.nan_to_num(np.sqrt(np.mean(errors**2, axis=1)), nan=np.inf)
    return GRID[:, np.argsort(sizes)[:MOST_STARTS]].T


def _errors(x: np.ndarray, due: np.ndarray, numbers: np.ndarray, steps: int) -> np.ndarray:
    """What is left of ``due`` (values,) beside a multiple of the polynomials' values at ``x``.

    ``numbers`` (3, polynomials, 1) or (3,); the result is (polynomials, values) or (values,), as a
    share of the steps.
    """
    a, b, c = numbers
    y = x
    for _ in range(steps):
        square = y * y
        y = y * (a + square * (b + square * c))
    factor = (y * due).sum(axis=-1, keepdims=True) / (y * y).sum(axis=-1, keepdims=True)
    return np.asarray((factor * y - due) / np.sqrt(np.mean(due**2)))


@np.errstate(all="ignore")
def _fit(
    x: np.ndarray, due: np.ndarray, steps: int, start: np.ndarray
) -> tuple[float, tuple[float, float, float]]:
    """The polynomial whose values at ``x`` (values,) are proportional to ``due`` (values,)."""
    from scipy.optimize import least_squares  # an extra, and slow to import

    def residuals(numbers: np.ndarray) -> np.ndarray:
        errors = _errors(x, due, numbers, steps)
        return np.where(np.isfinite(errors), errors, 1e3)

    solution = least_squares(residuals, start, max_nfev=EVALUATIONS, xtol=None)
    a, b, c = solution.x
    return float(np.sqrt(np.mean(solution.fun**2))), (float(a), float(b), float(c))
