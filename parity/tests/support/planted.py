"""A copy of this checkout with one mistake planted, for tests that run child processes on it."""

import shutil
from pathlib import Path

from samestep import SEARCH_PATH
from samestep.parity.measure.wrong_rules import Patch

FOLDERS = ("reference", "frameworks", "parity", "report")


def altered_checkout(root: Path, patch: Patch) -> Path:
    """Copy the package's folders to ``root`` and plant ``patch`` there.

    Returns ``root``, which the child process needs in its PYTHONPATH.
    """
    unneeded = shutil.ignore_patterns("__pycache__", "tests")
    for folder in FOLDERS:
        shutil.copytree(SEARCH_PATH / folder, root / folder, ignore=unneeded)
    shutil.copytree(SEARCH_PATH / "samestep", root / "samestep", symlinks=True)
    (root / "data").symlink_to(SEARCH_PATH / "data")
    (root / patch.file).write_text(patch.patched())
    return root
