"""Many runs: on this machine, and on a Dask cluster of a scheduler and two workers on loopback."""

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from samestep.frameworks.experiment import executor, process, record
from samestep.frameworks.experiment.executor import Event, Outcome, train_all
from samestep.frameworks.experiment.run import Run, main, read_request
from samestep.parity.lockstep import golden
from samestep.parity.tests.support.cluster import PATIENCE, Cluster, wait_for
from samestep.parity.tests.support.require import require

pytestmark = pytest.mark.rung(5)

require("threadpoolctl")

STEPS = 50
ADAM, SGD = "keras:Adam(learning_rate=0.001)", "keras:SGD(learning_rate=0.01)"
SHORT = [Run("numpy", ADAM, steps=STEPS), Run("numpy", SGD, steps=STEPS)]
LONG = [Run("numpy", ADAM, steps=250), Run("numpy", SGD, steps=250)]
LINUX = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="finds child processes in Linux' /proc"
)


def digests(outcomes: list[Outcome]) -> list[list[str]]:
    """The digests at the marks of each run; fails if a run has no record."""
    assert [outcome.error for outcome in outcomes] == [None] * len(outcomes)
    records = [record.read(outcome.record) for outcome in outcomes if outcome.record]
    return [[mark["digest"] for mark in one_record.marks] for one_record in records]


def assert_whole_records_only(folder: Path, names: list[str]) -> None:
    """The folder has the records of these runs, readable, and no other file."""
    files = sorted(path.name for path in folder.iterdir())
    assert files == sorted(f"{name}.{kind}" for name in names for kind in ("json", "npz"))
    for name in names:
        assert record.read(folder / f"{name}.json").epochs
        assert record.read_weights(folder / f"{name}.json")


def children(parent: int) -> list[int]:
    """The ids of the training runs that a process has started."""
    listing = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            above = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
        if above == parent and b"samestep.frameworks.experiment.run" in command:
            listing.append(int(folder.name))
    return listing


# ---- on this machine


@LINUX
def test_an_exception_of_the_listener_ends_the_children_and_passes_on(tmp_path: Path) -> None:
    """No record is left, and no run that waits is started."""
    seen: list[Event] = []

    def fail(event: Event) -> None:
        seen.append(event)
        if event.step:
            raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        train_all(LONG, tmp_path, jobs=1, on_event=fail)
    assert {event.run for event in seen} == {LONG[0]}
    assert not children(os.getpid())
    assert_whole_records_only(tmp_path, [])


