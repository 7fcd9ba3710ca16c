"""``samestep pair`` and ``samestep record``: run them, and print the answer for a person."""

import contextlib
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samestep.frameworks.experiment.process import Child, without_chatter
from samestep.migrate import map as maps
from samestep.migrate.pair import program as programs
from samestep.migrate.pair import record as records
from samestep.migrate.pair.absent import absent
from samestep.migrate.pair.record import Record
from samestep.migrate.pair.shared import TITLES, PairError, UserError, require_tensorflow
from samestep.migrate.pair.text import lines

Echo = Callable[[str], None]
WORKER = "samestep.migrate.pair.worker"
WHOLE = "SAMESTEP_PAIR_WHOLE"  # the environment variable of a second start, with both frameworks


@dataclass
class Question:
    """What the user asks. ``first`` and ``second`` are files, modules or a record."""

    first: str
    second: str | None = None
    steps: int = 3
    map: Path | None = None
    html: Path | None = None
    repro: Path | None = None
    until_same: bool = False
    reference: str | None = None

    @property
    def is_of_record(self) -> bool:
        """True if the reference was recorded before."""
        return self.first.endswith(".npz")


def record_side(file: str, side: str, steps: int, out: Path) -> None:
    """Record one side of a file in a child process. ValueError for a user's mistake."""
    _require_side(side)
    _finish(_start(file, side, steps, out), out, side)


def _require_side(side: str) -> None:
    """ValueError if a side's packages are not installed."""
    if side == "pytorch":
        require("torch", "pytorch")
        return
    require("tensorflow", "tensorflow")
    require("keras", "tensorflow")


def pair(question: Question, as_json: bool, echo: Echo) -> bool:
    """Compare a pair and print the answer; True if it is the same. ValueError for a mistake."""
    links = maps.load(question.map) if question.map and question.map.exists() else {}
    try:
        with tempfile.TemporaryDirectory() as folder:
            comparison = _compared(question, links, Path(folder))
    except _NeedsBoth:
        sys.stdout.flush()
        variables = {**os.environ, WHOLE: "1"}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], variables)
    _print(comparison, question, as_json, echo)
    return bool(comparison.same)


def _print(comparison: Any, question: Question, as_json: bool, echo: Echo) -> None:
    """Write the files that the user asks for, and print the answer."""
    if question.map and not question.map.exists():
        maps.write(question.map, comparison.links.values())
    if question.html:
        from samestep.report.page import pair as page

        page.write(comparison, question.second or question.first, question.html)
    if as_json:
        echo(json.dumps(comparison.to_dict(), indent=1))
    else:
        for line in lines(comparison):
            echo(line)


class _NeedsBoth(Exception):
    """The user's file needs PyTorch beside Keras, so the command must start again with both."""


def _compared(question: Question, links: Any, folder: Path) -> Any:
    out = Path(question.first) if question.is_of_record else folder / "a.npz"
    if question.is_of_record and not question.second:
        raise ValueError(
            f"a record must be judged against a file: samestep pair {question.first} OTHER.py"
        )
    reference = _reference(question, out)
    if (
        not question.is_of_record
        and Path(question.first).suffix == ".py"
        and not Path(question.first).is_file()
    ):
        raise ValueError(f"{question.first} must be a Python file, but there is none")
    _require_side(_other(reference))
    child = None
    if not question.is_of_record:
        _require_side(reference)
        child = _start(question.first, reference, question.steps, out)
    judged = _judged_in_keras if reference == "pytorch" else _judged_in_pytorch

    def finish() -> Record:
        if child:
            _finish(child, out, reference)
        return records.load(out)

    try:
        with contextlib.redirect_stdout(sys.stderr):
            return judged(question, links, finish)
    finally:
        if child:
            child.stop()


def _reference(question: Question, out: Path) -> str:
    """The side whose values are put in; of a record it is the recorded one."""
    if not question.is_of_record:
        return question.reference or "pytorch"
    recorded = records.load(out).side
    if question.reference not in (None, recorded):
        raise ValueError(
            f"--reference must be the side of the record, which is {recorded}, got "
            f"{question.reference}"
        )
    return recorded


