"""The command line: what a user may get wrong, workers that die, and the small commands."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from report_checkout import ROOT, assert_mistake, samestep, workers

from samestep.frameworks.experiment import executor, mnist, record
from samestep.frameworks.experiment.run import Run, writable
from samestep.parity.measure.cases import EVERYDAY, PLAIN
from samestep.parity.natives.reproductions import REPRODUCTIONS
from samestep.reference import RULES, dialects

pytest.importorskip("typer", reason="the command line is the extra 'report'")

SITE = Path(pytest.__file__).resolve().parent.parent
LINUX = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="finds workers in Linux' /proc"
)
PARTS = ["--no-natives", "--no-bench", "--no-sensitivity"]
REPORT = ["report", "--rules", "SGD", "--steps", "1", *PARTS]  # short, if a test fails


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["report", "--rules", "SGD,Adamm"],
            f"rule must be one of {', '.join(PLAIN)}, got 'Adamm'",
        ),
        (["report", "--rules", "SGD", "--rules", "SGD"], "each rule must be named once"),
        (
            ["report", "--frameworks", "numpy,jax"],
            "framework must be one of numpy, pytorch, tensorflow, got 'jax'",
        ),
        (
            ["report", "--frameworks", "numpy"],
            "frameworks must be at least two to be compared, got numpy",
        ),
        (["report", "--epochs", "0"], "epochs must be at least 1, got 0"),
        (["report", "--steps", "-3"], "steps must be at least 1, got -3"),
        (["train", "keras:Adam()", "--framework", "jax"], "framework must be one of"),
        (
            ["train", "keras:Adam()", "--framework", "numpy", "--arithmetic", "float8"],
            "arithmetic must be one of",
        ),
        (
            ["train", "keras:Adam(beta_1=1.5)", "--framework", "numpy"],
            "beta1 must lie in [0, 1), got 1.5",
        ),
        (
            ["train", "keras:Adamm()", "--framework", "numpy"],
            "keras.optimizers has no optimizer 'Adamm' here",
        ),
        (["train", "flax:adam()", "--framework", "numpy"], "there is no dialect 'flax'"),
        (
            ["train", "optax:adam()", "--framework", "numpy"],
            "optax.adam must be given learning_rate",
        ),
        (
            ["translate", "keras:Adam()", "--to", "flax"],
            "there is no dialect 'flax'; there are: pytorch, keras, tf_keras",
        ),
        (
            ["translate", "torch:Adam()", "--to", "keras"],
            "article; did you mean pytorch?",
        ),
        (
            ["train", "torch.optim.Adam(p, lr=args.lr)", "--framework", "numpy"],
            "lr=args.lr of torch.optim.Adam is a variable",
        ),
        (
            ["identify", "pytorch:LBFGS(lr=1)"],
            "torch.optim.LBFGS is left out: it asks for several gradients",
        ),
        (
            ["natives", "--call", "pytorch:Adm()"],
            "torch.optim has no optimizer 'Adm' here; did you",
        ),
        (["translate"], "translate must be given a call"),
        (["translate", "--matrix", "Adamm"], "--matrix is of all rules or of one of SGD, ASGD"),
        (
            ["translate", "Adam", "--to", "keras"],
            "a call must read like keras:Adam(learning_rate=0.001)",
        ),
        (["bench", "--sizes", "mnist,huge"], "size must be one of mnist, large, many, got 'huge'"),
        (["bench", "--rules", "Adamm"], "got 'Adamm'"),
        (["bench", "--threads", "0"], "threads must be at least 1, got 0"),
        (["bench", "--training", "--rules", "Adam"], "leave out --rules, --sizes and --quick"),
        (
            ["bench", "--rules", "Muon", "--sizes", "large"],
            "size must be mnist or many for Muon, got large, whose",
        ),
        (["natives", "--rules", "Adamm"], "rules must be some of SGD, "),
        (["hostile", "--rules", "Adam,Atom"], "got Atom"),
        (["reproduce", "torch_clock"], "there is no torch_clock; there are: keras_"),
        (["golden", "--verify", "--frameworks", "jax"], "framework must be one of"),
        (["golden", "--verify", "--threads", "0"], "threads must be at least 1, got 0"),
        (["page", "no/such/folder"], "run samestep report --out no/such/folder first"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], message: str) -> None:
    assert_mistake(samestep(*arguments), message)


@pytest.mark.parametrize("command", [REPORT, ["train", "keras:Adam()", "--framework", "numpy"]])
def test_a_folder_that_cannot_be_written_is_named(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    out = tmp_path / "file" / "out"
    assert_mistake(
        samestep(*command, "--out", out),
        str(out),
        "must be a folder that can be written to",
        "--out",
    )


@pytest.mark.parametrize("harm", ["missing", "truncated", "altered"])
def test_mnist_that_is_not_whole_is_named(harm: str, tmp_path: Path) -> None:
    data, name = tmp_path / "data", "t10k-images-idx3-ubyte.gz"
    shutil.copytree(mnist.CHECKOUT, data)
    if harm == "missing":
        (data / name).unlink()
    elif harm == "truncated":
        (data / name).write_bytes((mnist.CHECKOUT / name).read_bytes()[:-1000])
    else:
        shutil.copy(mnist.CHECKOUT / "train-images-idx3-ubyte.gz", data / name)
    reasons = {
        "missing": "found nothing",
        "truncated": "must be a whole gzip file",
        "altered": "must hold MNIST",
    }
    ended = samestep(*REPORT, "--data", data, "--out", tmp_path / "out")
    assert_mistake(ended, name, reasons[harm])
    assert not list(tmp_path.glob("out/records/*"))


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_keras_on_another_backend_is_refused(backend: str, tmp_path: Path) -> None:
    for command in (REPORT, ["train", "keras:Adam()", "--framework", "tensorflow"]):
        ended = samestep(*command, "--out", tmp_path, env={"KERAS_BACKEND": backend})
        assert_mistake(ended, f"KERAS_BACKEND is {backend!r}", "tensorflow backend")


@pytest.mark.parametrize(
    ("absent", "advice"),
    [
        (
            "tensorflow",
            "pip install 'samestep[tensorflow]', or leave tensorflow out with --frameworks",
        ),
        ("torch", "pip install 'samestep[pytorch]', or leave pytorch out with --frameworks"),
        ("plotly", "pip install 'samestep[report]'"),
        ("typer", "pip install 'samestep[report]'"),
    ],
)
def test_a_package_that_is_not_installed_is_named(absent: str, advice: str, tmp_path: Path) -> None:
    ended = samestep(
        *REPORT, "--out", tmp_path / "out", env=environment_without(absent, tmp_path), flags=("-S",)
    )
    assert_mistake(ended, f"{absent}", "is not installed", advice)


def environment_without(package: str, folder: Path) -> dict[str, str]:
    """For ``python -S``: all that is installed here, except one package."""
    site = folder / "site"
    site.mkdir()
    for entry in SITE.iterdir():
        if entry.name.partition("-")[0] != package:
            (site / entry.name).symlink_to(entry)
    return {"PYTHONPATH": os.pathsep.join([str(ROOT), str(site)])}


@LINUX
def test_a_worker_that_is_killed_leaves_the_others_alone(tmp_path: Path) -> None:
    victim, other = Run("pytorch", "keras:Adam()", epochs=3), Run("numpy", "keras:SGD()", steps=30)

    def kill(event: executor.Event) -> None:
        if event.run == victim and event.step:
            for worker, line in workers(os.getpid()):
                if line.split()[-1] == "pytorch":
                    os.kill(worker, signal.SIGKILL)

    dead, alive = executor.train_all([victim, other], tmp_path, jobs=2, on_event=kill)
    assert (dead.record, dead.error) == (None, "was killed by SIGKILL: it left no message")
    assert alive.error is None
    assert alive.record
    assert len(record.read(alive.record).losses) == other.steps


def test_a_worker_that_fails_passes_its_message_on(tmp_path: Path) -> None:
    (outcome,) = executor.train_all([Run("numpy", "keras:Adam()", data=str(tmp_path))], tmp_path)
    assert outcome.record is None
    assert outcome.error
    assert outcome.error.startswith(
        "ended with exit code 2: train-images-idx3-ubyte.gz must lie in"
    )


def test_a_worker_knows_its_threads_before_it_starts_and_any_folder_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    (outcome,) = executor.train_all([Run("numpy", "keras:Adam()", steps=2, threads=2)], Path())
    assert outcome.record, outcome.error
    header = record.read(outcome.record).header
    assert (header["threads"], header["options"]["OPENBLAS_NUM_THREADS"]) == (2, "2")


def test_no_more_workers_run_at_a_time_than_asked(tmp_path: Path) -> None:
    running, most = set(), 0

    def count(event: executor.Event) -> None:
        nonlocal most
        running.discard(event.run) if event.outcome else running.add(event.run)
        most = max(most, len(running))

    calls = ("keras:SGD()", "keras:Adam()", "pytorch:Adam()")
    outcomes = executor.train_all(
        [Run("numpy", call, steps=1) for call in calls], tmp_path, jobs=1, on_event=count
    )
    assert [outcome.run.call for outcome in outcomes] == list(calls)
    assert most == 1


@LINUX
def test_an_interrupt_ends_the_workers(tmp_path: Path) -> None:
    heeding = [
        "env",
        "--default-signal=INT",
        sys.executable,
    ]  # what a shell runs behind it ignores an interrupt
    command = [
        *heeding,
        "-m",
        "samestep.report.cli",
        "train",
        "keras:Adam()",
        "--framework",
        "numpy",
        "--epochs",
        "9",
    ]
    with subprocess.Popen(
        [*command, "--out", str(tmp_path)], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as process:
        started = [worker for worker, _ in _when(lambda: workers(process.pid))]
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=60)
    assert (process.returncode, printed.strip()) == (
        130,
        "samestep: interrupted; the records of finished runs are kept",
    )
    assert not [worker for worker in started if Path(f"/proc/{worker}").exists()]


@LINUX
def test_a_report_with_dead_workers_tells_why_and_does_not_hold(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "samestep.report.cli",
        "report",
        "--rules",
        "SGD",
        "--frameworks",
        "numpy,pytorch",
    ]
    command += [*PARTS, "--jobs", "2", "--steps", "60", "--out", str(tmp_path)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        dead: set[int] = set()
        while len(dead) < 3:
            victims = _when(
                lambda: [
                    w
                    for w, line in workers(process.pid)
                    if line.split()[-1] == "pytorch" and w not in dead
                ]
            )
            os.kill(victims[0], signal.SIGKILL)
            dead.add(victims[0])
        printed, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert (
        printed.count("was killed by SIGKILL: it left no message") == 6
    )  # when it happens, and at the end
    assert "failed: PyTorch lockstep pytorch:SGD(lr=0.01) was killed by SIGKILL" in printed
    assert "Not shown: a record is missing." in printed
    assert len(list(tmp_path.glob("records/*.json"))) == 3
    page = (tmp_path / "index.html").read_text()
    assert "was killed by SIGKILL" in page
    assert 'class="verdict fails"' in page


def _when(look: Any) -> Any:
    """Return what ``look`` returns, once that is something."""
    for _ in range(600):
        if value := look():
            return value
        time.sleep(0.05)
    raise AssertionError("nothing happened in 30 seconds")


def test_a_terminal_shows_a_bar_with_the_loss_for_a_run(tmp_path: Path) -> None:
    from rich.console import Console

    from samestep.report.terminal.console import Bars

    screen = Console(force_terminal=True, width=140, file=io.StringIO())
    run = Run("numpy", "keras:Adam()", steps=100)
    with Bars(screen, 1) as bars:

        def show(event: executor.Event) -> None:
            bars(event)
            bars.progress.refresh()

        executor.train_all([run], tmp_path, on_event=show)
    printed = screen.file.getvalue()  # type: ignore[attr-defined]
    for part in (
        "NumPy lockstep keras:Adam()",
        "starting",
        "━",
        "/100  loss ",
        "1/1 runs",
        "00:0",
    ):
        assert part in printed


def test_without_a_terminal_each_run_gets_a_line(tmp_path: Path) -> None:
    ended = samestep(
        "train", "keras:Adam()", "--framework", "numpy", "--steps", "30", "--out", tmp_path
    )
    line, path = ended.stdout.strip().splitlines()
    assert line.startswith("1/1  NumPy lockstep keras:Adam()")
    assert len(record.read(Path(path)).losses) == 30
    assert ended.returncode == 0


def test_a_call_is_translated() -> None:
    ended = samestep("translate", "keras:SGD(learning_rate=0.1, momentum=0.9)", "--to", "pytorch")
    assert ended.stdout.strip() == (
        "pytorch:SGD(lr=0.1, momentum=0.9)  # while the learning rate stays constant; "
        "otherwise before each step: group['momentum'] = 0.9 * lr_before / lr"
    )
    assert ended.returncode == 0


def test_a_call_is_translated_to_a_dialect_that_no_framework_here_speaks() -> None:
    ended = samestep("translate", "pytorch:RMSprop(lr=0.1, centered=True)", "--to", "optax")
    assert ended.stdout.strip() == (
        "optax:rmsprop(learning_rate=0.1, decay=0.99, eps_in_sqrt=False, centered=True)"
    )


def test_the_matrix_relates_every_two_dialects_of_every_rule() -> None:
    ended = samestep("translate", "--matrix")
    assert ended.returncode == 0
    for rule in RULES:
        assert f"\n{rule.__name__} " in ended.stdout
    for part in (
        "exact with a setting before each step",
        "initial_accumulator_value=0.10000010000000001, eps=0.0",
    ):
        assert part in ended.stdout


def test_the_matrix_of_a_rule_has_a_cell_for_every_two_dialects_and_a_note_for_every_number() -> (
    None
):
    from rich.console import Console

    from samestep.report import dialect_tables
    from samestep.report.terminal.relations import relations

    for rule in RULES:
        matrix = dialect_tables.matrix(rule.__name__)
        columns = set(matrix.columns)
        assert len(columns) >= (6 if rule.__name__ in EVERYDAY else 1)  # some have one home alone
        assert {row.dialect for row in matrix.rows} == columns
        cells = []
        for row in matrix.rows:
            assert set(row.cells) == columns - {row.dialect}
            cells += row.cells.values()
        notes = {cell.note for cell in cells} - {None}
        assert notes == set(range(1, len(matrix.notes) + 1))
        explained = {dialects.Kind.OTHER, dialects.Kind.EACH_STEP, dialects.Kind.IMPOSSIBLE}
        assert all(cell.note for cell in cells if cell.kind in explained)
        screen = Console(width=100, file=io.StringIO())
        screen.print(*relations(matrix))
        printed = screen.file.getvalue()  # type: ignore[attr-defined]
        assert max(map(len, printed.splitlines())) <= 100
        assert "…" not in printed
        for row in matrix.rows:
            assert row.call.partition("(")[0] in printed


def test_many_runs_may_try_one_folder_at_once(tmp_path: Path) -> None:
    """None takes the other's probe for a folder that cannot be written to."""
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: writable(tmp_path), range(2000))) == {tmp_path}
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_translated_is_explained() -> None:
    ended = samestep("translate", "keras:Adam()", "--to", "pytorch")
    assert (
        "torch.optim adds epsilon after the bias correction of v, this rule before it"
        in ended.stderr
    )
    assert "Instead: samestep.frameworks.pytorch.Optimizer(params, Adam(" in ended.stderr
    assert (ended.returncode, ended.stdout) == (1, "")


