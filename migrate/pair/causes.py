"""Why the first difference is there: by exchange, or by telling what a value is.

A cause is reported only if the finding is gone once it is exchanged, or if two formulas are
identified from their numbers. Otherwise the answer is that none of the known causes explains it.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from samestep.reference import Rule

from . import named_losses, optimizer_text
from .batches import batch_of_other
from .direction import Direction
from .exchange import Exchange, applied
from .findings import MOVE_TOGETHER, OTHER_INPUT, Finding, Judgement
from .judge import Judge
from .layouts import digest, is_close
from .limits import Verdict, measure
from .record import Call, leaves
from .shared import TITLES, Batch, PairError, UserError
from .steppers import RuleStepper, Stepper
from .wrong_copies import wrong_copies

NONE_KNOWN = "none known"
BY_LAYER = ("forward", "backward", "parameter gradients", "buffers after")
BY_OPTIMIZER = ("clip", "weights after", "optimizer state")
MOST_CAUSES = 10


@dataclass
class Cause:
    """A cause of a finding, for readers, and what exchanges it.

    ``enter`` puts the exchange in place until the stack is closed; None if it cannot be exchanged.
    ``tried`` are the texts of exchanges that did not remove the finding.
    """

    text: str
    finding: Finding
    convention: str = ""
    tried: list[str] = field(default_factory=list)
    enter: Callable[[ExitStack], None] | None = None

    @property
    def is_known(self) -> bool:
        """False if no known cause explains the finding."""
        return self.text != NONE_KNOWN

    def to_dict(self) -> dict[str, Any]:
        """The cause as plain values."""
        distance = self.finding.distance
        return {
            "text": self.text,
            "known": self.is_known,
            "stage": self.finding.stage,
            "step": self.finding.step,
            "a": self.finding.a,
            "b": self.finding.b,
            "convention": self.convention,
            "distance": distance if np.isfinite(distance) else None,
            "tried": self.tried,
        }


def explain(judge: Judge, judgement: Judgement) -> Cause | None:
    """The cause of the first difference; None if nothing differs."""
    finding = judgement.first
    if finding is None:
        return None
    for find in (_of_map, _of_weights, _of_batch, _of_loss, _of_layer, _of_optimizer):
        cause = find(judge, judgement, finding)
        if cause is not None:
            return cause
    return Cause(NONE_KNOWN, finding)


def explain_all(judge: Judge, judgement: Judgement) -> tuple[list[Cause], Judgement]:
    """Exchange each cause and judge again, until nothing differs or a cause stays unknown."""
    causes: list[Cause] = []
    last = judgement
    with ExitStack() as stack:
        while len(causes) < MOST_CAUSES:
            cause = explain(judge, last)
            if cause is None:
                break
            causes.append(cause)
            if cause.enter is None:
                break
            cause.enter(stack)
            last = judge.judge()
    return causes, last


def _gone(judge: Judge, finding: Finding) -> bool:
    """True if the finding no longer differs in a fresh judgement of its step."""
    judgement = judge.judge_step(finding.step - 1)
    again = [each for each in judgement.findings if each.is_at(finding)]
    return bool(again) and all(each.verdict is not Verdict.DIFFERENT for each in again)


def _of_map(judge: Judge, judgement: Judgement, finding: Finding) -> Cause | None:
    if finding.stage != "map":
        return None
    if finding.kind == "tied":
        return Cause(
            f"{finding.a} is one parameter in PyTorch, but {finding.b} are two variables in Keras: "
            "let the two layers share one variable",
            finding,
            "tied-weights",
        )
    if finding.kind == "ambiguous":
        return Cause(
            f"the map needs a line for {finding.b}: --map map.toml writes what was found, and "
            "reads what you change",
            finding,
        )
    if finding.kind == "shape":
        return Cause(f"the shapes differ: {finding.note}", finding)
    name, side = (
        (finding.a, "Keras")
        if finding.kind == "missing in keras"
        else (
            finding.b,
            "PyTorch",
        )
    )
    others = [each for each in judgement.of_stage("map") if each.kind.startswith("missing")]
    several = f", nor have {len(others) - 1} more parameters" if len(others) > 1 else ""
    return Cause(
        f"{name} has no twin in {side}{several}: the models do not have the same layers, or the "
        "map needs a line (--map map.toml)",
        finding,
    )


def _of_weights(judge: Judge, judgement: Judgement, finding: Finding) -> Cause | None:
    if finding.stage != "weights":
        return None
    given = judge.given.converted
    assert given is not None
    equal: list[str] = []
    tried: list[str] = []
    for name, array in wrong_copies(judge, finding.b):
        fits = array.shape == given[finding.b].shape and np.array_equal(array, given[finding.b])
        (equal if fits else tried).append(name)
    text = NONE_KNOWN
    if equal:
        text = f"convert() copies {finding.a} to {finding.b} {', or '.join(equal)}"

    def enter(stack: ExitStack) -> None:
        judge.given.converted = None

    return Cause(text, finding, "", tried if text == NONE_KNOWN else [], enter)


def _of_batch(judge: Judge, judgement: Judgement, finding: Finding) -> Cause | None:
    if finding.stage != "batch":
        return None
    word, _, number = finding.a.partition(" ")
    index = int(number or 0)

    def array_of(batch: Batch) -> np.ndarray:
        return np.asarray(leaves(getattr(batch, word))[index], np.float64)

    of_pytorch, of_keras = judge.batches()
    a, b, raw = array_of(judge.expected_batch()), array_of(of_keras), array_of(of_pytorch)
    text = _relation(a, b, raw) or NONE_KNOWN

    def enter(stack: ExitStack) -> None:
        judge.given.batch = None
        judge.batch = batch_of_other(judge.record, judge.side.model)

    return Cause(text, finding, "", [], enter)


def _relation(a: np.ndarray, b: np.ndarray, raw: np.ndarray) -> str:
    """How Keras' array is made of PyTorch's, in words; empty if it cannot be said."""
    if a.shape != b.shape:
        return f"the shapes differ: PyTorch's batch makes {a.shape}, Keras' has {b.shape}"
    if raw.size == b.size and np.array_equal(raw.reshape(b.shape), b):
        return "Keras' batch is reshaped where it must be transposed"
    if a.ndim > 1 and np.array_equal(a[..., ::-1], b):
        return "Keras' channels are in the opposite order (BGR for RGB)"
    if np.array_equal(np.sort(a, axis=None), np.sort(b, axis=None)):
        return "Keras' batch has the same values in another order"
    present = a != 0
    if not np.any(present):
        return ""
    ratios = b[present] / a[present]
    if np.ptp(ratios) <= 2.0**-20 * abs(np.median(ratios)):
        return f"Keras' batch is {np.median(ratios):.6g} times PyTorch's"
    shifts = np.unique(b - a)
    if len(shifts) == 1:
        return f"Keras' batch is PyTorch's plus {shifts[0]:.6g}"
    return _by_channel(a, b) if a.ndim > 1 else ""


def _by_channel(a: np.ndarray, b: np.ndarray) -> str:
    """Scale and shift of each channel, if that explains everything."""
    flat_a, flat_b = a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])
    scales, shifts = [], []
    for channel in range(flat_a.shape[1]):
        slope, shift = np.polyfit(flat_a[:, channel], flat_b[:, channel], 1)
        fitted = slope * flat_a[:, channel] + shift
        size = np.max(np.abs(flat_b[:, channel]))
        if np.max(np.abs(fitted - flat_b[:, channel])) > 2.0**-18 * size:
            return ""
        scales.append(round(float(slope), 6))
        shifts.append(round(float(shift), 6))
    return f"Keras' batch is PyTorch's times {scales} plus {shifts}, by channel"


def _of_loss(judge: Judge, judgement: Judgement, finding: Finding) -> Cause | None:
    if finding.stage not in ("loss", "gradient of the output"):
        return None
    a, b = judge.direction.sides(judge.record.steps[0], judge.last)
    labels_a, labels_b = (_labels(batch.targets) for batch in judge.batches())
    if labels_a is None or labels_b is None or len(a.outputs) != 1 or len(b.outputs) != 1:
        return None
    output_a = a.outputs[0]
    if labels_a.dtype.kind in "iu" and output_a.ndim == labels_a.ndim + 1:
        last = output_a.shape[:-1] == labels_a.shape
        output_a = output_a if last else np.moveaxis(output_a, 1, -1)
    of_a = named_losses.name_of(a.loss, labels_a, output_a)
    of_b = named_losses.name_of(b.loss, labels_b, b.outputs[0])
    without = named_losses.name_of(b.loss - b.added_loss, labels_b, b.outputs[0])
    text = ""
    if b.added_loss and of_a and without and without.name == of_a.name:
        text = (
            f"Keras adds {b.added_loss:.4g} of its layers' own losses (regularizers): add them in "
            "PyTorch, too, or use weight decay of twice the factor"
        )
    elif of_a and of_b and of_a.name != of_b.name:
        text = f"the loss is {of_a.name}, in PyTorch, and {of_b.name}, in Keras"
    elif of_a and of_b and named_losses.is_of_softmax(b.loss, labels_b, output_a):
        text = (
            "Keras applies softmax twice, in the model and in the loss: leave it out of the model, "
            "or write from_logits=False"
        )
    elif of_a and of_b and named_losses.is_of_softmax(a.loss, labels_a, b.outputs[0]):
        text = (
            "PyTorch applies softmax twice, in the model and in cross entropy: leave it out of "
            "the model"
        )
    if not text and b.loss and (factor := _whole_ratio(a.loss / b.loss)):
        text = f"PyTorch's loss is {factor} times Keras'"
    if not text and labels_a.shape == labels_b.shape and np.any(labels_a != labels_b):
        shift = named_losses.shift_of(labels_a, labels_b)
        text = f"Keras' labels differ from PyTorch's by {shift}"
    if not text and (of_a or of_b):
        known = f"PyTorch's is {of_a.name}" if of_a else f"Keras' is {of_b.name}" if of_b else ""
        return Cause(NONE_KNOWN, finding, "", [f"{known}; the other is none of the known losses"])
    if not text:
        return None
    return Cause(text, finding, "l2" if b.added_loss else "", [], _exchange_loss(judge))


def _whole_ratio(ratio: float) -> str:
    """The ratio in words, if it or its inverse is a whole number above 1; else empty."""
    for number, text in ((ratio, "{}"), (1 / ratio if ratio else 0.0, "1/{}")):
        nearest = round(number)
        if nearest > 1 and abs(number - nearest) <= 2.0**-22 * nearest:
            return text.format(nearest)
    return ""


def _exchange_loss(judge: Judge) -> Callable[[ExitStack], None]:
    """Later stages are judged with the gradients that A's loss gives at the output."""

    def enter(stack: ExitStack) -> None:
        stack.callback(setattr, judge, "take_loss_of_a", judge.take_loss_of_a)
        judge.take_loss_of_a = True

    return enter


