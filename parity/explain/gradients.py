"""Hypotheses about gradients: late, repeated, clipped, scaled, rounded, or collected."""

from collections.abc import Callable, Iterator

import numpy as np

from samestep.parity.measure.bounded import ROUNDOFF
from samestep.parity.measure.dtypes import numpy_dtype
from samestep.parity.measure.trial import Trial

from .hypothesis import Hypothesis, Proposals, Unknown
from .simulation import Arrays
from .suspect import Suspect, except_that

FACTORS = tuple(float(x) for x in np.logspace(-12, 12, 49))
CLIPPING = tuple(float(x) for x in np.logspace(-10, 3, 157))
COLLECTED = (2, 3, 4, 5, 6, 8, 10, 16, 32)  # gradients that are collected before a step
WINDOWED = ("a mean", "a sum")
LEAST_SCALE = 8.0  # of a loss scale that a limit may hide

Rounded = tuple[np.ndarray, np.ndarray]  # gradients, and bounds on their rounding
Change = Callable[[np.ndarray, float], Rounded]  # of gradients (steps, *shape) and a roundoff
Changed = tuple[Arrays, Arrays]
"""New gradients by tensor, (steps, *shape), and bounds on their rounding."""


def proposals(suspect: Suspect) -> Proposals:
    """All hypotheses about gradients, the likely ones first."""
    yield from _timing(suspect)
    yield from _transformed(suspect)
    yield from _collected(suspect)
    yield from _numbers(suspect)


def _timing(suspect: Suspect) -> Iterator[Hypothesis]:
    rule = suspect.rule
    for fault, stage, trial in _changed_trials(suspect.trial, suspect.step - 1):
        yield Hypothesis(except_that(rule, fault), stage, rule, trial)
    turned = rule.replace(maximize=not rule.maximize)
    text = except_that(rule, "takes the gradient with the other sign")
    yield Hypothesis(text, "gradient", turned, suspect.trial)


def _changed_trials(trial: Trial, at: int) -> Iterator[tuple[str, str, Trial]]:
    """Other gradients, or other steps, than the trial has; ``at`` is the step at fault, from 0."""
    late = _with_gradients(trial, lambda step: max(step - 1, 0))
    before = "takes at each step the gradient of the step before"
    yield (
        f"{before}, and nothing at the first",
        "gradient",
        late.replace(present=_without_steps(trial, [0])),
    )
    yield f"{before}, and at first the present one", "gradient", late
    if at:
        number = at + 1
        again = _with_gradients(trial, lambda step: step - 1 if step == at else step)
        for_ever = _with_gradients(trial, lambda step: min(step, at - 1))
        one_behind = _with_gradients(trial, lambda step: step - 1 if step >= at else step)
        yield f"takes the gradient of step {at} again at step {number}", "gradient", again
        yield (
            f"takes the gradient of step {at} at every step from {number} on",
            "gradient",
            for_ever,
        )
        yield (
            f"takes, from step {number} on, the gradient of the step before",
            "gradient",
            one_behind,
        )
    left_out = trial.replace(present=_without_steps(trial, [at]))
    yield f"leaves out step {at + 1}, without counting it", "update", left_out
    every = list(range(at, trial.steps, at + 1))
    if len(every) > 1 and at:
        several = trial.replace(present=_without_steps(trial, every))
        yield f"leaves out every step number {at + 1}, without counting it", "update", several


def _without_steps(trial: Trial, steps: list[int]) -> dict[str, np.ndarray]:
    """At which steps a tensor has a gradient, if it has none at these steps, from 0."""
    taken = ~np.isin(np.arange(trial.steps), steps)
    return {name: present & taken for name, present in trial.present.items()}


def _with_gradients(trial: Trial, which: Callable[[int], int]) -> Trial:
    """The trial with the gradient of step ``which(step)`` at each step, from 0."""
    taken = [which(step) for step in range(trial.steps)]
    return trial.replace(gradients={name: array[taken] for name, array in trial.gradients.items()})


def _transformed(suspect: Suspect) -> Iterator[Hypothesis]:
    """Each gradient is another function of the right one, without a number."""
    dtype = suspect.dtype
    for name in ("bfloat16", "float16"):
        rounded = {
            tensor: _rounded(array, name) for tensor, array in suspect.trial.gradients.items()
        }
        yield _with_new(suspect, f"rounds every gradient to {name}", (rounded, {}))
    for fault, change in (
        ("subtracts its mean from every gradient", _centred),
        ("subtracts the mean over all axes but the last from every gradient", _centred_columns),
        ("subtracts the mean over all axes but the first from every gradient", _centred_rows),
        (f"divides every gradient by its norm{_or_clips(suspect.trial)}", _normalized),
        ("takes the sign of every gradient alone", _signs),
    ):
        changed = _each(suspect.trial, change, dtype)
        yield _with_new(suspect, fault, changed)


