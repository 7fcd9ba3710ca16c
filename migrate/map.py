"""The map of a pair as a file, ``map.toml``: which variable of the Keras model is made of which
parameters of the PyTorch model, by which exact pieces.

::

    [[variable]]
    keras = "sequential/dense/kernel"
    pytorch = ["fc.weight"]
    pieces = ["permute 1 0"]
    evidence = "the values of the inputs"

A user may change the file and give it back. Lines that are left out are searched again.
"""

import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .pieces import FORMS, Link, read

HEAD = """# Which variable of the Keras model is made of which parameters of the PyTorch model.
# Change a line and give the file back with --map. Lines that are left out are searched again.
# Pieces, applied in this order: {forms}.
"""


def write(path: Path, links: Iterable[Link]) -> Path:
    """Write the links."""
    blocks = [HEAD.format(forms="; ".join(FORMS.values()))]
    for link in links:
        pieces = [str(piece) for piece in link.pieces]
        blocks.append(
            "[[variable]]\n"
            f"keras = {json.dumps(link.variable)}\n"
            f"pytorch = {json.dumps(list(link.parameters))}\n"
            f"pieces = {json.dumps(pieces)}\n"
            f"evidence = {json.dumps(link.evidence)}\n"
        )
    path.write_text("\n".join(blocks), encoding="utf-8")
    return path


def load(path: Path) -> dict[str, Link]:
    """Read a map by name of the variable; ValueError says which line is wrong."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path} must be a map in TOML: {error}") from error
    return parse(content.get("variable", []), str(path))


def parse(entries: Any, origin: str) -> dict[str, Link]:
    """The links of a list of tables, or of a dict from variables to parameters."""
    if isinstance(entries, dict):
        entries = [{"keras": key, "pytorch": value} for key, value in entries.items()]
    links: dict[str, Link] = {}
    for number, entry in enumerate(entries, 1):
        try:
            parameters = entry["pytorch"]
            names = (parameters,) if isinstance(parameters, str) else tuple(parameters)
            pieces = tuple(read(text) for text in entry.get("pieces", ()))
            link = Link(str(entry["keras"]), names, pieces, "given")
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{origin}: variable {number} must have keras, pytorch and perhaps pieces: {error}"
            ) from error
        links[link.variable] = link
    return links
