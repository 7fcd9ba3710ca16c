"""All tensors' steps in compiled code: which way each set of tensors goes.

Tensors that are not plain ones on the CPU are stepped by a plain ``torch.compile``. Where no C++
compiler works, the eager loop takes the step. Either fall back warns once.
"""

import collections
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from samestep.reference import Rule

from .inductor import Tensors, layout_guard, warn_once
from .trace import (
    PLAIN,
    Apply,
    Move,
    Trace,
    compute_dtype,
    first_of_form,
    rule_form,
    tensors_of,
    trace_key,
    written_by,
)

# The number of sets of tensors that are traced together in one optimizer; further sets are stepped
# tensor by tensor.
SETS = 8

Way = Callable[[Sequence[Move], Tensors], None]  # takes the steps of moves, whose tensors it gets
Group = tuple[list[int], Trace]  # the indices of the moves that a trace steps


class Stepper:
    """Takes the steps of one optimizer by compiling ``apply`` for its tensors together.

    Tensors under the rules of ``alone`` that are alike are stepped one by one, with one trace:
    else compiling would take as long for each of them, and a step's memory would grow with each.
    """

    def __init__(self, apply: Apply, alone: tuple[type[Rule], ...] = ()) -> None:
        self.apply = apply
        self.alone = alone
        self.traces: dict[Any, Trace] = {}
        self.rules: list[Rule] = []
        self.forms: list[Any] = []  # of those rules
        self.setting: Any = None  # threads, forms and addresses for which ``way`` was chosen
        self.guard: Callable[..., bool]
        self.memory: frozenset[int] = frozenset()
        self.way: Way
        self.trouble = ""  # why steps are not those of a trace

    def how(self) -> str:
        """Which way the last step went, and why."""
        if self.setting is None:
            return "compiled, for compiled=True says so; no step has been taken"
        if self.way == self.each:
            return f"eager, though compiled=True: {self.trouble}"
        if self.way == self._publicly:
            return f"compiled by torch.compile, for compiled=True says so; {self.trouble}"
        return "compiled, for compiled=True says so"

    def take(self, moves: Sequence[Move]) -> None:
        """Take one step of each tensor.

        The first step of a set of tensors traces and compiles. Later steps use the trace, with
        any learning rate, step number and values.
        """
        if not moves:
            return
        written = written_by(moves)
        gradients = [move.gradient for move in moves]
        tensors = [*written, *gradients]
        rules = [move.rule for move in moves]
        if rules != self.rules:  # a scheduler of momentum changes them at every step
            self.rules = rules
            self.forms = [rule_form(rule) for rule in rules]
        setting = torch.get_num_threads(), self.forms, [x.data_ptr() for x in written]
        if setting != self.setting or not self.guard(*tensors):
            self.way = self._choose_way(moves, tensors)
            self.guard = layout_guard(tensors)
            self.setting = setting
            self.memory = frozenset(x.data_ptr() for x in written if x.numel())
        if not self.memory.isdisjoint([x.data_ptr() for x in gradients]):
            return self.each(moves)
        self.way(moves, tensors)

    @torch.no_grad()
    def each(self, moves: Sequence[Move], _: Any = None) -> None:
        """Take one step, tensor by tensor, eagerly."""
        self._loop(moves)

    @functools.cached_property
    def public(self) -> Callable[..., None]:
        """The loop compiled by ``torch.compile``, which loads the compiler."""
        return torch.compile(self._loop, isolate_recompiles=True)

    def _loop(self, moves: Sequence[Move]) -> None:
        for move in moves:
            self.apply(*move)

    def _choose_way(self, moves: Sequence[Move], tensors: Tensors) -> Way:
        """How to take the steps of these tensors."""
        if any(x.device.type != "cpu" or type(x) not in PLAIN for x in tensors):
            self.trouble = "some tensors are not plain ones on the CPU"
            return self._publicly
        if share_memory(tensors[: -len(moves)]):
            self.trouble = "some tensors share memory"
            return self.each
        try:
            return self._compiled(moves)
        except Exception as error:
            return self._fall_back(error)

    def _compiled(self, moves: Sequence[Move]) -> Way:
        """The compiled step of moves like these."""
        groups = list(self._all_traces(moves, self._groups(moves)))
        if len(groups) == 1:
            return groups[0][1]
        return functools.partial(_one_after_another, groups)

    def _groups(self, moves: Sequence[Move]) -> list[list[int]]:
        """Which of the moves are traced together, by index."""
        keys = [trace_key([move]) if isinstance(move.rule, self.alone) else None for move in moves]
        counts = collections.Counter(keys)
        alone = [index for index, key in enumerate(keys) if key and counts[key] > 1]
        together = sorted({*range(len(moves))}.difference(alone))
        return [*([index] for index in alone), *([together] if together else [])]

    def _all_traces(self, moves: Sequence[Move], groups: list[list[int]]) -> Iterator[Group]:
        """The traces of several groups of the moves."""
        for group in groups:
            yield from self._traces(moves, group)

    def _traces(self, moves: Sequence[Move], group: list[int]) -> list[Group]:
        """The trace of a group of the moves.

        If many groups have been traced already, it is the traces of each move by itself.
        """
        members = [moves[index] for index in group]
        key = trace_key(members)
        if key not in self.traces:
            together = sum(len(known[1]) > 1 for known in self.traces)
            if len(group) > 1 and together >= SETS:
                return list(self._all_traces(moves, [[index] for index in group]))
            self.traces[key] = Trace(self.apply, members, tensors_of(members))
        return [(group, self.traces[key])]

    @torch.no_grad()
    def _publicly(self, moves: Sequence[Move], tensors: Tensors) -> None:
        try:
            self.public([for_compiler(*move) for move in moves])
        except torch._dynamo.exc.BackendCompilerFailed as error:
            self.way = self._fall_back(error)
            self.way(moves, tensors)

    def _fall_back(self, error: Exception) -> Way:
        """The way that is left after an error in compiling: eager if the compiler is at fault."""
        reason = str(error).strip().partition("\n")[0]
        if "CxxCompiler" in repr(error) or "CppCompile" in repr(error):
            self.trouble = f"no C++ compiler works here: {reason}"
            warn_once(f"steps are eager, for {self.trouble}; install g++ or name another in CXX")
            return self.each
        self.trouble = f"the faster way failed: {type(error).__name__}: {reason}"
        warn_once(f"compiled steps go by torch.compile, for {self.trouble}")
        return self._publicly


