"""Run the scripts that reproduce recorded deviations; ``samestep reproduce [name ...]`` prints a verdict for each."""

import dataclasses
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .reproductions import REPRODUCTIONS, Reproduction

AS_RECORDED, ABSENT = "deviates as recorded", "not installed"
SURROUNDINGS = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2", "JAX_PLATFORMS": "cpu"}
PATIENCE = 300  # seconds for a script; the slowest takes ten


@dataclasses.dataclass(frozen=True)
class Finding:
    """What running a script showed.

    ``verdict`` is "deviates as recorded", the only one that holds; "differs" where other numbers came; "mended" where
    the native does what is due; "failed" where the script did not run to its end; or "not installed".
    """

    name: str
    verdict: str
    message: str


def run(reproduction: Reproduction, script: Path | None = None) -> Finding:
    """Run a script, the reproduction's own unless another is given, in a fresh process."""
    absent = [package for package in reproduction.packages if importlib.util.find_spec(package) is None]
    if absent:
        return Finding(reproduction.name, ABSENT, f"{', '.join(absent)} must be installed to run it")
    command = [sys.executable, str(script or reproduction.script)]
    try:
        done = subprocess.run(
            command, env={**os.environ, **SURROUNDINGS}, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as late:
        return Finding(reproduction.name, "failed", str(late))
    verdict = judge(reproduction, done.returncode, done.stdout.strip(), done.stderr)
    last = (done.stderr.strip().splitlines() or [""])[-1]
    message = f"printed {done.stdout.strip()!r} and exited with {done.returncode}, recorded is {reproduction.line!r}"
    return Finding(reproduction.name, verdict, f"{message}; {last}" if verdict == "failed" else message)


def judge(reproduction: Reproduction, code: int, printed: str, complaints: str) -> str:
    """The verdict on a script's exit code, what it printed, and what came on its standard error."""
    numbers = re.fullmatch(r"came (\S+), due (\S+)", printed)
    if numbers is None or "Traceback" in complaints or code != int(numbers[1] != numbers[2]):
        return "failed"
    if code == 0:
        return "mended"
    return AS_RECORDED if printed == reproduction.line else "differs"


def run_all(reproductions: Iterable[Reproduction] = REPRODUCTIONS, jobs: int = 2) -> Iterator[Finding]:
    """Run several, ``jobs`` at a time; the findings in their order."""
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(run, reproductions)


def select(names: Sequence[str]) -> list[Reproduction]:
    """Return the reproductions of these names, all for no name; ValueError for an unknown one."""
    known = [reproduction.name for reproduction in REPRODUCTIONS]
    if unknown := sorted(set(names) - set(known)):
        raise ValueError(f"there is no {', '.join(unknown)}; there are: {', '.join(known)}")
    return [reproduction for reproduction in REPRODUCTIONS if not names or reproduction.name in names]
