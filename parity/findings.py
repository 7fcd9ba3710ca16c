"""What an audit finds: kept while the sources it depends on are the same, counted by file, recorded for the report."""

import dataclasses
import datetime
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypedDict

from frameworks import record

from .mutants import EQUIVALENT, ROOT, Mutant, every
from .suite import SUITE, begin

PACKAGES = ("reference", "frameworks", "parity")  # what a mutant is planted in, and tried with
ASIDE = tuple(  # what an audit reads, and no test of its suite: no finding depends on it, but by the mutant itself
    f"parity/{name}.py"
    for name in (
        "audit", "findings", "loads", "nursery", "suite",
        *(f"mutants/{name}" for name in ("adapters", "around", "dialects", "equivalent", "generated", "kinds")),
    )
)  # fmt: skip
FILE = Path(__file__).with_name("audit.json")  # what is on record
VERSIONS = ("numpy", "torch", "tensorflow", "keras", "pytest")


@dataclasses.dataclass(frozen=True)
class Finding:
    """``caught_by`` is the first test that failed; None if all passed: the mutant survives, or is an equivalent."""

    mutant: str
    file: str
    caught_by: str | None

    @property
    def equivalent(self) -> bool:
        """Whether the mutant is held to change nothing."""
        return self.mutant in EQUIVALENT

    @property
    def survives(self) -> bool:
        """Whether the suite has missed it."""
        return self.caught_by is None and not self.equivalent


class Loads(TypedDict):
    """The project's files that a test file loads, and their digest as it was when that was found."""

    files: list[str]
    was: str


class Row(NamedTuple):
    """What became of the mutants of a file."""

    file: str
    mutants: int
    caught: int
    equivalent: int
    survivors: int

    def __str__(self) -> str:
        return f"{self.file:<42}{self.mutants:>8}{self.caught:>8}{self.equivalent:>12}{self.survivors:>11}"


HEAD = f"{'file':<42}{'mutants':>8}{'caught':>8}{'equivalent':>12}{'survivors':>11}"


def rows(findings: Iterable[Finding]) -> list[Row]:
    """A row a file, in their order, and one of all."""
    files: dict[str, list[Finding]] = {}
    for finding in findings:
        for file in (finding.file, "all"):
            files.setdefault(file, []).append(finding)
    everything = files.pop("all", [])
    return [_row(file, own) for file, own in [*files.items(), ("all", everything)]]


def _row(file: str, findings: Sequence[Finding]) -> Row:
    caught = sum(finding.caught_by is not None for finding in findings)
    survivors = sum(finding.survives for finding in findings)
    return Row(file, len(findings), caught, len(findings) - caught - survivors, survivors)


class Sources:
    """The digests of what findings depend on, of the sources as they are now; ``loads`` tells what each test file loads
    of them, as it was kept."""

    def __init__(self, loads: Mapping[str, Loads] = MappingProxyType({})) -> None:
        paths = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
        texts = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in [*paths, ROOT / "pyproject.toml"]}
        self.all = _digest(texts)
        self.texts = {name: text for name, text in texts.items() if name not in ASIDE}
        self.suite = texts.get("parity/suite.py", b"")
        self.loads = {test: told["files"] for test, told in loads.items() if self.loaded(told["files"]) == told["was"]}
        self.known: dict[Finding, str] = {}
        self.needs: dict[str, str] = {}

    def of(self, finding: Finding) -> str:
        """What a test catches it catches whatever it does not load; what none catches any change may of the tests that
        were tried: the suite, or of it the nearest, if the mutant was held to change nothing."""
        if finding not in self.known:
            needs = self._needed(finding.caught_by) if finding.caught_by else self._tried(finding)
            mutant = _mutants().get(finding.mutant)
            self.known[finding] = _digest({"": needs.encode(), "mutant": repr(mutant).encode()})
        return self.known[finding]

    def _needed(self, caught_by: str) -> str:
        test = caught_by.partition("::")[0]
        if test not in self.needs:
            self.needs[test] = self.loaded(self.loads.get(test) or self._any(test))
        return self.needs[test]

    def _tried(self, finding: Finding) -> str:
        tests = {name for names, _ in begin(finding.file) for name in names} if finding.equivalent else set(SUITE)
        texts = {name: text for name, text in self.texts.items() if not _is_test(name) or Path(name).name in tests}
        return _digest({**texts, "parity/suite.py": self.suite})

    def _any(self, test: str) -> list[str]:
        """What a test file may load of which nothing is known: what is no other test file."""
        return [name for name in self.texts if name == test or not _is_test(name)]

    def loaded(self, files: Iterable[str]) -> str:
        """The digest of these files and what sets up the tests."""
        return _digest({name: self.texts[name] for name in [*files, "pyproject.toml"] if name in self.texts})


