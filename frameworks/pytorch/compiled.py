"""All tensors' updates as one function that Inductor compiled, called without dynamo.

``torch.compile`` walks through a function's surroundings at every call to see whether its trace still holds. Here the
tensors' layouts are compared, on which alone the arithmetic depends. What torch keeps private is used in this file and
in ``hooks``, under the releases it was tested with, and in ``namespace`` to know a compiler's stand-in. Under others
the function is compiled by torch's public functions, ahead of time and without those checks, and takes longer to call.
For tensors that are not plain ones on the CPU a plain ``torch.compile`` takes the step; where no C++ compiler works,
the eager loop. A fall back warns once.
"""

import collections
import ctypes
import dataclasses
import functools
import itertools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from samestep.reference import Rule

TESTED = ("2.13",)  # releases of torch
SETS = 8  # of tensors that are traced together in one optimizer; further sets are stepped tensor by tensor

C = {torch.float32: ctypes.c_float, torch.float64: ctypes.c_double}
PLAIN = (torch.Tensor, torch.nn.Parameter)  # kinds of tensor whose memory holds nothing but their elements

Tensors = list[torch.Tensor]


class Move(NamedTuple):
    """What one tensor's step is made of: ``theta`` and the arrays of ``state`` are written, the others read."""

    theta: torch.Tensor
    gradient: torch.Tensor
    state: dict[str, torch.Tensor]
    rule: Rule
    c: Any


Apply = Callable[..., None]  # takes the parts of a Move, and takes its step in place
Whole = Callable[..., None]  # takes a function that steps by gradients, the tensors that move, and a batch
Way = Callable[[Sequence[Move], Tensors], None]  # takes the steps of moves; it gets their tensors as a list, too


class Stepper:
    """Takes the steps of one optimizer by compiling ``apply`` for its tensors together.

    Under the rules of ``alone`` those that are alike are stepped one by one, with one trace: else compiling would take
    as long for each of them, and a step's memory would grow with each.
    """

    def __init__(self, apply: Apply, alone: tuple[type[Rule], ...] = ()) -> None:
        self.apply, self.alone = apply, alone
        self.public = torch.compile(self._loop, isolate_recompiles=True)
        self.traces: dict[Any, Trace] = {}
        self.asked: Any = None
        self.guard: Callable[..., bool]
        self.memory: frozenset[int] = frozenset()
        self.way: Way

    def take(self, moves: Sequence[Move]) -> None:
        """One step. The first of a set of tensors traces and compiles; any rate, step number and values come after."""
        if not moves:
            return
        written, gradients = written_by(moves), [move.gradient for move in moves]
        tensors = [*written, *gradients]
        asked = torch.get_num_threads(), [move.rule for move in moves], [x.data_ptr() for x in written]
        if asked != self.asked or not self.guard(*tensors):
            self.way, self.guard = self._find(moves, tensors), _guard(tensors)
            self.asked, self.memory = asked, frozenset(x.data_ptr() for x in written if x.numel())
        if not self.memory.isdisjoint([x.data_ptr() for x in gradients]):
            return self.each(moves)
        self.way(moves, tensors)

    @torch.no_grad()
    def each(self, moves: Sequence[Move], _: Any = None) -> None:
        """One step, tensor by tensor."""
        self._loop(moves)

    def _loop(self, moves: Sequence[Move]) -> None:
        for move in moves:
            self.apply(*move)

    def _find(self, moves: Sequence[Move], tensors: Tensors) -> Way:
        """How to take the steps of these tensors."""
        if any(x.device.type != "cpu" or type(x) not in PLAIN for x in tensors):
            return self._publicly
        if _overlap(tensors[: -len(moves)]):
            return self.each
        try:
            found = [pair for group in self._groups(moves) for pair in self._traces(moves, group)]
        except Exception as error:
            return self._without(error)
        return found[0][1] if len(found) == 1 else functools.partial(_one_after_another, found)

    def _groups(self, moves: Sequence[Move]) -> list[list[int]]:
        """Which of the moves are traced together, by index."""
        keys = [_key([move]) if isinstance(move.rule, self.alone) else None for move in moves]
        alike = collections.Counter(keys)
        alone = [index for index, key in enumerate(keys) if key and alike[key] > 1]
        together = sorted({*range(len(moves))}.difference(alone))
        return [*([index] for index in alone), *([together] if together else [])]

    def _traces(self, moves: Sequence[Move], group: list[int]) -> "list[tuple[list[int], Trace]]":
        """The trace of a group of the moves; with many such known already, that of each, with its index."""
        some = [moves[index] for index in group]
        key = _key(some)
        if key not in self.traces:
            if len(group) > 1 and sum(len(known[1]) > 1 for known in self.traces) >= SETS:
                return [pair for index in group for pair in self._traces(moves, [index])]
            self.traces[key] = Trace(self.apply, some, _tensors(some))
        return [(group, self.traces[key])]

    @torch.no_grad()
    def _publicly(self, moves: Sequence[Move], _: Any) -> None:
        try:
            self.public([Move(*for_compiler(*move)) for move in moves])
        except torch._dynamo.exc.BackendCompilerFailed as error:
            self.way = self._without(error)
            self.way(moves, _)

    def _without(self, error: Exception) -> Way:
        """What is left after an error in compiling: the eager loop if the compiler is at fault."""
        told = str(error).strip().partition("\n")[0]
        if "CxxCompiler" in repr(error) or "CppCompile" in repr(error):
            _warn(f"steps are eager, for no C++ compiler works here: {told}; install g++ or name another in CXX")
            return self.each
        _warn(f"compiled steps go by torch.compile, for the faster way failed: {type(error).__name__}: {told}")
        return self._publicly


