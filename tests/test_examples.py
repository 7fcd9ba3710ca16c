"""The script of the article trains as well with our optimizer as with Keras' own."""

import re

import pytest

from samestep import SEARCH_PATH as ROOT
from samestep.frameworks.experiment import process
from samestep.parity.tests.support.require import require

require("tensorflow")


def accuracy(*options: str) -> float:
    """The share of correct test images that the script prints after one epoch."""
    ended = process.run_python(["examples/article.py", "--epochs", "1", *options], cwd=ROOT)
    assert ended.code == 0, ended.message
    (printed,) = re.findall(r"accuracy on the test set: (\S+)", ended.stdout)
    return float(printed)


def test_article_reaches_the_accuracy_of_keras_own_optimizer() -> None:
    """From one seed, the two accuracies differ by no more than ten of the 10,000 images."""
    assert accuracy() == pytest.approx(accuracy("--keras"), abs=0.001)
