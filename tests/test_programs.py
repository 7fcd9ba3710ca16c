"""The parts of a report are made by child processes that say how far they are."""

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from samestep.report.programs import Program, Progress, run_all
from samestep.report.request import Ending, State
from samestep.report.terminal.console import Bars

TWO = "print('   1 of 2  first', flush=True); print('and a word'); print('   2 of 2  second')"


def program(folder: Path, title: str, text: str) -> Program:
    """A part that runs this Python, whose result is a file of its title."""
    return Program(title, ["-c", text], folder / title, f"make {title}")


def write(path: Path) -> str:
    """Python that leaves the result."""
    return f"open({str(path)!r}, 'w').close(); "


def test_parts_say_how_far_they_are(tmp_path: Path) -> None:
    """A line that begins with a count is progress; what fails is recorded with its last words."""
    heard: list[Progress] = []
    good = program(tmp_path, "good", write(tmp_path / "good") + TWO)
    bad = program(tmp_path, "bad", f"{TWO}; raise SystemExit('no result')")
    without = program(tmp_path, "without", TWO)
    endings = run_all([good, bad, without], 1, heard.append)
    assert [ending.state for ending in endings] == [State.DONE, State.FAILED, State.FAILED]
    assert endings[0] == Ending(State.DONE, command="make good")
    assert endings[1].message.startswith("ended with exit code 1: ")
    assert endings[1].message.splitlines()[-2:] == ["   2 of 2  second", "no result"]
    assert [tuple(part)[1:] for part in heard if part.title == "good"] == [
        (0, 0, False), (1, 2, False), (2, 2, False), (0, 0, True),
    ]  # fmt: skip


def test_an_exception_ends_the_parts(tmp_path: Path) -> None:
    """Such as that of an interrupt: nothing goes on in the background."""
    endless = program(tmp_path, "endless", f"import time; {TWO}; time.sleep(60)")

    def interrupt(part: Progress) -> None:
        if part.done:
            raise KeyboardInterrupt

    begin = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        run_all([endless], 1, interrupt)
    assert time.perf_counter() - begin < 30


def test_a_part_is_a_bar_on_a_terminal_and_a_line_elsewhere() -> None:
    """The bar has the time left."""
    for terminal in (True, False):
        text = io.StringIO()
        screen = Console(file=text, force_terminal=terminal, width=100)
        with Bars(screen, 0) as bars:
            bars.show_part(Progress("hostile gradients"))
            bars.show_part(Progress("hostile gradients", 3, 8))
            bars.progress.refresh()
            bars.show_part(Progress("hostile gradients", ended=True))
        assert ("3/8" in text.getvalue()) == terminal
        assert ("now hostile gradients ..." in text.getvalue()) != terminal