class Trace:
    """The compiled step of tensors with certain layouts, threads and forms of rules; compiles when it is made.

    ``tensors`` are those that are written, thetas first, then the gradients; with ``whole`` a batch is in their place,
    and what makes gradients of it is compiled, too.

    Coefficients lie in a vector of each arithmetic's dtype; written through ctypes, on the same memory, each is rounded
    once, and that takes a small part of the time that fresh tensors would.
    """

    def __init__(self, apply: Apply, moves: Sequence[Move], tensors: Tensors, whole: Whole | None = None) -> None:
        numbers = sum(len(move.c) for move in moves)
        self.tables = {wide: torch.zeros(numbers, dtype=wide) for wide in {_wide(move.theta) for move in moves}}
        self.views = [(C[wide] * numbers).from_address(table.data_ptr()) for wide, table in self.tables.items()]
        self.scalars = [index for index, x in enumerate(tensors) if not x.ndim]
        together = functools.partial(_together, apply, moves, tuple(self.tables))
        if whole:
            count = len(moves), len(written_by(moves)), len(self.tables)
            together = functools.partial(_from_batch, whole, together, *count)
        arguments = self._arguments(tensors)
        self.run = _compile(together, arguments, again=whole is not None) if tested() else _ahead(together, arguments)

    def __call__(self, moves: Sequence[Move], tensors: Tensors) -> None:
        """Take the step."""
        numbers = [*itertools.chain.from_iterable([move.c for move in moves])]
        for view in self.views:
            view[:] = numbers
        self.run(self._arguments(tensors))
        torch.autograd.graph.increment_version(tensors[: len(moves)])  # else autograd would not see the writes

    def _arguments(self, tensors: Tensors) -> Tensors:
        """0-d tensors go in as views of one element, since compiled writes to them were seen lost (torch 2.13)."""
        arguments = [*tensors, *self.tables.values()]
        for index in self.scalars:
            arguments[index] = arguments[index].detach().view(1)
        return arguments


def _one_after_another(found: Sequence[tuple[list[int], Trace]], moves: Sequence[Move], _: Tensors) -> None:
    for group, trace in found:
        some = [moves[index] for index in group]
        trace(some, _tensors(some))


def _together(
    apply: Apply, moves: Sequence[Move], dtypes: Sequence[torch.dtype], *arguments: torch.Tensor
) -> tuple[()]:
    """What is traced: ``moves`` tell the order of ``arguments``, which stand for their tensors. Gives nothing."""
    count = len(moves)
    tables = dict(zip(dtypes, arguments[-len(dtypes) :], strict=True))
    thetas, rest = arguments[:count], iter(arguments[count : -len(dtypes)])
    states = [{name: next(rest) for name in move.state} for move in moves]
    begin = 0
    for theta, gradient, state, move in zip(thetas, rest, states, moves, strict=True):
        c = tables[_wide(theta)][begin : begin + len(move.c)].unbind()
        begin += len(move.c)
        apply(theta, gradient, state, move.rule, move.c._make(c))
    return ()


def _from_batch(
    whole: Whole, together: Callable[..., tuple[()]], count: int, written: int, tables: int, *arguments: torch.Tensor
) -> tuple[()]:
    """What is traced of a whole step: where gradients would be in ``arguments``, there is a batch."""
    before, batch, after = arguments[:written], arguments[written:-tables], arguments[-tables:]
    whole(lambda gradients: together(*before, *gradients, *after), before[:count], *batch)
    return ()


def _compile(function: Callable[..., tuple[()]], arguments: Tensors, again: bool) -> Callable[[Tensors], Any]:
    """The function compiled for arguments of these layouts, without checks; it takes and empties a list of them.

    ``again``: it reads what it has written, which Inductor was seen to miss (torch 2.13) unless writes come last.
    """
    from torch._guards import TracingContext, tracing
    from torch._inductor import compile_fx, config, decomposition
    from torch._subclasses import FakeTensorMode
    from torch.fx.experimental.proxy_tensor import make_fx
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    fake = FakeTensorMode(shape_env=ShapeEnv())  # without one, Inductor's cache on disk is not used
    settings = {"cpp.threads": torch.get_num_threads(), "size_asserts": False}
    with torch.no_grad(), config.patch(settings), tracing(TracingContext(fake)):
        examples = [fake.from_tensor(x.detach(), static_shapes=True) for x in arguments]
        with fake:
            graph = make_fx(function, decomposition.select_decomp_table())(*examples)
            if again:
                graph = make_fx(torch.func.functionalize(graph, remove="mutations"))(*examples)
        return compile_fx.compile_fx_inner(graph, examples).current_callable