def _is_test(name: str) -> bool:
    return "/test_" in name


@functools.cache
def _mutants() -> dict[str, Mutant]:
    return {mutant.name: mutant for mutant in every()}


def _digest(texts: dict[str, bytes]) -> str:
    return hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()[:16]


def earlier(file: Path) -> tuple[list[Finding], dict[str, str]]:
    """What ``file`` tells: the findings that still stand, since nothing that they depend on has changed, and the test
    that caught each mutant the last time; nothing if it is new."""
    kept, now = _kept(file), Sources(loads(file))
    caught = {finding.mutant: finding.caught_by for finding in kept if finding.caught_by}
    return [finding for finding, sources in kept.items() if sources == now.of(finding)], caught


def keep(file: Path, findings: Iterable[Finding], now: Sources) -> None:
    """Write the findings about those sources, whole or not at all, and keep of those that are there what is told of
    other mutants: an audit that is interrupted goes on where it was, and begins with the test that caught a mutant."""
    findings = list(findings)
    loaded = loads(file)
    names = {finding.mutant for finding in findings}
    old = {finding: sources for finding, sources in _kept(file).items() if finding.mutant not in names}
    told = {**{finding: now.of(finding) for finding in findings}, **old}
    body = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": {package: metadata.version(package) for package in VERSIONS},
        "sources": now.all,
    }
    _write(file, body, loaded, told)


def loads(file: Path) -> dict[str, Loads]:
    """What ``file`` tells of the test files: what each loads, if that is known."""
    told: dict[str, Loads] = json.loads(file.read_text()).get("loads", {}) if file.exists() else {}
    return told


def keep_loads(file: Path, test: str, files: Sequence[str] | None) -> None:
    """Write what a test file loads, None if that cannot be told, to the findings in ``file``. Those that stand and are
    the test's go on standing: they are of the same sources."""
    body, kept, before = json.loads(file.read_text()), _kept(file), Sources(loads(file))
    told = {name: entry for name, entry in loads(file).items() if name != test}
    if files is not None:
        own = [name for name in files if name not in ASIDE]
        told[test] = {"files": own, "was": before.loaded(own)}
    now = Sources(told)
    standing = {finding for finding, sources in kept.items() if sources == before.of(finding)}
    kept = {finding: now.of(finding) if finding in standing else sources for finding, sources in kept.items()}
    _write(file, body, told, kept)


def _write(file: Path, body: dict[str, Any], loads: dict[str, Loads], told: dict[Finding, str]) -> None:
    body = {name: value for name, value in body.items() if name not in ("loads", "findings")}
    tests = ",\n".join(f"{json.dumps(test)}: {json.dumps(loads[test])}" for test in sorted(loads))
    rows = ",\n".join(json.dumps([*dataclasses.astuple(finding), sources]) for finding, sources in told.items())
    text = f'{json.dumps(body)[:-1]}, "loads": {{\n{tests}\n}}, "findings": [\n{rows}\n]}}\n'  # lines to compare
    record.write_whole(file, lambda whole: whole.write(text.encode()))


def _kept(file: Path) -> dict[Finding, str]:
    """The findings in a file, and of which sources they are."""
    told = json.loads(file.read_text())["findings"] if file.exists() else []
    return {Finding(*values): sources for *values, sources in told}


def recorded() -> dict[str, Any] | None:
    """What is on record, as the report shows it; None without a record. In a checkout it is of the findings that still
    stand, and the other mutants are ``unjudged``. ``current``: whether any source has changed, if they are here."""
    if not FILE.exists():
        return None
    body, kept = json.loads(FILE.read_text()), _kept(FILE)
    if whole := (ROOT / "pyproject.toml").exists():
        now = Sources(loads(FILE))
        kept = {finding: sources for finding, sources in kept.items() if sources == now.of(finding)}
    findings = sorted(kept, key=lambda finding: finding.file)
    return {
        "date": body["date"],
        "versions": body["versions"],
        "current": body["sources"] == now.all if whole else None,
        "unjudged": len({*_mutants(), *(finding.mutant for finding in findings)}) - len(findings),
        "rows": [row._asdict() for row in rows(findings)],
        "survivors": [finding.mutant for finding in findings if finding.survives],
        "equivalent": {f.mutant: EQUIVALENT[f.mutant] for f in findings if f.equivalent and f.caught_by is None},
    }