@LINUX
def test_an_interrupt_leaves_whole_records_only(tmp_path: Path) -> None:
    """The finished run's record is whole; of the run that was interrupted nothing is left."""
    script = (
        "import sys; from pathlib import Path\n"
        "from samestep.frameworks.experiment.executor import train_all\n"
        "from samestep.frameworks.experiment.run import Run\n"
        f"runs = [Run('numpy', {SGD!r}, steps={STEPS}), Run('numpy', {ADAM!r}, epochs=9)]\n"
        "def say(event):\n"
        "    print('ended' if event.outcome else event.step, event.run.call, flush=True)\n"
        "train_all(runs, Path(sys.argv[1]), jobs=1, on_event=say)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    heeding = ["env", "--default-signal=INT"]  # a background shell may have switched it off
    with subprocess.Popen(
        [*heeding, *command],
        env=process.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout
        for line in parent.stdout:
            if ADAM in line and not line.startswith("0 "):
                break
        running = children(parent.pid)
        parent.send_signal(signal.SIGINT)
        _, errors = parent.communicate(timeout=PATIENCE)
    assert errors.strip().endswith("KeyboardInterrupt")
    assert running
    assert not [child for child in running if Path(f"/proc/{child}").exists()]
    assert_whole_records_only(tmp_path, [SHORT[1].name])


def test_a_record_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    """The run fails with the reason; other runs are not touched."""
    (tmp_path / f"{SHORT[0].name}.json").mkdir()
    failed, good = train_all(SHORT, tmp_path)
    assert failed.record is None
    assert failed.error
    assert failed.error.startswith("left a record that cannot be written: ")
    assert good.error is None


@LINUX
def test_a_framework_is_imported_once_a_job_and_anew_after_a_run_that_dies(tmp_path: Path) -> None:
    """One child process takes the runs of its framework; the run of a killed one fails alone."""
    seen: dict[Run, list[int]] = {}
    runs = [*SHORT, *LONG, Run("numpy", ADAM, steps=STEPS, epochs=2)]

    def look(event: Event) -> None:
        if event.step and event.run not in seen:
            seen[event.run] = children(os.getpid())
            if event.run is LONG[0]:
                os.kill(seen[event.run][0], signal.SIGKILL)

    outcomes = train_all(runs, tmp_path, jobs=1, on_event=look)
    errors = [outcome.error for outcome in outcomes]
    assert [error is None for error in errors] == [True, True, False, True, True]
    assert errors[2] == "was killed by SIGKILL: it left no message"
    assert seen[SHORT[0]] == seen[SHORT[1]] == seen[LONG[0]] != seen[LONG[1]] == seen[runs[4]]
    assert len(seen[LONG[1]]) == 1
    assert not children(os.getpid())


def test_equal_runs_are_trained_once(tmp_path: Path) -> None:
    """Each place in the list gets the outcome."""
    starts: list[Run] = []

    def count(event: Event) -> None:
        if not event.step and not event.outcome:
            starts.append(event.run)

    outcomes = train_all([SHORT[0], SHORT[0]], tmp_path, on_event=count)
    assert starts == [SHORT[0]]
    assert outcomes[0] is outcomes[1]


# ---- the worker's one argument


@pytest.mark.parametrize(
    "run", [*SHORT, *LONG, Run("pytorch", ADAM, "float64", 2, 7, 3, False, True, "a b")]
)
def test_a_request_gives_the_run_back(run: Run, tmp_path: Path) -> None:
    """With every field, and the folder."""
    assert read_request(run.request(tmp_path)) == (run, tmp_path)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ("--framework", "the argument must be JSON like"),
        ("[1]", "the argument must be a JSON object like"),
        ('{"framework": "numpy", "out": "x"}', "the argument must have call"),
        ('{"framework": "numpy", "call": "keras:Adam()"}', "the argument must have out"),
        ('{"framework": "numpy", "call": "keras:Adam()", "out": 1}', "out must be the path of"),
        ('{"framework": "numpy", "call": 1, "out": "x"}', "call must be a dialect's call as text"),
        ('{"framework": "jax", "call": "keras:Adam()", "out": "x"}', "framework must be one of"),
        ('{"framework": "numpy", "call": "keras:Adam()", "out": "x", "step": 1}', "got 'step'"),
        (
            '{"framework": "numpy", "call": "keras:Adam()", "out": "x", "steps": "7"}',
            "steps must be at least 1, got '7'",
        ),
        (
            '{"framework": "numpy", "call": "keras:Adam()", "out": "x", "epochs": true}',
            "epochs must be at least 1, got True",
        ),
        (
            '{"framework": "numpy", "call": "keras:Adam()", "out": "x", "xla": 1}',
            "xla must be true or false, got 1",
        ),
        (
            '{"framework": "numpy", "call": "keras:Adam()", "out": "x", "data": 1}',
            "data must be the path of a folder, got 1",
        ),
    ],
)
def test_a_request_that_is_none_is_refused_in_one_line(
    request_: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit code 2."""
    assert main([request_]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]


# ---- how a child process ended


def test_the_end_of_a_process_is_described() -> None:
    """By exit code or signal, with the last lines it wrote."""
    code = "import sys; print('on output'); print('I0000 chatter', file=sys.stderr); sys.exit(3)"
    ended = process.run_python(["-c", code])
    assert ended.description == "ended with exit code 3"
    assert ended.message == "on output"
    lines = "\\n".join(map(str, range(20)))
    ended = process.run_python(["-c", f"import sys; sys.exit('{lines}')"])
    assert ended.message == "\n".join(map(str, range(8, 20)))
    ended = process.run_python(["-c", "import os; os.kill(os.getpid(), 9)"])
    assert (ended.description, ended.message) == ("was killed by SIGKILL", "it left no message")
    assert process.Ended(-63, "", "").description == "was killed by signal 63"


# ---- on a cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster for the tests of this module."""
    require("distributed")
    started = Cluster(tmp_path_factory.mktemp("cluster"))
    yield started
    started.close()


def test_a_cluster_gives_the_same_records(cluster: Cluster, tmp_path: Path) -> None:
    """The same digests at every mark, and progress as on this machine."""
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    events: list[Event] = []
    there = train_all(SHORT, tmp_path / "there", cluster=cluster.address, on_event=events.append)
    here = train_all(SHORT, tmp_path / "here")
    assert digests(there) == digests(here)
    assert_whole_records_only(tmp_path / "there", [run.name for run in SHORT])
    for run, outcome in zip(SHORT, there, strict=True):
        of_run = [event for event in events if event.run == run]
        assert of_run[0] == Event(run)
        assert of_run[-1] == Event(run, outcome=outcome)
        assert outcome.seconds > 0


def test_the_golden_digests_come_from_a_cluster_as_well(cluster: Cluster, tmp_path: Path) -> None:
    """By the function that the command uses; with a run that fails, its reason is raised."""
    records = golden.train(SHORT, tmp_path, cluster=cluster.address)
    assert [len(records[run].losses) for run in SHORT] == [STEPS, STEPS]
    absent = Run("numpy", ADAM, steps=1, data=str(tmp_path))
    with pytest.raises(ValueError, match=r"ended with exit code 2: train-images.* must lie in"):
        golden.train([absent], tmp_path, cluster=cluster.address)


@LINUX
def test_a_killed_child_on_a_cluster_is_reported(cluster: Cluster, tmp_path: Path) -> None:
    """With the signal; the other run ends well."""
    victim = dataclasses.replace(LONG[0], threads=2)  # by which its process is recognised

    def kill(event: Event) -> None:
        if event.run == victim and event.step and not killed:
            for worker in cluster.workers:
                for child in children(worker.pid):
                    if b"OMP_NUM_THREADS=2" in Path(f"/proc/{child}/environ").read_bytes():
                        os.kill(child, signal.SIGKILL)
                        killed.append(child)

    killed: list[int] = []
    dead, alive = train_all([victim, SHORT[1]], tmp_path, cluster=cluster.address, on_event=kill)
    assert (dead.record, dead.error) == (None, "was killed by SIGKILL: it left no message")
    assert digests([alive])
    assert_whole_records_only(tmp_path, [SHORT[1].name])


@LINUX
def test_runs_of_a_killed_worker_are_repeated_on_another(cluster: Cluster, tmp_path: Path) -> None:
    """With the same digests."""
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    killed: list[int] = []

    def kill(event: Event) -> None:
        busy = [worker for worker in cluster.workers if children(worker.pid)]
        if event.step and len(busy) == 2 and not killed:
            busy[0].kill()
            killed.append(busy[0].pid)

    outcomes = train_all(LONG, tmp_path / "there", cluster=cluster.address, on_event=kill)
    assert killed
    assert digests(outcomes) == digests(train_all(LONG, tmp_path / "here"))
    assert_whole_records_only(tmp_path / "there", [run.name for run in LONG])


@LINUX
def test_an_interrupted_cluster_stops_the_runs(cluster: Cluster, tmp_path: Path) -> None:
    """Nothing is written, and the children on the workers end."""

    def fail(event: Event) -> None:
        if event.step:
            raise KeyboardInterrupt

    long = [Run("numpy", SGD, epochs=50)]
    with pytest.raises(KeyboardInterrupt):
        train_all(long, tmp_path, cluster=cluster.address, on_event=fail)
    assert_whole_records_only(tmp_path, [])
    wait_for(lambda: not any(children(worker.pid) for worker in cluster.workers))


def test_a_cluster_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one error, with what to do."""
    require("distributed")
    monkeypatch.setattr(executor, "CONNECTING", "1s")
    with pytest.raises(
        ValueError,
        match=r"cluster must be the address of a Dask scheduler, got 'tcp://127.0.0.1:1'",
    ):
        train_all(SHORT, tmp_path, cluster="tcp://127.0.0.1:1")
    with pytest.raises(ValueError, match="got 'no address'"):
        train_all(SHORT, tmp_path, cluster="no address")