def _with_new(suspect: Suspect, fault: str, changed: Changed) -> Hypothesis:
    gradients, errors = changed
    return Hypothesis(
        except_that(suspect.rule, fault),
        "gradient",
        suspect.rule,
        suspect.trial.replace(gradients=gradients, sparse={}),
        gradient_errors=errors,
    )


def _rounded(array: np.ndarray, dtype: str) -> np.ndarray:
    with np.errstate(over="ignore", under="ignore"):
        return array.astype(np.float32).astype(numpy_dtype(dtype)).astype(np.float64)


def _each(trial: Trial, change: Change, dtype: str) -> Changed:
    """Every gradient after a change, with the rounding of the change."""
    gradients = {}
    errors = {}
    with np.errstate(all="ignore"):
        for name, array in trial.gradients.items():
            gradients[name], errors[name] = change(array, ROUNDOFF[dtype])
    return gradients, errors


def _centred(g: np.ndarray, unit: float, axes: tuple[int, ...] | None = None) -> Rounded:
    axes = tuple(range(1, g.ndim)) if axes is None else axes
    if not axes:
        centred = np.zeros_like(g) if axes is None else g
        return centred, np.zeros_like(g)
    count = int(np.prod([g.shape[axis] for axis in axes]))
    mean = g.mean(axis=axes, keepdims=True)
    size = np.abs(g).mean(axis=axes, keepdims=True)
    return g - mean, unit * ((count + 1) * size + np.abs(g - mean))


def _centred_columns(g: np.ndarray, unit: float) -> Rounded:
    return _centred(g, unit, tuple(range(1, g.ndim - 1)))


def _centred_rows(g: np.ndarray, unit: float) -> Rounded:
    return _centred(g, unit, tuple(range(2, g.ndim)))


def _norms(g: np.ndarray) -> np.ndarray:
    """The norm of the gradient of each step, (steps, 1, ...)."""
    return np.sqrt(np.square(g).sum(axis=tuple(range(1, g.ndim)), keepdims=True))


def _rounding_of_norm(elements: int, unit: float) -> float:
    """How far, as a share, rounding can move a gradient that is multiplied by a limit over a norm.

    The squares and their sum count half, because of the root; root, quotient and product follow.
    """
    return unit * ((elements + 1) / 2 + 3)


def _normalized(g: np.ndarray, unit: float) -> Rounded:
    scaled = g / _norms(g)
    return scaled, _rounding_of_norm(g[0].size, unit) * np.abs(scaled)


def _or_clips(trial: Trial) -> str:
    """What else has the same gradients if no norm of the trial is below 1, as the end of a
    sentence.
    """
    with np.errstate(all="ignore"):
        is_long = all(bool((_norms(array) >= 1).all()) for array in trial.gradients.values())
    return ", or clips the norm of each gradient to 1" if is_long else ""


def _signs(g: np.ndarray, unit: float) -> Rounded:
    return np.sign(g), np.zeros_like(g)


def _collected(suspect: Suspect) -> Iterator[Hypothesis]:
    """A step is taken only after several gradients."""
    trial = suspect.trial
    for count in COLLECTED:
        if count > trial.steps:
            break
        skipped = [step for step in range(trial.steps) if (step + 1) % count]
        present = _without_steps(trial, skipped)
        for kind in WINDOWED:
            gradients = {}
            errors = {}
            for name, array in trial.gradients.items():
                sums = _windowed_sums(array, count)
                gradients[name] = sums / count if kind == "a mean" else sums
                magnitudes = _windowed_sums(np.abs(array), count)
                errors[name] = count * ROUNDOFF[suspect.dtype] * magnitudes
            changed = trial.replace(gradients=gradients, present=present, sparse={})
            fault = f"takes a step only after every {count} gradients, on {kind} of them"
            text = except_that(suspect.rule, fault)
            yield Hypothesis(text, "gradient", suspect.rule, changed, gradient_errors=errors)


