"""Rung 5, training: whole runs on real MNIST agree."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samestep.frameworks import FRAMEWORKS
from samestep.frameworks.experiment import executor, facts, process, record
from samestep.frameworks.experiment.run import Run, main
from samestep.frameworks.numpy import exactness, model
from samestep.frameworks.numpy.train import Trainer
from samestep.parity.lockstep import golden
from samestep.parity.measure import cases
from samestep.parity.measure.limits import SAFETY
from samestep.parity.measure.wrong_rules import Patch
from samestep.parity.tests.support import disturbed
from samestep.parity.tests.support.planted import altered_checkout
from samestep.parity.tests.support.require import LEFT_OUT, require
from samestep.reference import Rule, dialects

pytestmark = pytest.mark.rung(5)

require("torch")
require("tensorflow")
require("threadpoolctl")

SHORT = 200
ADAM, ADAGRAD = "keras:Adam(learning_rate=0.001)", "keras:Adagrad(learning_rate=0.01)"

WHOLE = [cases.PLAIN[name][-1] for name in cases.EVERYDAY]  # for a whole epoch in NumPy
EPOCH = [*(Run("numpy", call) for call in WHOLE), *(Run(name, ADAM) for name in FRAMEWORKS[1:])]
IN_EPOCH = [(run.framework, run.call) for run in EPOCH]
CUT = [
    Run(name, call, steps=SHORT) for call in cases.SHARE for name in FRAMEWORKS
    if (name, call) not in IN_EPOCH
]  # fmt: skip
XLA = [Run("tensorflow", call, steps=SHORT, xla=True) for call in WHOLE]
WHOLE_STEPS = [Run("pytorch", ADAM, steps=SHORT, compiled=True)]
THREADS = [Run(name, ADAM, steps=SHORT, threads=2) for name in FRAMEWORKS]
DOUBLE = [
    Run(name, call, "float64", steps=SHORT) for call in (ADAM, ADAGRAD) for name in FRAMEWORKS
]
SINGLE = [Run(name, ADAM, "float32", steps=SHORT) for name in FRAMEWORKS]
EVERY = [Run(name, call) for call in cases.TRAINED for name in FRAMEWORKS]

Records = dict[Run, tuple[record.Record, Path]]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory, full: bool) -> Records:
    """The records of all runs; compiled runs and runs with two threads have their own process."""
    out = tmp_path_factory.mktemp("records")
    apart, together = (
        [*WHOLE_STEPS, *THREADS],
        [*(EVERY if full else [*EPOCH, *CUT]), *XLA, *DOUBLE, *SINGLE],
    )
    train_together(together, out)
    failed = [
        f"{outcome.run.name} {outcome.error}"
        for outcome in executor.train_all(apart, out)
        if outcome.error
    ]
    assert not failed, "\n".join(failed)
    return {
        run: (record.read(out / f"{run.name}.json"), out / f"{run.name}.json")
        for run in [*apart, *together]
    }


def train_together(runs: Sequence[Run], out: Path) -> None:
    """Train the runs of each framework in one process: importing it takes longer than training."""
    spawn = get_context("spawn")
    pools = {name: ProcessPoolExecutor(1, spawn) for name in FRAMEWORKS}
    ends = {run: pools[run.framework].submit(main, [run.request(out)]) for run in runs}
    assert {run.name: end.result() for run, end in ends.items()} == {run.name: 0 for run in runs}
    for pool in pools.values():
        pool.shutdown()


def digests(records: Records, run: Run) -> dict[int, str]:
    """The digest at each mark of a run, by step."""
    return {mark["step"]: mark["digest"] for mark in records[run][0].marks}


@pytest.mark.parametrize("call", cases.TRAINED)
def test_frameworks_train_with_one_digest(records: Records, call: str, full: bool) -> None:
    """At every mark all weights have the same bits in NumPy, PyTorch and TensorFlow.

    Adam is trained for an epoch, the other rules for some steps.
    """
    if not full and call not in cases.SHARE:
        pytest.skip(LEFT_OUT)
    of_numpy = [Run("numpy", call), Run("numpy", call, steps=SHORT)]
    (expected,) = [digests(records, run) for run in of_numpy if run in records]
    steps = None if full or call == ADAM else SHORT
    for name in FRAMEWORKS[1:]:
        actual = digests(records, Run(name, call, steps=steps))
        assert len(actual) > 7
        different = [step for step in actual if actual[step] != expected[step]]
        assert not different, f"{call}: {name} leaves NumPy at the mark of step {different[0]}"


@pytest.mark.skipif(
    golden.here() != golden.PLATFORM, reason=f"golden digests are those of {golden.PLATFORM}"
)
@pytest.mark.parametrize("run", EVERY, ids=lambda run: run.name)
def test_epoch_ends_with_the_golden_digest(records: Records, run: Run, full: bool) -> None:
    """The digest is the one recorded when five epochs agreed in three frameworks."""
    if not full and run not in EPOCH:
        pytest.skip(LEFT_OUT)
    assert not golden.differing({run: records[run][0]}, golden.load())


def test_golden_digests_are_those_of_the_present_cases() -> None:
    """Every trained call, and no other, has five epochs on record, under its present rule."""
    recorded = golden.load()
    assert set(recorded) == set(cases.TRAINED)
    assert all(entry["rule"] == repr(dialects.read(call)) for call, entry in recorded.items())
    assert all(
        len(entry["digests"]) == len(set(entry["digests"])) == golden.EPOCHS
        for entry in recorded.values()
    )


def test_recorder_refuses_frameworks_that_differ() -> None:
    """No digest is recorded unless all frameworks agree."""
    kept = {
        name: record.Record({}, epochs=[{"digest": "a", "accuracy": 0.5}]) for name in FRAMEWORKS
    }
    agreeing = {Run(name, ADAM): kept[name] for name in FRAMEWORKS}
    assert golden.agreed(ADAM, agreeing)["digests"] == ["a"]
    kept["pytorch"].epochs[0]["digest"] = "b"
    with pytest.raises(ValueError, match="the frameworks must agree before anything is recorded"):
        golden.agreed(ADAM, agreeing)


@pytest.mark.parametrize("run", XLA, ids=lambda run: run.call)
def test_loop_under_xla_has_the_same_digests(records: Records, run: Run) -> None:
    """XLA sums in another order, and joins no product of the rule to a sum."""
    expected, actual = digests(records, Run("numpy", run.call)), digests(records, run)
    assert len(actual) > 7
    assert actual == {step: expected[step] for step in actual}


@pytest.mark.parametrize("run", WHOLE_STEPS, ids=lambda run: run.call)
def test_steps_compiled_as_a_whole_have_the_same_digests(records: Records, run: Run) -> None:
    """In PyTorch; so has the eager loop that takes their place where there is no C++ compiler."""
    expected, actual = digests(records, Run("numpy", run.call)), digests(records, run)
    assert len(actual) > 7
    assert actual == {step: expected[step] for step in actual}


@pytest.mark.parametrize("run", THREADS, ids=lambda run: run.framework)
def test_two_threads_have_the_same_digests(records: Records, run: Run) -> None:
    """However many threads share a sum, it is the same sum."""
    expected, actual = digests(records, Run("numpy", ADAM)), digests(records, run)
    assert records[run][0].header["threads"] == 2
    assert actual == {step: expected[step] for step in actual}


def test_no_element_depends_on_the_order_of_a_sum(records: Records) -> None:
    """Checked at every mark of every lockstep run in NumPy, against whole-number arithmetic."""
    runs = [run for run in records if (run.framework, run.arithmetic) == ("numpy", "lockstep")]
    assert {run.call for run in runs} >= set(cases.SHARE)
    assert {run.name: records[run][0].order_dependent for run in runs} == {
        run.name: 0 for run in runs
    }


def test_coarser_check_finds_sums_that_are_not_exact(
    batches: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 28 bits an operand the products do not fit; with 20 every element is counted."""
    images, labels, mask = batches[0]
    arguments = facts.initial_weights(), images / 255, labels, mask * 1.25
    faults, checked = exactness.order_dependent(
        [w.astype(np.float64) for w in arguments[0]], *arguments[1:]
    )
    products = (
        2 * 32 * 128 + 32 * 10 + 784 * 128 + 128 * 10
    )  # two forward, one to the hidden layer, two to kernels
    sums = 128 + 10 + 32  # for the biases, and of exponentials, of which there are 320
    assert (faults, checked) == (0, products + sums + 32 * 10)
    monkeypatch.setattr(model, "BITS", 28)
    assert (
        exactness.order_dependent([w.astype(np.float64) for w in arguments[0]], *arguments[1:])[0]
        > 0
    )