def _labels(targets: Any) -> np.ndarray | None:
    arrays = leaves(targets)
    return arrays[0] if len(arrays) == 1 else None


def _of_layer(judge: Judge, judgement: Judgement, finding: Finding) -> Cause | None:
    if finding.stage not in BY_LAYER:
        return None
    b = _call_of(judge, finding)
    if b is None:
        text = _lost_last(judge) if finding.a == "output" else ""
        return Cause(text, finding) if text else None
    twins = judge.twins_of_b()
    if b.index not in twins:
        return None
    calls = judge.direction.sides(judge.record.steps[0].calls[twins[b.index]], b)
    layer = judge.layer_of(b)
    tried: list[str] = []
    if row := _padding_row(judge, finding, calls[0]):
        return Cause(row, finding, "embedding")
    if layer is not None:
        for exchange in judge.side.known_differences(*calls, layer):
            failure = ""
            try:
                if _removes(judge, finding, layer, exchange):
                    return _known_cause(judge, judgement, finding, exchange)
            except UserError as error:
                failure = f" (could not be tried: {error})"
            tried.append(exchange.text.partition(":")[0] + failure)
    text = _without_exchange(judge, finding, calls)
    return Cause(text or NONE_KNOWN, finding, "", [] if text else tried)


def _known_cause(judge: Judge, judgement: Judgement, finding: Finding, exchange: Exchange) -> Cause:
    """The cause, with all other layers in which the same two settings meet.

    Those in which something differs at this stage are counted.
    """
    by_layer: dict[int, tuple[Any, Exchange]] = {}
    for layer, other in _all_exchanges(judge):
        if other.text == exchange.text:
            by_layer.setdefault(id(layer), (layer, other))
    places = list(by_layer.values())
    text = exchange.text
    differing = _layers_that_differ(judge, judgement, finding)
    count = len(differing & set(by_layer))
    if count > 1:
        text += f" (in {count} layers)"

    def enter(stack: ExitStack) -> None:
        for layer, other in places:
            stack.enter_context(applied(layer, other))

    return Cause(text, finding, exchange.convention, [], enter)


