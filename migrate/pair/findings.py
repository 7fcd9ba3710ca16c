"""What a judgement consists of: findings, each a comparison of one value of a stage."""

from dataclasses import dataclass, field

import numpy as np

from . import limits
from .limits import Verdict

STAGES = (
    "map", "weights", "batch", "forward", "loss", "gradient of the output", "backward",
    "parameter gradients", "clip", "weights after", "optimizer state", "buffers after",
)  # fmt: skip
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
    """Everything that was compared, and what could not be.

    ``notes`` are differences that are no fault: layers that differ while the step does not, and
    what no setting changes.
    """

    findings: list[Finding] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    dtype: str = "float64"
    reference: str = "pytorch"

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


class Adder:
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
        if self.judgement.reference == "keras":  # the limit is that of the reference's values
            a, b = b, a
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
