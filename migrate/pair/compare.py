"""Compare a pair: read the programs, record A, judge B, look for causes."""

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samestep.migrate import map as maps
from samestep.migrate.pieces import Link
from samestep.reference.parts.part import restore

from .limits import Verdict
from .program import Program
from .record import Arrays, Record
from .shared import PairError, users_code
from .stages import STAGES, Finding, Given, Judge, Judgement
from .steppers import RuleStepper, stepper


@dataclass
class Comparison:
    """The answer: what was compared, where the first difference is, and its cause."""

    judgement: Judgement
    links: dict[str, Link]
    causes: list[dict[str, Any]] = field(default_factory=list)
    free: list[tuple[float, float]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def same(self) -> bool:
        """True if nothing differs, or only by less than one rounding of float32."""
        return self.judgement.verdict is not Verdict.DIFFERENT

    def to_dict(self) -> dict[str, Any]:
        """The answer as plain values, for JSON."""
        first = self.judgement.first
        return {
            "same": self.same,
            "verdict": str(self.judgement.verdict),
            "first": _plain(first) if first else None,
            "stages": {stage: self._of_stage(stage) for stage in STAGES},
            "findings": [
                _plain(each) for each in self.judgement.findings if each.verdict is not Verdict.SAME
            ],
            "causes": self.causes,
            "map": [
                {
                    "keras": link.variable,
                    "pytorch": list(link.parameters),
                    "pieces": [str(piece) for piece in link.pieces],
                    "evidence": link.evidence,
                }
                for link in self.links.values()
            ],
            "not_compared": self.judgement.not_compared,
            "free": [{"pytorch": a, "keras": b} for a, b in self.free],
            "facts": self.facts,
        }

    def _of_stage(self, stage: str) -> dict[str, Any]:
        findings = self.judgement.of_stage(stage)
        verdicts = [each.verdict for each in findings]
        within = [each.roundings for each in findings if each.verdict is Verdict.SAME]
        return {
            "compared": len(findings),
            "different": verdicts.count(Verdict.DIFFERENT),
            "below float32": verdicts.count(Verdict.BELOW),
            "largest roundings": max(within, default=0.0),
        }


def _plain(finding: Finding) -> dict[str, Any]:
    plain = {name: value for name, value in vars(finding).items() if name != "call"}
    for name in ("distance", "limit", "roundings"):
        value = float(plain[name])
        plain[name] = value if value < float("inf") else None
    plain["verdict"] = str(finding.verdict)
    return plain


def keras_judge(record: Record, program: Program, links: dict[str, Link]) -> Judge:
    """The live Keras side of a program in Keras' global dtype, to be judged against a record."""
    import keras

    from .in_keras import KerasSide

    loss, _ = program.loss("keras", record.targets)
    model = program.model("keras")
    side = KerasSide(model, _in_dtype(loss, keras.config.floatx()))
    own = program.batch("keras") if _has_own_batch(program, record) else None
    given = Given(own, None, links or _links_of(program))

    def make() -> Any:
        return stepper(side, program.optimizer("keras"), program.of_side("keras", "clip"))

    judge = Judge(record, side, make, given)
    judge.stepper_of_a = _rule_of_a(record)
    if program.has("convert"):
        given.converted = _converted(record, program, side)
        side.load(judge.start)
    return judge


def _in_dtype(loss: Any, dtype: str) -> Any:
    """A Keras loss object computes in the dtype in which it was made; the copy has ``dtype``."""
    if not hasattr(loss, "_dtype_policy"):
        return loss
    import keras

    changed = copy.copy(loss)
    changed._dtype_policy = keras.dtype_policies.get(dtype)
    return changed


def _links_of(program: Program) -> dict[str, Link]:
    given = program.values.get("map")
    if given is None or callable(given):
        return {}
    try:
        return maps.parse(given, f"map of {program.origin}")
    except ValueError as error:
        raise PairError(str(error)) from error


def _has_own_batch(program: Program, record: Record) -> bool:
    if not program.has("batch"):
        return False
    if not program.has("torch_model"):  # a file of the Keras side alone
        return True
    return bool(record.facts.get("own batch"))


def _converted(record: Record, program: Program, side: Any) -> Arrays:
    """Keras' variables after the user's own conversion of A's weights."""
    import torch

    model = program.model("pytorch")
    before = record.steps[0].before
    with torch.no_grad():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if name in before:
                tensor.copy_(torch.from_numpy(before[name]))
    with users_code("convert()"):
        program.values["convert"](model, side.model)
    state: Arrays = side.state()
    return state


def _rule_of_a(record: Record) -> RuleStepper | None:
    """The rule and clipping of A's optimizer, if they are written in the record."""
    from samestep.parity.runners import specs

    if not record.facts.get("rule"):
        return None
    clipping = None
    if record.facts["clipping"]:
        clipping = restore(record.facts["clipping"])
    return RuleStepper(specs.rule(record.facts["rule"]), clipping)


@dataclass
class Options:
    """What a user may ask for: links of a map, to go on behind the first cause, and a script."""

    links: dict[str, Link] = field(default_factory=dict)
    until_same: bool = False
    repro: Path | None = None


def compare(record: Record, program: Program, options: Options | None = None) -> Comparison:
    """Judge the Keras side of a program against a record of the PyTorch side.

    In float64; in float32 if the Keras model cannot run in float64, and then the answer says so.
    PairError if the two cannot be compared.
    """
    options = options or Options()
    try:
        return _compare_in("float64", record, program, options)
    except PairError as error:
        try:
            comparison = _compare_in("float32", record, program, options)
        except PairError:
            raise error from error.__cause__
        comparison.judgement.not_compared.append(
            "differences of less than 2^-17.5 of a value: the Keras model cannot run in float64 "
            f"and was judged in float32 ({str(error).partition(chr(10))[0]})"
        )
        return comparison


def _compare_in(dtype: str, record: Record, program: Program, options: Options) -> Comparison:
    import keras

    from . import repro
    from .causes import explain, explain_all
    from .in_keras import keras_dtype

    keras.backend.clear_session()  # or the names of layers count on
    with keras_dtype(dtype):
        judge = keras_judge(record, program, options.links)
        judge.find_map()
        judgement = judge.judge()
        free = judge.free()
        if options.repro and judgement.first:
            try:
                repro.write(judge, judgement.first, options.repro)
            except PairError as error:
                judgement.not_compared.append(str(error))
        if options.until_same:
            causes, _ = explain_all(judge, judgement)
        else:
            cause = explain(judge, judgement)
            causes = [cause] if cause else []
    comparison = Comparison(judgement, judge.links, [each.to_dict() for each in causes], free)
    comparison.facts = {**record.facts, "tries": judge.search.tries, "seconds": judge.seconds}
    comparison.facts["dtype"] = dtype
    return comparison
