"""Judge a pair, stage by stage: the first stage and layer in which B differs from A.

B runs with A's values put in behind every layer, and A's gradients on the way back. So each layer
answers for itself, forward and backward, whatever is wrong elsewhere.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from samestep.migrate.pieces import Link

from . import kinds, layouts, limits
from .align import Aligner, Alignment
from .layouts import Layout, is_close
from .limits import Verdict
from .record import Arrays, Call, Record, Step, Update, leaves
from .search import Finder, Search
from .shared import Batch, PairError, Put, require_same_call
from .steppers import RuleStepper, Stepper

STAGES = (
    "map", "weights", "batch", "forward", "loss", "gradient of the output", "backward",
    "parameter gradients", "clip", "weights after", "optimizer state", "buffers after",
)  # fmt: skip
NOTHING = "nothing"
HEADS = ("softmax", "log_softmax", "sigmoid")  # activations that a loss may contain
SAME_INPUT = "same input, other output"
OTHER_INPUT = "other input"
MOVE_TOGETHER = "the parts of a sum move alike, so the sum moves as many times as far"


@dataclass
class Finding:
    """A comparison of one value of A with B's.

    ``kind`` says what differs: SAME_INPUT, OTHER_INPUT, "value", "shape", "structure", "tied",
    "missing in keras", "missing in pytorch" or "ambiguous". ``call`` is the index of B's call.
    """

    stage: str
    step: int
    a: str
    b: str
    distance: float
    limit: float
    roundings: float
    verdict: Verdict
    kind: str = "value"
    note: str = ""
    call: int | None = None

    @property
    def place(self) -> str:
        """Both names."""
        return f"{self.a} ~ {self.b}"

    def is_at(self, other: "Finding") -> bool:
        """True if the other is of the same stage, step and place."""
        return (self.stage, self.step, self.a, self.b) == (
            other.stage,
            other.step,
            other.a,
            other.b,
        )


@dataclass
class Judgement:
    """Everything that was compared, and what could not be."""

    findings: list[Finding] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)
    dtype: str = "float64"

    @property
    def different(self) -> list[Finding]:
        """The findings beyond float32's rounding, in the order of stages."""
        return [each for each in self.findings if each.verdict is Verdict.DIFFERENT]

    @property
    def first(self) -> Finding | None:
        """The first of them."""
        return next(iter(self.different), None)

    @property
    def verdict(self) -> Verdict:
        """The verdict of the pair."""
        if self.different:
            return Verdict.DIFFERENT
        below = any(each.verdict is Verdict.BELOW for each in self.findings)
        return Verdict.BELOW if below else Verdict.SAME

    def of_stage(self, stage: str) -> list[Finding]:
        """The findings of a stage."""
        return [each for each in self.findings if each.stage == stage]


@dataclass
class Given:
    """What B's user gave: batches of its own, converted weights, links of the map."""

    batch: Batch | None = None
    converted: Arrays | None = None
    links: dict[str, Link] = field(default_factory=dict)


