"""The article's script runs with our optimizer in the place of Keras'."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from samestep.parity.tests.support.require import require

require("tensorflow")

ROOT = Path(__file__).resolve().parent.parent


def accuracy(*options: str) -> float:
    """What the script prints after one epoch."""
    done = subprocess.run(
        [sys.executable, "examples/article.py", "--epochs", "1", *options],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (printed,) = re.findall(r"accuracy on the test set: (\S+)", done.stdout)
    return float(printed)


def test_article_reaches_the_accuracy_of_keras_own_optimizer() -> None:
    """From one seed, ours and Keras' differ by no more than a few of the 10,000 images."""
    assert accuracy() == pytest.approx(accuracy("--keras"), abs=0.001)
