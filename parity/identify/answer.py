"""``samestep identify``: from an unknown optimizer to the rule that it computes."""

import dataclasses
import importlib.util
import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence

from samestep.parity.natives.deviations import DEVIATIONS
from samestep.parity.natives.interpretations import Interpretation
from samestep.parity.runners.specs import OptimizerSpec
from samestep.parity.runners.worker import Workshop
from samestep.reference import RULES, Adagrad, Rule, ScheduleFree

from .decimals import replace_if_allowed, round_values, simplify, text_length
from .equivalents import indistinguishable, rewrite
from .faint import faint, with_other_epsilons
from .family import TINY
from .faulty import explanation_by_a_fault
from .fit import FittedRule
from .judge import AcceptedRule, Judgement, TrialResult, is_close, judge, rounding_limits
from .native_calls import find_native, spell_calls
from .observe import BlackBox, Evidence, Observation, Run, gather
from .propose import COARSE_ROUNDINGS, coarse_muons, propose
from .refine import refine
from .signs import edges

CLOSE_TO_NATIVE = 1e-4  # a share of the path: nearer, it may be a native with an unknown deviation
PLACE_DIGITS = 6  # of fitted numbers: where they and the error agree, two fits are one
NEGLIGIBLE = 1.5 * TINY  # where a fitted number is taken to be zero
MOST_NATIVES = 8  # calls whose native is tried


@dataclasses.dataclass(frozen=True)
class Identity:
    """What an unknown optimizer computes.

    text: the optimizer as the user wrote it.
    home: its framework.
    dtypes: those in which it was run, the widest first.
    takes_vectors: False if only matrices were tried.
    rule: the rule that it follows, None if there is none.
    nearest: the rule that comes nearest, if ``rule`` is None; None if nothing comes near.
    explanation: what takes its steps on the designed gradients, if ``rule`` is None: a rule and
        what is done otherwise; empty if that is not known.
    results: those of ``rule`` or ``nearest`` on each trial.
    deviations: known causes of differences, by dtype.
    indistinguishable: other rules that hold as well.
    calls: by dialect, the call that means the rule, or why there is none.
    native: the framework's own optimizer that has equal bits, else "". Where there is one, the rule
        itself may be beyond its limit in some results.
    ignores_learning_rate: the steps are the same whatever the learning rate is set to.
    """

    text: str
    home: str
    dtypes: tuple[str, ...]
    takes_vectors: bool
    rule: Rule | None = None
    nearest: Rule | None = None
    explanation: str = ""
    results: tuple[TrialResult, ...] = ()
    deviations: dict[str, str] = dataclasses.field(default_factory=dict)
    indistinguishable: tuple[Rule, ...] = ()
    calls: dict[str, str] = dataclasses.field(default_factory=dict)
    native: str = ""
    ignores_learning_rate: bool = False

    @property
    def beyond(self) -> list[TrialResult]:
        """The results in which the optimizer leaves the limits of the rule, or of the nearest."""
        return [result for result in self.results if not result.holds]


def identify(
    spec: OptimizerSpec,
    run: Run | None = None,
    long: bool = True,
    kinds: Collection[type[Rule]] = RULES,
) -> Identity:
    """Run the optimizer, propose rules, and judge them.

    ``run`` runs an optimizer on trials, by default in a process of its own. ``long`` includes the
    trial of many steps. ``kinds`` are the rules to consider. ValueError if the optimizer cannot
    run, or if SciPy is missing.
    """
    if importlib.util.find_spec("scipy") is None:
        raise ValueError("identify needs SciPy, which is not installed; pip install scipy")
    if run is None:
        with Workshop() as workshop:
            return identify(spec, workshop.run_all, long, kinds)
    evidence = gather(BlackBox(spec, run), long)
    judgements: list[Judgement] = []
    for fitted in _without_repeats(propose(evidence, kinds)):
        judgements.append(_judge_fitted(fitted, evidence))
        if judgements[-1].holds:
            return _identified(evidence, judgements[-1])
    return _native_or_nearest(evidence, judgements)


