"""Eager steps that take no new memory.

``update`` of a rule is pure, so each of its operations makes a new array. Here its operations are
recorded once, on symbols, and then taken by the same functions of torch with ``out=``: into a few
buffers that are used again and again, and into the tensors themselves as soon as nothing reads
their old content. Large tensors are cut into pieces that stay in the cache of a core from one
operation to the next. The operations, their order and their operands are those of ``update``, and
so are the bits.

A rule whose elements act on each other is not recorded, nor is a real power, whose exponent torch
takes in double precision, nor are tensors of other devices and layouts. Their steps make new
tensors.
"""

import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from samestep.reference import Rule

from .inductor import Tensors, layout_guard
from .trace import C_TYPES, PLAIN, Apply, Move, compute_dtype, rule_form, tensors_of

LARGEST_PIECE = 2**17  # elements
SERIAL = 2**15  # elements; beyond, torch gives parts to its threads, which costs more here
SMALLEST_PIECE = 2**13  # below, calling an operation takes longer than the operation
MOST_SHAPES = 256  # whose views of the buffers are kept

SECOND_CACHE = Path("/sys/devices/system/cpu/cpu0/cache/index2/size")
USUAL_CACHE = 2**20

THETA, GRADIENT = 0, 1  # their registers; those of states follow

Function = Callable[..., Any]


class Unrecordable(Exception):
    """What ``update`` asks for is no operation on the elements alone."""


class Operation(NamedTuple):
    """One call of a function with ``out=``; arguments and result are numbers of registers."""

    function: Function
    arguments: tuple[int, ...]
    result: int


class Symbol:
    """Stands for an array, or for one number, while a rule is recorded."""

    def __init__(self, recording: "Recording", register: int) -> None:
        self.recording = recording
        self.register = register

    def __add__(self, other: Any) -> "Symbol":
        return self.recording.call(torch.add, self, other)

    def __radd__(self, other: Any) -> "Symbol":
        return self.recording.call(torch.add, other, self)

    def __sub__(self, other: Any) -> "Symbol":
        return self.recording.call(torch.sub, self, other)

    def __rsub__(self, other: Any) -> "Symbol":
        return self.recording.call(torch.sub, other, self)

    def __mul__(self, other: Any) -> "Symbol":
        return self.recording.call(torch.mul, self, other)

    def __rmul__(self, other: Any) -> "Symbol":
        return self.recording.call(torch.mul, other, self)

    def __truediv__(self, other: Any) -> "Symbol":
        return self.recording.call(torch.div, self, other)

    def __neg__(self) -> "Symbol":
        return self.recording.call(torch.neg, self)

    def __gt__(self, other: Any) -> "Symbol":
        return self.recording.call(torch.gt, self, other)

    def __lt__(self, other: Any) -> "Symbol":
        return self.recording.call(torch.lt, self, other)

    def __bool__(self) -> bool:
        raise Unrecordable("the value of an array decides what is done")


class Recording:
    """The operations of one ``update``. It is the ``xp`` of the rule, too.

    Registers stand for values: first the arrays, then numbers that are given, then what operations
    give. ``is_number`` and ``is_logical`` say what a register holds.
    """

    def __init__(self) -> None:
        self.is_number: list[bool] = []
        self.is_logical: list[bool] = []
        self.constants: dict[int, float] = {}  # by register
        self.operations: list[Operation] = []

    def symbol(self, is_number: bool, is_logical: bool = False) -> Symbol:
        """A new register."""
        self.is_number.append(is_number)
        self.is_logical.append(is_logical)
        return Symbol(self, len(self.is_number) - 1)

    def call(self, function: Function, *arguments: Any) -> Symbol:
        """Record a call; numbers of a number alone are a number."""
        registers = tuple(self._register(x) for x in arguments)
        is_number = all(self.is_number[register] for register in registers)
        result = self.symbol(is_number, function in (torch.gt, torch.lt))
        self.operations.append(Operation(function, registers, result.register))
        return result

    def _register(self, value: Any) -> int:
        if isinstance(value, Symbol):
            return value.register
        if not isinstance(value, int | float):
            raise Unrecordable(f"an operation with {type(value).__name__}")
        constant = self.symbol(is_number=True)
        self.constants[constant.register] = float(value)
        return constant.register

    def abs(self, x: Symbol) -> Symbol:
        return self.call(torch.abs, x)

    def maximum(self, a: Symbol, b: Symbol) -> Symbol:
        return self.call(torch.maximum, a, b)

    def minimum(self, a: Symbol, b: Symbol) -> Symbol:
        return self.call(torch.minimum, a, b)

    def sign(self, x: Symbol) -> Symbol:
        """As in ``namespace``: NaN for NaN."""
        return self.where(x > 0, 1.0, self.where(x < 0, -1.0, self.abs(x)))

    def sqrt(self, x: Symbol) -> Symbol:
        return self.call(square_root, x)

    def square(self, x: Symbol) -> Symbol:
        return self.call(torch.square, x)

    def where(self, condition: Symbol, yes: Any, no: Any) -> Symbol:
        return self.call(torch.where, condition, yes, no)

    def zeros_like(self, _: Symbol) -> Symbol:
        """One zero, which operations spread over what they join it with."""
        return Symbol(self, self._register(0.0))

    def __getattr__(self, name: str) -> Any:
        raise Unrecordable(name)


