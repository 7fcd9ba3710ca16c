"""The child processes that make the parts of a report, with their progress."""

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from samestep.frameworks.experiment.process import Children

from .request import Ending, State

COUNT = re.compile(r"\s*(\d+) of (\d+)\b")  # how a program begins the line of what it has done


class Progress(NamedTuple):
    """A part has done some of its steps; there are 0 in all as long as it has not said how many."""

    title: str
    done: int = 0
    total: int = 0
    ended: bool = False


OnProgress = Callable[[Progress], None]


def ignore(progress: Progress) -> None:
    """Do nothing when a part goes on."""


class Program(NamedTuple):
    """A child process that makes one part of the report.

    ``python arguments`` in the folder ``cwd`` leaves the file ``result``.

    ``command`` is what a person types to repeat it; ``codes`` are the exit codes with which it has
    done its work.
    """

    title: str
    arguments: Sequence[str]
    result: Path
    command: str
    codes: tuple[int, ...] = (0,)
    cwd: Path | None = None


def run_all(programs: Sequence[Program], jobs: int, on_progress: OnProgress) -> list[Ending]:
    """Run programs to their end, so many at a time; return how each ended.

    ``on_progress`` is called in several threads. After an exception the programs are ended.
    """
    with ThreadPoolExecutor(jobs) as pool, Children() as children:
        return list(pool.map(lambda program: _run(program, children, on_progress), programs))


def _run(program: Program, children: Children, on_progress: OnProgress) -> Ending:
    on_progress(Progress(program.title))
    program.result.unlink(missing_ok=True)  # of an earlier report
    child = children.start(program.arguments, cwd=program.cwd)
    lines = []
    try:
        for line in child.lines():
            lines.append(line)
            if count := COUNT.match(line):
                on_progress(Progress(program.title, int(count[1]), int(count[2])))
    except BaseException:
        child.stop()
        raise
    finally:
        ended = child.wait()
    on_progress(Progress(program.title, ended=True))
    if ended.code in program.codes and program.result.exists():
        return Ending(State.DONE, command=program.command)
    ended = ended._replace(stderr="".join(lines) + ended.stderr)
    return Ending(State.FAILED, f"{ended.description}: {ended.message}", program.command)
