"""What the command line chooses, and which benchmarks that is."""

from typing import NamedTuple

from samestep.bench import sizes
from samestep.parity.measure.cases import EVERYDAY, MATRIX, PLAIN

RULES = (*PLAIN, *MATRIX)
SIZES = tuple(sizes.SHAPES)
USUAL_FILES = ("test_steps.py", "test_epochs.py")
ALL = "all"


class Options(NamedTuple):
    """The options of ``pytest bench``."""

    threads: int  # that every framework is bound to
    quick: bool  # leave out long measurements
    full: bool  # every rule, size and mode, and longer comparisons of epochs
    rules: tuple[str, ...]  # whose steps are timed
    sizes: tuple[str, ...]  # at which ratios are measured

    @property
    def seconds(self) -> float:
        """The seconds that a benchmark of a step, or a comparison of two, lasts at least."""
        return 0.05 if self.quick else 0.5


def rules_of(text: str | None, full: bool) -> tuple[str, ...]:
    """The rules that an option's text names, with commas between them; ``all`` names all."""
    return _names(text, RULES, RULES if full else EVERYDAY)


def sizes_of(text: str | None, full: bool) -> tuple[str, ...]:
    """The sizes that an option's text names."""
    return _names(text, SIZES, SIZES if full else SIZES[:1])


def _names(text: str | None, known: tuple[str, ...], usual: tuple[str, ...]) -> tuple[str, ...]:
    if text is None:
        return usual
    return known if text == ALL else tuple(text.split(","))


def asks_for(
    options: Options, rule: str | None = None, size: str | None = None, usual: bool = True
) -> bool:
    """True if the options ask for a benchmark of this rule at this size, as far as it has any.

    What is not ``usual`` is asked for by --full alone.
    """
    return (
        (usual or options.full)
        and (rule is None or rule in options.rules)
        and (size is None or size in options.sizes)
    )