class Judge:
    """Judges a live side B (Keras) against a record of A (PyTorch).

    ``make_stepper`` makes B's optimizer anew, so that a judgement can be repeated.
    """

    def __init__(
        self, record: Record, side: Any, make_stepper: Callable[[], Stepper | None], given: Given
    ) -> None:
        self.record = record
        self.side = side
        self.make_stepper = make_stepper
        self.given = given
        self.dtype = side.dtype
        self.batch = given.batch or batch_of_keras(record, side.model)
        self.seconds: dict[str, float] = {}
        self.rates: dict[int, tuple[float | None, float | None]] = {}  # of A and B, by step
        side.build(self.batch)
        side.require_dtype()
        if not side.trained:
            raise PairError(
                "the Keras model must have at least one variable that is trained, but it has none"
            )
        self.start = side.state()
        shapes = {name: array.shape for name, array in record.steps[0].before.items()}
        self.shapes = shapes | {name: array.shape for name, array in self.start.items()}
        self.last: Step = Step()  # the last synchronised run, for the search of causes
        self.stepper_of_a: RuleStepper | None = None  # the rule of A's optimizer, where it is known
        self.replaced_stepper: Callable[[], Stepper] | None = None
        self.take_loss_of_a = False  # judge what follows as if B had A's loss

    # the map

    def find_map(self) -> None:
        """Align the two sides; sets ``search``, ``alignment`` and ``links``."""
        began = time.perf_counter()
        a = self.record.steps[0]
        has_attention = any(call.kind == "mha" for call in a.calls)
        self.side.attention_is_whole = has_attention
        finder = Finder(self.record, self.shapes, self._align, self._given_links())
        search = finder.search([name for name in self.start if name in self.shapes])
        self.use(search)
        self.seconds["map"] = time.perf_counter() - began

    def use(self, search: Search) -> None:
        """Judge under this map."""
        self.search = search
        self.alignment: Alignment = search.alignment
        self._find_head()
        proven = {self.record.steps[0].calls[index].owner for index in search.alignment.proven}
        self.links = {}
        for name, link in search.alignment.links.items():
            evidence = link.evidence or self._evidence(link, proven)
            self.links[name] = Link(name, link.parameters, link.pieces, evidence)

    def _evidence(self, link: Link, proven: set[str]) -> str:
        owners = {name.rpartition(".")[0] for name in link.parameters}
        if any(owner.startswith(tuple(owners)) for owner in proven):
            return "the values of the inputs"
        return "the kind, the shape and the order"

    def _given_links(self) -> dict[str, Link]:
        for link in self.given.links.values():
            unknown = [n for n in (link.variable, *link.parameters) if n not in self.shapes]
            if unknown:
                raise PairError(
                    f"the map must name parameters of the two models, but {unknown[0]!r} is none; "
                    f"Keras has {', '.join(self.start)}; PyTorch has "
                    f"{', '.join(self.record.steps[0].before)}"
                )
        return dict(self.given.links)

    def _align(self, aligner: Aligner) -> None:
        self.side.load(self.start)
        aligner.load = self.side.load
        self.side.load(aligner.given_values())
        self.side.before = aligner.before
        self.side.mask_layout = aligner.input_layout
        self.side.forward_only = True
        try:
            self.walked: Step = self.side.run(self.batch, aligner.put, masks=0)
        finally:
            self.side.before = _ignore
            self.side.forward_only = False
        self.images = aligner.images

    # the judgement

    def judge(self) -> Judgement:
        """All stages of all steps. Call ``find_map`` first."""
        began = time.perf_counter()
        judgement = Judgement(dtype=self.dtype)
        self._map_stage(judgement)
        self._weights_stage(judgement)
        self._batch_stage(judgement)
        mover = (self.replaced_stepper or self.make_stepper)()
        if (mover is None) != (self.record.steps[0].update is None):
            missing = "Keras" if mover is None else "PyTorch"
            raise PairError(
                f"optimizers must be given for both sides or for none, but {missing} has none"
            )
        for number in range(len(self.record.steps)):
            runs = self._judge_layers(judgement, number)
            if number == 0:
                self.last = runs.b
            if mover and runs.a.update:
                self._optimizer_stages(runs, mover)
            runs.buffers()
        self._note_what_is_left(judgement, mover)
        judgement.findings.sort(key=lambda each: (each.step, STAGES.index(each.stage)))
        self.seconds["stages"] = time.perf_counter() - began
        return judgement

    def _map_stage(self, judgement: Judgement) -> None:
        add = _Adder(judgement, "map", 1)
        a = self.record.steps[0]
        used: dict[str, list[Link]] = {}
        for link in self.links.values():
            for name in link.parameters:
                used.setdefault(name, []).append(link)
        for name in a.before:
            if name in used or name in self.record.constants:
                continue
            if name in self.record.trained and name not in a.gradients:
                judgement.not_compared.append(f"{name} of PyTorch: it has no gradient and no twin")
                continue
            add.missing(name, NOTHING, "missing in keras")
        for name in self.start:
            if name not in self.links and self._matters(name):
                add.missing(NOTHING, name, "missing in pytorch")
        for name, links in used.items():
            whole = [link for link in links if not _takes_a_part(link)]
            if len(whole) > 1:
                both = " and ".join(link.variable for link in whole)
                add.missing(name, both, "tied", "one parameter in PyTorch, two variables in Keras")
        for name in self.search.doubtful:
            note = "several parameters have its shape, and none fits by values: write its line"
            add.missing(_names(self.links[name]), name, "ambiguous", note)
        for name, link in self.links.items():
            shape = self._made_shape(link)
            if shape != self.shapes[name]:
                note = f"PyTorch's makes {shape}, Keras' has {self.shapes[name]}"
                add.missing(_names(link), name, "shape", note)

    def _matters(self, name: str) -> bool:
        if "seed_generator" in name:
            return False
        if name in self.side.trained:
            return True
        step = self.side.run(self.batch, None, masks=0)
        self.side.load(self.start)
        return not np.array_equal(step.before[name], step.after_forward[name])

    def _made_shape(self, link: Link) -> tuple[int, ...] | None:
        try:
            return link.carry(self.record.steps[0].before).shape
        except ValueError:
            return None

    def usable(self) -> dict[str, Link]:
        """The links whose shapes fit."""
        return {
            name: link
            for name, link in self.links.items()
            if self._made_shape(link) == self.shapes[name]
        }

    def _weights_stage(self, judgement: Judgement) -> None:
        if self.given.converted is None:
            return
        add = _Adder(judgement, "weights", 1)
        before = self.record.steps[0].before
        for name, link in self.usable().items():
            add.compare((_names(link), name), (link.carry(before), self.given.converted[name]))

    def _batch_stage(self, judgement: Judgement) -> None:
        if self.given.batch is None:
            return
        add = _Adder(judgement, "batch", 1)
        expected = batch_of_keras(self.record, self.side.model)
        for word in ("inputs", "targets"):
            pairs = leaves(getattr(expected, word)), leaves(getattr(self.given.batch, word))
            if len(pairs[0]) != len(pairs[1]):
                note = f"{len(pairs[0])} arrays in PyTorch, {len(pairs[1])} in Keras"
                add.missing(word, word, "structure", note)
                continue
            for number, (a, b) in enumerate(zip(*pairs, strict=True)):
                name = word if len(pairs[0]) == 1 else f"{word} {number}"
                b = np.asarray(b, np.float64)
                raw = leaves(getattr(self.record, word))[number]
                for candidate in orientations(np.asarray(raw, np.float64)):
                    a = candidate if is_close(candidate, b) else a
                add.compare((name, name), (np.asarray(a, np.float64), b))

    def _find_head(self) -> None:
        """A softmax or sigmoid at the end that one side leaves to its loss, or that both have.

        Then outputs are logits on one side and probabilities on the other, or their gradients
        may differ by what the softmax takes out. The two sides are compared at the logits: A's
        gradients are put in neither at the head nor at the output.
        """
        a = self.record.steps[0]
        self.has_head = False
        self.head_of_b: int | None = None
        self.logits: int | None = None  # the place of A's call that gives what goes into the head
        if not a.calls or not self.walked.calls or len(a.outputs) != 1:
            return
        last_a, last_b = a.calls[-1], self.walked.calls[-1]
        of_b = last_b.detail in HEADS and self._is_output(last_b, self.walked)
        of_a = last_a.detail in HEADS and self._is_output(last_a, a)
        if of_b and last_b.index in self.alignment.twin:
            self.has_head = of_a
        elif of_b:
            self.has_head = self._are_equal(a.outputs[0], last_b.inputs[0])
        elif of_a and last_a.index not in self.alignment.twin.values():
            self.has_head = self._are_equal(last_a.inputs[0], self.walked.outputs[0])
        self.head_of_b = last_b.index if of_b and self.has_head else None
        logits = last_a.inputs[0] if of_a else a.outputs[0]
        below = [index for index, call in enumerate(a.calls) if is_close(call.output, logits)]
        self.logits = below[-1] if below else None

    def _is_output(self, call: Call, step: Step) -> bool:
        return len(step.outputs) == 1 and is_close(call.output, step.outputs[0])

    def _are_equal(self, a: np.ndarray, b: np.ndarray) -> bool:
        return layouts.find(a, b, self.images)[1]

    def loaded(self, number: int) -> Arrays:
        """B's variables made of A's at the start of a step."""
        before = self.record.steps[number].before
        made = {name: link.carry(before) for name, link in self.usable().items()}
        return {**self.start, **made}

    def synchronised(self, number: int) -> Step:
        """Run a step of B from A's weights, with A's values and gradients put in."""
        a = self.record.steps[number]
        self.side.load(self.loaded(number))
        self.side.mask_layout = self._mask_layout(a)

        def put(call: Call) -> Put | None:
            require_same_call("Keras", call, self.walked.calls)
            index = self.alignment.twin.get(call.index)
            if index is None:
                return None
            twin, layout = a.calls[index], self.alignment.layout[call.index]
            value = layout.carry(twin.output)
            if value.shape != call.output.shape:
                return None
            if twin.gradient is None or call.index == self.head_of_b:
                return Put(value)
            return Put(value, layout.carry(twin.gradient))

        self.side.output_gradients = self._output_gradients(a)
        self.side.ignores_added_losses = self.take_loss_of_a
        try:
            step: Step = self.side.run(self.batch, put, masks=number)
        finally:
            self.side.output_gradients = None
        return step

    def _output_gradients(self, a: Step) -> Callable[[int, np.ndarray], np.ndarray | None]:
        """A's gradient of each output, in the layout of B's output."""

        def gradient_of(number: int, output: np.ndarray) -> np.ndarray | None:
            if self.has_head or number >= len(a.outputs):
                return None
            layout, _ = layouts.find(a.outputs[number], output, self.images)
            gradient = a.output_gradients[number]
            return layout.carry(gradient) if layout and gradient is not None else None

        return gradient_of

    def _mask_layout(self, a: Step) -> Callable[[Call], Any]:
        """For dropout calls in order: the shape of A's input, and its way to B's."""
        twins = [index for _, index in sorted(self.alignment.twin.items())]
        dropouts = iter([a.calls[index] for index in twins if a.calls[index].kind == "dropout"])

        def layout_of(call: Call) -> Any:
            twin = next(dropouts, None)
            if twin is None:
                return None
            array = twin.inputs[0]
            layout, _ = layouts.find(array, call.inputs[0], self.images)
            return (array.shape, layout.carry) if layout else None

        return layout_of

    def judge_step(self, number: int) -> Judgement:
        """The stages of one step that need no optimizer."""
        judgement = Judgement(dtype=self.dtype)
        self._judge_layers(judgement, number).buffers()
        return judgement

    def _judge_layers(self, judgement: Judgement, number: int) -> "_Runs":
        a = self.record.steps[number]
        b = self.synchronised(number)
        runs = _Runs(self, judgement, number, a, b)
        runs.forward()
        if not self.take_loss_of_a:
            runs.loss()
        runs.backward()
        runs.parameter_gradients()
        return runs

    def layer_of(self, call: Call) -> Any:
        """The live layer of a call of B; None for an operation that is none."""
        path = call.owner
        for part in self.side.parts:
            path = path.removesuffix(part)
        for layer in self.side.model._flatten_layers():
            if (layer.path or layer.name) == path:
                return layer
        return None

    def without_twin_in_keras_before(self, index: int) -> Call | None:
        """The last call of B before ``index`` that has no twin."""
        known = {*self.alignment.twin, *self.alignment.misfits}
        lost = [call for call in self.last.calls[:index] if call.index not in known]
        return lost[-1] if lost else None

    def without_twin_before(self, a: Call) -> Call | None:
        """The last call of A before ``a`` that has no twin and is no part of the plumbing."""
        twins = {*self.alignment.twin.values(), *self.alignment.misfits.values()}
        plumbing = ("pad", "add", "cat", "gap")
        lost = [c for c in self.record.steps[0].calls[: a.index] if c.index not in twins]
        lost = [call for call in lost if call.kind not in plumbing]
        return lost[-1] if lost else None

    def _optimizer_stages(self, runs: "_Runs", mover: Stepper) -> None:
        a = runs.a
        assert a.update
        trained = set(self.side.trained)
        links = {name: link for name, link in self.usable().items() if name in trained}
        gradients: Arrays = {}
        for name, link in links.items():
            gradient = link.carry_gradient(a.gradients)
            if gradient is not None:
                gradients[name] = gradient
        weights = {name: runs.b.before[name] for name in self.side.trained}
        update = mover.step(weights, gradients)
        self.rates[runs.number + 1] = (a.update.rate, mover.rate)
        runs.update(update, {name: links[name] for name in gradients}, mover.rate)

    def _note_what_is_left(self, judgement: Judgement, mover: Stepper | None) -> None:
        if mover is None:
            judgement.not_compared.append(
                "clip, weights after, optimizer state: there is no `optimizers`"
            )

    def free(self) -> list[tuple[float, float]]:
        """Losses of A and of B from A's weights, with nothing put in, for each step."""
        losses = []
        for number, step in enumerate(self.record.steps):
            self.side.load(self.loaded(number))
            self.side.mask_layout = self._mask_layout(step)
            losses.append((step.loss, self.side.free_loss(self.batch, number)))
        return losses


