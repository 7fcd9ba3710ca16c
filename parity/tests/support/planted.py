"""A copy of this checkout with one mistake planted, for tests that run child processes on it."""

import shutil
from pathlib import Path

from samestep import SEARCH_PATH
from samestep.parity.measure.wrong_rules import Patch
from samestep.parity.measure.wrong_rules.patch import patches_of

FAULTS_OF_ADAPTERS = (
    *patches_of(
        "frameworks/pytorch/recorded.py",
        ("state is never written", '{"theta": theta, **new}', '{"theta": theta}'),
    ),
    *patches_of(
        "frameworks/tensorflow/coefficients.py",
        (
            "learning rate is the rule's for ever",
            "Guarded(lr, zeros), guarded)",
            "Guarded(tf.constant(rule.lr, tf.float64), zeros), guarded)",
        ),
    ),
    *patches_of(
        "frameworks/pytorch/model.py",
        ("gradient skips the grid", "return on_grid(gradient)", "return gradient"),
    ),
)

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
