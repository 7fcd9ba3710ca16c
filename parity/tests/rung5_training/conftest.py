"""The batches that the training tests share."""

import numpy as np
import pytest

from samestep.frameworks.experiment import facts, mnist

BATCHES = 200  # steps of the tests that need no whole epoch


@pytest.fixture(scope="session")
def batches() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The experiment's first batches: images (32, 784), labels (32,), dropout masks (32, 128)."""
    data = mnist.load()
    drawn = facts.batches(1, len(data.train_labels))
    chosen = (next(drawn) for _ in range(BATCHES))
    return [(data.train_images[i], data.train_labels[i], mask) for i, mask in chosen]
