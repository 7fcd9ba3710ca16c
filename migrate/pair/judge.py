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
from samestep.migrate.state import State

from . import direction
from .align import Aligner, Alignment, Twin, mask_layout
from .batches import batch_of_keras, batch_of_other, moved_batch, orientations
from .findings import STAGES, Adder, Judgement
from .layouts import is_close
from .record import Arrays, Call, Record, Step, leaves, unchanged
from .search import Finder, Names, Search
from .shared import NONE_TRAINED, TITLES, Batch, PairError, Put, nothing, require_same_call
from .stages import Runs, names_of
from .steppers import RuleStepper, Stepper

NOTHING = "nothing"
OF_LAYERS = ("forward", "loss", "gradient of the output", "backward", "parameter gradients")
HEADS = ("softmax", "log_softmax", "sigmoid")  # activations that a loss may contain


@dataclass
class Given:
    """What B's user gave: batches of its own, converted weights, links of the map."""

    batch: Batch | None = None
    converted: Arrays | None = None
    links: dict[str, Link] = field(default_factory=dict)


class Judge:
    """Judges a live side B against a record of A, which is PyTorch's or Keras'.

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
        self.direction = direction.of_record(record)
        self.batch = given.batch or batch_of_other(record, side.model)
        self.seconds: dict[str, float] = {}
        self.rates: dict[int, tuple[float | None, float | None]] = {}  # of A and B, by step
        side.build(self.batch)
        side.require_dtype()
        if not side.trained:
            raise PairError(NONE_TRAINED[side.name])
        side.output_order = record.steps[0].output_names
        self.start = side.state()
        shapes = {name: array.shape for name, array in record.steps[0].before.items()}
        self.shapes = shapes | {name: array.shape for name, array in self.start.items()}
        self._plain: Step | None = None  # of B, with nothing put in
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
        in_pytorch, in_keras = self.direction.sides(list(a.before), list(self.start))
        constants = self.constants_of_pytorch()
        free = [name for name in in_pytorch if name not in constants]
        variables = [name for name in in_keras if "seed_generator" not in name]
        names = Names(free, variables, self.shapes)
        finder = Finder(self.record, names, self._align, self._given_links())
        search = finder.search()
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
        separator = "." if self.direction.reference == "pytorch" else "/"
        owners = {name.rpartition(separator)[0] for name in self.direction.made_of(link)}
        if any(owner.startswith(tuple(owners)) for owner in proven):
            return "the values of the inputs"
        return "the kind, the shape and the order"

    def _given_links(self) -> dict[str, Link]:
        for link in self.given.links.values():
            unknown = [n for n in (link.variable, *link.parameters) if n not in self.shapes]
            if unknown:
                names = self.direction.sides(self.record.steps[0].before, self.start)
                raise PairError(
                    f"the map must name parameters of the two models, but {unknown[0]!r} is none; "
                    f"Keras has {', '.join(names[1])}; PyTorch has {', '.join(names[0])}"
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
            self.side.before = nothing
            self.side.forward_only = False
        aligner.look_at_outputs(self.walked.outputs)
        self.images = aligner.images

    # the judgement

    def judge(self) -> Judgement:
        """All stages of all steps. Call ``find_map`` first."""
        began = time.perf_counter()
        judgement = Judgement(dtype=self.dtype, reference=self.direction.reference)
        self._map_stage(judgement)
        self._weights_stage(judgement)
        self._batch_stage(judgement)
        mover = (self.replaced_stepper or self.make_stepper)()
        if (mover is None) != (self.record.steps[0].update is None):
            b_is_missing = mover is None
            sides = self.direction.sides(not b_is_missing, b_is_missing)
            missing = "Keras" if sides[1] else "PyTorch"
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
            self._look_at_the_whole(judgement, runs)
        if mover is None:
            judgement.not_compared.append(
                "clip, weights after, optimizer state: there is no `optimizers`"
            )
        judgement.findings.sort(key=lambda each: (each.step, STAGES.index(each.stage)))
        self.seconds["stages"] = time.perf_counter() - began
        return judgement

    def _map_stage(self, judgement: Judgement) -> None:
        add = Adder(judgement, "map", 1)
        used: dict[str, list[Link]] = {}
        for link in self.links.values():
            for name in link.parameters:
                used.setdefault(name, []).append(link)
        a = self.record.steps[0]
        names = self.direction.sides(a.before, self.start)
        constants = self.constants_of_pytorch()
        for name in names[0]:
            if name in used or name in constants:
                continue
            if self._is_without_gradient(name):
                judgement.not_compared.append(f"{name} of PyTorch: it has no gradient and no twin")
                continue
            add.missing(name, NOTHING, "missing in keras")
        for name in names[1]:
            if name not in self.links and "seed_generator" not in name and self._matters(name):
                add.missing(NOTHING, name, "missing in pytorch")
        for name, links in used.items():
            whole = [link for link in links if not link.takes_a_part]
            if len(whole) > 1:
                both = " and ".join(link.variable for link in whole)
                add.missing(name, both, "tied", "one parameter in PyTorch, two variables in Keras")
        for name in self.search.doubtful:
            note = "several parameters have its shape, and none fits by values: write its line"
            add.missing(names_of(self.links[name]), name, "ambiguous", note)
        for name, link in self.links.items():
            shape = self._made_shape(link)
            if shape != self.shapes[name]:
                of_pytorch = " and ".join(str(self.shapes[each]) for each in link.parameters)
                made = f"makes {shape}" if shape else f"has {of_pytorch}"
                note = f"PyTorch's {made}, Keras' has {self.shapes[name]}"
                add.missing(names_of(link), name, "shape", note)

    def plain(self) -> Step:
        """A step of B with nothing put in."""
        if self._plain is None:
            self._plain = self.side.run(self.batch, None, masks=0)
            self.side.load(self.start)
        return self._plain

    def _matters(self, name: str) -> bool:
        """True for a variable of Keras that is trained, or that a forward pass changes."""
        if self.direction.reference == "keras":
            return name not in self.record.constants
        if name in self.side.trained:
            return True
        step = self.plain()
        return not np.array_equal(step.before[name], step.after_forward[name])

    def _is_without_gradient(self, name: str) -> bool:
        """True for a parameter of PyTorch that is to be trained, but that the loss does not see."""
        if self.direction.reference == "pytorch":
            trained, step = self.record.trained, self.record.steps[0]
        else:
            trained, step = self.side.trained, self.plain()
        return name in trained and name not in step.gradients

    def constants_of_pytorch(self) -> list[str]:
        """PyTorch's buffers that a forward pass leaves as they are."""
        if self.direction.reference == "pytorch":
            return self.record.constants
        return unchanged(self.plain(), self.side.buffers)

    def _made_shape(self, link: Link) -> tuple[int, ...] | None:
        zeros = {name: np.zeros(self.shapes[name]) for name in link.parameters}
        try:
            return link.carry(zeros).shape
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
        add = Adder(judgement, "weights", 1)
        before = self.record.steps[0].before
        for name, link in self.usable().items():
            add.compare((names_of(link), name), (link.carry(before), self.given.converted[name]))

    def _batch_stage(self, judgement: Judgement) -> None:
        if self.given.batch is None:
            return
        add = Adder(judgement, "batch", 1)
        raw, in_keras = self.batches()
        expected = self.expected_batch()
        for word in ("inputs", "targets"):
            pairs = leaves(getattr(expected, word)), leaves(getattr(in_keras, word))
            if len(pairs[0]) != len(pairs[1]):
                note = f"{len(pairs[0])} arrays in PyTorch, {len(pairs[1])} in Keras"
                add.missing(word, word, "structure", note)
                continue
            for number, (p, k) in enumerate(zip(*pairs, strict=True)):
                name = word if len(pairs[0]) == 1 else f"{word} {number}"
                k = np.asarray(k, np.float64)
                for candidate in orientations(leaves(getattr(raw, word))[number]):
                    p = candidate if is_close(candidate, k) else p
                add.compare((name, name), (np.asarray(p, np.float64), k))

    def batches(self) -> tuple[Batch, Batch]:
        """PyTorch's and Keras' batch, each in its own layout."""
        of_a = Batch(self.record.inputs, self.record.targets, self.record.weights)
        return self.direction.sides(of_a, self.batch)

    def expected_batch(self) -> Batch:
        """PyTorch's batch as Keras must have it."""
        if self.direction.reference == "pytorch":
            return batch_of_keras(self.record, self.side.model)
        return moved_batch(self.batch, self.record)

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
        return self.direction.find(a, b, self.images)[1]

    def loaded(self, number: int) -> Arrays:
        """B's variables made of A's at the start of a step."""
        before = self.record.steps[number].before
        return self.direction.weights(self.usable(), before, self.start)

    def synchronised(self, number: int) -> Step:
        """Run a step of B from A's weights, with A's values and gradients put in."""
        a = self.record.steps[number]
        self.side.load(self.loaded(number))
        self.side.mask_layout = self._mask_layout(a)

        def put(call: Call) -> Put | None:
            require_same_call(TITLES[self.side.name], call, self.walked.calls)
            index = self.alignment.twin.get(call.index)
            if index is None:
                return None
            twin, layout = a.calls[index], self.alignment.layout[call.index]
            value = self.direction.put(layout, twin.output, call.output)
            if value.shape != call.output.shape:
                return None
            if twin.gradient is None or call.index == self.head_of_b:
                return Put(value)
            gradient = self.direction.put_gradient(layout, twin.gradient, call.output)
            return Put(value, gradient)

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
            layout, _ = self.direction.find(a.outputs[number], output, self.images)
            gradient = a.output_gradients[number]
            if layout is None or gradient is None:
                return None
            return self.direction.put_gradient(layout, gradient, output)

        return gradient_of

    def _mask_layout(self, a: Step) -> Callable[[Call], Any]:
        """For dropout calls in order: the shape of A's input, and its way to B's."""
        twins = [index for _, index in sorted(self.alignment.twin.items())]
        dropouts = iter([a.calls[index] for index in twins if a.calls[index].kind == "dropout"])

        def layout_of(call: Call) -> Any:
            twin = next(dropouts, None)
            if twin is None:
                return None
            pair = twin.inputs[0], call.inputs[0]
            return mask_layout(self.direction, pair, self.images)

        return layout_of

    def judge_step(self, number: int) -> Judgement:
        """The stages of one step that need no optimizer."""
        judgement = Judgement(dtype=self.dtype, reference=self.direction.reference)
        self._judge_layers(judgement, number).buffers()
        return judgement

    def _judge_layers(self, judgement: Judgement, number: int) -> Runs:
        a = self.record.steps[number]
        b = self.synchronised(number)
        runs = Runs(self, judgement, number, (a, b))
        runs.forward()
        if not self.take_loss_of_a:
            runs.loss()
        runs.backward()
        runs.parameter_gradients()
        return runs

    def _look_at_the_whole(self, judgement: Judgement, runs: Runs) -> None:
        """Acquit layers that differ where the step as a whole does not.

        Two layers may stand in another order, or do together what one does on the other side. Then
        the step from the same weights, with nothing put in, has the same outputs, loss, gradients
        and buffers. If the first step has not, later ones are not looked at.
        """
        own = [each for each in judgement.different if each.stage in OF_LAYERS]
        if not own or any(each.step <= runs.number for each in own):
            return
        self.side.load(self.loaded(runs.number))
        self.side.mask_layout = self._mask_layout(runs.a)
        whole = Judgement(dtype=self.dtype, reference=self.direction.reference)
        step: Step = self.side.run(self.batch, None, masks=runs.number)
        Runs(self, whole, runs.number, (runs.a, step)).whole()
        if not whole.findings or whole.different:
            return
        for finding in own:
            judgement.findings.remove(finding)
            note = f"{finding.place}: it differs by itself, but the step as a whole is the same"
            if note not in judgement.notes:
                judgement.notes.append(note)

    def layer_of(self, call: Call) -> Any:
        """The live layer of a call of B; None for an operation that is none."""
        return self.side.layer_of(call)

    def twins_of_b(self) -> dict[int, int]:
        """The index of A's call for each call of B that has a twin, misfits among them."""
        return {**self.alignment.misfits, **self.alignment.twin}

    def twins(self, a: Step, b: Step) -> Iterator[Twin]:
        """Calls of both sides that are twins, in A's order."""
        twins = self.alignment.twin
        for j in sorted(twins, key=lambda index: twins[index]):
            if j < len(b.calls):
                pair = a.calls[twins[j]], b.calls[j]
                yield Twin(*self.direction.sides(*pair), self.alignment.layout[j], *pair)

    def lost_before(self, side: str, index: int) -> Call | None:
        """The last call of a side before ``index`` that has no twin; in PyTorch, no plumbing."""
        twins = self.twins_of_b()
        if side == self.side.name:
            calls, known = self.last.calls, set(twins)
        else:
            calls, known = self.record.steps[0].calls, set(twins.values())
        plumbing = ("pad", "add", "cat", "gap") if side == "pytorch" else ()
        lost = [call for call in calls[:index] if call.index not in known]
        lost = [call for call in lost if call.kind not in plumbing]
        return lost[-1] if lost else None

    def _optimizer_stages(self, runs: Runs, mover: Stepper) -> None:
        a = runs.a
        assert a.update
        trained = set(self.side.trained)
        links = {
            name: link
            for name, link in self.usable().items()
            if trained & set(self.direction.made_by(link))
        }
        gradients = self.direction.gradients(links, a.gradients, runs.b.before)
        gradients = {name: array for name, array in gradients.items() if name in trained}
        weights = {name: runs.b.before[name] for name in self.side.trained}
        if runs.number:
            mover.take_over(self._state_of_a(runs.number, links))
        update = mover.step(weights, gradients)
        rates = self.direction.sides(a.update.rate, mover.rate)
        self.rates[runs.number + 1] = rates
        moved = {
            name: link
            for name, link in links.items()
            if set(self.direction.made_by(link)) & set(gradients)
        }
        runs.update(update, moved, rates[1])

    def _state_of_a(self, number: int, links: dict[str, Link]) -> State:
        """A's optimizer state before a step, in B's layout: what has the shape of its weight."""
        before, now = (self.record.steps[n].update for n in (number - 1, number))
        assert before
        assert now
        arrays: dict[str, Arrays] = {}
        for slot, of_a in before.state.items():
            usable = {
                name: link
                for name, link in links.items()
                if not link.adds and self._has_state(of_a, self.direction.made_of(link))
            }
            names: list[str] = []
            for link in usable.values():
                names += self.direction.made_by(link)
            start = {name: np.zeros(self.shapes[name]) for name in names}
            arrays[slot] = self.direction.weights(usable, of_a, start)
        rule = self.stepper_of_a.rule if self.stepper_of_a else None
        return State(self.record.facts["optimizer"], rule, now.rate, {}, arrays)

    def _has_state(self, arrays: Arrays, names: Sequence[str]) -> bool:
        return all(name in arrays and arrays[name].shape == self.shapes[name] for name in names)

    def free(self) -> list[tuple[float, float]]:
        """PyTorch's and Keras' losses from A's weights, with nothing put in, for each step."""
        losses = []
        for number, step in enumerate(self.record.steps):
            self.side.load(self.loaded(number))
            self.side.mask_layout = self._mask_layout(step)
            own = self.side.free_loss(self.batch, number)
            losses.append(self.direction.sides(step.loss, own))
        return losses