def _all_exchanges(judge: Judge) -> Iterator[tuple[Any, Exchange]]:
    """Every exchange of every layer that has a twin."""
    seen: set[int] = set()
    for j, i in judge.alignment.twin.items():
        layer = judge.layer_of(judge.last.calls[j])
        if layer is None or id(layer) in seen:
            continue
        seen.add(id(layer))
        calls = judge.record.steps[0].calls[i], judge.last.calls[j]
        for exchange in judge.side.known_differences(*judge.direction.sides(*calls), layer):
            yield layer, exchange


def _layers_that_differ(judge: Judge, judgement: Judgement, finding: Finding) -> set[int]:
    """The ids of live layers that differ where the finding does: at its stage and step."""
    ids = set()
    for each in judgement.different:
        call = _call_of(judge, each)
        if call is not None and (each.stage, each.step) == (finding.stage, finding.step):
            ids.add(id(judge.layer_of(call)))
    return ids


def _removes(judge: Judge, finding: Finding, layer: Any, exchange: Exchange) -> bool:
    """True if the finding is gone under the exchange.

    One that does not fit the layer's shapes, or changes which calls are made, is no cause. Any
    other failure inside the model is raised as UserError.
    """
    try:
        with applied(layer, exchange):
            return _gone(judge, finding)
    except UserError as error:
        if _is_about_shapes(error.__cause__):
            return False
        raise
    except PairError:
        return False


