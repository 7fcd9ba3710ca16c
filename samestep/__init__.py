"""samestep: do PyTorch and TensorFlow take the same training step?

The parts are imported by name, so that each user loads only what is needed:

>>> from samestep.reference import Adam, dialects          # the rules; standard library only
>>> import samestep.frameworks.numpy                       # optimizers; needs NumPy
>>> from samestep.parity import assert_same_steps          # tests of your own optimizer

In a checkout the folders of this package are links to the folders at the top of the repository, so
that every tool sees one ordinary package. Git on Windows needs symbolic links switched on for that.
"""

from pathlib import Path

PACKAGE = Path(__file__).parent  # the folder of this package, in a checkout and when installed
SEARCH_PATH = PACKAGE.parent  # the folder that must be on ``sys.path`` for ``import samestep``


def checkout() -> Path | None:
    """The root folder of the checkout that this package lies in; None for an installed package."""
    return SEARCH_PATH if (PACKAGE / "reference").is_symlink() else None


if (PACKAGE / "reference").is_file():
    raise ImportError(
        f"{PACKAGE / 'reference'} must be a link to a folder, but it is a text file: Git wrote it "
        "without symbolic links. Allow them (on Windows: switch on Developer Mode), then run "
        "`git config core.symlinks true` and `git checkout -- samestep` in the checkout."
    )
