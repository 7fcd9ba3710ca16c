"""The MNIST files: found, checked, read.

In a checkout they lie in ``data/mnist``. An installed package looks in the usual caches and then downloads them. The
checksum of the unpacked file decides in every case.
"""

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from samestep import checkout

_ROOT = checkout()
CHECKOUT = _ROOT / "data" / "mnist" if _ROOT else None
MIRROR = "https://storage.googleapis.com/cvdf-datasets/mnist/"
SHA256 = {  # of the unpacked files
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


class MNIST(NamedTuple):
    """Images are uint8 (n, 784), labels uint8 (n,)."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def load(folder: Path | None = None) -> MNIST:
    """Read the four files from ``folder``, or from wherever they are; ValueError if one is missing or not MNIST."""
    return MNIST(*(_parse(name, _unpacked(name, folder)) for name in SHA256))


def _unpacked(name: str, folder: Path | None) -> bytes:
    advice = f"restore it from version control, or delete {folder or 'it'} and let samestep find MNIST elsewhere"
    for path in _candidates(name, folder):
        if not path.exists():
            continue
        try:
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} must be a whole gzip file, but reading it failed: {error}; {advice}") from error
        found = hashlib.sha256(data).hexdigest()
        if found != SHA256[name]:
            raise ValueError(f"{path} must hold MNIST with SHA-256 {SHA256[name]}, got {found}; {advice}")
        return data
    if folder is not None or CHECKOUT is not None:
        raise ValueError(f"{name}.gz must lie in {folder or CHECKOUT}, found nothing; {advice}")
    return _download(name)


def _candidates(name: str, folder: Path | None) -> Iterator[Path]:
    if folder is not None or CHECKOUT is not None:
        yield (folder or CHECKOUT) / f"{name}.gz"  # type: ignore[operator]
        return
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    for cache in (home / "samestep", Path.home() / "data" / "MNIST" / "raw", Path("data") / "MNIST" / "raw"):
        yield cache / f"{name}.gz"
        yield cache / name


def _download(name: str) -> bytes:
    try:
        import pooch
    except ImportError as error:
        raise ValueError(
            f"{name} is in no known folder and pooch, which would fetch it, is not installed; "
            "pip install pooch, or run from a checkout, which holds the data"
        ) from error
    unpack = pooch.Decompress(name=name)
    path = pooch.retrieve(f"{MIRROR}{name}.gz", known_hash=None, path=pooch.os_cache("samestep"), processor=unpack)
    data = Path(path).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256[name]:
        Path(path).unlink()
        raise ValueError(f"{MIRROR}{name}.gz must unpack to SHA-256 {SHA256[name]}, got {found}; try again later")
    return data


def _parse(name: str, data: bytes) -> np.ndarray:
    """An IDX file of bytes: magic 0, 0, 8, rank; big-endian sizes; the bytes."""
    rank = data[3]
    sizes = np.frombuffer(data, ">u4", rank, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(int(sizes[0]), -1).squeeze()