def _ahead(function: Callable[..., tuple[()]], arguments: Tensors) -> Callable[[Tensors], Any]:
    """The same by public functions, without checks as well; it leaves the list as it is."""
    from torch.fx.experimental.proxy_tensor import make_fx

    _warn(f"compiled steps go by public functions: the faster way is not tested with torch {torch.__version__}")
    unchecked = {"guard_filter_fn": torch.compiler.skip_all_guards_unsafe}
    with torch.no_grad():
        like = tuple(torch.empty_strided(x.shape, x.stride(), dtype=x.dtype) for x in arguments)
        graph = make_fx(function, tracing_mode="fake")(*like)
        compiled: Any = torch.compile(lambda *x: graph(*x), fullgraph=True, dynamic=False, options=unchecked)
        run = compiled.aot_compile((like, {}))
    run.disable_guard_check()
    return torch.no_grad()(lambda arguments: run(*arguments))


def for_compiler(theta: Any, gradient: Any, state: dict[str, Any], rule: Rule, c: Any) -> Move:
    """A move for the public ``torch.compile``: coefficients as tensors, so that one trace serves every step and
    learning rate; 0-d tensors as views of one element, since compiled writes to them were seen lost (torch 2.13)."""
    c = c._make(torch.tensor(c, dtype=_wide(theta), device=theta.device).unbind())
    theta, gradient = (x if x.ndim else x.view(1) for x in (theta, gradient))
    return Move(theta, gradient, {name: x if x.ndim else x.view(1) for name, x in state.items()}, rule, c)


@functools.lru_cache(maxsize=256)
def _form(rule: Rule) -> Any:
    """All that ``update`` may ask of its rule: flags and choices, and of a number whether it is zero or its default."""
    values = [(getattr(rule, field.name), field.default) for field in dataclasses.fields(rule)]
    return type(rule), *((x == 0, x == usual) if isinstance(x, float) else x for x, usual in values)


def _wide(x: torch.Tensor) -> torch.dtype:
    """The dtype that x's step is computed in."""
    return torch.float32 if x.dtype.itemsize == 2 else x.dtype


def tested() -> bool:
    """Whether this release of torch is one of those whose private parts are known here."""
    return torch.__version__.startswith(tuple(f"{release}." for release in TESTED))


def written_by(moves: Sequence[Move]) -> Tensors:
    """What the steps of these write: thetas first, then the arrays of their states."""
    states = itertools.chain.from_iterable([move.state.values() for move in moves])
    return [*[move.theta for move in moves], *states]


def _tensors(moves: Sequence[Move]) -> Tensors:
    return [*written_by(moves), *[move.gradient for move in moves]]


def _key(moves: Sequence[Move]) -> Any:
    """All that compiled steps of these together depend on, the forms of their rules second."""
    forms = [_form(move.rule) for move in moves]
    names = [tuple(move.state) for move in moves]
    return torch.get_num_threads(), tuple(forms), tuple(names), _layouts(*_tensors(moves))


def _layouts(*tensors: torch.Tensor) -> tuple[Any, ...]:
    return tuple([(x.shape, x.stride(), x.dtype) for x in tensors])


def _guard(tensors: Tensors) -> Callable[..., bool]:
    """A check whether others are laid out as these tensors: dynamo's own, which is quick; else by comparing."""
    if not tested():
        layouts = _layouts(*tensors)
        return lambda *others: _layouts(*others) == layouts
    sizes, strides = [[*x.shape] for x in tensors], [[*x.stride()] for x in tensors]  # None would be any size
    return torch._C._dynamo.guards.TensorGuards(*tensors, dynamic_dims_sizes=sizes, dynamic_dims_strides=strides).check


def _overlap(tensors: Tensors) -> bool:
    """Whether the memory of some tensors, first to last element, overlaps: then they take their steps one by one."""
    spans = sorted((x.data_ptr(), x.data_ptr() + _extent(x)) for x in tensors if x.numel())
    return any(end > begin for (_, end), (begin, _) in itertools.pairwise(spans))


def _extent(x: torch.Tensor) -> int:
    """Bytes from the first to the last element of x, which has some."""
    last = sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True))
    return (last + 1) * x.element_size()


@functools.cache  # once a process
def _warn(line: str) -> None:
    warnings.warn(line, stacklevel=2)