def _other(side: str) -> str:
    return "keras" if side == "pytorch" else "pytorch"


def _judged_in_keras(question: Question, links: Any, finish: Callable[[], Record]) -> Any:
    """Import Keras and the user's file while the other process records; then compare."""
    file = question.second or question.first
    whole = _wants_both("torch") or (needs_torch(file) and _has("torch"))
    if whole:
        import torch  # noqa: F401  before TensorFlow
    with without_chatter():
        import keras
        import tensorflow as tf

        tf.zeros(1)  # with which it looks for devices

    require_tensorflow(keras)
    return _judged(lambda: _read(file), (question, links, finish), () if whole else ("torch",))


def _judged_in_pytorch(question: Question, links: Any, finish: Callable[[], Record]) -> Any:
    """The same with PyTorch, against a record of Keras."""
    import torch

    torch.set_num_threads(1)
    file = question.second or question.first
    whole = _wants_both("keras")
    if whole:
        with without_chatter():
            import keras  # noqa: F401
    without = () if whole else ("tensorflow", "keras", "tf_keras")
    return _judged(lambda: programs.read(file), (question, links, finish), without)


def _has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _wants_both(package: str) -> bool:
    """True in the second start, with both frameworks."""
    return bool(os.environ.get(WHOLE)) and _has(package)


def _judged(
    read: Callable[[], programs.Program],
    job: tuple[Question, Any, Callable[[], Record]],
    without: tuple[str, ...],
) -> Any:
    """Compare with stand-ins for the packages ``without``; if that fails, ask for all of them."""
    from samestep.migrate.pair.compare import Options, compare

    question, links, finish = job
    options = Options(links, question.until_same, question.repro)
    can_start_again = bool(without) and all(_has(package) for package in without[:2])
    try:
        with absent(*without):
            program = read()
            record = finish()
            return compare(record, program, options)
    except Mistake:
        raise
    except Exception as error:
        if not can_start_again:
            raise
        raise _NeedsBoth from error


def _read(file: str) -> programs.Program:
    """Read the user's file anew, with Keras in the dtype of the comparison."""
    from samestep.migrate.pair.libraries import keras_dtype
    from samestep.migrate.pair.recording import DTYPE

    with keras_dtype(DTYPE):
        return programs.read(file)


def needs_torch(file: str) -> bool:
    """True if the user's file converts weights, for which both models must be in one process."""
    path = Path(file)
    return path.is_file() and "def convert" in path.read_text(encoding="utf-8")


def require(package: str, extra: str) -> None:
    """ValueError if a package is not installed."""
    if importlib.util.find_spec(package) is None:
        side = "pytorch" if extra == "pytorch" else "keras"
        raise ValueError(
            f"samestep pair needs {package}, which is not installed: pip install "
            f"'samestep[{extra}]'. Or record that side where it is installed, with samestep record "
            f"FILE.py --side {side} --out a.npz, and compare here with samestep pair a.npz OTHER.py"
        )


def _start(file: str, side: str, steps: int, out: Path) -> Child:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    return Child(["-m", WORKER, file, "--out", str(out), "--steps", str(steps), "--side", side])


def _finish(child: Child, out: Path, side: str) -> None:
    for _ in child.lines():
        pass
    ended = child.wait()
    mistake = Path(f"{out}.json")
    if ended.code == 2 and mistake.exists():
        content = json.loads(mistake.read_text())
        raise Mistake(content["message"], content["traceback"])
    if ended.code:
        title = TITLES[side]
        raise ValueError(f"the {title} side {ended.description}: {ended.message}")


class Mistake(PairError):
    """A user's mistake that happened in the other process, with the traceback of their code."""

    def __init__(self, message: str, traceback: str) -> None:
        super().__init__(message)
        self.traceback = traceback


def traceback_of(error: ValueError) -> str:
    """The traceback of the user's code that an error has; may be empty."""
    from samestep.migrate.pair.worker import users_traceback

    if isinstance(error, Mistake):
        return error.traceback
    return users_traceback(error) if isinstance(error, UserError) else ""