def square_root(x: torch.Tensor, *, out: torch.Tensor) -> None:
    """The correctly rounded root, by NumPy on the same memory: see ``namespace``."""
    with np.errstate(invalid="ignore"):  # the root of a negative number is NaN silently
        np.sqrt(x.detach().numpy(), out=out.numpy())


class Program:
    """The steps of tensors under rules of one form, with its buffers; not for several threads.

    ``numbers`` are the names of the states that are one number. With ``"theta"`` among them all
    tensors are.
    """

    def __init__(
        self, rule: Rule, names: Sequence[str], numbers: Sequence[str], dtype: torch.dtype
    ) -> None:
        self.dtype = dtype
        self.names = ["theta", "gradient", *names]
        recording = Recording()
        inputs = [recording.symbol(name in numbers) for name in self.names]
        example = rule.coefficients(1, rule.lr or 1.0)
        c = type(example)(*[recording.symbol(is_number=True) for _ in example])
        state = dict(zip(names, inputs[2:], strict=True))
        theta, new = rule.update(inputs[0], inputs[1], state, c, recording)
        results = {"theta": theta, **new}
        self.targets = {
            self.names.index(name): result.register
            for name, result in results.items()
            if result.register != self.names.index(name)
        }
        if any(source < len(self.names) for source in self.targets.values()):
            raise Unrecordable("a tensor that becomes another one")
        self.table = torch.zeros(len(example), dtype=dtype)
        self.view = (C_TYPES[dtype] * len(example)).from_address(self.table.data_ptr())
        self.registers: list[Any] = [None] * len(recording.is_number)
        first = len(self.names)
        self.registers[first : first + len(example)] = self.table.unbind()
        for register, value in recording.constants.items():
            self.registers[register] = torch.tensor(value, dtype=dtype)
        self._plan(recording)
        self.c: Any = None  # the coefficients in the table
        self.shape: torch.Size | None = None  # of the last piece
        self.capacity = -1  # elements of each buffer
        self.memory: list[torch.Tensor] = []  # the buffers
        self.shapes: dict[torch.Size, list[torch.Tensor]] = {}  # views of them

    def _plan(self, recording: Recording) -> None:
        """Choose where each operation writes: to a tensor, to a number, or to a buffer."""
        array_operations = []
        self.number_operations: list[Operation] = []
        for operation in recording.operations:
            if recording.is_number[operation.result]:
                self.number_operations.append(operation)
                logical = recording.is_logical[operation.result]
                dtype = torch.bool if logical else self.dtype
                self.registers[operation.result] = torch.zeros((), dtype=dtype)
            else:
                array_operations.append(operation)
        places, self.buffers = _places(array_operations, self.targets, recording)
        self.array_operations = [
            Operation(
                operation.function,
                tuple(places.get(register, register) for register in operation.arguments),
                places[operation.result],
            )
            for operation in array_operations
        ]
        # What has not been written to its tensor yet is copied at the end.
        copies = [
            (target, places.get(source, source))
            for target, source in self.targets.items()
            if places.get(source, source) != target
        ]
        self.number_copies = [copy for copy in copies if recording.is_number[copy[0]]]
        self.array_copies = [copy for copy in copies if not recording.is_number[copy[0]]]
        self.array_inputs = [
            index for index, _ in enumerate(self.names) if not recording.is_number[index]
        ]
        self.number_inputs = [
            index for index, _ in enumerate(self.names) if recording.is_number[index]
        ]
        for target, source in self.targets.items():
            if recording.is_number[target] and not recording.is_number[source]:
                raise Unrecordable("a number that becomes an array")
        self.first_buffer = len(self.registers)
        self.registers += [None] * len(self.buffers)
        live = len(self.array_inputs) + len(self.buffers)
        self.piece = piece_size(live * torch.empty((), dtype=self.dtype).itemsize)

    def take(self, move: Move) -> None:
        """Take one step of tensors like those that this program was made for."""
        if move.c is not self.c:  # most tensors share them
            self.view[:] = move.c
            self.c = move.c
        arrays = tensors = [move.theta, move.gradient, *move.state.values()]
        if self.number_inputs:
            for index in self.number_inputs:
                self.registers[index] = tensors[index].to(self.dtype)
            arrays = [tensors[index] for index in self.array_inputs]
        if self.number_operations:
            _run(self.number_operations, self.registers)
        if arrays:
            if move.theta.numel() <= self.piece:
                self._take_piece(arrays)
            else:
                flat = [x.view(-1).split(self.piece) for x in arrays]
                for pieces in zip(*flat, strict=True):
                    self._take_piece(pieces)
        for target, source in self.number_copies:
            tensors[target].copy_(self.registers[source])

    def _take_piece(self, arrays: Sequence[torch.Tensor]) -> None:
        """Take one step of a part of each array, all of one shape."""
        registers = self.registers
        shape = arrays[0].shape
        if shape != self.shape:
            registers[self.first_buffer :] = self.shapes.get(shape) or self._buffers_of(shape)
            self.shape = shape
        narrow = arrays[0].dtype != self.dtype
        wide = [x.to(self.dtype) for x in arrays] if narrow else arrays
        if self.number_inputs:
            for index, array in zip(self.array_inputs, wide, strict=True):
                registers[index] = array
        else:
            registers[: len(wide)] = wide
        _run(self.array_operations, registers)
        for target, source in self.array_copies:
            registers[target].copy_(registers[source])
        if narrow:
            for index, array, moved in zip(self.array_inputs, arrays, wide, strict=True):
                if index in self.targets and array is not moved:
                    array.copy_(moved)

    def _buffers_of(self, shape: torch.Size) -> list[torch.Tensor]:
        """Views of the buffers in that shape."""
        size = math.prod(shape)
        if len(self.shapes) == MOST_SHAPES or size > self.capacity:
            self.shapes.clear()
        if size > self.capacity:
            self.capacity = size
            kinds = [torch.bool if logical else self.dtype for logical in self.buffers]
            self.memory = [torch.empty(size, dtype=kind) for kind in kinds]
        views = self.shapes[shape] = [x[:size].view(shape) for x in self.memory]
        return views


