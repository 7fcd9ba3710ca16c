"""What ``exclude_from_weight_decay`` excludes, in words, in a config, and where it is nothing."""

import re
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras

SHOWN = 6  # names in a warning


class Exclusions(NamedTuple):
    """What was excluded: by ``patterns``, and by ``paths`` the variables that were listed.

    A variable itself must not be kept: Keras would take it for one of the optimizer's own.
    """

    patterns: Sequence[str] = ()
    paths: Sequence[str] = ()

    def by_cause(self, variables: Sequence[Any], listed: Sequence[Any]) -> dict[str, list[str]]:
        """The paths of the ``variables`` that each pattern and each listed path excludes.

        ``listed`` are those of the variables that were listed. Keras searches a pattern, a regular
        expression, in the path of a variable with ``:0`` behind it.
        """
        names = {path_of(variable): _searched_name(variable) for variable in variables}
        by_pattern = {
            pattern: [path for path, name in names.items() if re.search(pattern, name)]
            for pattern in self.patterns
        }
        excluded = {path_of(variable) for variable in listed}
        by_path = {path: [path] if path in excluded else [] for path in self.paths}
        return {**by_pattern, **by_path}

    def as_patterns(self) -> list[str]:
        """The same exclusions as patterns alone, for a config."""
        return [*self.patterns, *[_pattern_of(path) for path in self.paths]]


def warn_of_nothing(by_pattern: dict[str, list[str]], variables: Sequence[Any]) -> None:
    """Warn of patterns and listed variables that exclude no variable."""
    vain = [repr(pattern) for pattern, paths in by_pattern.items() if not paths]
    if not vain:
        return
    names = [path_of(variable) for variable in variables]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    warnings.warn(
        f"exclude_from_weight_decay must name variables of the optimizer; {', '.join(vain)} "
        f"excludes none of {', '.join(names[:SHOWN])}{more}, so weight decay acts on all of them. "
        "Give a part of a variable's path; optimizer.excluded_from_weight_decay() lists the rest",
        stacklevel=3,
    )


def _pattern_of(path: str) -> str:
    """A pattern of that path alone, or of the rest of it.

    The name of a model stands before the paths of its layers, but not after it was loaded.
    """
    first, slash, rest = path.partition("/")
    if not slash:
        return f"^{re.escape(path)}(:|$)"
    return f"^({re.escape(first)}/)?{re.escape(rest)}(:|$)"


def path_of(variable: Any) -> str:
    """The path of a variable, such as ``dense/kernel``."""
    return str(getattr(variable, "path", variable.name)).partition(":")[0]


def _searched_name(variable: Any) -> str:
    inner = variable.value if isinstance(variable, keras.Variable) else variable
    return str(inner.name)