@pytest.mark.parametrize(
    ("call", "target"), [("pytorch:SGD()", "keras:SGD("), ("optax:sgd(0.1)", "pytorch:SGD(")]
)
def test_the_target_is_the_other_framework_unless_it_is_given(call: str, target: str) -> None:
    ended = samestep("translate", call)
    assert ended.stdout.startswith(target), ended.stderr
    assert ended.returncode == 0


def test_each_alternative_has_a_line() -> None:
    ended = samestep("translate", "torch.optim.Adam(net.parameters())")
    starts = [line.split(":")[0] for line in ended.stderr.splitlines()]
    reason, *alternatives = starts
    assert reason.endswith(" in keras.optimizers")
    assert alternatives == ["  How far the nearest call is", "  Instead", "  or"]


def test_a_line_of_a_script_is_translated() -> None:
    line = "optimizer = torch.optim.SGD(net.parameters(), 0.1, 0.9, nesterov=True)"
    ended = samestep("translate", line, "--to", "optax")
    call = "optax:sgd(learning_rate=0.1, momentum=0.9, nesterov=True)\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, call, "")


def test_parts_inside_a_call_are_translated_and_what_is_assumed_is_said() -> None:
    call = "tf.keras.optimizers.SGD(rate, clipvalue=0.5)"
    ended = samestep("translate", call, "--to", "pytorch", "--let", "rate=0.1")
    first, *_, code, ours = ended.stdout.splitlines()
    assert (ended.returncode, first) == (0, "pytorch:SGD(lr=0.1)")
    assert code == "  torch.nn.utils.clip_grad_value_(parameters, clip_value=0.5)"
    assert ours.endswith("parts.clip_(parameters, ClipValue(limit=0.5))")
    assert ended.stderr.startswith("assumed: tf.keras.optimizers.SGD is read as that of Keras 3")


