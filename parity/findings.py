"""What an audit finds: kept while the sources it depends on are the same, counted by file, recorded for the report."""

import dataclasses
import datetime
import functools
import hashlib
import json
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from frameworks import record

from .mutants import EQUIVALENT, ROOT, Mutant, every

PACKAGES = ("reference", "frameworks", "parity")  # what a mutant is planted in, and tried with
ASIDE = tuple(  # what an audit reads, and no test of its suite: no finding depends on it, but by the mutant itself
    f"parity/{name}.py"
    for name in (
        "audit", "findings", "nursery", "suite",
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
    """The digests of what findings depend on, of the sources as they are now."""

    def __init__(self) -> None:
        paths = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
        texts = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in [*paths, ROOT / "pyproject.toml"]}
        self.tests = {name: text for name, text in texts.items() if "/test_" in name}
        self.others = _digest({name: text for name, text in texts.items() if name not in {*self.tests, *ASIDE}})
        self.all = _digest(texts)
        self.known: dict[Finding, str] = {}

    def of(self, finding: Finding) -> str:
        """What a test catches it catches whatever other tests there are; what none catches any change may."""
        if finding not in self.known:
            self.known[finding] = self._of(finding) if finding.caught_by else self.all
        return self.known[finding]

    def _of(self, finding: Finding) -> str:
        name, mutant = str(finding.caught_by).partition("::")[0], _mutants().get(finding.mutant)
        return _digest({name: self.tests.get(name, b""), "": self.others.encode(), "mutant": repr(mutant).encode()})


@functools.cache
def _mutants() -> dict[str, Mutant]:
    return {mutant.name: mutant for mutant in every()}


def _digest(texts: dict[str, bytes]) -> str:
    return hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()[:16]


def earlier(file: Path) -> tuple[list[Finding], dict[str, str]]:
    """What ``file`` tells: the findings that still stand, since nothing that they depend on has changed, and the test
    that caught each mutant the last time; nothing if it is new."""
    kept, now = _kept(file), Sources()
    caught = {finding.mutant: finding.caught_by for finding in kept if finding.caught_by}
    return [finding for finding, sources in kept.items() if sources == now.of(finding)], caught


def keep(file: Path, findings: Iterable[Finding], now: Sources) -> None:
    """Write the findings about those sources, whole or not at all, and keep of those that are there what is told of
    other mutants: an audit that is interrupted goes on where it was, and begins with the test that caught a mutant."""
    findings = list(findings)
    names = {finding.mutant for finding in findings}
    old = {finding: sources for finding, sources in _kept(file).items() if finding.mutant not in names}
    told = {**{finding: now.of(finding) for finding in findings}, **old}
    body = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": {package: metadata.version(package) for package in VERSIONS},
        "sources": now.all,
    }
    rows = ",\n".join(json.dumps([*dataclasses.astuple(finding), sources]) for finding, sources in told.items())
    text = f'{json.dumps(body)[:-1]}, "findings": [\n{rows}\n]}}\n'  # a line each, for who compares two records
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
        now = Sources()
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