def _ignore(call: Call) -> None:
    """Do nothing before a layer runs."""


def _names(link: Link) -> str:
    return " + ".join(link.parameters)


def _takes_a_part(link: Link) -> bool:
    return any(type(piece).__name__ == "Take" for piece in link.pieces)


class _Adder:
    """Adds findings of one stage and step."""

    def __init__(self, judgement: Judgement, stage: str, step: int) -> None:
        self.judgement = judgement
        self.dtype = judgement.dtype
        self.stage = stage
        self.step = step

    def missing(self, a: str, b: str, kind: str, note: str = "") -> Finding:
        """A finding without a distance, always different."""
        finding = Finding(
            self.stage, self.step, a, b, np.inf, 0.0, np.inf, Verdict.DIFFERENT, kind, note
        )
        self.judgement.findings.append(finding)
        return finding

    def compare(
        self,
        names: tuple[str, str],
        values: tuple[np.ndarray | None, np.ndarray | None],
        response: float = 0.0,
    ) -> Finding | None:
        """A finding with a distance. A value missing on one side differs unless 0."""
        a, b = values
        if a is None or b is None:
            present = b if a is None else a
            if present is None or not np.any(present):
                return None
            return self.missing(*names, "missing in pytorch" if a is None else "missing in keras")
        if np.shape(a) != np.shape(b):
            note = f"PyTorch's makes {np.shape(a)}, Keras' has {np.shape(b)}"
            return self.missing(*names, "shape", note)
        measured = limits.measure(np.asarray(a), np.asarray(b), response, self.dtype)
        finding = Finding(
            self.stage,
            self.step,
            *names,
            measured.distance,
            measured.limit,
            measured.roundings,
            measured.verdict,
        )
        self.judgement.findings.append(finding)
        return finding