def test_the_deviations_are_listed() -> None:
    ended = samestep("deviations")
    lines = [line.strip() for line in ended.stdout.splitlines()]
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [line.split()[1] for line in lines if line.startswith("script ")] == [
        f"parity/natives/reproductions/{each.name}.py" for each in REPRODUCTIONS
    ]
    assert all((ROOT / line.split()[1]).is_file() for line in lines if line.startswith("script "))
    assert lines[-1].startswith(
        f"{len(REPRODUCTIONS)} deviations; run their scripts with: samestep reproduce"
    )
    for part in (
        "keras_float64_betas.py",
        "SGD 4.2e-10 in",
        "torch 2.13.0",
        "https://github.com/google-deepmind/optax/pull/1725",
    ):
        assert part in ended.stdout


@pytest.mark.parametrize("width", [80, 160])
def test_the_list_of_deviations_fits_the_terminal_and_loses_nothing(width: int) -> None:
    from rich.console import Console

    from samestep.report.deviations import recorded
    from samestep.report.terminal.summary import deviations

    rows, screen = recorded(), Console(width=width, file=io.StringIO(), highlight=False)
    screen.print(deviations(rows))
    printed = screen.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, printed.splitlines())) <= width
    text = "".join(printed.split())  # a link that is longer than a line is cut
    for row in rows:
        for key in ("native", "versions", "cause", "size", "script"):
            assert "".join(f"{key} {getattr(row, key)}".split()) in text
        assert "".join(f"link {row.link or 'none known'}".split()) in text