class Spied:
    """Coefficients that remember which of them reached the update, and alter one."""

    def __init__(self, c: Any, alter: str | None, used: set[str]) -> None:
        self._c, self._alter, self._used = c, alter, used

    def __getattr__(self, name: str) -> float:
        value = getattr(self._c, name)
        if value:  # what is zero stays zero
            self._used.add(name)
        return value * (1 + 2.0**-20 if name == self._alter else 1)


def digest_with(rule: Rule, batches: Any, alter: str | None) -> tuple[str, set[str]]:
    """The digest after the batches with one coefficient altered by 2^-20, and the used ones."""
    trainer, used = Trainer(rule, "lockstep"), set[str]()

    class Altered(type(rule)):  # type: ignore[misc]
        def coefficients(self, *arguments: Any) -> Any:
            return Spied(super().coefficients(*arguments), alter, used)

    trainer.optimizer.rule = Altered(**rule.to_dict())
    for batch in batches:
        trainer.step(*batch)
    return facts.digest(trainer.weights()), used


ABSORBED = {
    ("pytorch:ASGD(lr=0.01)", "share"),  # it trials the average, which steers nothing
    ("pytorch:Rprop(lr=0.0001)", "largest"),  # no size comes near 50
    # a sign shows so small a change only where it turns, and in so few steps it turns nowhere
    ("keras:Lion(learning_rate=0.0001, beta_2=0.999)", "keep1"),
    ("keras:Lion(learning_rate=0.0001, beta_2=0.999)", "take1"),
    ("keras:Lion(learning_rate=0.0001, beta_2=0.999)", "take2"),
    (
        "keras:Adafactor(learning_rate=0.05)",
        "epsilon1",
    ),  # 1e-30; where squares are smaller, gradients are zero
    # beside an initial accumulator of 0.1 float32 rounds this epsilon alike
    ("keras:Adagrad(learning_rate=0.01)", "epsilon"),
    ("keras:Adagrad(learning_rate=0.01, weight_decay=0.01)", "epsilon"),
    ("pytorch:Adagrad(lr=0.01, lr_decay=0.001, initial_accumulator_value=0.1)", "epsilon"),
}


