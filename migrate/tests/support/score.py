"""How many planted faults are caught, beside the usual checks: ``python -m
samestep.migrate.tests.support.score``.

The usual checks compare the outputs of the two models in evaluation mode, with the weights copied
by the right map (or by the fault's own conversion): all close at 1e-5, all close at 1e-3, and
equal means within 1e-6. It takes some minutes. The faults and right pairs of a stranger, who has
not read how a cause is found, are counted apart.
"""

import sys
import warnings
from collections import Counter

import numpy as np

from samestep.parity.tests.support.frameworks import keras, tf, torch

# isort: split
from samestep.migrate.pair import layouts
from samestep.migrate.pair.causes import NONE_KNOWN
from samestep.migrate.pair.compare import Comparison, compare, keras_judge
from samestep.migrate.pair.libraries import keras_dtype
from samestep.migrate.pair.limits import Verdict
from samestep.migrate.pair.program import Program
from samestep.migrate.pair.recording import record_pytorch
from samestep.migrate.pair.shared import PairError

from .families import FAMILIES
from .faults import FAULTS, Fault
from .stranger import FAULTS as OF_A_STRANGER
from .stranger import RIGHT as RIGHT_OF_A_STRANGER
from .stranger.judging import Answer, answer
from .stranger.pair import Pair


def far(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    """True if two arrays are not all close, absolutely and relatively."""
    return bool(np.any(np.abs(a - b) > tolerance + tolerance * np.abs(b)))


def usual_checks(fault: Fault) -> dict[str, bool]:
    """Which of the usual checks notice a fault."""
    program = Program(fault.values(), "mine.py")
    record = record_pytorch(program, 1)
    keras.backend.clear_session()
    with keras_dtype(record.dtype):
        judge = keras_judge(record, program, {})
        judge.find_map()
        judge.side.load(judge.given.converted or judge.loaded(0))
        inputs = tf.constant(judge.batch.inputs)
        in_keras = np.asarray(judge.side.model(inputs, training=False))
    model = program.model("pytorch").double().eval()
    given = torch.from_numpy(np.array(record.inputs))
    given = given.double() if given.is_floating_point() else given
    in_pytorch = model(given).detach().numpy()
    layout, _ = layouts.find(in_pytorch, in_keras, judge.images)
    if layout is None:
        return {"all close at 1e-5": True, "all close at 1e-3": True, "means at 1e-6": True}
    a, b = layout.carry(in_pytorch).astype(np.float32), in_keras.astype(np.float32)
    return {
        "all close at 1e-5": far(a, b, 1e-5),
        "all close at 1e-3": far(a, b, 1e-3),
        "means at 1e-6": bool(abs(a.mean() - b.mean()) > 1e-6),
    }


def main() -> None:
    """Print the figures, and each fault that is not answered as expected."""
    warnings.simplefilter("ignore")
    counts: Counter[str] = Counter()
    nearest = np.inf
    for name, fault in FAULTS.items():
        keras.backend.clear_session()
        program = Program(fault.values(), "mine.py")
        comparison = compare(record_pytorch(program, 1), program)
        first = comparison.judgement.first
        stage = first is not None and first.stage == fault.stage
        place = first is not None and fault.place in first.place
        cause = comparison.causes[0]["text"] if comparison.causes else ""
        if first is not None:
            nearest = min(nearest, first.roundings)
        counts["caught"] += not comparison.same
        counts["right stage"] += stage
        counts["right place"] += place
        counts["cause named"] += cause not in ("", NONE_KNOWN)
        for check, noticed in usual_checks(fault).items():
            counts[f"usual check, {check}"] += noticed
        if not (stage and place and fault.cause in cause):
            sys.stdout.write(f"not as expected: {name}: {first}, {cause}\n")
    for what, count in counts.items():
        sys.stdout.write(f"{what}: {count} of {len(FAULTS)}\n")
    sys.stdout.write(f"the nearest fault is {nearest:.3g} roundings away\n")
    sys.stdout.write(f"right pairs are at most {largest():.1f} roundings away\n")
    of_a_stranger()


def of_a_stranger() -> None:
    """Print what is said of a stranger's faults, and how many of the right pairs are accused."""
    counts: Counter[str] = Counter()
    for fault in OF_A_STRANGER.values():
        comparison = judged(fault.pair)
        if comparison is None:
            counts["stopped without an answer"] += 1
            continue
        first = comparison.judgement.first
        counts["caught"] += not comparison.same
        counts["right stage"] += first is not None and first.stage in fault.stages
        counts["right place"] += first is not None and any(p in first.place for p in fault.places)
        counts[str(answer(fault, comparison))] += 1
    for what in ("caught", "right stage", "right place", *Answer, "stopped without an answer"):
        sys.stdout.write(f"of a stranger, {what}: {counts[what]} of {len(OF_A_STRANGER)}\n")
    pairs = RIGHT_OF_A_STRANGER
    comparisons = {name: judged(pair) for name, pair in pairs.items()}
    accused = [
        name for name, comparison in comparisons.items() if comparison and not comparison.same
    ]
    stopped = [name for name, each in comparisons.items() if each is None]
    sys.stdout.write(f"of a stranger, right pairs accused: {len(accused)} of {len(pairs)}\n")
    sys.stdout.write(f"of a stranger, right pairs refused: {len(stopped)} of {len(pairs)}\n")


def judged(pair: Pair) -> Comparison | None:
    """The comparison of a stranger's pair; None if it stops with an error."""
    keras.backend.clear_session()
    program = Program(pair.values(), "mine.py")
    try:
        return compare(record_pytorch(program, 3), program)  # a schedule shows late
    except (PairError, IndexError):
        return None


def largest() -> float:
    """The largest distance in right pairs, in roundings, but for constants in float32."""
    farthest = 0.0
    for family in FAMILIES.values():
        keras.backend.clear_session()
        program = Program(family.values(), "mine.py")
        findings = compare(record_pytorch(program, 1), program).judgement.findings
        same = [each.roundings for each in findings if each.verdict is Verdict.SAME]
        farthest = max(farthest, *same)
    return farthest


if __name__ == "__main__":
    main()
