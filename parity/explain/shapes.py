"""Hypotheses about shapes: what an optimizer takes a tensor of more than one dimension for."""

import math
from collections.abc import Iterator

from samestep.parity.measure.trial import Trial

from .hypothesis import Hypothesis, View
from .suspect import Suspect, except_that

Views = dict[str, View]


def proposals(suspect: Suspect) -> Iterator[Hypothesis]:
    """The rule on tensors that are turned, flattened, or seen as a matrix."""
    for fault, views in _views(suspect.trial):
        if views:
            text = except_that(suspect.rule, fault)
            yield Hypothesis(text, "update", suspect.rule, suspect.trial, views=views)


def _views(trial: Trial) -> Iterator[tuple[str, Views]]:
    shapes = {name: start.shape for name, start in trial.start.items()}
    matrices = {name: shape for name, shape in shapes.items() if len(shape) == 2}
    kernels = {name: shape for name, shape in shapes.items() if len(shape) > 2}
    turned = {name: View((1, 0), (shape[1], shape[0])) for name, shape in matrices.items()}
    yield "sees matrices transposed", turned
    flat = {name: _plain(shape, (math.prod(shape),)) for name, shape in matrices.items()}
    yield "sees matrices as vectors", flat
    flat = {name: _plain(shape, (math.prod(shape),)) for name, shape in kernels.items()}
    yield "sees kernels as vectors", flat
    rows = {
        name: _plain(shape, (shape[0], math.prod(shape[1:]))) for name, shape in kernels.items()
    }
    yield "sees kernels as matrices of their first axis and the rest", rows
    columns = {
        name: _plain(shape, (math.prod(shape[:-1]), shape[-1])) for name, shape in kernels.items()
    }
    yield "sees kernels as matrices of their last axis and the rest", columns
    first_two = {}
    for name, shape in kernels.items():
        order = (*range(2, len(shape)), 0, 1)
        first_two[name] = View(order, tuple(shape[axis] for axis in order))
    yield "takes the first two axes of kernels for rows and columns, not the last two", first_two


def _plain(shape: tuple[int, ...], seen: tuple[int, ...]) -> View:
    return View(tuple(range(len(shape))), seen)
