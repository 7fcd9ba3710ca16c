"""What the command line chooses."""

from typing import NamedTuple


class Options(NamedTuple):
    """The options of ``pytest bench``."""

    threads: int  # that every framework is bound to
    quick: bool  # leave out long measurements
    rules: tuple[str, ...]  # whose steps are timed
    sizes: tuple[str, ...]  # at which ratios are measured

    @property
    def seconds(self) -> float:
        """The seconds that a benchmark of a step, or a comparison of two, lasts at least."""
        return 0.05 if self.quick else 0.5
