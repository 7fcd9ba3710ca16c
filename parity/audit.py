"""The audit: plants a mutant in a copy of the project and runs the unchanged suite there, in fresh processes.

``python -m parity.audit --out audit.json`` tries them all and prints what caught each; interrupted, it goes on later.
"""

import argparse
import contextlib
import importlib.util
import json
import math
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from types import MappingProxyType

from . import findings as found
from .findings import PACKAGES, Finding
from .mutants import EQUIVALENT, ROOT, Mutant, every
from .nursery import Nurseries, Nursery
from .suite import SUITE, commands, nearest

NEEDS = ("pytest", "mpmath", "gmpy2", "hypothesis", "torch", "tensorflow", "keras", "tf_keras", "optax", "onnx")
OPTIONS = (  # no test needs these plugins, which take 0.7 s to start; and pytest itself need not be rewritten
    "-q", "-p", "no:hypothesispytest", "-p", "no:xdist", "-W", "ignore::pytest.PytestAssertRewriteWarning",
)  # fmt: skip
PATIENCE = 120  # processor seconds for a call of pytest; most take about 5
SLOWER = 4  # times as long as without a mutant, and a call that has lost patience is ended for good
RECORD = (found.FILE.name, f".{found.FILE.name}.*")  # which is written anew while mutants are judged, and no test reads
UNREAD = "ImportError while loading conftest"  # pytest's words
CACHE = ".pytest_cache"  # said, since under tox pytest has another place for it
FAILED = Path(CACHE, "v/cache/lastfailed")  # where pytest keeps the ids of the tests that failed


def covering(mutants: Sequence[Mutant]) -> list[Mutant]:
    """Those of every day: the first of each rule's file, which is judged in seconds, and of each other folder."""
    first: dict[Path, Mutant] = {}
    for mutant in mutants:
        file = Path(mutant.file)
        first.setdefault(file if file.parent.name == "reference" else file.parent, mutant)
    return list(first.values())


