"""The compiled step of a set of tensors: one function for all step numbers and learning rates."""

import ctypes
import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from samestep.reference import Rule

from . import inductor
from .inductor import Tensors

# The kinds of tensor whose memory holds nothing but their elements.
PLAIN = (torch.Tensor, torch.nn.Parameter)
C_TYPES = {torch.float32: ctypes.c_float, torch.float64: ctypes.c_double}


class Move(NamedTuple):
    """One step of one tensor: ``theta`` and the arrays of ``state`` are written, the rest is read.

    ``c`` are the coefficients of ``rule`` for this step.
    """

    theta: torch.Tensor
    gradient: torch.Tensor
    state: dict[str, torch.Tensor]
    rule: Rule
    c: Any


Apply = Callable[..., None]  # takes the parts of a Move, and takes its step in place
# Takes a function that steps by gradients, the tensors that move, and a batch.
TrainingStep = Callable[..., None]


class Trace:
    """The compiled step of tensors with certain layouts, threads and forms of rules.

    It compiles when it is made. ``tensors`` are those that are written, thetas first, then the
    gradients. With ``training_step`` a batch is in the place of the gradients, and the function
    that makes gradients of it is compiled, too.

    Coefficients lie in a vector of each arithmetic's dtype. They are written through ctypes, on
    the same memory, so each is rounded once, in a small part of the time that new tensors take.
    """

    def __init__(
        self,
        apply: Apply,
        moves: Sequence[Move],
        tensors: Tensors,
        training_step: TrainingStep | None = None,
    ) -> None:
        count = sum(len(move.c) for move in moves)
        dtypes = {compute_dtype(move.theta) for move in moves}
        self.tables = {dtype: torch.zeros(count, dtype=dtype) for dtype in dtypes}
        self.views = [
            (C_TYPES[dtype] * count).from_address(table.data_ptr())
            for dtype, table in self.tables.items()
        ]
        self.scalars = [index for index, x in enumerate(tensors) if not x.ndim]
        function = functools.partial(step_together, apply, moves, tuple(self.tables))
        if training_step:
            counts = len(moves), len(written_by(moves)), len(self.tables)
            function = functools.partial(_step_from_batch, training_step, function, *counts)
        self.run = inductor.compile_unchecked(
            function, self._arguments(tensors), rereads=training_step is not None
        )

    def __call__(self, moves: Sequence[Move], tensors: Tensors) -> None:
        """Take the step."""
        numbers = [*itertools.chain.from_iterable([move.c for move in moves])]
        for view in self.views:
            view[:] = numbers
        self.run(self._arguments(tensors))
        # Without this autograd would not notice the writes.
        torch.autograd.graph.increment_version(tensors[: len(moves)])

    def _arguments(self, tensors: Tensors) -> Tensors:
        """The tensors and the tables of coefficients.

        0-d tensors become views of one element, since compiled writes to 0-d tensors were seen
        lost (torch 2.13).
        """
        arguments = [*tensors, *self.tables.values()]
        for index in self.scalars:
            arguments[index] = arguments[index].detach().view(1)
        return arguments


def step_together(
    apply: Apply, moves: Sequence[Move], dtypes: Sequence[torch.dtype], *arguments: torch.Tensor
) -> tuple[()]:
    """The function that is traced; ``arguments`` stand for the tensors of ``moves``, in order.

    The last arguments are the tables of coefficients, one for each of ``dtypes``.
    """
    count = len(moves)
    tables = dict(zip(dtypes, arguments[-len(dtypes) :], strict=True))
    thetas = arguments[:count]
    rest = iter(arguments[count : -len(dtypes)])
    states = [{name: next(rest) for name in move.state} for move in moves]
    begin = 0
    for theta, gradient, state, move in zip(thetas, rest, states, moves, strict=True):
        c = tables[compute_dtype(theta)][begin : begin + len(move.c)].unbind()
        begin += len(move.c)
        apply(theta, gradient, state, move.rule, move.c._make(c))
    return ()


def _step_from_batch(
    training_step: TrainingStep,
    step: Callable[..., tuple[()]],
    count: int,
    written: int,
    tables: int,
    *arguments: torch.Tensor,
) -> tuple[()]:
    """The function that is traced of a training step; ``arguments`` have a batch for gradients."""
    before = arguments[:written]
    batch = arguments[written:-tables]
    after = arguments[-tables:]
    training_step(lambda gradients: step(*before, *gradients, *after), before[:count], *batch)
    return ()


def written_by(moves: Sequence[Move]) -> Tensors:
    """The tensors that these moves write: thetas first, then the arrays of their states."""
    states = itertools.chain.from_iterable([move.state.values() for move in moves])
    return [*[move.theta for move in moves], *states]


def tensors_of(moves: Sequence[Move]) -> Tensors:
    """The tensors of these moves: those that are written, then the gradients."""
    return [*written_by(moves), *[move.gradient for move in moves]]


def compute_dtype(x: torch.Tensor) -> torch.dtype:
    """The dtype that the step of ``x`` is computed in."""
    return torch.float32 if x.dtype.itemsize == 2 else x.dtype


def trace_key(moves: Sequence[Move]) -> Any:
    """All that the compiled step of these moves depends on; the forms of their rules are second."""
    forms = [rule_form(move.rule) for move in moves]
    names = [tuple(move.state) for move in moves]
    layouts = inductor.layouts(*tensors_of(moves))
    return torch.get_num_threads(), tuple(forms), tuple(names), layouts


@functools.lru_cache(maxsize=256)
def rule_form(rule: Rule) -> Any:
    """All that ``update`` may ask of its rule.

    These are flags and choices, and of a number whether it is zero or its default.
    """
    form: list[Any] = [type(rule)]
    for field in dataclasses.fields(rule):
        value = getattr(rule, field.name)
        is_number = isinstance(value, float)
        form.append((value == 0, value == field.default) if is_number else value)
    return tuple(form)


def first_of_form(rule: Rule) -> Rule:
    """The first rule of this form that came: ``update`` cannot tell it from ``rule``."""
    return _FIRST.setdefault(rule_form(rule), rule)


_FIRST: dict[Any, Rule] = {}