def test_the_deviations_are_listed_as_json() -> None:
    rows = json.loads(samestep("deviations", "--json").stdout)
    assert [row["name"] for row in rows] == [reproduction.name for reproduction in REPRODUCTIONS]
    assert [row["size"] for row in rows] == [reproduction.size for reproduction in REPRODUCTIONS]
    assert set(rows[0]) == {"name", "native", "versions", "cause", "size", "link", "script"}


def test_the_rules_are_listed() -> None:
    lines = samestep("rules").stdout.splitlines()
    listed, left = lines[: len(RULES)], lines[len(RULES) :]
    assert [line.split()[0] for line in listed] == [rule.__name__ for rule in RULES]
    assert [line.partition(", since ")[0] for line in left] == [
        "left out: pytorch's LBFGS", "left out: keras's LossScaleOptimizer",
        "left out: keras's MultiOptimizer",
        "left out: keras's OptimizerMap",
    ]  # fmt: skip
    (adam,) = (line for line in lines if line.startswith("Adam "))
    assert "Step along the running mean of the gradient" in adam


@pytest.mark.parametrize(
    ("verdict", "code"), [("deviates as recorded", 0), ("mended", 1), ("not installed", 1)]
)
def test_reproduce_ends_with_nought_if_all_deviate_as_recorded(
    verdict: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from samestep.parity.natives import reproduce
    from samestep.report.cli import app

    def run(reproduction: reproduce.Reproduction) -> reproduce.Finding:
        return reproduce.Finding(reproduction.name, reproduce.ScriptVerdict(verdict), "so")

    monkeypatch.setattr(reproduce, "run", run)
    ended = CliRunner().invoke(app, ["reproduce", "torch_counter"])
    assert ended.stdout == f"{verdict:>20}  torch_counter: so\n"
    assert ended.exit_code == code


@pytest.mark.parametrize("altered", [False, True])
def test_golden_verifies_digests_and_names_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, altered: bool
) -> None:
    """The case is trained for an epoch in NumPy; its recorded digest is altered, or not."""
    from typer.testing import CliRunner

    from samestep.parity.lockstep import golden
    from samestep.report.cli import app

    if golden.here() != golden.PLATFORM:
        pytest.skip(f"golden digests are those of {golden.PLATFORM}")
    call = PLAIN["SGD"][0]
    entry = golden.load()[call]
    if altered:
        entry = {**entry, "digests": ["0" * 64, *entry["digests"][1:]]}
    monkeypatch.setattr(golden, "CALLS", (call,))
    monkeypatch.setattr(golden, "load", lambda: {call: entry})
    command = ["golden", "--verify", "--frameworks", "numpy", "--epochs", "1"]
    ended = CliRunner().invoke(app, [*command, "--out", str(tmp_path)])
    last = ended.stdout.splitlines()[-1]
    assert ended.exit_code == int(altered), ended.output
    if altered:
        assert re.search(r"SGD_\S+: epoch 1 ends with \w{12}, recorded is 000000000000", last)
    else:
        assert last == "all 1 runs end with the recorded digests"
    assert len(list(tmp_path.glob("*.json"))) == 1


