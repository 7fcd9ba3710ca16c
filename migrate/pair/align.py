"""Find for each call of B its twin in A, by what it is and by the values that it is given.

B runs once. The weights of A are copied just before a layer of B runs, once its input has shown
whose twin it is; and A's output is put in behind it. So everything that follows sees A's values,
whatever is wrong before, and the order of layers decides nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from samestep.migrate.pieces import Link

from . import direction, kinds, layouts
from .layouts import Layout, digest, is_close
from .links import Shapes, Twins, signature, ways
from .record import Call, Record, Step
from .shared import Put

OUTPUT = " output"  # the end of the name of a guess about a layer's output
NO_TWIN = -1  # the guess that a call of B has no twin


class Twin(NamedTuple):
    """A call of PyTorch and its twin in Keras, which are also a call of A and one of B.

    ``layout`` leads from PyTorch's output to Keras'.
    """

    in_pytorch: Call
    in_keras: Call
    layout: Layout
    a: Call
    b: Call


@dataclass
class Alignment:
    """Which call of B is the twin of which call of A, and what was found with them.

    ``twin`` maps the index of B's call to A's, ``layout`` to the way from A's output to B's.
    ``misfits`` maps those calls of B to A's whose outputs have shapes that do not fit.
    ``proven`` has the twins whose input had A's values. ``disagreements`` counts calls whose own
    output or input was not A's: a wrong guess shows in its consumers.
    """

    twin: dict[int, int] = field(default_factory=dict)
    layout: dict[int, Layout] = field(default_factory=dict)
    proven: set[int] = field(default_factory=set)
    links: dict[str, Link] = field(default_factory=dict)
    guesses: dict[str, list[int]] = field(default_factory=dict)
    misfits: dict[int, int] = field(default_factory=dict)
    disagreements: int = 0


@dataclass
class Hints:
    """What an alignment starts from.

    ``guess`` chooses among possible twins, by name of B's call. ``given`` are links of the map that
    need no search: the user's, and those found by shape.
    """

    guess: dict[str, int] = field(default_factory=dict)
    given: dict[str, Link] = field(default_factory=dict)


class Aligner:
    """Walks along a run of B: ``before`` and ``put`` are called for each of its calls.

    ``shapes`` are those of all parameters of both sides. ``load`` sets variables of B.
    """

    def __init__(
        self,
        record: Record,
        shapes: Shapes,
        load: Callable[[dict[str, np.ndarray]], None],
        hints: Hints,
    ) -> None:
        self.direction = direction.of_record(record)
        a = self.a = record.steps[0]
        self.shapes = shapes
        self.load = load
        self.hints = hints
        given = {name: self._completed(link) for name, link in hints.given.items()}
        self.alignment = Alignment(links=given)
        self.images = self.direction.images(record)
        self.digests = [[digest(array) for array in call.inputs] for call in a.calls]
        self.values = _values(a, self.digests)
        self.owners: dict[str, str] = {}  # of B's layer: the layer of A
        self.used: set[int] = set()
        self.flattened: dict[str, Layout] = {}  # of B's layer: the layout of its output
        self.pending: dict[int, int] = {}  # id of B's call that runs: index of A's
        self.made: dict[str, np.ndarray] = {}  # of B, of A's weights so far

    def before(self, b: Call) -> None:
        """Find the twin of a call that is about to run, and copy its weights."""
        index = self._choose(b)
        if index == NO_TWIN:
            return
        self.pending[id(b)] = index
        a = self.a.calls[index]
        if not b.parameters or not a.parameters or b.owner in self.owners:
            return
        self.owners[b.owner] = a.owner
        in_pytorch, in_keras = self.direction.sides(a, b)
        twins = Twins(in_pytorch, in_keras, self.shapes, self._rows(in_pytorch, in_keras))
        twins.columns = self._columns(a, b)
        twins.ways_chosen = self.hints.guess
        self.alignment.guesses |= twins.options()
        new = {link.variable: link for link in twins.links() if self._is_free(link)}
        self.alignment.links |= new
        self.load(self._fitting({name: self.alignment.links[name] for name in new}))

    def given_values(self) -> dict[str, np.ndarray]:
        """The variables that given links make, before anything runs."""
        return self._fitting({name: self.alignment.links[name] for name in self.hints.given})

    def _is_free(self, link: Link) -> bool:
        """False for a variable whose link is given with its pieces, or from other parameters."""
        given = self.hints.given.get(link.variable)
        return given is None or (not given.pieces and given.parameters == link.parameters)

    def _completed(self, link: Link) -> Link:
        """A given link without pieces gets those that its shapes need."""
        if link.pieces or len(link.parameters) != 1:
            return link
        options = ways(self.shapes[link.parameters[0]], self.shapes[link.variable])
        return Link(link.variable, link.parameters, options[0] if options else (), link.evidence)

    def _fitting(self, links: Mapping[str, Link]) -> dict[str, np.ndarray]:
        """The variables that the links make, where the shapes are right."""
        fitting = {name: link for name, link in links.items() if self._fits(link)}
        names: list[str] = []
        for link in fitting.values():
            names += self.direction.made_by(link)
        made = self.direction.weights(fitting, self.a.before, {**self.zeros(names), **self.made})
        self.made |= {name: made[name] for name in names}
        return {name: made[name] for name in names}

    def zeros(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Arrays of zeros in the shapes of the parameters of these names."""
        return {name: np.zeros(self.shapes[name]) for name in names}

    def _fits(self, link: Link) -> bool:
        """True if the link makes an array of the variable's shape."""
        try:
            made = link.carry(self.zeros(link.parameters))
        except ValueError:
            return False
        return made.shape == self.shapes[link.variable]

    def _rows(self, a: Call, b: Call) -> np.ndarray | None:
        """Keras' order of the input features of a layer behind a flattened image."""
        if a.kind not in ("linear", "bn", "ln", "rms") or not a.inputs or not b.inputs:
            return None
        if a.inputs[0].ndim != 2:
            return None
        layout, _ = layouts.find(a.inputs[0], b.inputs[0], self.images)
        if layout is None or not layout.name.startswith("flattened"):
            return None
        numbers = np.arange(a.inputs[0].shape[1])[None]
        return np.ravel(layout.carry(numbers))

    def _columns(self, a: Call, b: Call) -> np.ndarray | None:
        """Keras' order of the output features of a linear layer before an image is made of them.

        A guess, for what comes behind the layer is not known yet: first PyTorch's own order.
        """
        if a.kind != "linear" or a.output.ndim != 2:
            return None
        images = self._images_of(a)
        key = f"{b.owner}{OUTPUT}"
        if images:
            self.alignment.guesses[key] = list(range(len(images) + 1))
        chosen = self.hints.guess.get(key, 0)
        if not images or not chosen:
            return None
        layout = layouts.flattened(images[chosen - 1])
        self.flattened[b.owner] = layout
        return np.ravel(layout.carry(np.arange(a.output.shape[1])[None]))

    def _images_of(self, a: Call) -> list[tuple[int, ...]]:
        """The shapes (channels, height, ...) in which later calls of A are given its output."""
        own = digest(a.output)
        shapes: dict[tuple[int, ...], None] = {}
        for later, digests in zip(self.a.calls, self.digests, strict=True):
            for array, each in zip(later.inputs, digests, strict=True):
                image = self.direction.image(array.shape)
                if array.ndim > 2 and image[0] > 1 and is_close(each, own):
                    shapes[image] = None
        return list(shapes)

    def _choose(self, b: Call) -> int:
        """The index of A's twin, or NO_TWIN."""
        possible = self._possible(b)
        seen = [digest(array) for array in b.inputs if array.size]
        proven = [index for index in possible if self._knows(index, seen, any)]
        if len(proven) > 1 and not b.parameters:
            proven = [i for i in proven if self._knows(i, seen, all)] or proven
        able = proven or self._in_order(self._of_one_size(possible, b), b)
        if not able:
            return NO_TWIN
        if len(able) > 1 and b.parameters and b.owner not in self.owners:
            self.alignment.guesses[b.owner] = able
        pick = self.hints.guess.get(b.owner, able[0])
        if pick == NO_TWIN or pick not in able:
            return NO_TWIN if pick == NO_TWIN else able[0]
        self.used.add(pick)
        if proven:
            self.alignment.proven.add(pick)
        return pick

    def _possible(self, b: Call) -> list[int]:
        """Calls of A that could be the twin: of its kind, with its sizes, not yet taken."""
        free = [index for index in range(len(self.a.calls)) if index not in self.used]
        if b.owner in self.owners:  # a further call of a layer that has its twin
            owner = self.owners[b.owner]
            return [i for i in free if self._is_again(self.a.calls[i], b, owner)]
        given = self._given_parameters(b)
        if given:
            return [i for i in free if self._has_given(self.a.calls[i], b, given)]
        calls = self.a.calls
        same = [index for index in free if calls[index].kind == b.kind]
        if not b.parameters:
            sizes = [array.size for array in b.inputs]
            return [i for i in same if not sizes or _has_size(calls[i], sizes)]
        taken = set(self.owners.values())
        same = [i for i in same if calls[i].parameters]
        same = [i for i in same if calls[i].owner not in taken or calls[i].detail == "reverse"]
        if b.kind == kinds.UNKNOWN or not same:
            return [i for i in free if self._has_same_weights(calls[i], b)]
        return self._of_one_size(same, b) or same

    def _of_one_size(self, possible: list[int], b: Call) -> list[int]:
        """Those whose weights have the sizes of B's; all of them for a call without weights."""
        if not b.parameters or b.kind == kinds.UNKNOWN or b.detail == "reverse":
            return possible
        own = signature(b, self.shapes)
        calls = self.a.calls
        return [
            index
            for index in possible
            if calls[index].kind != b.kind or signature(calls[index], self.shapes) == own
        ]

    def _has_given(self, a: Call, b: Call, given: set[str]) -> bool:
        """True for a call with the parameters that given links name, and of B's kind."""
        fits = a.kind == b.kind or kinds.UNKNOWN in (a.kind, b.kind)
        return fits and given <= set(a.parameters.values())

    def _is_again(self, a: Call, b: Call, owner: str) -> bool:
        tied = b.detail == "reverse" and a.kind == "linear"
        return a.owner == owner or tied

    def _given_parameters(self, b: Call) -> set[str]:
        """The parameters of A that given links name for this layer."""
        names: set[str] = set()
        for variable in b.parameters.values():
            link = self.hints.given.get(variable)
            names |= set(link.parameters) if link else set()
        return names

    def _has_same_weights(self, a: Call, b: Call) -> bool:
        if a.owner in self.owners.values() or kinds.UNKNOWN not in (a.kind, b.kind):
            return False
        of_a = sorted(sorted(self.shapes[name]) for name in a.parameters.values())
        of_b = sorted(sorted(self.shapes[name]) for name in b.parameters.values())
        return bool(of_a) and of_a == of_b

    def _in_order(self, possible: list[int], b: Call) -> list[int]:
        """Without proof by values: those with the same detail; layers with weights of any."""
        calls = self.a.calls
        same = [index for index in possible if calls[index].detail == b.detail]
        return same or (possible if b.parameters else [])

    def _knows(self, index: int, seen: Sequence[np.ndarray], quantity: Callable[..., bool]) -> bool:
        """True if any or all of the inputs of A's call are among those of B's call."""
        of_a = self.digests[index]
        return bool(of_a) and quantity(_is_among(array, seen) for array in of_a)

    def put(self, b: Call) -> Put | None:
        """What is put in behind a call of B that has run: A's output."""
        index = self.pending.pop(id(b), NO_TWIN)
        if index == NO_TWIN:
            return None
        a = self.a.calls[index]
        layout = self._layout(a, b)
        if layout is None:
            self.alignment.misfits[b.index] = index
            self.alignment.disagreements += 1
            return None
        value = self.direction.put(layout, a.output, b.output)
        differs = not is_close(b.output, value)
        reordered = is_close(digest(b.output), digest(a.output))
        if differs and not reordered and _is_among(digest(b.output), self.values):
            # A has these values elsewhere: the two calls are parts of unlike size
            self.used.discard(index)
            self.alignment.proven.discard(index)
            return None
        if differs and not b.parameters and index in self.alignment.proven:
            self.alignment.guesses[b.owner] = [index, NO_TWIN]
        self.alignment.twin[b.index] = index
        self.alignment.layout[b.index] = layout
        self.alignment.disagreements += differs + (index not in self.alignment.proven)
        return Put(value)

    def look_at_outputs(self, of_b: Sequence[np.ndarray]) -> None:
        """Count outputs of B that are not A's, where there are several: they may be mixed up."""
        if len(of_b) == 1 or len(of_b) != len(self.a.outputs):
            return
        for pair in zip(self.a.outputs, of_b, strict=True):
            _, equal = self.direction.find(*pair, self.images)
            self.alignment.disagreements += not equal

    def _layout(self, a: Call, b: Call) -> Layout | None:
        if b.owner in self.flattened:
            return self.flattened[b.owner]
        if b.kind in kinds.ELEMENTWISE and a.inputs and b.inputs:
            keeps = a.output.shape == a.inputs[0].shape and b.output.shape == b.inputs[0].shape
            layout, equal = self.direction.find(a.inputs[0], b.inputs[0], self.images)
            if keeps and equal:
                return layout
        layout, equal = self.direction.find(a.output, b.output, self.images)
        if layout and not equal and a.kind in kinds.CHANNELS:
            shapes = self.direction.sides(a.output.shape, b.output.shape)
            fitting = layouts.layouts(*shapes, self.images)
            channels = [each for each in fitting if each.name.startswith("channels last")]
            return channels[0] if channels else layout
        return layout

    def input_layout(self, b: Call) -> tuple[tuple[int, ...], Callable[..., np.ndarray]] | None:
        """The shape of the input of A's twin, and its way to B's input."""
        index = self.pending.get(id(b), NO_TWIN)
        if index == NO_TWIN:
            return None
        of_a = self.a.calls[index].inputs[0]
        return mask_layout(self.direction, (of_a, b.inputs[0]), self.images)


def mask_layout(
    way: direction.Direction,
    inputs: tuple[np.ndarray, np.ndarray],
    images: Sequence[tuple[int, ...]],
) -> tuple[tuple[int, ...], Callable[[np.ndarray], np.ndarray]] | None:
    """The shape of A's input of dropout, and the way from there to B's; None if there is none."""
    of_a, of_b = inputs
    layout, _ = way.find(of_a, of_b, images)
    if layout is None:
        return None
    return of_a.shape, lambda array: way.put(layout, array, np.zeros(of_b.shape))


def _has_size(call: Call, sizes: Sequence[int]) -> bool:
    return not call.inputs or any(array.size in sizes for array in call.inputs)


def _is_among(array: np.ndarray, others: Sequence[np.ndarray]) -> bool:
    return any(is_close(array, each) for each in others if each.shape == array.shape)


def _values(a: Step, digests: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
    """The digests of everything that A has between its calls."""
    collected = [digest(array) for array in a.outputs]
    for inputs in digests:
        collected += inputs
    return [array for array in collected if array.size]
