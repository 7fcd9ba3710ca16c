"""Run the scripts that reproduce recorded deviations, and compare with the record.

``python -m samestep.parity.natives.reproduce [name ...]`` prints a verdict for each script. Its
exit code is 1 if a native does not deviate as recorded.
"""

import argparse
import dataclasses
import enum
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .reproductions import REPRODUCTIONS, Reproduction

ENVIRONMENT = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2", "JAX_PLATFORMS": "cpu"}
TIMEOUT = 300  # seconds for a script; the slowest takes ten


class ScriptVerdict(enum.StrEnum):
    """What running a script showed about the native."""

    RECORDED = "deviates as recorded"
    DIFFERS = "differs"  # the script printed other values
    MENDED = "mended"  # the native gives the expected value
    FAILED = "failed"  # the script did not run to its end, or contradicts itself
    ABSENT = "not installed"


@dataclasses.dataclass(frozen=True)
class Finding:
    """What running the script ``name`` showed. ``message`` explains the verdict."""

    name: str
    verdict: ScriptVerdict
    message: str

    @property
    def holds(self) -> bool:
        """True if the native deviates as recorded."""
        return self.verdict is ScriptVerdict.RECORDED


def run(reproduction: Reproduction, script: Path | None = None) -> Finding:
    """Run a script in a fresh process. The default is the reproduction's own script."""
    name = reproduction.name
    absent = [package for package in reproduction.packages if not _is_installed(package)]
    if absent:
        message = f"{', '.join(absent)} must be installed to run it"
        return Finding(name, ScriptVerdict.ABSENT, message)
    try:
        process = subprocess.run(
            [sys.executable, str(script or reproduction.script)],
            env={**os.environ, **ENVIRONMENT},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return Finding(name, ScriptVerdict.FAILED, str(late))
    printed = process.stdout.strip()
    verdict = judge(reproduction, process.returncode, printed, process.stderr)
    message = f"printed {printed!r} and exited with {process.returncode}"
    message += f", recorded is {reproduction.line!r}"
    if verdict is ScriptVerdict.FAILED:
        message += f"; {(process.stderr.strip().splitlines() or [''])[-1]}"
    return Finding(name, verdict, message)


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def judge(
    reproduction: Reproduction, exit_code: int, printed: str, error_output: str
) -> ScriptVerdict:
    """The verdict on a script's exit code, its printed line, and its standard error."""
    values = re.fullmatch(r"got (\S+), expected (\S+)", printed)
    if values is None or "Traceback" in error_output:
        return ScriptVerdict.FAILED
    if exit_code != int(values[1] != values[2]):
        return ScriptVerdict.FAILED
    if exit_code == 0:
        return ScriptVerdict.MENDED
    is_recorded = printed == reproduction.line
    return ScriptVerdict.RECORDED if is_recorded else ScriptVerdict.DIFFERS


def run_all(
    reproductions: Iterable[Reproduction] = REPRODUCTIONS, jobs: int = 2
) -> Iterator[Finding]:
    """Run several scripts, ``jobs`` at a time, and return their findings in the same order."""
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(run, reproductions)


def main(arguments: list[str] | None = None) -> int:
    """Run what is named, or all; exit code 1 unless all deviate as recorded."""
    names = [reproduction.name for reproduction in REPRODUCTIONS]
    parser = argparse.ArgumentParser(
        prog="python -m samestep.parity.natives.reproduce", description="Run the recorded deviations."
    )
    parser.add_argument("names", nargs="*", metavar="name", help=f"some of {', '.join(names)}; default: all")
    asked = parser.parse_args(arguments).names
    if unknown := set(asked) - set(names):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
    holds = True
    for finding in run_all([r for r in REPRODUCTIONS if not asked or r.name in asked]):
        holds = holds and finding.holds
        print(f"{finding.verdict:>20}  {finding.name}: {finding.message}", flush=True)
    return int(not holds)


if __name__ == "__main__":
    sys.exit(main())
