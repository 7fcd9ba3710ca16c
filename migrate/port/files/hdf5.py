"""HDF5 as plain arrays. Links that lead out of the file, and numbers stored elsewhere, are refused.

A file may claim more numbers than it has bytes; it is refused before memory is taken for them.
"""

import io
from typing import Any

import numpy as np

from samestep.migrate.port.refused import Refused, shown

MOST_ARRAYS = 100_000
DEEPEST = 50


class Reader:
    """Reads every array of one file, and the texts in attributes called ``name``."""

    def __init__(self, data: bytes, label: str) -> None:
        self.data = data
        self.label = label
        self.arrays: dict[str, np.ndarray] = {}
        self.names: dict[str, str] = {}
        self.left = len(data)  # bytes that further arrays may claim
        self.visited: set[Any] = set()

    def read(self) -> dict[str, np.ndarray]:
        """The arrays by path; Refused for what is no HDF5, damaged, or leads elsewhere."""
        h5py = _library()
        try:
            with h5py.File(io.BytesIO(self.data), "r") as file:
                self._walk(file, "", 0)
        except Refused:
            raise
        except (OSError, KeyError, RuntimeError, ValueError, TypeError, OverflowError) as error:
            raise Refused(f"{self.label} must be whole HDF5: {error}") from None
        except MemoryError:
            raise Refused(f"{self.label} must fit into memory") from None
        return self.arrays

    def _walk(self, group: Any, path: str, depth: int) -> None:
        h5py = _library()
        if depth > DEEPEST:
            raise Refused(f"{self.label}: groups must not be nested deeper than {DEEPEST}")
        name = group.attrs.get("name")
        if isinstance(name, str):
            self.names[path.rstrip("/")] = name
        for key in group:
            link = group.get(key, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise Refused(
                    f"{self.label}: {shown(path + key)} must be an array in the file itself, "
                    f"got a link to {shown(getattr(link, 'filename', ''))}"
                )
            item = group[key]
            place = h5py.h5o.get_info(item.id).addr
            if place in self.visited:
                raise Refused(f"{self.label}: {shown(path + key)} stands in two places")
            self.visited.add(place)
            if isinstance(item, h5py.Group):
                self._walk(item, f"{path}{key}/", depth + 1)
            elif not isinstance(item, h5py.Dataset):
                kind = type(item).__name__
                raise Refused(f"{self.label}: {shown(path + key)} must be an array, got a {kind}")
            else:
                self.arrays[path + key] = self._array(item, path + key)

    def _array(self, item: Any, path: str) -> np.ndarray:
        """One array, if the file itself has its numbers."""
        if getattr(item, "external", None) or getattr(item, "is_virtual", False):
            raise Refused(f"{self.label}: {shown(path)} must be in the file itself, not another")
        if not hasattr(item, "dtype") or item.dtype.kind not in "fiub":
            kind = getattr(item, "dtype", type(item).__name__)
            raise Refused(f"{self.label}: {shown(path)} must be numbers, got {shown(kind)}")
        size = int(item.size or 0) * item.dtype.itemsize
        self.left -= size
        if self.left < 0 or len(self.arrays) >= MOST_ARRAYS:
            raise Refused(
                f"{self.label}: its arrays must fit into its {len(self.data)} bytes, and "
                f"{shown(path)} claims {size}: damaged, or compressed; save it uncompressed"
            )
        value: np.ndarray = np.asarray(item[()])
        return value


def _library() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise Refused(
            "Keras' files need h5py, which is not installed; pip install 'samestep[port]'"
        ) from error
    return h5py
