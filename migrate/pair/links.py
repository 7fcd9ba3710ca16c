"""Which parameters of a PyTorch layer make the variables of its Keras twin, by kind of layer."""

import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from samestep.migrate.pieces import Link, Permute, Piece, Reshape, Stack, Sum, Take

from .record import Call

Shapes = Mapping[str, tuple[int, ...]]
NORMS = (  # role in Keras, role in PyTorch
    ("gamma", "weight"),
    ("beta", "bias"),
    ("scale", "weight"),
    ("moving_mean", "running_mean"),
    ("moving_variance", "running_var"),
    ("alpha", "weight"),
)
GRU_GATES = (1, 0, 2)  # reference/conventions: gru


def _weights(call: Call, shapes: Shapes) -> list[tuple[int, ...]]:
    return [shapes[name] for name in call.parameters.values()]


def signature(call: Call, shapes: Shapes) -> tuple[object, ...]:
    """What twins have in common beside their kind: sizes of their weights, in any orientation."""
    weights = _weights(call, shapes)
    if not weights:
        return ()
    if call.kind in ("lstm", "gru", "rnn"):
        return tuple(sorted(weights[0]))
    if call.kind == "mha":
        return (max(int(np.prod(shape)) for shape in weights) % 3 == 0,)
    first = int(np.prod(weights[0]))
    if call.kind in ("conv", "convt", "linear", "embedding"):
        return (first, _bias_size(call, shapes))
    return (first,)


def _bias_size(call: Call, shapes: Shapes) -> int:
    return int(np.prod(shapes[call.parameters["bias"]])) if "bias" in call.parameters else 0


class Twins:
    """A PyTorch call and its Keras twin, with the shapes of all their parameters.

    ``rows`` is Keras' order of the input features of a linear layer or a norm, ``columns``
    that of its output features; None if it is PyTorch's.
    """

    def __init__(self, a: Call, b: Call, shapes: Shapes, rows: np.ndarray | None = None) -> None:
        self.a = a
        self.b = b
        self.shapes = shapes
        self.rows = rows
        self.columns: np.ndarray | None = None
        self.ways_chosen: Mapping[str, int] = {}

    def links(self) -> list[Link]:
        """How each variable of Keras' layer is made; variables without a part are left out."""
        if self.a.kind != self.b.kind:
            return self._by_shape()
        make = _BY_KIND.get(self.a.kind)
        return make(self) if make else self._by_shape()

    def of(self, role: str) -> tuple[int, ...]:
        """The shape of PyTorch's parameter of a role."""
        return self.shapes[self.a.parameters[role]]

    def link(self, variable: str, parameters: Sequence[str], *pieces: Piece) -> list[Link]:
        """The link between roles; none if either side lacks one."""
        if variable not in self.b.parameters or not set(parameters) <= set(self.a.parameters):
            return []
        names = tuple(self.a.parameters[role] for role in parameters)
        return [Link(self.b.parameters[variable], names, pieces)]

    def bias(self) -> list[Link]:
        """The link of the bias, reshaped where Keras' has several axes."""
        if "bias" not in self.b.parameters or "bias" not in self.a.parameters:
            return []
        target = self.shapes[self.b.parameters["bias"]]
        pieces: list[Piece] = [Reshape(target)] if len(target) > 1 else []
        if self.columns is not None:
            pieces = [Take(0, tuple(int(column) for column in self.columns)), *pieces]
        return self.link("bias", ["bias"], *pieces)

    def _by_shape(self) -> list[Link]:
        """Unknown layers: variables and parameters of one shape, if that is unambiguous."""
        links = []
        free = list(self.a.parameters.values())
        for variable in self.b.parameters.values():
            fitting = [n for n in free if ways(self.shapes[n], self.shapes[variable])]
            if fitting:
                free.remove(fitting[0])
                possible = self.ways(fitting[0], variable)
                pieces = possible[self.ways_chosen.get(variable, 0) % len(possible)]
                links.append(Link(variable, (fitting[0],), pieces))
        return links

    def ways(self, parameter: str, variable: str) -> list[tuple[Piece, ...]]:
        """The pieces that fit; of a linear layer's square kernel, transposed first."""
        possible = ways(self.shapes[parameter], self.shapes[variable])
        if self.a.kind in ("linear", "conv"):
            possible.sort(key=lambda pieces: not pieces)
        return possible

    def options(self) -> dict[str, list[int]]:
        """Variables that can be made of their parameter in several ways, by number of the way."""
        if self.a.kind == self.b.kind and self.a.kind in _BY_KIND:
            return {}
        several = {}
        for link in self._by_shape():
            count = len(self.ways(link.parameters[0], link.variable))
            if count > 1:
                several[link.variable] = list(range(count))
        return several


def ways(shape: tuple[int, ...], target: tuple[int, ...]) -> list[tuple[Piece, ...]]:
    """The pieces that make ``target`` of ``shape``, most usual first."""
    possible: list[tuple[Piece, ...]] = []
    if shape == target:
        possible.append(())
    if len(shape) == len(target) and 2 <= len(shape) <= 5 and sorted(shape) == sorted(target):
        for axes in itertools.permutations(range(len(shape))):
            permuted = tuple(shape[axis] for axis in axes)
            if permuted == target and not _is_reshape(shape, axes):
                possible.append((Permute(axes),))
    if shape != target and [n for n in shape if n > 1] == [n for n in target if n > 1]:
        possible.append((Reshape(target),))
    return possible