class _Runs:
    """The stages of one step: A's run, and B's with A's values put in."""

    def __init__(self, judge: Judge, judgement: Judgement, number: int, a: Step, b: Step) -> None:
        self.judge = judge
        self.judgement = judgement
        self.number = number
        self.a = a
        self.b = b
        self.alignment = judge.alignment

    def adder(self, stage: str) -> _Adder:
        """Adds findings of a stage of this step."""
        return _Adder(self.judgement, stage, self.number + 1)

    def _twins(self) -> Iterator[tuple[Call, Call, Layout]]:
        """Calls of A and B that are twins, in A's order, with the layout of their outputs."""
        twins = self.alignment.twin
        for j in sorted(twins, key=lambda index: twins[index]):
            if j < len(self.b.calls):
                yield self.a.calls[twins[j]], self.b.calls[j], self.alignment.layout[j]

    def forward(self) -> None:
        """Each layer's output, then the model's."""
        add = self.adder("forward")
        for a, b, layout in self._twins():
            names, values = (a.name, b.name), (layout.carry(a.output), b.output)
            finding = add.compare(names, values, a.output_response)
            if finding:
                finding.call = b.index
                if finding.kind == "value":
                    finding.kind = SAME_INPUT if self.same_input(a, b) else OTHER_INPUT
        for j, i in self.alignment.misfits.items():
            self._misfit(add, self.a.calls[i], self.b.calls[j])
        if len(self.a.outputs) != len(self.b.outputs):
            note = f"PyTorch returns {self.a.structure}, Keras {self.b.structure}"
            add.missing("output", "output", "structure", note)
            return
        if self.judge.has_head and self.judge.head_of_b not in self.alignment.twin:
            return  # logits on one side, probabilities on the other
        responses = self.a.responses["outputs"]
        for number, pair in enumerate(zip(self.a.outputs, self.b.outputs, strict=True)):
            way = self._output_layout(*pair)
            name = "output" if len(self.a.outputs) == 1 else f"output {number}"
            value = way.carry(pair[0]) if way else pair[0]
            add.compare((name, name), (value, pair[1]), responses[number])

    def _misfit(self, add: _Adder, a: Call, b: Call) -> None:
        """Two calls whose outputs had no layout in common; under an exchange they may have one."""
        layout, _ = layouts.find(a.output, b.output, self.judge.images)
        if layout is None or layout.name.endswith("other shape"):
            note = f"PyTorch's output has shape {a.output.shape}, Keras' {b.output.shape}"
            finding: Finding | None = add.missing(a.name, b.name, "shape", note)
        else:
            values = layout.carry(a.output), b.output
            finding = add.compare((a.name, b.name), values, a.output_response)
        if finding:
            finding.call = b.index
        self._put_in_order(add.judgement.findings, a)

    def _put_in_order(self, findings: list[Finding], a: Call) -> None:
        """Move the last finding before those of later calls of A."""
        last = findings.pop()
        twins = self.alignment.twin
        later = [
            number
            for number, each in enumerate(findings)
            if each.stage == last.stage
            and each.step == last.step
            and each.call in twins
            and twins[each.call] > a.index
        ]
        findings.insert(later[0] if later else len(findings), last)

    def _output_layout(self, a: np.ndarray, b: np.ndarray) -> Layout | None:
        return layouts.find(a, b, self.judge.images)[0]

    def same_input(self, a: Call, b: Call) -> bool:
        """True if B's call is given the values of A's, in any order and without rims of zeros."""
        of_b = [layouts.digest(array) for array in b.inputs]
        of_a = [layouts.digest(array) for array in a.inputs]
        return all(any(is_close(x, y) for y in of_b) for x in of_a)

    def loss(self) -> None:
        """The loss, and its gradient at the model's outputs."""
        response = self.a.responses["loss"]
        values = np.array(self.a.loss), np.array(self.b.loss)
        self.adder("loss").compare(("loss", "loss"), values, response)
        add = self.adder("gradient of the output")
        if self.judge.has_head or len(self.a.outputs) != len(self.b.outputs):
            return
        for number, a in enumerate(self.a.outputs):
            way = self._output_layout(a, self.b.outputs[number])
            gradients = self.a.output_gradients[number], self.b.output_gradients[number]
            if way is None:
                continue
            name = "output" if len(self.a.outputs) == 1 else f"output {number}"
            first = None if gradients[0] is None else way.carry(gradients[0])
            response = self.a.responses["output gradients"][number]
            add.compare((name, name), (first, gradients[1]), response)

    def backward(self) -> None:
        """The gradient that arrives at each layer's output, from the last layer to the first."""
        add = self.adder("backward")
        for a, b, layout in reversed(list(self._twins())):
            if b.index == self.judge.head_of_b or (
                self.judge.take_loss_of_a and self.judge.has_head and a.index == self.judge.logits
            ):  # none of A's gradients is put in at the head, so B's loss still acts there
                continue
            gradient = None if a.gradient is None else layout.carry(a.gradient)
            finding = add.compare((a.name, b.name), (gradient, b.gradient), a.gradient_response)
            if finding:
                finding.call = b.index

    def parameter_gradients(self) -> None:
        """The gradient of each variable."""
        add = self.adder("parameter gradients")
        responses = self.a.responses["gradients"]
        for name, link in self.judge.usable().items():
            gradient = link.carry_gradient(self.a.gradients)
            response = max(responses.get(each, 0.0) for each in link.parameters)
            add.compare((_names(link), name), (gradient, self.b.gradients.get(name)), response)

    def update(self, update: Update, links: dict[str, Link], rate: float | None) -> None:
        """Clipped gradients, weights and state after the optimizer's step."""
        a = self.a.update
        assert a
        for name, link in links.items():
            names = (_names(link), name)
            self.adder("clip").compare(
                names, (link.carry_gradient(a.clipped), update.clipped.get(name))
            )
            if not (link.adds or set(link.parameters) <= set(a.after)):
                continue
            after = link.carry({**self.a.before, **a.after})
            finding = self.adder("weights after").compare(names, (after, update.after[name]))
            if finding and link.adds and self._moves_together(link, after, update.after[name]):
                finding.note = MOVE_TOGETHER
        for slot in sorted(set(a.state) & set(update.state)):
            self._state(slot, update, links, rate)
        for slot in sorted(set(a.state) ^ set(update.state)):
            side = "PyTorch" if slot in a.state else "Keras"
            note = f"the state {slot} of {side}'s optimizer: the other side has none"
            if note not in self.judgement.not_compared:
                self.judgement.not_compared.append(note)

    def _moves_together(self, link: Link, after: np.ndarray, of_b: np.ndarray) -> bool:
        """True if A's sum moves as many times as far as B's variable as it has parts."""
        before = link.carry(self.a.before)
        share = before + (after - before) / len(link.parameters)
        if not _fits((share, of_b)):
            return False
        dtype = self.judgement.dtype
        return limits.measure(share, of_b, 0.0, dtype).verdict is not Verdict.DIFFERENT

    def _state(self, slot: str, update: Update, links: dict[str, Link], rate: float | None) -> None:
        assert self.a.update
        of_a = self.a.update.state[slot]
        add = self.adder("optimizer state")
        for name, link in links.items():
            if link.adds or name not in update.state[slot] or not _has(of_a, link, self.a.before):
                continue
            values = link.carry(of_a), update.state[slot][name]
            names = (f"{slot} of {_names(link)}", f"{slot} of {name}")
            finding = add.compare(names, values)
            if finding and finding.verdict is Verdict.DIFFERENT and rate and _fits(values):
                scaled = limits.measure(values[0] * rate, values[1], 0.0, add.dtype)
                if scaled.verdict is not Verdict.DIFFERENT:
                    finding.distance, finding.limit, finding.roundings, finding.verdict = scaled
                    finding.note = "Keras stores it multiplied by the learning rate"

    def buffers(self) -> None:
        """Buffers after the forward pass, such as moving averages."""
        add = self.adder("buffers after")
        responses = self.a.responses["after forward"]
        trained = set(self.judge.side.trained)
        for name, link in self.judge.usable().items():
            if name in trained or set(link.parameters) & set(self.judge.record.trained):
                continue
            expected, note = self._expected_buffer(link)
            response = max(responses.get(each, 0.0) for each in link.parameters)
            finding = add.compare(
                (_names(link), name), (expected, self.b.after_forward[name]), response
            )
            if finding:
                finding.note = finding.note or note

    def _expected_buffer(self, link: Link) -> tuple[np.ndarray, str]:
        """What B must have: A's, but for the variance that Keras stores biased."""
        after = link.carry(self.a.after_forward)
        before = link.carry(self.a.before)
        parameter = link.parameters[0]
        calls = [c for c in self.a.calls if c.parameters.get("running_var") == parameter]
        if not calls or np.array_equal(after, before):
            return after, ""
        momentum = calls[0].settings.get("momentum")
        count = calls[0].output.size // calls[0].output.shape[1]
        if momentum is None or len(calls) > 1 or count < 2:
            return after, ""
        stays = (1 - momentum) * before
        note = "Keras stores the biased variance, PyTorch n / (n - 1) times as much"
        return stays + (after - stays) * (count - 1) / count, note


