"""A patch: a mistake as a replacement of text in one source file."""

from typing import NamedTuple

from samestep import PACKAGE


class Patch(NamedTuple):
    """In ``file``, a path below the package, the text ``before`` stands exactly once and becomes
    ``after``.
    """

    name: str
    file: str
    before: str
    after: str

    def applies(self) -> bool:
        """True if ``before`` stands exactly once in the file."""
        return (PACKAGE / self.file).read_text().count(self.before) == 1

    def patched(self) -> str:
        """The changed source; ValueError if ``before`` does not stand exactly once in the file."""
        source = (PACKAGE / self.file).read_text()
        if source.count(self.before) != 1:
            raise ValueError(
                f"patch {self.name!r}: {self.before!r} must stand once in {self.file}; "
                "adapt the patch to the new source, where it is written down"
            )
        return source.replace(self.before, self.after)


def patches_of(file: str, *changes: tuple[str, str, str]) -> list[Patch]:
    """The patches of one file; each change is the mistake's name, the text that stands there, and
    what it becomes.
    """
    stem = file.removesuffix(".py").partition("/")[2]
    return [Patch(f"{stem}: {name}", file, before, after) for name, before, after in changes]