@pytest.mark.parametrize("call", cases.TRAINED)
def test_change_of_a_millionth_in_any_coefficient_changes_the_digest(
    call: str, batches: Any, full: bool
) -> None:
    """A digest shows a change by 2^-20 of any coefficient that reaches the update."""
    if not full and call not in cases.SHARE:
        pytest.skip(LEFT_OUT)
    rule = dialects.read(call)
    plain, used = digest_with(rule, batches[:60], None)
    assert used
    unnoticed = {(call, name) for name in used if digest_with(rule, batches[:60], name)[0] == plain}
    absorbed = {pair for pair in ABSORBED if pair[0] == call}
    assert unnoticed == absorbed, (
        f"{rule!r}: a change of 2^-20 leaves the digest as it was in {unnoticed}"
    )


FORWARD = [
    Patch("", "frameworks/numpy/model.py", "np.maximum(before, 0)", "np.maximum(before, 1e-3)"),
    Patch(
        "",
        "frameworks/pytorch/model.py",
        "functional.relu(_linear",
        "functional.leaky_relu(_linear",
    ),
    Patch("", "frameworks/tensorflow/model.py", "tf.nn.relu(_dense", "tf.nn.leaky_relu(_dense"),
]


@pytest.fixture
def altered(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of the packages with one forward pass altered."""
    return altered_checkout(tmp_path, request.param)


@pytest.mark.parametrize("altered", FORWARD, ids=lambda m: m.file, indirect=True)
def test_altered_forward_pass_changes_its_own_digest_alone(
    records: Records,
    altered: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    full: bool,
) -> None:
    """Each framework differentiates its own model, so no other framework notices.

    Without ``--full`` one other framework is asked, the one that is loaded sooner.
    """
    monkeypatch.setattr(process, "SEARCH_PATH", altered)
    (own,) = [name for name in FRAMEWORKS if f"frameworks/{name}/" in request.node.callspec.id]
    second = "pytorch" if own == "numpy" else "numpy"
    runs = [Run(name, ADAM, steps=50) for name in (FRAMEWORKS if full else (own, second))]
    outcomes = executor.train_all(runs, altered)
    assert all(outcome.record for outcome in outcomes), [outcome.error for outcome in outcomes]
    changed = [
        outcome.run.framework
        for outcome in outcomes
        if outcome.record and record.read(outcome.record).marks[-1]["digest"]
        != digests(records, Run(outcome.run.framework, ADAM))[50]
    ]  # fmt: skip
    assert [f"frameworks/{name}/model.py" for name in changed] == [request.node.callspec.id]


@pytest.mark.parametrize("call", [ADAM, ADAGRAD])
def test_plain_float64_training_stays_within_the_derived_limit(
    records: Records, call: str, batches: Any
) -> None:
    """At no mark are two frameworks farther apart than the worst order of sums allows."""
    gaps = disturbed.response(dialects.read(call), batches, seed=3)
    kept = {
        name: record.read_weights(records[Run(name, call, "float64", steps=SHORT)][1])
        for name in FRAMEWORKS
    }
    for step in kept["numpy"]:
        limit = SAFETY * np.linalg.norm(gaps[step - 1])
        for name in ("pytorch", "tensorflow"):
            distance = np.linalg.norm(kept[name][step] - kept["numpy"][step])
            assert distance <= limit, (
                f"{call}, {name}, step {step}: {distance} apart, limit {limit}"
            )
    wrong = Trainer(dialects.read(call).replace(lr=0.001 * (1 + 2.0**-36)), "float64")
    right = Trainer(dialects.read(call).replace(lr=0.001), "float64")
    for batch in batches:
        wrong.step(*batch)
        right.step(*batch)
    away = np.linalg.norm(
        np.concatenate(
            [(a - b).ravel() for a, b in zip(wrong.weights(), right.weights(), strict=True)]
        )
    )
    assert away > SAFETY * np.linalg.norm(gaps[-1]), (
        "the limit would let through a rate wrong by 2^-36"
    )


def test_every_run_writes_the_same_kind_of_record(records: Records) -> None:
    """Header, losses, marks, path and accuracy are there for every framework and arithmetic."""
    for run, (kept, _) in records.items():
        assert kept.header["rule"] == repr(dialects.read(run.call))
        assert kept.header["threads"] == run.threads
        assert {"python", "numpy"} <= set(kept.header["versions"])
        assert {"dialect", "seed", "device", "arithmetic", "hyperparameters"} <= set(kept.header)
        assert len(kept.losses) == (run.steps or 1875) == kept.marks[-1]["step"]
        assert kept.losses[0] > 2.2
        assert kept.marks[-1]["path"] > kept.marks[0]["path"] > 0
        assert len(kept.epochs) == 1
        assert 0 < kept.epochs[0]["accuracy"] < 1


def test_plain_float32_training_differs_in_bits(records: Records) -> None:
    """Without lockstep no digest is shared; the distances are shown in the report, not judged."""
    kept = [records[run][0] for run in SINGLE]
    assert len({record.marks[-1]["digest"] for record in kept}) == len(kept)