def test_natives_and_hostile_gradients_write_what_the_report_reads(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    msgspec = pytest.importorskip("msgspec")
    from samestep.report import content

    natives = tmp_path / "natives.json"
    call = PLAIN["SGD"][0]
    options = ("--call", call, "--mode", "for-loop", "--dtype", "float64")
    ended = samestep("natives", *options, "--rules", "SGD,Adam", "--out", natives)
    assert ended.returncode == 0, ended.stderr
    (row,) = json.loads(natives.read_text())["rows"]
    assert msgspec.convert(row, content.NativeRow).verdict == "agrees"
    assert row["command"] == f'samestep natives --call "{call}" --mode "for-loop" --dtype float64'


COMMANDS = [  # in the order in which they are listed
    "report", "page", "compare", "identify", "pair", "record", "inspect", "resume", "translate",
    "rules", "deviations", "train", "bench", "natives", "hostile", "reproduce", "golden",
]  # fmt: skip


@pytest.mark.parametrize("command", [[], *([command] for command in COMMANDS)], ids="-".join)
def test_help_is_shown_without_loading_a_framework(command: list[str]) -> None:
    code = (
        "import sys\n"
        "from samestep.report.cli import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "frameworks = {'torch', 'tensorflow', 'keras', 'jax', 'plotly', 'scipy'}\n"
        "print('loaded', frameworks & set(sys.modules))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *command, "--help"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Usage: " in ended.stdout
    assert ended.stdout.endswith("loaded set()\n")


def test_the_list_of_commands_is_complete() -> None:
    from samestep.report.cli import app

    names = [command.callback.__name__ for command in app.registered_commands if command.callback]
    assert names == COMMANDS
