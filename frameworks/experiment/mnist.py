"""The MNIST files: where they are, whether they are whole, what they hold.

In a checkout they lie in ``data/mnist``. An installed package downloads them with pooch, once, to
a folder of the user's. The checksum of the unpacked file decides in every case.
"""

import gzip
import hashlib
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from samestep import checkout

_ROOT = checkout()
CHECKOUT = _ROOT / "data" / "mnist" if _ROOT else None
MIRROR = "https://storage.googleapis.com/cvdf-datasets/mnist/"
FOLDER_VARIABLE = "SAMESTEP_DATA"  # the environment variable that names the folder of downloads
# SHA-256 of the unpacked files.
SHA256 = {
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
    """Read the four files, ``NAME.gz``, from ``folder``.

    Without ``folder`` they come from the checkout, or are downloaded once by an installed package.
    ValueError if a file is missing, cannot be downloaded, or is not MNIST's.
    """
    place = folder or CHECKOUT
    if place is not None:
        return MNIST(*(_parse(_read(place, name)) for name in SHA256))
    downloads = _downloads()
    return MNIST(*(_parse(_fetch(downloads, name)) for name in SHA256))


def _read(folder: Path, name: str) -> bytes:
    """The unpacked bytes of a file of ``folder``."""
    advice = f"restore it from version control, or delete {folder} and let samestep download MNIST"
    archive = folder / f"{name}.gz"
    if not archive.exists():
        raise ValueError(f"{name}.gz must lie in {folder}, found nothing; {advice}")
    try:
        return _unpack(archive, name)
    except ValueError as error:
        raise ValueError(f"{error}; {advice}") from error


def _unpack(archive: Path, name: str) -> bytes:
    """The unpacked bytes of ``archive``; ValueError unless they are those of MNIST's ``name``."""
    try:
        data = gzip.decompress(archive.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"{archive} must be a whole gzip file, but reading it failed: {error}"
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256[name]:
        raise ValueError(f"{archive} must hold MNIST with SHA-256 {SHA256[name]}, got {digest}")
    return data


def _downloads() -> Any:
    """pooch's registry of the four archives; ValueError if pooch is not installed."""
    try:
        import pooch
    except ImportError as error:
        raise ValueError(
            "MNIST must lie in a folder or be downloaded, but pooch, which would download it, is "
            "not installed; pip install pooch, or name the folder of the four files with --data"
        ) from error
    pooch.get_logger().setLevel("WARNING")
    return pooch.create(
        path=pooch.os_cache("samestep"),
        base_url=MIRROR,
        registry={f"{name}.gz": None for name in SHA256},  # ``_unpack`` checks what is inside
        env=FOLDER_VARIABLE,
    )


def _fetch(downloads: Any, name: str) -> bytes:
    """The unpacked bytes of a file, from the folder of downloads or else from the mirror."""
    archive = f"{name}.gz"
    path = Path(downloads.abspath) / archive
    try:
        downloads.fetch(archive)
    except (OSError, ValueError) as error:  # OSError: also every error of the connection
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"MNIST must be downloaded once, but {MIRROR}{archive} could not be fetched to {path}: "
            f"{type(error).__name__}: {reason}; connect to the internet and run again, put the "
            f"four files there, or name their folder with --data"
        ) from error
    try:
        return _unpack(path, name)
    except ValueError as error:
        raise ValueError(f"{error}; delete it, and it will be downloaded again") from error


def _parse(data: bytes) -> np.ndarray:
    """An IDX file of bytes: magic 0, 0, 8, rank; big-endian sizes; the bytes."""
    rank = data[3]
    sizes = np.frombuffer(data, ">u4", rank, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(int(sizes[0]), -1).squeeze()