class EagerSteps:
    """Takes eager steps of one optimizer: recorded where that is possible, else by ``apply``.

    Not for several threads at once.
    """

    def __init__(self, apply: Apply, alone: tuple[type[Rule], ...]) -> None:
        self.apply = apply
        self.alone = alone
        self.programs: dict[Any, Program | None] = {}
        self.rules: list[Rule] = []  # of the moves that ``chosen`` are for
        self.chosen: list[Program | None] = []
        self.guard: Callable[..., bool] = lambda *tensors: False  # whether they still are

    def take(self, moves: Sequence[Move], tensors: Tensors | None = None) -> None:
        """Take one step of each tensor; ``tensors`` are those of the moves."""
        tensors = tensors or tensors_of(moves)
        rules = [move.rule for move in moves]
        if rules != self.rules or not self.guard(*tensors):
            self.chosen = [self._program(move) for move in moves]
            self.rules = rules
            self.guard = layout_guard(tensors) if moves and all(self.chosen) else _never
        enabled = torch.is_grad_enabled()
        torch.set_grad_enabled(False)  # called, it takes a third of the time of no_grad()
        try:
            for move, program in zip(moves, self.chosen, strict=True):
                if program:
                    program.take(move)
                else:
                    self.apply(*move)
        finally:
            torch.set_grad_enabled(enabled)

    def _program(self, move: Move) -> Program | None:
        """The program for moves like this one, or None."""
        theta, gradient, state, rule, _ = move
        arrays = [theta, gradient, *state.values()]
        if any(type(x) not in PLAIN or not x.is_cpu for x in arrays):
            return None
        layout = tuple([(x.shape == theta.shape, x.dtype, x.is_contiguous()) for x in arrays])
        key = (type(rule).update, rule_form(rule), not theta.ndim, tuple(state), layout)
        if key not in self.programs:
            self.programs[key] = self._new_program(move)
        return self.programs[key]

    def _new_program(self, move: Move) -> Program | None:
        theta, gradient, state, rule, _ = move
        arrays = [theta, gradient, *state.values()]
        dtype = compute_dtype(theta)
        plain = all(x.is_contiguous() for x in arrays)
        plain = plain and all(x.dtype in (theta.dtype, dtype) for x in arrays)
        plain = plain and all(x.shape in (theta.shape, ()) for x in arrays)
        if not plain or isinstance(rule, self.alone):
            return None
        names = ["theta", "gradient", *state]
        numbers = [name for name, x in zip(names, arrays, strict=True) if not x.ndim]
        try:
            return Program(rule, list(state), numbers, dtype)
        except (Unrecordable, AttributeError, TypeError):  # no symbol can do what is asked of it
            return None


