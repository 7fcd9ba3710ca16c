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
from samestep.migrate.pair.shared import PairError, UserError
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


def record_side(file: str, steps: int, out: Path) -> None:
    """Record the PyTorch side of a file in a child process. ValueError for a user's mistake."""
    require("torch", "pytorch")
    _finish(_start(file, steps, out), out)


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
    of_record = question.first.endswith(".npz")
    out = Path(question.first) if of_record else folder / "a.npz"
    if of_record and not question.second:
        raise ValueError(
            f"a record must be judged against a file: samestep pair {question.first} OTHER.py"
        )
    if (
        not of_record
        and Path(question.first).suffix == ".py"
        and not Path(question.first).is_file()
    ):
        raise ValueError(f"{question.first} must be a Python file, but there is none")
    require("tensorflow", "tensorflow")
    require("keras", "tensorflow")
    if not of_record:
        require("torch", "pytorch")
    child = None if of_record else _start(question.first, question.steps, out)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return _judged(question, links, lambda: _finished(child, out))
    finally:
        if child:
            child.stop()


def _judged(question: Question, links: Any, finish: Callable[[], Record]) -> Any:
    """Import Keras and the user's file while the other process records; then compare."""
    file = question.second or question.first
    has_torch = importlib.util.find_spec("torch") is not None
    whole = has_torch and (bool(os.environ.get(WHOLE)) or needs_torch(file))
    if whole:
        import torch  # noqa: F401  before TensorFlow
    with without_chatter():
        import keras
        import tensorflow as tf

        tf.zeros(1)  # with which it looks for devices

    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "Keras must run on its tensorflow backend, but it runs on "
            f"{keras.backend.backend()}; set the environment variable KERAS_BACKEND=tensorflow"
        )
    from samestep.migrate.pair.compare import Options, compare

    options = Options(links, question.until_same, question.repro)
    if whole:
        return compare(finish(), _read(file), options)
    try:
        with absent("torch"):
            program = _read(file)
            record = finish()
            return compare(record, program, options)
    except Mistake:
        raise
    except Exception as error:
        if not has_torch:
            raise
        raise _NeedsBoth from error


def _read(file: str) -> programs.Program:
    """Read the user's file anew, with Keras in the dtype of the comparison."""
    from samestep.migrate.pair.in_keras import keras_dtype
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
        raise ValueError(
            f"samestep pair needs {package}, which is not installed; pip install "
            f"'samestep[{extra}]', or record each side where it is: samestep record"
        )


def _start(file: str, steps: int, out: Path) -> Child:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    return Child(["-m", WORKER, file, "--out", str(out), "--steps", str(steps)])


def _finish(child: Child, out: Path) -> None:
    for _ in child.lines():
        pass
    ended = child.wait()
    mistake = Path(f"{out}.json")
    if ended.code == 2 and mistake.exists():
        content = json.loads(mistake.read_text())
        raise Mistake(content["message"], content["traceback"])
    if ended.code:
        raise ValueError(f"the PyTorch side {ended.description}: {ended.message}")


def _finished(child: Child | None, out: Path) -> Record:
    if child:
        _finish(child, out)
    return records.load(out)


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
