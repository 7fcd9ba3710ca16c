"""Find the map of a pair: align, look at what is left by shape, and disprove wrong guesses."""

import difflib
import heapq
import itertools
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from samestep.migrate.pieces import Link, Permute, Piece, Take

from .align import Aligner, Alignment, Hints
from .links import Shapes, ways
from .record import Record

MOST_TRIES = 40
MOST_SECONDS = 20.0
Run = Callable[[Aligner], None]  # runs B once under an aligner


class Search(NamedTuple):
    """A map that was found, the aligner that walked it, and how many runs it took."""

    alignment: Alignment
    hints: Hints
    tries: int
    doubtful: list[str]  # variables whose link was chosen by shape among several, and disproved


class Names(NamedTuple):
    """PyTorch's parameters that must have a twin, Keras' variables, and the shapes of all."""

    parameters: list[str]
    variables: list[str]
    shapes: Shapes


class Finder:
    """Searches the map of a record and a live side B.

    ``run`` runs B once from ``start``, under an aligner. ``given`` are the user's links.
    """

    def __init__(self, record: Record, names: Names, run: Run, given: Mapping[str, Link]) -> None:
        self.record = record
        self.names = names
        self.shapes = names.shapes
        self.run = run
        self.hints = Hints({}, dict(given))
        self.tries = 0
        self.last = Alignment()

    def align(self, hints: Hints) -> Alignment:
        """Run B once with these hints."""
        self.tries += 1
        aligner = Aligner(self.record, self.shapes, _nothing, hints)
        self.run(aligner)
        self.last = aligner.alignment
        return aligner.alignment

    def search(self) -> Search:
        """The best alignment."""
        best = self.align(self.hints)
        left = self._left_over(best)
        if left:
            self.hints.given |= {name: options[0] for name, options in left.items()}
            best = self.align(self.hints)
        best = self._try_guesses(best)
        best = self._try_shapes(best, left)
        if self.last is not best:
            best = self.align(self.hints)  # so that the last run is that of the best map
        several = [name for name, options in left.items() if len(options) > 1]
        doubtful = several if best.disagreements else []
        return Search(best, self.hints, self.tries, doubtful)

    def _try_guesses(self, best: Alignment) -> Alignment:
        """Other options of the guesses, the most promising first, while anything disagrees.

        Each combination is tried at most once: what comes before an option that is changed stays.
        """
        began = time.perf_counter()
        waiting: list[tuple[int, int, dict[str, int]]] = []
        count = itertools.count()

        def add_options(alignment: Alignment, guess: dict[str, int]) -> None:
            fixed = dict(guess)
            for name, options in alignment.guesses.items():
                if name in guess:
                    continue
                for option in options[1:]:
                    new = {**fixed, name: option}
                    heapq.heappush(waiting, (alignment.disagreements, next(count), new))
                fixed[name] = options[0]

        add_options(best, self.hints.guess)
        while best.disagreements and waiting and self.tries < MOST_TRIES:
            if time.perf_counter() - began > MOST_SECONDS:
                break
            _, _, guess = heapq.heappop(waiting)
            tried = self.align(Hints(guess, self.hints.given))
            if tried.disagreements < best.disagreements:
                best, self.hints = tried, Hints(guess, self.hints.given)
            add_options(tried, guess)
        return best

    def _try_shapes(self, best: Alignment, left: dict[str, list[Link]]) -> Alignment:
        """Links by shape with their other options, while anything disagrees."""
        for name, options in left.items():
            for link in options[1:]:
                if not best.disagreements or self.tries >= MOST_TRIES:
                    return best
                given = {**self.hints.given, **self._exchanged(name, link)}
                hints = Hints(self.hints.guess, given)
                tried = self.align(hints)
                if tried.disagreements < best.disagreements:
                    best, self.hints = tried, hints
        return best

    def _exchanged(self, name: str, link: Link) -> dict[str, Link]:
        """The link, and for the variable that had its source the former one."""
        former = self.hints.given[name]
        changed = {name: link}
        for other, theirs in self.hints.given.items():
            if other != name and _source(theirs) == _source(link):
                changed[other] = Link(other, former.parameters, former.pieces, theirs.evidence)
        return changed

    def _left_over(self, alignment: Alignment) -> dict[str, list[Link]]:
        """Links by shape for the variables that have none, the likeliest first."""
        used: set[str] = set()
        for link in alignment.links.values():
            used |= set(link.parameters)
        free = [name for name in self.names.parameters if name not in used]
        left: dict[str, list[Link]] = {}
        taken: set[str] = set()
        for variable in self.names.variables:
            if variable in alignment.links:
                continue
            options = self._by_shape(variable, free)
            options.sort(key=lambda link: _source(link) in taken)
            if options and _source(options[0]) not in taken:
                taken.add(_source(options[0]))
                left[variable] = options
        return left

    def _by_shape(self, variable: str, free: list[str]) -> list[Link]:
        options = []
        for name in sorted(free, key=lambda each: -_likeness(each, variable)):
            for pieces in ways(self.shapes[name], self.shapes[variable]):
                options += [Link(variable, (name,), pieces, "the shape alone")]
            options += self._thirds(variable, name)
        return options

    def _thirds(self, variable: str, name: str) -> list[Link]:
        """Query, key and value out of PyTorch's packed attention: reference/conventions."""
        if not name.endswith(("in_proj_weight", "in_proj_bias")):
            return []
        shape, target = self.shapes[name], self.shapes[variable]
        size = shape[0] // 3
        links = []
        for number in range(3):
            third = Take(0, tuple(range(number * size, (number + 1) * size)))
            pieces: list[Piece] = [third, *([Permute((1, 0))] if len(shape) > 1 else [])]
            if target == (size, *shape[1:])[::-1]:
                links.append(Link(variable, (name,), tuple(pieces), "the shape alone"))
        return links


def _source(link: Link) -> str:
    """What a link takes: a parameter, or a part of it."""
    taken = [str(piece) for piece in link.pieces if isinstance(piece, Take)]
    return " ".join([link.parameters[0], *taken])


def _likeness(name: str, variable: str) -> float:
    """How alike two names are, from 0 to 1."""
    return difflib.SequenceMatcher(None, name.lower(), variable.lower()).ratio()


def _nothing(values: dict[str, np.ndarray]) -> None:
    """Stands for the loader until the side sets its own."""