def _without_repeats(proposals: Iterable[FittedRule]) -> Iterator[FittedRule]:
    """The fitted rules, of which fits from several starts may end at the same place."""
    places = set()
    for fitted in proposals:
        numbers = {name: f"{value:.{PLACE_DIGITS}g}" for name, value in fitted.numbers.items()}
        fields = {field: repr(getattr(fitted.rule, field)) for field in fitted.rule.names()}
        place = (type(fitted.rule), *{**fields, **numbers}.items(), f"{fitted.error:.1e}")
        if place not in places:
            places.add(place)
            yield fitted


def _judge_fitted(fitted: FittedRule, evidence: Evidence) -> Judgement:
    """The first of the ways to write a fitted rule that holds, else the nearest."""
    judgement = _judge_ways(fitted, evidence)
    fits_probes = len(judgement.results) > 1
    return _judge_closely(judgement, evidence) if fits_probes else judgement


def _judge_ways(fitted: FittedRule, evidence: Evidence) -> Judgement:
    dialect = evidence.dialect
    observations = evidence.observations
    if not fitted.names:
        return judge(fitted.rule, dialect, observations)
    limits = rounding_limits(Interpretation(fitted.rule), observations[0])
    judgements = []
    for rule in _ways_to_write(fitted, dialect):
        if rule is fitted.rule or is_close(rule, dialect, observations[0], limits):
            judgements.append(judge(rule, dialect, observations, fitted.names))
            if judgements[-1].holds:
                break
    return max(judgements, key=_progress)


def _judge_closely(judgement: Judgement, evidence: Evidence) -> Judgement:
    """The judgement on a rule with a trial of its own, or that on another epsilon if it fails."""
    rule = judgement.rule
    observations = _with_close_look(rule, evidence)
    if observations == evidence.observations:
        return judgement
    if judgement.holds:
        judgement = judge(rule, evidence.dialect, observations, judgement.fitted)
    if judgement.holds or faint(rule, evidence.dtypes[0]) is None:
        return judgement
    closest = observations[-1:]
    for changed in with_other_epsilons(rule, closest[0]):
        if judge(changed, evidence.dialect, closest).holds:
            second = judge(changed, evidence.dialect, observations, judgement.fitted)
            if second.holds:
                return second
    return judgement


def _with_close_look(rule: Rule, evidence: Evidence) -> list[Observation]:
    """All observations, and one that tells the numbers of this rule which those hardly show."""
    dtype = evidence.dtypes[0]
    trial = edges(rule) or faint(rule, dtype)
    if trial is None:
        return evidence.observations
    seen = Observation(trial, dtype, evidence.box.trajectory(trial, dtype))
    return [*evidence.observations, seen]


def _progress(judgement: Judgement) -> tuple[bool, int, float]:
    """The key of the best judgement: it holds, or it failed late, and by few limits."""
    return judgement.holds, len(judgement.results), -judgement.worst.verdict.excess


def _ways_to_write(fitted: FittedRule, dialect: str) -> list[Rule]:
    """Ways to write a fitted rule, the plainest first."""
    rounded = list(round_values(fitted.rule, fitted.names))
    rewritten = list(rewrite(fitted.rule, dialect))
    ways = [*rounded, *refine(fitted), *rewritten]
    if isinstance(fitted.rule, ScheduleFree):
        ways = [*rewritten, *rounded]
    if isinstance(fitted.rule, Adagrad):  # two numbers of few digits mean the same as one of many
        ways = sorted(ways, key=text_length)
    return [*ways, fitted.rule, *_without_negligible([*ways, fitted.rule], fitted.names)]


def _without_negligible(rules: Sequence[Rule], names: Sequence[str]) -> Iterator[Rule]:
    """The rules with zero for numbers that are almost zero, where there are any.

    An epsilon of zero is told from a tiny one only where a gradient is zero.
    """
    for rule in rules:
        tiny = [name for name in names if 0 < getattr(rule, name) <= NEGLIGIBLE]
        if tiny:
            zeroed = replace_if_allowed(rule, dict.fromkeys(tiny, 0.0))
            if zeroed:
                yield zeroed


