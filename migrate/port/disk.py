"""Files read once and written whole.

A file is read into memory once, then checked and used from there. So nobody can exchange it between
the check and the use. A file is written under a temporary name and then renamed. So an interrupted
write leaves the former file as it was.
"""

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from .refused import Refused


def read_once(path: Path) -> bytes:
    """The content of a regular file; Refused if there is none, or if memory does not suffice."""
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise Refused(f"{path} must be a regular file; copy what it gives into one")
            return file.read(status.st_size)
    except OSError as error:
        raise Refused(f"{path} must be a file that can be read: {error.strerror}") from error
    except (MemoryError, OverflowError) as error:
        raise Refused(f"{path} must fit into memory; use a machine with more") from error


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, or leave the one that is there as it was; OSError says why."""
    path = path.absolute()
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f".{path.name[:100]}.", suffix=".part", delete=False
    ) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, _mode_of(path))
            os.replace(file.name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(file.name)
            raise


def _mode_of(path: Path) -> int:
    """The permissions of the former file, or those that a new file gets."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