def _windowed_sums(array: np.ndarray, count: int) -> np.ndarray:
    """The sum of each gradient with those before it in its window."""
    sums = array.copy()
    for step in range(1, len(array)):
        if step % count:
            sums[step] += sums[step - 1]
    return sums


def _numbers(suspect: Suspect) -> Proposals:
    """Changes of gradients with a number: a factor, or a limit."""
    rule = suspect.rule
    dtype = suspect.dtype

    def scaled(factor: float, trial: Trial) -> Hypothesis | None:
        if factor == 1:
            return None
        gradients = {name: factor * array for name, array in trial.gradients.items()}
        errors = {name: ROUNDOFF[dtype] * np.abs(array) for name, array in gradients.items()}
        changed = trial.replace(gradients=gradients, sparse={})
        text = except_that(rule, _factor_text(factor))
        return Hypothesis(text, "gradient", rule, changed, gradient_errors=errors)

    yield Unknown(scaled, FACTORS)
    for what, clip in (
        ("the norm of each gradient", _clipped_by_norm),
        ("the common norm of all gradients", _clipped_by_global_norm),
        ("every element of a gradient", _clipped_by_value),
    ):
        yield Unknown(_clipping(suspect, what, clip), CLIPPING)


def _factor_text(factor: float) -> str:
    if factor > 1:
        reason = "a loss scale that is not divided out, or a sum in place of a mean"
        return f"multiplies every gradient by {_number(factor)}, as {reason} does"
    reason = "a loss scale that is divided out twice, or a mean in place of a sum"
    if (1 / factor).is_integer() or float(f"{1 / factor:.6g}").is_integer():
        return f"divides every gradient by {_number(round(1 / factor))}, as {reason} does"
    return f"multiplies every gradient by {_number(factor)}, as {reason} does"


def _number(number: float) -> str:
    return f"{int(number)}" if float(number).is_integer() and number < 1e16 else repr(number)


Clip = Callable[[Trial, float, str], Changed]


def _clipping(
    suspect: Suspect, what: str, clip: Clip
) -> Callable[[float, Trial], Hypothesis | None]:
    """Hypotheses for ``Unknown``: gradients are clipped to a limit."""

    def clipped(limit: float, trial: Trial) -> Hypothesis | None:
        if limit <= 0:
            return None
        gradients, errors = clip(trial, limit, suspect.dtype)
        changed = trial.replace(gradients=gradients, sparse={})
        fault = f"clips {what} to {_number(limit)}{_hidden_scale(limit)}"
        text = except_that(suspect.rule, fault)
        return Hypothesis(text, "gradient", suspect.rule, changed, gradient_errors=errors)

    return clipped


def _hidden_scale(limit: float) -> str:
    """What a limit of 1 over a power of two means, as the end of a sentence."""
    for plain in (1.0, 5.0, 0.5, 0.1, 10.0):
        scale = plain / limit
        if scale >= LEAST_SCALE and np.log2(scale).is_integer():
            return (
                f", as clipping to {_number(plain)} before a loss scale of {_number(scale)} is "
                "divided out does"
            )
    return ""


def _clipped_by_norm(trial: Trial, limit: float, dtype: str) -> Changed:
    def clip(g: np.ndarray, unit: float) -> Rounded:
        factors = np.minimum(1.0, limit / _norms(g))
        rounding = _rounding_of_norm(g[0].size, unit) * (factors < 1)
        return g * factors, rounding * np.abs(g * factors)

    return _each(trial, clip, dtype)


def _clipped_by_global_norm(trial: Trial, limit: float, dtype: str) -> Changed:
    squares = np.zeros(trial.steps)
    for name, array in trial.gradients.items():
        squares += trial.present[name] * np.square(_norms(array)).reshape(-1)
    with np.errstate(all="ignore"):
        factors = np.minimum(1.0, limit / np.sqrt(squares))
    elements = sum(start.size for start in trial.start.values())

    def clip(g: np.ndarray, unit: float) -> Rounded:
        of_steps = factors.reshape(-1, *[1] * (g.ndim - 1))
        rounding = _rounding_of_norm(elements, unit) * (of_steps < 1)
        return g * of_steps, rounding * np.abs(g * of_steps)

    return _each(trial, clip, dtype)


def _clipped_by_value(trial: Trial, limit: float, dtype: str) -> Changed:
    def clip(g: np.ndarray, unit: float) -> Rounded:
        clipped = np.clip(g, -limit, limit)
        return clipped, unit * np.abs(clipped)

    return _each(trial, clip, dtype)
