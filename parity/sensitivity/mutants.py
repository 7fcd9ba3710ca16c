"""All mutants of a file: the hand-written wrong rules, and those generated from its source."""

import functools
from pathlib import Path

from samestep import PACKAGE
from samestep.parity.measure.wrong_rules import RULES as WRITTEN
from samestep.parity.measure.wrong_rules import Patch

from .generated import Mutant, mutants_of_file


@functools.cache
def mutants_of(file: str) -> tuple[Mutant, ...]:
    """The mutants of a file, hand-written first. A generated one with the text of a hand-written
    one is left out.
    """
    written = [_written(patch) for patch in WRITTEN if patch.file == file]
    texts = {mutant.patch.patched() for mutant in written}
    generated = [mutant for mutant in mutants_of_file(file) if mutant.patch.patched() not in texts]
    return (*written, *generated)


def _written(patch: Patch) -> Mutant:
    """A hand-written wrong rule at the first line that it changes."""
    text = (PACKAGE / Path(patch.file)).read_text()
    unchanged = _common_beginning(patch.before, patch.after)
    offset = text.index(patch.before) + unchanged
    return Mutant(patch, text.count("\n", 0, offset) + 1, None)


def _common_beginning(left: str, right: str) -> int:
    """How many characters two texts have in common at their beginnings."""
    pairs = zip(left, right, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))
