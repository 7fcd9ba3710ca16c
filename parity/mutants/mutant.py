"""What a mutant is."""

from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent


class Mutant(NamedTuple):
    """In ``file``, ``before`` stands exactly once and becomes ``after``."""

    name: str
    file: str
    before: str
    after: str

    def applies(self, root: Path) -> bool:
        """Whether ``before`` stands exactly once in the source under ``root``."""
        return (root / self.file).read_text().count(self.before) == 1

    def planted(self, root: Path) -> str:
        """The changed source; ValueError if the mutant does not apply."""
        if not self.applies(root):
            raise ValueError(
                f"mutant {self.name!r}: {self.before!r} must stand once in {self.file}; "
                "adapt parity/mutants to the new source"
            )
        return (root / self.file).read_text().replace(self.before, self.after)

    def apply(self, root: Path) -> None:
        """Change the source under ``root``."""
        (root / self.file).write_text(self.planted(root))


def of(file: str, *changes: tuple[str, str, str]) -> list[Mutant]:
    """The mutants of a file: of each the name, what stands there, and what it becomes."""
    where = Path(file).with_suffix("").as_posix().partition("/")[2]
    return [Mutant(f"{where}: {name}", file, before, after) for name, before, after in changes]