def _is_about_shapes(error: BaseException | None) -> bool:
    """True for what PyTorch, Keras and TensorFlow raise where shapes or sizes do not fit."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"ValueError", "RuntimeError", "OpError"})


def _call_of(judge: Judge, finding: Finding) -> Call | None:
    """B's call that a finding is about: its own, or that of the variable's layer."""
    calls = judge.last.calls
    if finding.call is not None and finding.call < len(calls):
        return calls[finding.call]
    link = judge.links.get(finding.b)
    names = set(judge.direction.made_by(link)) if link else {finding.b}
    for call in calls:
        if names & set(call.parameters.values()) and call.index in judge.alignment.twin:
            return call
    return None


def _lost_last(judge: Judge) -> str:
    """Whose last layer has no twin, in words."""
    for side, other in (("keras", "pytorch"), ("pytorch", "keras")):
        calls = judge.last.calls if side == judge.side.name else judge.record.steps[0].calls
        lost = judge.lost_before(side, len(calls))
        theirs = judge.record.steps[0] if side == judge.side.name else judge.last
        if lost and lost is calls[-1] and _is_given(theirs.outputs, lost.inputs):
            return f"{TITLES[side]} has {_in_words(lost)} at its end, {TITLES[other]} has not"
    return ""


def _is_given(of_one: Sequence[np.ndarray], of_other: Sequence[np.ndarray]) -> bool:
    """True if both have an array of the same values, in any order."""
    known = [digest(array) for array in of_other]
    pairs = itertools.product(map(digest, of_one), known)
    return any(is_close(array, each) for array, each in pairs)


def _in_words(call: Call) -> str:
    """A call by its name, and by what it does where the name does not say it."""
    detail = call.detail or call.kind
    return call.name if detail in call.name.lower() else f"{call.name} ({detail})"


def _padding_row(judge: Judge, finding: Finding, a: Call) -> str:
    """The row of an embedding that PyTorch never moves, if the gradients differ in it alone."""
    row = a.settings.get("padding_idx")
    if finding.stage != "parameter gradients" or a.kind != "embedding" or row is None:
        return ""
    in_pytorch, in_keras = judge.direction.sides(judge.record.steps[0], judge.last)
    gradient = judge.links[finding.b].carry_gradient(in_pytorch.gradients)
    theirs = in_keras.gradients.get(finding.b)
    if gradient is None or theirs is None:
        return ""
    theirs = theirs.copy()
    theirs[row] = gradient[row]
    if measure(gradient, theirs, 0.0).verdict is Verdict.DIFFERENT:
        return ""
    return f"padding_idx={row} in PyTorch: that row has no gradient and never moves; Keras' does"


def _without_exchange(judge: Judge, finding: Finding, calls: tuple[Call, Call]) -> str:
    """What can be said of a finding at a layer that no exchange explains."""
    a, b = calls
    if finding.kind.startswith("missing"):
        side = "Keras" if finding.kind == "missing in keras" else "PyTorch"
        return (
            f"{side} has no gradient there: it stops the gradient, or holds the weight fixed, and "
            "the other side does not"
        )
    if finding.stage == "forward" and finding.kind == OTHER_INPUT:
        lost = judge.lost_before("pytorch", a.index)
        if lost and _is_given(b.inputs, lost.inputs):
            return f"Keras has no {_in_words(lost)} before it, which PyTorch has"
        more = judge.lost_before("keras", b.index)
        if more and _is_given(a.inputs, more.inputs):
            return f"PyTorch has no {_in_words(more)} before it, which Keras has"
        return (
            f"its input is not what {a.name} gets in PyTorch: the order of layers, or something "
            "between them, differs"
        )
    return ""


def _of_optimizer(judge: Judge, judgement: Judgement, finding: Finding) -> Cause | None:
    if finding.stage not in BY_OPTIMIZER:
        return None
    link = judge.links.get(finding.b)
    if link and finding.note == MOVE_TOGETHER:
        return Cause(
            f"PyTorch trains {len(link.parameters)} biases whose sum is {finding.b}, so it moves "
            f"{len(link.parameters)} times as far: hold {link.parameters[-1]} at 0 with "
            "requires_grad_(False)",
            finding,
            "lstm-two-biases",
        )
    rates = judge.rates.get(finding.step, (None, None))
    made = (judge.replaced_stepper or judge.make_stepper)()
    scheduled = made is not None and getattr(made, "schedule", None) is not None
    if finding.step > 1 and None not in rates and rates[0] != rates[1] and not scheduled:
        text = f"the learning rate of step {finding.step} is {rates[1]} in Keras and {rates[0]}"
        return Cause(f"{text} in PyTorch: their schedules differ", finding)
    mine = made.claimed() if made else None
    theirs = judge.stepper_of_a
    if mine is None or theirs is None:
        advice = "give optimizers as calls, such as 'keras:Adam(learning_rate=0.001)'"
        return Cause(NONE_KNOWN, finding, "", [f"{advice}; then their fields are compared"])
    tried = []
    for text, changed in _rules_between(mine, theirs, judge.direction):
        before, judge.replaced_stepper = judge.replaced_stepper, changed
        judgement_again = judge.judge()
        judge.replaced_stepper = before
        if not any(each.is_at(finding) for each in judgement_again.different):
            return Cause(
                text, finding, "clip" if "clip" in text else "", [], _stepping(judge, changed)
            )
        tried.append(text)
    return Cause(NONE_KNOWN, finding, "", tried)


def _stepping(judge: Judge, make: Callable[[], Stepper]) -> Callable[[ExitStack], None]:
    def enter(stack: ExitStack) -> None:
        stack.callback(setattr, judge, "replaced_stepper", judge.replaced_stepper)
        judge.replaced_stepper = make

    return enter


def _rules_between(
    mine: RuleStepper, theirs: RuleStepper, way: Direction
) -> Iterator[tuple[str, Callable[[], Stepper]]]:
    """B's stepper with one thing taken from A's, then with all fields of the rule."""

    def in_words(of_a: Any, of_b: Any) -> str:
        in_pytorch, in_keras = way.sides(of_a, of_b)
        return f"{in_keras} in Keras and {in_pytorch} in PyTorch"

    if mine.clipping != theirs.clipping:
        of_a, of_b = (optimizer_text.of_clipping(each.clipping) for each in (theirs, mine))
        text = f"clipping is {in_words(of_a, of_b)}"
        yield text, lambda: RuleStepper(mine.rule, theirs.clipping, mine.schedule)
    if mine.schedule != theirs.schedule:
        text = f"the schedule is {in_words(theirs.schedule, mine.schedule)}"
        yield text, lambda: RuleStepper(mine.rule, mine.clipping, theirs.schedule)
    advice = optimizer_text.remedy(*way.sides(theirs.rule, mine.rule))
    if type(mine.rule) is not type(theirs.rule):
        text = f"the rule is {in_words(repr(theirs.rule), repr(mine.rule))}: {advice}"
        yield text, lambda: RuleStepper(theirs.rule, mine.clipping, mine.schedule)
        return
    differing = [name for name in mine.rule.names() if _differs(name, mine.rule, theirs.rule)]
    for name in differing:
        ours = getattr(theirs.rule, name)
        changed = mine.rule.replace(**{name: ours})
        both = in_words(
            optimizer_text.of_value(ours), optimizer_text.of_value(getattr(mine.rule, name))
        )
        text = f"{name} is {both}: {advice}"
        yield text, _rule_maker(changed, mine)
    if len(differing) > 1:
        texts = []
        for name in differing:
            p, k = way.sides(getattr(theirs.rule, name), getattr(mine.rule, name))
            texts.append(f"{name} {optimizer_text.of_value(k)} / {optimizer_text.of_value(p)}")
        fields = ", ".join(texts)
        text = f"the optimizers differ in several fields (Keras / PyTorch), {fields}: {advice}"
        yield text, lambda: RuleStepper(theirs.rule, mine.clipping, mine.schedule)


def _differs(name: str, mine: Rule, theirs: Rule) -> bool:
    """True if a field differs and has an effect in one of the rules."""
    active = mine.is_active(name) or theirs.is_active(name)
    return active and getattr(mine, name) != getattr(theirs, name)


def _rule_maker(rule: Any, mine: RuleStepper) -> Callable[[], Stepper]:
    return lambda: RuleStepper(rule, mine.clipping, mine.schedule)