def piece_size(bytes_of_an_element: int) -> int:
    """Elements of a piece, of which all arrays together fit into the second cache of a core."""
    fitting = second_cache() // max(1, bytes_of_an_element)
    power = 1 << max(0, fitting.bit_length() - 1)
    largest = LARGEST_PIECE if torch.get_num_threads() == 1 else min(LARGEST_PIECE, SERIAL)
    return min(largest, max(SMALLEST_PIECE, power))


@functools.cache
def second_cache() -> int:
    """Bytes of the second cache of a core as Linux says it, or a usual size."""
    try:
        size = SECOND_CACHE.read_text().strip()
        return int(size.removesuffix("K")) * 2**10
    except (OSError, ValueError):
        return USUAL_CACHE


def _never(*_: torch.Tensor) -> bool:
    return False


def _run(operations: Sequence[Operation], registers: list[Any]) -> None:
    for function, arguments, result in operations:
        if len(arguments) == 2:
            first, second = arguments
            function(registers[first], registers[second], out=registers[result])
        else:
            function(*[registers[index] for index in arguments], out=registers[result])


def _places(
    operations: Sequence[Operation], targets: dict[int, int], recording: Recording
) -> tuple[dict[int, int], list[bool]]:
    """Where each operation writes, and of each buffer whether it holds truth values.

    ``targets`` says which register a tensor becomes. The operation that makes it writes into the
    tensor itself if nothing reads its old content later, else into a buffer. A buffer is free again
    after the last operation that reads it.
    """
    count = len(recording.is_number)
    last: dict[int, int] = {}  # by register the last operation that reads it
    for index, operation in enumerate(operations):
        last.update(dict.fromkeys(operation.arguments, index))
    for register in targets.values():
        last[register] = len(operations)  # it is copied at the end
    owners = {source: target for target, source in targets.items()}
    places: dict[int, int] = {}
    buffers: list[bool] = []
    free: list[int] = []
    for index, (function, arguments, result) in enumerate(operations):
        dying = [register for register in {*arguments} if last[register] == index]
        free += [places[register] for register in dying if places.get(register, 0) >= count]
        target = owners.get(result)
        alone = [*targets.values()].count(result) == 1
        noticed = function is not square_root  # torch would not notice NumPy's writes
        # What is read may be theta's memory, and so may the gradient.
        reads = [last.get(target, -1) if target is not None else index]
        if target == THETA:
            reads.append(last.get(GRADIENT, -1))
        if noticed and target is not None and alone and max(reads) <= index:
            places[result] = target
            continue
        logical = recording.is_logical[result]
        fitting = [place for place in free if buffers[place - count] == logical]
        if fitting:
            places[result] = fitting[-1]
            free.remove(fitting[-1])
        else:
            places[result] = count + len(buffers)
            buffers.append(logical)
        if result not in last:
            free.append(places[result])
    return places, buffers
