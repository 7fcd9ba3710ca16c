"""Causes: what an optimizer does instead of what was expected, if a rule with one thing different does just that."""

import contextlib
import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from samestep.parity.measure import cases, nearest_wrong, wrong_rules
from samestep.parity.measure import verdict as verdicts
from samestep.parity.natives import deviations
from samestep.reference import Rule, dialects

from . import expected as standards
from .expected import Course, Tensor

TRIED = 16  # suspects, the nearest on the first tensor, are tried on all of them


class Suspect(NamedTuple):
    """A rule that goes wrong in a known way. ``stale``: it sees the gradient of the step before. ``factors`` multiply
    its learning rate."""

    words: str
    rule: Rule
    factors: list[float]
    stale: bool = False

    def trial(self, tensor: Tensor) -> nearest_wrong.TensorTrial:
        """What it sees of a tensor's trial."""
        gradients = standards.stale(tensor.gradients) if self.stale else tensor.gradients
        return nearest_wrong.TensorTrial(tensor.start, gradients, standards.rates(self.rule.lr, self.factors))


class Found(NamedTuple):
    """The nearest suspect, and whether it takes the same steps to within its own limit."""

    words: str
    distance: float
    fits: bool


def nearest(
    suspects: Sequence[Suspect], tensors: Sequence[Tensor], actual: Sequence[np.ndarray], ruler: Sequence[Course],
    dtype: str,
) -> Found | None:  # fmt: skip
    """Which suspect went where the optimizer went; ``ruler`` measures who is near. None if there is no suspect."""
    apart = functools.partial(_apart, actual=actual, ruler=ruler)
    suspects = [suspect for suspect in suspects if _takes(suspect.rule, tensors)]
    near = sorted(suspects, key=lambda suspect: apart(suspect, tensors[:1]).excess)[:TRIED]
    for suspect in suspects:  # those listed first are the plainer explanation
        if suspect in near and _fits(suspect, tensors, actual, dtype):
            return Found(suspect.words, 0.0, True)
    best = min((apart(suspect, tensors) for suspect in near), key=lambda wrong: wrong.excess, default=None)
    return Found(best.name, best.distance, False) if best else None


def _takes(rule: Rule, tensors: Sequence[Tensor]) -> bool:
    """Whether the rule moves tensors of these shapes: some move matrices alone."""
    try:
        for tensor in tensors:
            rule.start(tensor.start, np)
    except ValueError:
        return False
    return True


def _apart(
    suspect: Suspect, tensors: Sequence[Tensor], actual: Sequence[np.ndarray], ruler: Sequence[Course]
) -> nearest_wrong.Wrong:
    """How far the suspect is from where the optimizer went, on the one of ``tensors`` that tells best."""
    found = [
        nearest_wrong.held(suspect.words, suspect.rule, suspect.trial(tensor), went.astype(np.float64), bounds)
        for tensor, went, (_, bounds) in zip(tensors, actual, ruler, strict=False)
    ]
    return max(found, key=lambda wrong: wrong.excess)


def _fits(suspect: Suspect, tensors: Sequence[Tensor], actual: Sequence[np.ndarray], dtype: str) -> bool:
    for tensor, went in zip(tensors, actual, strict=True):
        try:
            expected, bounds = standards.course(suspect.rule, suspect.trial(tensor), dtype)
        except ArithmeticError:
            return False
        if not verdicts.compare(tensor.start, expected, went, bounds).holds:
            return False
    return True


def of_rule(rule: Rule, factors: list[float], dtype: str) -> list[Suspect]:
    """All that may have happened to the rule, the plainest first."""
    found = [Suspect(words, other, factors) for words, other in (*forms(rule), *mistakes(rule, dtype))]
    found += [
        Suspect(
            f"{rule!r} that sees the gradient of the step before, and at first the present one", rule, factors, True
        ),
        Suspect(f"{rule!r} that does not see its learning rate change", rule, [1.0] * len(factors)),
    ]
    return found + known(rule.lr, factors)


def forms(rule: Rule) -> Iterator[tuple[str, Rule]]:
    """The rule with one hyperparameter as somebody else has it: another place or kind, another dialect's default."""
    seen, other = {rule}, rule
    for name in rule.names():
        choices = type(rule).__dataclass_fields__[name].metadata.get("choices", ())
        for value in (*choices, *_defaults(rule, name)):
            with contextlib.suppress(ValueError):  # some do not go together, such as nesterov and dampening
                other = rule.replace(**{name: value})
            if other not in seen:
                seen.add(other)
                yield (
                    f"{other!r}, which has {name}={value!r} where {getattr(rule, name)!r} is expected{said(other)}",
                    other,
                )


def _defaults(rule: Rule, name: str) -> Iterator[float]:
    """What natives of this rule have by default for the hyperparameter."""
    for dialect in dialects.DIALECTS.values():
        for native in dialect.natives.values():
            for argument, field in native.arguments.items() if native.rule is type(rule) else ():
                value = native.defaults.get(argument)
                if field == name and isinstance(value, float) and value > 0:
                    yield value


def said(rule: Rule) -> str:
    """How a framework says the rule, if one can."""
    for name in ("pytorch", "keras"):
        try:
            return f", or {name}:{dialects.find(name).spell(rule)}"
        except dialects.Inexpressible:
            continue
    return ""


def mistakes(rule: Rule, dtype: str) -> Iterator[tuple[str, Rule]]:
    """The rule with a mistake that natives are known for, or that was made on purpose."""
    for deviation in deviations.DEVIATIONS:
        imitation = deviation.imitation
        if (
            deviation.dtype == dtype
            and type(rule).__name__ in deviation.sizes
            and imitation
            and imitation(rule) != rule
        ):
            yield f"{rule!r} as {deviation.dialect} takes it: {deviation.cause}", imitation(rule)
    for name, kind in wrong_rules.wrong_rules(type(rule).__name__).items():
        yield f"{rule!r} with a mistake ({name})", kind(**rule.to_dict())


def known(lr: float, factors: list[float]) -> list[Suspect]:
    """Every call that the suite tries, at this learning rate."""
    found = {dialects.read(call).replace(lr=lr): call for call in reversed(cases.CALLS)}
    return [Suspect(f"{rule!r}, as in {call}", rule, factors) for rule, call in reversed(found.items())]
