"""Losses by formula, in NumPy, to tell which one a number is."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

CLIP = 1e-7  # Keras clips probabilities there: reference/conventions, cross-entropy-input


class NamedLoss(NamedTuple):
    """A formula with its name; ``of`` takes labels and the model's output, classes last."""

    name: str
    of: Callable[[np.ndarray, np.ndarray], float]


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def _pick(labels: np.ndarray, logp: np.ndarray) -> np.ndarray:
    """The negative logarithm at each label; 0 at labels that are no class, which are ignored."""
    counts = _counts(labels, logp)
    chosen = np.where(counts, labels, 0).astype(int)
    return np.where(counts, -np.take_along_axis(logp, chosen[..., None], -1)[..., 0], 0.0)


def _counts(labels: np.ndarray, output: np.ndarray) -> np.ndarray:
    """True for labels that are classes; -100 and the like mark what PyTorch ignores."""
    return np.asarray((labels >= 0) & (labels < output.shape[-1]))


def _of_logits(labels: np.ndarray, output: np.ndarray) -> np.ndarray:
    return _pick(labels, _log_softmax(output))


def _of_probabilities(labels: np.ndarray, output: np.ndarray) -> np.ndarray:
    return _pick(labels, _log_softmax(np.log(np.clip(output, CLIP, 1 - CLIP))))


def _twice_softmax(labels: np.ndarray, output: np.ndarray) -> np.ndarray:
    return _of_logits(labels, np.exp(_log_softmax(output)))


def _smoothed(labels: np.ndarray, output: np.ndarray, share: float) -> np.ndarray:
    logp = _log_softmax(output)
    return np.asarray((1 - share) * _pick(labels, logp) - share * logp.mean(-1))


def _binary(labels: np.ndarray, output: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(output, 0) - output * labels + np.log1p(np.exp(-np.abs(output))))


def _huber(labels: np.ndarray, output: np.ndarray) -> np.ndarray:
    size = np.abs(labels - output)
    return np.where(size < 1, size**2 / 2, size - 0.5)


TWICE = "cross entropy of softmax taken as logits"
_OF_LABELS = {
    "cross entropy of logits": _of_logits,
    "cross entropy of probabilities": _of_probabilities,
    TWICE: _twice_softmax,
    "cross entropy of labels + 1": lambda y, o: _of_logits(np.minimum(y + 1, o.shape[-1] - 1), o),
    "cross entropy of labels - 1": lambda y, o: _of_logits(np.maximum(y - 1, 0), o),
}
_OF_VALUES = {
    "squared error": lambda y, o: (y - o) ** 2,
    "half the squared error": lambda y, o: (y - o) ** 2 / 2,
    "absolute error": lambda y, o: np.abs(y - o),
    "Huber loss": _huber,
    "binary cross entropy of logits": _binary,
    "binary cross entropy of probabilities": lambda y, o: (
        -(y * np.log(np.clip(o, CLIP, 1 - CLIP)) + (1 - y) * np.log(np.clip(1 - o, CLIP, 1 - CLIP)))
    ),
    "squared error of logarithms": lambda y, o: (
        (np.log1p(np.maximum(y, 0)) - np.log1p(np.maximum(o, 0))) ** 2
    ),
}
_REDUCTIONS: dict[str, Callable[[np.ndarray], float]] = {
    "mean": lambda each: float(each.mean()),
    "sum": lambda each: float(each.sum()),
    "sum over the size of the batch": lambda each: float(each.sum() / len(each)),
}


def formulas(labels: np.ndarray, output: np.ndarray) -> Iterator[NamedLoss]:
    """The formulas that fit the shapes."""
    if labels.dtype.kind in "iu" and labels.shape == output.shape[:-1]:
        counts = _counts(labels, output)
        for name, of_each in _OF_LABELS.items():
            yield from _reduced(name, of_each)
            if not counts.all():
                yield NamedLoss(
                    f"{name}, mean without the ignored labels",
                    _composed(of_each, lambda each: float(each.sum() / counts.sum())),
                )
    if labels.shape == output.shape or labels.size == output.size:
        for name, of_each in _OF_VALUES.items():
            yield from _reduced(name, of_each)


def _with_share(share: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    return lambda labels, output: _smoothed(labels, output, share)


def _reduced(
    name: str, of_each: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> Iterator[NamedLoss]:
    for word, reduce in _REDUCTIONS.items():
        yield NamedLoss(f"{name}, {word}", _composed(of_each, reduce))


def _composed(
    of_each: Callable[[np.ndarray, np.ndarray], np.ndarray],
    reduce: Callable[[np.ndarray], float],
) -> Callable[[np.ndarray, np.ndarray], float]:
    return lambda labels, output: reduce(
        np.asarray(
            of_each(
                labels,
                output.reshape(
                    (*labels.shape, -1)
                    if labels.dtype.kind in "iu" and labels.ndim < output.ndim
                    else labels.shape
                ),
            )
        )
    )


def name_of(value: float, labels: np.ndarray, output: np.ndarray) -> NamedLoss | None:
    """The formula that gives the value, to within a rounding of float32; None if none does."""
    with np.errstate(all="ignore"):
        for formula in formulas(labels, output):
            try:
                computed = formula.of(labels, output)
            except (ValueError, IndexError):
                continue
            if abs(computed - value) <= 2.0**-24 * abs(value):
                return formula
    return _smoothing(value, labels, output)


def is_of_softmax(value: float, labels: np.ndarray, logits: np.ndarray) -> bool:
    """True if the value is a cross entropy that has applied softmax to the logits twice."""
    named = name_of(value, labels, logits)
    return named is not None and named.name.startswith(TWICE)


def _smoothing(value: float, labels: np.ndarray, output: np.ndarray) -> NamedLoss | None:
    """The mean cross entropy with the label smoothing that gives the value, if there is one."""
    if labels.dtype.kind not in "iu" or labels.shape != output.shape[:-1]:
        return None
    none, whole = (float(_smoothed(labels, output, share).mean()) for share in (0.0, 1.0))
    share = (value - none) / (whole - none) if whole != none else 0.0
    if not 0 < share < 1 or abs(share - round(share, 3)) > 2.0**-22:
        return None
    smoothed = _with_share(round(share, 3))
    name = f"cross entropy of logits, label smoothing {round(share, 3)}"
    return next(_reduced(name, smoothed))


def shift_of(a: np.ndarray, b: np.ndarray) -> Sequence[int]:
    """By how much whole labels differ."""
    return [int(each) for each in np.unique(b.astype(int) - a.astype(int))]