def _has(arrays: Arrays, link: Link, before: Arrays) -> bool:
    return all(n in arrays and arrays[n].shape == before[n].shape for n in link.parameters)


def _fits(values: Sequence[np.ndarray]) -> bool:
    return values[0].shape == values[1].shape


def batch_of_keras(record: Record, model: Any) -> Batch:
    """A's batch in the layout that Keras' model expects."""
    step = record.steps[0]
    shapes = _input_shapes(model)
    arrays = leaves(record.inputs)
    moved = []
    for number, array in enumerate(arrays):
        shape = shapes[number] if len(shapes) == len(arrays) else None
        moved.append(_in_keras(array, shape, _consumer(step, array)))
    inputs = _rebuilt(record.inputs, iter(moved))
    return Batch(inputs, _targets(record, step), record.weights)


def _targets(record: Record, step: Step) -> Any:
    """Targets of the shape of an output that has channels on axis 1 get them last."""
    shapes = [output.shape for output in step.outputs]
    moved = [
        np.moveaxis(array, 1, -1) if array.ndim > 3 and array.shape in shapes else array
        for array in leaves(record.targets)
    ]
    return _rebuilt(record.targets, iter(moved))


def _input_shapes(model: Any) -> list[tuple[int | None, ...]]:
    """The shapes of the inputs that a functional or sequential model declares; empty if none."""
    inputs = getattr(model, "inputs", None)
    return [tuple(tensor.shape) for tensor in inputs] if inputs else []


