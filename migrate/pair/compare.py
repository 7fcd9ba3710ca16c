"""Compare a pair: read the programs, record A, judge B, look for causes."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samestep.migrate import map as maps
from samestep.migrate.pieces import Link
from samestep.reference.parts.part import restore

from . import repro
from .batches import batch_of_other
from .causes import explain, explain_all
from .findings import STAGES, Finding, Judgement
from .judge import Given, Judge
from .limits import Verdict
from .program import Program
from .record import Arrays, Record
from .recording import keras_side, pytorch_side
from .shared import PairError, users_code
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
            "first": self._plain(first) if first else None,
            "stages": {stage: self._of_stage(stage) for stage in STAGES},
            "findings": [
                self._plain(each)
                for each in self.judgement.findings
                if each.verdict is not Verdict.SAME
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
            "notes": self.judgement.notes,
            "free": [{"pytorch": a, "keras": b} for a, b in self.free],
            "facts": self.facts,
        }

    def _plain(self, finding: Finding) -> dict[str, Any]:
        """A finding as plain values; ``a`` is the place in the reference."""
        plain = {name: value for name, value in vars(finding).items() if name != "call"}
        for name in ("distance", "limit", "roundings"):
            value = float(plain[name])
            plain[name] = value if value < float("inf") else None
        plain["verdict"] = str(finding.verdict)
        if self.judgement.reference == "keras":
            plain["a"], plain["b"] = finding.b, finding.a
        return plain

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


def keras_judge(record: Record, program: Program, links: dict[str, Link]) -> Judge:
    """The live Keras side of a program in Keras' global dtype, to be judged against a record."""
    side = keras_side(program, record.targets)
    own = program.batch("keras") if _has_own_batch(program, record) else None
    judge = _judge(record, program, side, Given(own, None, links or _links_of(program)))
    if program.has("convert"):
        judge.given.converted = _converted(record, program, side)
        side.load(judge.start)
    return judge


def pytorch_judge(
    record: Record, program: Program, links: dict[str, Link], dtype: str = "float64"
) -> Judge:
    """The live PyTorch side of a program, to be judged against a record of the Keras side."""
    if program.has("convert"):
        raise PairError(
            "convert() makes Keras' weights of PyTorch's, so it is judged with PyTorch as the "
            "reference: leave --reference keras out, or convert() out of the file"
        )
    own = program.batch("pytorch") if program.has("batch") else None
    batch = own or batch_of_other(record, None)
    given = Given(own, None, links or _links_of(program))
    judge = _judge(record, program, pytorch_side(program, batch, dtype), given)
    if program.has("keras_model") and not record.facts.get("own batch"):
        given.batch = None  # the record has the same batch, in the layout of Keras
    return judge


def _judge(record: Record, program: Program, side: Any, given: Given) -> Judge:
    def make() -> Any:
        return stepper(side, program.optimizer(side.name), program.of_side(side.name, "clip"))

    judge = Judge(record, side, make, given)
    judge.stepper_of_a = _rule_of_a(record)
    return judge


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
    schedule = None
    if record.facts["schedule"]:
        schedule = restore(record.facts["schedule"])
    return RuleStepper(specs.rule(record.facts["rule"]), clipping, schedule)


@dataclass
class Options:
    """What a user may ask for: links of a map, to go on behind the first cause, and a script."""

    links: dict[str, Link] = field(default_factory=dict)
    until_same: bool = False
    repro: Path | None = None


def compare(record: Record, program: Program, options: Options | None = None) -> Comparison:
    """Judge the other side of a program against a record of one side.

    In float64; in float32 if a model cannot run in float64, and then the answer says so.
    PairError if the two cannot be compared.
    """
    options = options or Options()
    compare_in = {"pytorch": _with_keras_in, "keras": _with_pytorch_in}[record.side]
    reason = record.facts.get("why float32", "")
    if not reason:
        try:
            return compare_in("float64", record, program, options)
        except PairError as error:
            reason, first = str(error), error
    try:
        comparison = compare_in("float32", record, program, options)
    except PairError:
        if record.facts.get("why float32"):
            raise
        raise first from first.__cause__
    comparison.judgement.not_compared.append(
        "differences of less than 2^-17.5 of a value: a model cannot run in float64, so the pair "
        f"was judged in float32 ({reason.partition(chr(10))[0]})"
    )
    return comparison


def _with_keras_in(dtype: str, record: Record, program: Program, options: Options) -> Comparison:
    from .libraries import clear_session, keras_dtype

    clear_session()  # or the names of layers count on
    with keras_dtype(dtype):
        return _compare(keras_judge(record, program, options.links), options)


def _with_pytorch_in(dtype: str, record: Record, program: Program, options: Options) -> Comparison:
    return _compare(pytorch_judge(record, program, options.links, dtype), options)


def _compare(judge: Judge, options: Options) -> Comparison:
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
    facts = {**judge.record.facts, "tries": judge.search.tries, "seconds": judge.seconds}
    comparison.facts = {**facts, "dtype": judge.dtype}
    return comparison