def _identified(evidence: Evidence, judgement: Judgement) -> Identity:
    """The identity of an optimizer for which a rule holds."""
    allows = AcceptedRule(judgement, _with_close_look(judgement.rule, evidence)).allows
    simple = simplify(judgement.rule, allows, evidence.dialect)
    final = judge(simple, evidence.dialect, evidence.observations)
    if not final.holds:  # it is within the limits of the first rule, but not within its own
        final = judgement
    same = tuple(indistinguishable(final.rule, allows))
    identity = _with_rule(evidence, final)
    native = find_native(identity.calls, evidence)
    return dataclasses.replace(identity, indistinguishable=same, native=native)


def _with_rule(evidence: Evidence, judgement: Judgement) -> Identity:
    return dataclasses.replace(
        _blank(evidence),
        rule=judgement.rule,
        results=tuple(judgement.results),
        deviations=_known_causes(evidence, judgement),
        calls=spell_calls(judgement.rule),
    )


def _blank(evidence: Evidence) -> Identity:
    text = evidence.box.spec.text
    return Identity(text, evidence.home, evidence.dtypes, evidence.takes_vectors)


def _native_or_nearest(evidence: Evidence, judgements: Sequence[Judgement]) -> Identity:
    """The identity of an optimizer for which no rule holds.

    It may be a native that deviates from every rule: then that native has the same bits.
    """
    nearest = max(judgements, key=_nearness, default=None)
    rules = itertools.islice(_rules_of_natives(evidence, nearest), MOST_NATIVES)
    for rule in {str(spell_calls(rule)): rule for rule in rules}.values():
        native = find_native(spell_calls(rule), evidence)
        if native:
            judgement = judge(rule, evidence.dialect, evidence.observations)
            return dataclasses.replace(_with_rule(evidence, judgement), native=native)
    identity = _blank(evidence)
    if nearest:
        results = tuple(nearest.results)
        identity = dataclasses.replace(identity, nearest=nearest.rule, results=results)
    return dataclasses.replace(
        identity,
        explanation=explanation_by_a_fault(evidence, nearest.rule if nearest else None),
        ignores_learning_rate=evidence.ignores_learning_rate(),
    )


def _nearness(judgement: Judgement) -> tuple[int, float]:
    """The key of the nearest rule: it failed late, and by a small share of the path."""
    return len(judgement.results), -judgement.worst.verdict.distance


def _known_causes(evidence: Evidence, judgement: Judgement) -> dict[str, str]:
    """By dtype: the deviation with which the rule holds, or one that no rule can imitate."""
    name = type(judgement.rule).__name__
    causes = {}
    for deviation in DEVIATIONS:
        applies = deviation.dialect == evidence.dialect and name in deviation.sizes
        if applies and deviation.imitation is None and deviation.dtype in evidence.dtypes:
            causes[deviation.dtype] = deviation.cause
    failed = {result.dtype for result in judgement.results if not result.holds}
    for dtype, interpretation in judgement.interpretations.items():
        if interpretation.deviation and dtype not in failed:
            causes[dtype] = interpretation.deviation.cause
    return causes


def _rules_of_natives(evidence: Evidence, nearest: Judgement | None) -> Iterator[Rule]:
    """Rules whose native may have the optimizer's bits.

    They come from the nearest rule if it holds in a trial, or nearly.
    """
    if not evidence.takes_vectors:
        yield from coarse_muons(evidence.observations[0])
        return
    if nearest is None:
        return
    if len(nearest.results) > 1 or nearest.worst.verdict.distance <= CLOSE_TO_NATIVE:
        yield from itertools.islice(round_values(nearest.rule, nearest.fitted), COARSE_ROUNDINGS)
        pairs = zip(evidence.observations, nearest.results, strict=False)
        passed = [observation for observation, result in pairs if result.holds]
        if passed:
            yield from indistinguishable(nearest.rule, AcceptedRule(nearest, passed).allows)