def _consumer(step: Step, array: np.ndarray) -> str:
    """The kind of A's first call that is given the array."""
    wanted = layouts.digest(np.asarray(array, np.float64))
    for call in step.calls:
        if any(is_close(layouts.digest(each), wanted) for each in call.inputs):
            return call.kind
    return ""


def _in_keras(array: np.ndarray, shape: tuple[int | None, ...] | None, consumer: str) -> np.ndarray:
    if array.ndim < 3:
        return array
    last = np.moveaxis(array, 1, -1)
    if shape is not None:
        candidates = orientations(array)
        if array.ndim == 3 and consumer not in kinds.CHANNELS:
            candidates.reverse()
        for candidate in candidates:
            if _accepts(shape, candidate.shape):
                return candidate
        known = [size for size in shape[1:] if size is not None]
        if len(known) == len(shape) - 1 and int(np.prod(known)) == last[0].size:
            return last.reshape(len(array), *known)
        return last if array.ndim > 3 else array
    if array.ndim > 3 or consumer in kinds.CHANNELS:
        return last
    return array


def orientations(array: np.ndarray) -> list[np.ndarray]:
    """The array with an axis of channels moved to the end: axis 1, axis 2 of videos, or none."""
    if array.ndim < 3:
        return [array]
    moved = [np.moveaxis(array, 1, -1)]
    if array.ndim > 4:
        moved.append(np.moveaxis(array, 2, -1))
    return [*moved, array]


def _accepts(shape: tuple[int | None, ...], actual: tuple[int, ...]) -> bool:
    if len(shape) != len(actual):
        return False
    pairs = zip(shape[1:], actual[1:], strict=True)
    return all(size in (None, given) for size, given in pairs)


def _rebuilt(tree: Any, arrays: Iterator[np.ndarray]) -> Any:
    """The tree with its arrays replaced in order."""
    if isinstance(tree, dict):
        return {key: _rebuilt(each, arrays) for key, each in tree.items()}
    if isinstance(tree, list | tuple):
        return [_rebuilt(each, arrays) for each in tree]
    return None if tree is None else next(arrays)