def _one_after_another(groups: Sequence[Group], moves: Sequence[Move], _: Tensors) -> None:
    for group, trace in groups:
        members = [moves[index] for index in group]
        trace(members, tensors_of(members))


def for_compiler(theta: Any, gradient: Any, state: dict[str, Any], rule: Rule, c: Any) -> Move:
    """A move for the public ``torch.compile``.

    Coefficients become tensors, and rules of one form become one rule, so that one trace serves
    every step, learning rate and momentum. 0-d tensors become views of one element, since compiled
    writes to them were seen lost (torch 2.13).
    """
    tensors = torch.tensor(c, dtype=compute_dtype(theta), device=theta.device).unbind()
    theta, gradient = (x if x.ndim else x.view(1) for x in (theta, gradient))
    arrays = {name: x if x.ndim else x.view(1) for name, x in state.items()}
    return Move(theta, gradient, arrays, first_of_form(rule), c._make(tensors))


def share_memory(tensors: Tensors) -> bool:
    """True if the memory of some tensors, first to last element, overlaps."""
    spans = sorted((x.data_ptr(), x.data_ptr() + _extent(x)) for x in tensors if x.numel())
    return any(end > begin for (_, end), (begin, _) in itertools.pairwise(spans))


def _extent(x: torch.Tensor) -> int:
    """Bytes from the first to the last element of ``x``, which has some."""
    last = sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True))
    return (last + 1) * x.element_size()
