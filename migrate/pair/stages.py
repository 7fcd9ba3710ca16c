"""The stages of one step: A's run, and B's with A's values put in.

Values are compared as Keras has them: layouts and links lead from PyTorch to Keras.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from samestep.migrate.pieces import Link

from . import limits
from .align import Twin
from .findings import (
    MOVE_TOGETHER,
    OTHER_INPUT,
    SAME_INPUT,
    Adder,
    Finding,
    Judgement,
)
from .layouts import digest, is_close
from .limits import Verdict
from .record import Arrays, Call, Step, Update

if TYPE_CHECKING:
    from .judge import Judge


BIASED = (
    "PyTorch's normalization keeps n / (n - 1) times the variance of a batch of n, and Keras' the "
    "variance itself; no setting changes it, so it is no difference here"
)


class Runs:
    """The stages of a step of A, ``a``, and of B, ``b``."""

    def __init__(self, judge: "Judge", judgement: Judgement, number: int, runs: tuple[Step, Step]):
        self.judge = judge
        self.judgement = judgement
        self.number = number
        self.direction = judge.direction
        self.a, self.b = runs
        self.in_pytorch, self.in_keras = self.direction.sides(self.a, self.b)
        self.alignment = judge.alignment

    def adder(self, stage: str) -> Adder:
        """Adds findings of a stage of this step."""
        return Adder(self.judgement, stage, self.number + 1)

    def forward(self) -> None:
        """Each layer's output, then the model's."""
        add = self.adder("forward")
        for twin in self.judge.twins(self.a, self.b):
            self._output(add, twin)
        for j, i in self.alignment.misfits.items():
            self._misfit(add, self.a.calls[i], self.b.calls[j])
        p, k = self.in_pytorch, self.in_keras
        if len(p.outputs) != len(k.outputs):
            note = f"PyTorch returns {p.structure}, Keras {k.structure}"
            add.missing("output", "output", "structure", note)
            return
        if self.judge.has_head and self.judge.head_of_b not in self.alignment.twin:
            return  # logits on one side, probabilities on the other
        self._whole_outputs()

    def _whole_outputs(self) -> None:
        """The model's outputs."""
        add = self.adder("forward")
        responses = self.a.responses["outputs"]
        for number, name, pair in self._outputs():
            way, _ = self.direction.find(*self.direction.sides(*pair), self.judge.images)
            add.compare((name, name), (way.carry(pair[0]) if way else pair[0], pair[1]),
                        responses[number])  # fmt: skip

    def whole(self) -> None:
        """Outputs, loss, gradients and buffers of a step of B in which nothing was put in."""
        if len(self.in_pytorch.outputs) != len(self.in_keras.outputs):
            self.adder("forward").missing("output", "output", "structure")
            return
        self._whole_outputs()
        self.loss()
        self.parameter_gradients()
        self.buffers()

    def _outputs(self) -> list[tuple[int, str, tuple[np.ndarray, np.ndarray]]]:
        """Number, name, and both outputs of the model."""
        pairs = list(zip(self.in_pytorch.outputs, self.in_keras.outputs, strict=True))
        alone = len(pairs) == 1
        return [(n, "output" if alone else f"output {n}", pair) for n, pair in enumerate(pairs)]

    def _output(self, add: Adder, twin: Twin) -> None:
        p, k = twin.in_pytorch, twin.in_keras
        values = twin.layout.carry(p.output), k.output
        finding = add.compare((p.name, k.name), values, twin.a.output_response)
        if finding:
            finding.call = twin.b.index
            if finding.kind == "value":
                finding.kind = SAME_INPUT if same_input(twin.a, twin.b) else OTHER_INPUT

    def _misfit(self, add: Adder, a: Call, b: Call) -> None:
        """Two calls whose outputs had no layout in common; under an exchange they may have one."""
        p, k = self.direction.sides(a, b)
        layout, _ = self.direction.find(a.output, b.output, self.judge.images)
        if layout is None or layout.name.endswith("other shape"):
            note = f"PyTorch's output has shape {p.output.shape}, Keras' {k.output.shape}"
            finding: Finding | None = add.missing(p.name, k.name, "shape", note)
        else:
            values = layout.carry(p.output), k.output
            finding = add.compare((p.name, k.name), values, a.output_response)
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

    def loss(self) -> None:
        """The loss, and its gradient at the model's outputs."""
        values = np.array(self.in_pytorch.loss), np.array(self.in_keras.loss)
        self.adder("loss").compare(("loss", "loss"), values, self.a.responses["loss"])
        add = self.adder("gradient of the output")
        if self.judge.has_head or len(self.a.outputs) != len(self.b.outputs):
            return
        for number, name, pair in self._outputs():
            way, _ = self.direction.find(*self.direction.sides(*pair), self.judge.images)
            if way is None:
                continue
            of_p = self.in_pytorch.output_gradients[number]
            gradients = None if of_p is None else way.carry_gradient(of_p)
            response = self.a.responses["output gradients"][number]
            of_k = self.in_keras.output_gradients[number]
            add.compare((name, name), (gradients, of_k), response)

    def backward(self) -> None:
        """The gradient that arrives at each layer's output, from the last layer to the first."""
        add = self.adder("backward")
        judge = self.judge
        beyond = self._responses_beyond()
        for twin in reversed(list(judge.twins(self.a, self.b))):
            if twin.b.index == judge.head_of_b or (
                judge.take_loss_of_a and judge.has_head and twin.a.index == judge.logits
            ):  # none of A's gradients is put in at the head, so B's loss still acts there
                continue
            p, k = twin.in_pytorch, twin.in_keras
            gradient = None if p.gradient is None else twin.layout.carry_gradient(p.gradient)
            response = max(twin.a.gradient_response, beyond.get(twin.a.index, 0.0))
            finding = add.compare((p.name, k.name), (gradient, k.gradient), response)
            if finding:
                finding.call = twin.b.index

    def _responses_beyond(self) -> dict[int, float]:
        """The largest gradient response of calls without twin that use a call of A, by its index.

        B goes through them without A's gradient, so what cancels there is not B's to answer for.
        """
        lost = self._calls_without_twin()
        users: dict[bytes, list[Call]] = {}
        for call in lost:
            for array in call.inputs:
                users.setdefault(_key(array), []).append(call)
        beyond: dict[int, float] = {}
        for call in reversed(self.a.calls if lost else []):
            of_users = [
                max(user.gradient_response, beyond.get(user.index, 0.0))
                for user in users.get(_key(call.output), [])
            ]
            beyond[call.index] = max(of_users, default=0.0)
        return beyond

    def _calls_without_twin(self) -> list[Call]:
        known = set(self.judge.twins_of_b().values())
        return [call for call in self.a.calls if call.index not in known]

    def _response(self, link: Link, what: str) -> float:
        """The largest response of A's arrays that a link is made of.

        Parts of one packed parameter of PyTorch share it: the gradient of a key's bias is 0.
        """
        responses = self.a.responses[what]
        links = [each for each in self.judge.links.values() if _share(each, link)]
        names: list[str] = []
        for each in links:
            names += self.direction.made_of(each)
        return max(responses.get(name, 0.0) for name in names)

    def parameter_gradients(self) -> None:
        """The gradient of each variable."""
        add = self.adder("parameter gradients")
        for name, link in self.judge.usable().items():
            gradient = link.carry_gradient(self.in_pytorch.gradients)
            values = gradient, self.in_keras.gradients.get(name)
            add.compare((names_of(link), name), values, self._response(link, "gradients"))

    def update(self, of_b: Update, links: dict[str, Link], rate: float | None) -> None:
        """Clipped gradients, weights and state after the optimizer's step."""
        assert self.a.update
        p, k = self.direction.sides(self.a.update, of_b)
        for name, link in links.items():
            names = (names_of(link), name)
            values = link.carry_gradient(p.clipped), k.clipped.get(name)
            self.adder("clip").compare(names, values)
            if not (link.adds or set(link.parameters) <= set(p.after)) or name not in k.after:
                continue
            after = link.carry({**self.in_pytorch.before, **p.after})
            finding = self.adder("weights after").compare(names, (after, k.after[name]))
            if finding and link.adds and self._moves_together(link, after, k.after[name]):
                finding.note = MOVE_TOGETHER
        for slot in sorted(set(p.state) & set(k.state)):
            self._state(slot, (p, k), links, rate)
        for slot in sorted(set(p.state) ^ set(k.state)):
            side = "PyTorch" if slot in p.state else "Keras"
            note = f"the state {slot} of {side}'s optimizer: the other side has none"
            if note not in self.judgement.not_compared:
                self.judgement.not_compared.append(note)

    def _moves_together(self, link: Link, after: np.ndarray, of_keras: np.ndarray) -> bool:
        """True if PyTorch's sum moves as many times as far as the variable as it has parts."""
        before = link.carry(self.in_pytorch.before)
        share = before + (after - before) / len(link.parameters)
        if not _fits((share, of_keras)):
            return False
        dtype = self.judgement.dtype
        return limits.measure(share, of_keras, 0.0, dtype).verdict is not Verdict.DIFFERENT

    def _state(
        self, slot: str, updates: tuple[Update, Update], links: dict[str, Link], rate: float | None
    ) -> None:
        p, k = (update.state[slot] for update in updates)
        add = self.adder("optimizer state")
        for name, link in links.items():
            if link.adds or name not in k or not _has(p, link, self.in_pytorch.before):
                continue
            values = link.carry(p), k[name]
            names = (f"{slot} of {names_of(link)}", f"{slot} of {name}")
            response = self._response_of_state(slot, link)
            finding = add.compare(names, values, response)
            if finding and finding.verdict is Verdict.DIFFERENT and rate and _fits(values):
                scaled = limits.measure(values[0] * rate, values[1], response * rate, add.dtype)
                if scaled.verdict is not Verdict.DIFFERENT:
                    finding.distance, finding.limit, finding.roundings, finding.verdict = scaled
                    finding.note = "Keras stores it multiplied by the learning rate"

    def _response_of_state(self, slot: str, link: Link) -> float:
        """How far a state moves at most if the one before it is nudged: both may cancel."""
        if not self.number:
            return 0.0
        update = self.judge.record.steps[self.number - 1].update
        before = update.state.get(slot, {}) if update else {}
        arrays = [before[name] for name in self.direction.made_of(link) if name in before]
        sizes = [float(np.max(np.abs(array), initial=0)) for array in arrays]
        return limits.NUDGE * max(sizes, default=0.0)

    def buffers(self) -> None:
        """Buffers after the forward pass, such as moving averages."""
        add = self.adder("buffers after")
        trained = {*self.judge.side.trained, *self.judge.record.trained}
        for name, link in self.judge.usable().items():
            if name in trained or set(link.parameters) & trained:
                continue
            expected, note = self._expected_buffer(link)
            values = expected, self.in_keras.after_forward[name]
            response = self._response(link, "after forward")
            finding = add.compare((names_of(link), name), values, response)
            if finding:
                finding.note = finding.note or note

    def _is_fused(self, variable: str) -> bool:
        """True for the fused BatchNorm of Keras 2, which stores the unbiased variance, too."""
        calls = [c for c in self.in_keras.calls if variable in c.parameters.values()]
        return any(call.settings.get("fused") for call in calls)

    def _expected_buffer(self, link: Link) -> tuple[np.ndarray, str]:
        """What Keras must have: PyTorch's, but for the variance that Keras stores biased."""
        p = self.in_pytorch
        after = link.carry(p.after_forward)
        before = link.carry(p.before)
        parameter = link.parameters[0]
        calls = [c for c in p.calls if c.parameters.get("running_var") == parameter]
        if not calls or np.array_equal(after, before):
            return after, ""
        momentum = calls[0].settings.get("momentum")
        if momentum is None or self._is_fused(link.variable):
            return after, ""
        of_pytorch = of_keras = before
        for call in calls:  # each moves the average on
            x = call.inputs[0]
            count = x.size // x.shape[1]
            if count < 2:
                return after, ""
            variance = np.var(x, axis=(0, *range(2, x.ndim)))
            of_keras = (1 - momentum) * of_keras + momentum * variance
            of_pytorch = (1 - momentum) * of_pytorch + momentum * variance * count / (count - 1)
        if not is_close(of_pytorch, after):  # not what this batch has made
            return after, ""
        if BIASED not in self.judgement.notes:
            self.judgement.notes.append(BIASED)
        note = "Keras stores the biased variance, PyTorch n / (n - 1) times as much"
        return after + of_keras - of_pytorch, note


def same_input(a: Call, b: Call) -> bool:
    """True if B's call is given the values of A's, in any order and without rims of zeros."""
    of_b = [digest(array) for array in b.inputs]
    of_a = [digest(array) for array in a.inputs]
    return all(any(is_close(x, y) for y in of_b) for x in of_a)


def _key(array: np.ndarray) -> bytes:
    """Equal for arrays of the same values in any order and layout."""
    return digest(array).tobytes()


def _share(first: Link, second: Link) -> bool:
    return bool(set(first.parameters) & set(second.parameters))


def names_of(link: Link) -> str:
    """PyTorch's parameters of a link, in words."""
    return " + ".join(link.parameters)


def _has(arrays: Arrays, link: Link, before: Arrays) -> bool:
    return all(n in arrays and arrays[n].shape == before[n].shape for n in link.parameters)


def _fits(values: Sequence[np.ndarray]) -> bool:
    return values[0].shape == values[1].shape