def copy(root: Path, mutant: Mutant | None) -> None:
    """The project in ``root``, with the mutant planted."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__", *RECORD))
    shutil.copy(ROOT / "pyproject.toml", root)
    (root / "data").symlink_to(ROOT / "data")
    if mutant is not None:
        mutant.apply(root)


def failing(nursery: Nursery, root: Path, tests: Sequence[str], *options: str) -> list[str]:
    """The tests that fail in the copy, by the ids that pytest gives them; ValueError if pytest itself could not run."""
    words = [*OPTIONS, "-o", f"cache_dir={root / CACHE}", *options, *tests]
    done = nursery.run(root, words, PATIENCE)
    if done.code == -signal.SIGXCPU and (longer := SLOWER * usual(nursery, tuple(tests))) > PATIENCE:
        done = nursery.run(root, words, math.ceil(longer))
    if done.code == -signal.SIGKILL:
        raise ValueError(
            f"a run must end by itself, but pytest {' '.join(tests)} was killed, perhaps for want of memory; run the"
            " audit again, with fewer --jobs"
        )
    if done.code < 0 or UNREAD in done.said:  # crashed, ended for a loop without end, or conftest.py is not importable
        return [tests[0]]
    if done.code not in (0, 1, 2):  # 1: a test failed, 2: a test file could not even be imported
        raise ValueError(f"pytest {' '.join(tests)} ended with {done.code}:\n{done.said}")
    return list(json.loads((root / FAILED).read_text())) if done.code else []


_usual: dict[tuple[str, ...], float] = {}


def usual(nursery: Nursery, tests: tuple[str, ...]) -> float:
    """The processor seconds that the tests take on an unaltered copy, here and now; asked for once."""
    if tests not in _usual:
        with tempfile.TemporaryDirectory(prefix="samestep-unaltered-") as folder:
            copy(Path(folder), None)
            _usual[tests] = nursery.run(Path(folder), [*OPTIONS, "-p", "no:cacheprovider", *tests], 3600).seconds
    return _usual[tests]


def judge(mutant: Mutant, nurseries: Nurseries, before: str | None = None) -> Finding:
    """Plant the mutant and run the suite until a test fails, first the test that caught it ``before``; of the suite the
    nearest tests alone for what should change nothing."""
    calls = nearest(mutant.file) if mutant.name in EQUIVALENT else commands(mutant.file)
    with tempfile.TemporaryDirectory(prefix="samestep-mutant-") as folder, nurseries.lent() as nursery:
        copy(Path(folder), mutant)
        return Finding(mutant.name, mutant.file, _caught_by(nursery, Path(folder), calls, before))


def _caught_by(nursery: Nursery, root: Path, calls: Iterable[Sequence[str]], before: str | None) -> str | None:
    """The first test that fails in the copy."""
    if before:
        with contextlib.suppress(ValueError):  # there may be no such test any more
            if failed := failing(nursery, root, [before], "-x"):
                return failed[0]
    return next((failed[0] for call in calls if (failed := failing(nursery, root, call, "-x"))), None)


def judge_all(
    mutants: Sequence[Mutant], jobs: int | None = None, before: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Finding]:
    """A finding for each mutant, as they come, ``jobs`` at a time; ``before`` names the tests that caught some."""
    jobs = jobs or os.cpu_count() or 1
    with Nurseries(jobs) as nurseries, ThreadPoolExecutor(jobs) as pool:
        asked = [pool.submit(judge, mutant, nurseries, before.get(mutant.name)) for mutant in mutants]
        try:
            for judged in as_completed(asked):
                yield judged.result()
        finally:
            pool.shutdown(cancel_futures=True)


def false_alarms(findings: Iterable[Finding]) -> list[str]:
    """The tests that caught a mutant and fail on an unaltered copy as well."""
    with tempfile.TemporaryDirectory(prefix="samestep-unaltered-") as folder, Nurseries(1) as nurseries:
        copy(Path(folder), None)
        tests = sorted({finding.caught_by for finding in findings if finding.caught_by})
        with nurseries.lent() as nursery:
            return failing(nursery, Path(folder), tests)


def ready(only: str = "") -> None:
    """ValueError unless the tests and what they need are here, and some mutant has ``only`` in its name."""
    if not any(only in mutant.name for mutant in every()):
        raise ValueError(f"no mutant has {only!r} in its name")
    if missing := [name for name in SUITE if not (ROOT / "parity" / name).exists()]:
        raise ValueError(
            f"an audit must run in a checkout of the project, with its tests; there is no {missing[0]} here"
        )
    if missing := [name for name in NEEDS if importlib.util.find_spec(name) is None]:
        raise ValueError(f"an audit needs {', '.join(missing)}; run tox -e audit, which installs it")


def main(arguments: list[str] | None = None) -> int:
    """The command line; exit code 1 if a mutant survives or a test accuses the innocent."""
    parser = argparse.ArgumentParser(prog="python -m parity.audit", description=__doc__)
    parser.add_argument("--out", type=Path, help="keep the findings in this JSON file, and go on from those there")
    parser.add_argument("--only", default="", help="mutants whose name contains this")
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--record", action="store_true", help="keep them in the project's own file, for the report")
    options = parser.parse_args(arguments)
    out = found.FILE if options.record else options.out
    try:
        findings = find([mutant for mutant in every() if options.only in mutant.name], out, options.jobs)
    except Changed as changed:
        print(changed, file=sys.stderr)
        return 2
    alarms = false_alarms(findings)
    print("\n".join(told(findings, alarms)))
    wrong = [finding for finding in findings if finding.survives or (finding.equivalent and finding.caught_by)]
    return int(bool(wrong or alarms) or not findings)


class Changed(Exception):
    """Some mutants were judged on other sources than the rest."""


def find(chosen: Sequence[Mutant], out: Path | None, jobs: int | None) -> list[Finding]:
    """A finding for each of the mutants, going on from those in the file ``out``, which grows as they come."""
    standing, before = found.earlier(out) if out else ([], {})
    known = {finding.mutant: finding for finding in standing}
    names, begun = {mutant.name for mutant in chosen}, found.Sources(found.loads(out) if out else {})
    if again := len(names & known.keys()):
        print(f"{again} mutants were judged before, on the same sources")
    for finding in judge_all([mutant for mutant in chosen if mutant.name not in known], jobs, before):
        if found.Sources().all != begun.all:
            raise Changed("the sources changed while the audit ran; what was found before is kept, run it again")
        known[finding.mutant] = finding
        if out:
            found.keep(out, known.values(), begun)
        print(
            f"{finding.mutant:<90} {finding.caught_by or ('SURVIVES', 'changes nothing')[finding.equivalent]}",
            flush=True,
        )
    return [known[mutant.name] for mutant in chosen]


def told(findings: Sequence[Finding], alarms: Sequence[str]) -> Iterator[str]:
    """A table by file, then what is not as it must be, and what changes nothing, with the reason."""
    yield found.HEAD
    yield from map(str, found.rows(findings))
    for finding in findings:
        if finding.equivalent:
            word = (
                f"is caught by {finding.caught_by}, but held to change nothing"
                if finding.caught_by
                else "changes nothing"
            )
            yield f"{word}: {finding.mutant} ({finding.file}): {EQUIVALENT[finding.mutant]}"
    yield from (f"survives: {finding.mutant} ({finding.file})" for finding in findings if finding.survives)
    yield from (f"{test} fails without a mutant as well" for test in alarms)
    if not alarms:
        yield "no test fails without a mutant"


if __name__ == "__main__":
    sys.exit(main())