def _is_reshape(shape: tuple[int, ...], axes: tuple[int, ...]) -> bool:
    """True if permuting these axes leaves all elements in order: only axes of size 1 move."""
    moved = [axis for axis in axes if shape[axis] > 1]
    return moved == sorted(moved)


def _linear(twins: Twins) -> list[Link]:
    if twins.b.detail == "reverse":
        return []  # tied: mapped with the embedding
    target = twins.shapes[twins.b.parameters["kernel"]]
    pieces: list[Piece] = [Permute((1, 0))]
    if twins.rows is not None:
        pieces.append(Take(0, tuple(int(row) for row in twins.rows)))
    if twins.columns is not None:
        pieces.append(Take(1, tuple(int(column) for column in twins.columns)))
    if len(target) > 2:
        pieces.append(Reshape(target))
    return [*twins.link("kernel", ["weight"], *pieces), *twins.bias()]


def _conv(twins: Twins) -> list[Link]:
    shape = twins.of("weight")
    space = list(range(2, len(shape)))
    role = "kernel" if "kernel" in twins.b.parameters else next(iter(twins.b.parameters))
    target = twins.shapes[twins.b.parameters[role]]
    depthwise = shape[1] == 1 and target[-2] != 1 and target[-2] * target[-1] == shape[0]
    if depthwise:
        split = Reshape((target[-2], target[-1], *shape[2:]))
        pieces: list[Piece] = [split, Permute((*range(2, len(shape)), 0, 1))]
    else:
        pieces = [Permute((*space, 1, 0))]
    return [*twins.link(role, ["weight"], *pieces), *twins.bias()]


def _norm(twins: Twins) -> list[Link]:
    links: list[Link] = []
    for variable, parameter in NORMS:
        pieces: list[Piece] = []
        if variable in twins.b.parameters and parameter in twins.a.parameters:
            target = twins.shapes[twins.b.parameters[variable]]
            shape = twins.of(parameter)
            if len(shape) > 1 and len(shape) == len(target):  # channels go last
                pieces = [Permute((*range(1, len(shape)), 0))]
            elif target != shape:
                pieces = [Reshape(target)]
            elif twins.rows is not None and len(twins.rows) == shape[0]:
                pieces = [Take(0, tuple(int(row) for row in twins.rows))]
        links += twins.link(variable, [parameter], *pieces)
    return links


def _embedding(twins: Twins) -> list[Link]:
    role = next(iter(twins.b.parameters))
    return twins.link(role, ["weight"])


def _recurrent(twins: Twins) -> list[Link]:
    gates: list[Piece] = []
    if twins.a.kind == "gru":
        units = twins.of("weight_hh")[1]
        order = [np.arange(gate * units, (gate + 1) * units) for gate in GRU_GATES]
        gates = [Take(1, tuple(int(i) for i in np.concatenate(order)))]
    links = twins.link("kernel", ["weight_ih"], Permute((1, 0)), *gates)
    links += twins.link("recurrent_kernel", ["weight_hh"], Permute((1, 0)), *gates)
    biases = ["bias_ih", "bias_hh"]
    if twins.a.kind == "gru":
        return links + twins.link("bias", biases, Stack(), *gates)
    return links + twins.link("bias", biases, Sum())


def _attention(twins: Twins) -> list[Link]:
    kernel = twins.b.parameters.get("query/kernel")
    if kernel is None:
        return []
    size, heads, key = twins.shapes[kernel]
    links: list[Link] = []
    for number, name in enumerate(("query", "key", "value")):
        target = twins.shapes[twins.b.parameters[f"{name}/kernel"]]
        split = Reshape(target)
        third = Take(0, tuple(range(number * size, (number + 1) * size)))
        packed: list[Piece] = [third, Permute((1, 0)), split]
        links += twins.link(f"{name}/kernel", ["in_proj_weight"], *packed)
        own = f"{name[0]}_proj_weight"
        links += twins.link(f"{name}/kernel", [own], Permute((1, 0)), split)
        links += twins.link(f"{name}/bias", ["in_proj_bias"], third, Reshape(target[1:]))
    back = Reshape((heads, key, twins.shapes[twins.b.parameters["attention_output/kernel"]][-1]))
    links += twins.link("attention_output/kernel", ["out_proj.weight"], Permute((1, 0)), back)
    return links + twins.link("attention_output/bias", ["out_proj.bias"])


_BY_KIND: dict[str, Callable[[Twins], list[Link]]] = {
    "linear": _linear,
    "conv": _conv,
    "convt": _conv,
    "bn": _norm,
    "ln": _norm,
    "gn": _norm,
    "rms": _norm,
    "prelu": _norm,
    "embedding": _embedding,
    "lstm": _recurrent,
    "gru": _recurrent,
    "rnn": _recurrent,
    "mha": _attention,
}
