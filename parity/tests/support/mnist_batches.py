"""Batches of the real MNIST for short training runs."""

import functools

import numpy as np

from samestep.frameworks.experiment import mnist


@functools.cache
def _images() -> tuple[np.ndarray, np.ndarray]:
    data = mnist.load()
    return data.train_images, data.train_labels


def examples(count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first images, float32 (count, 784) from 0 to 1, and their labels, int64 (count,)."""
    images, labels = _images()
    return images[:count].astype(np.float32) / 255, labels[:count].astype(np.int64)


def batches(count: int, size: int = 32) -> list[tuple[np.ndarray, np.ndarray]]:
    """The first batches: images (size, 784) and labels (size,)."""
    images, labels = examples(count * size)
    return list(zip(np.split(images, count), np.split(labels, count), strict=True))
