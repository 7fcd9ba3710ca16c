"""What the last run of the tests took, rung by rung, read from pytest's JUnit XML file."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import samestep

from .content import Rung, Suite

FILE = Path("out/parity.xml")  # in a checkout; ``tox -e parity`` writes it
RUNGS = {"1": "truth", "2": "adapters", "3": "natives", "4": "sensitivity", "5": "training"}
BESIDE = "beside the ladder"


def last_run(checkout: Path | None) -> Suite:
    """Return the last run of the tests; a message instead where there is none that can be read.

    ``checkout`` is the root of the checkout, None for an installed package.
    """
    if checkout is None:
        return Suite("the tests lie in a checkout, and this is an installed package")
    path = checkout / FILE
    try:
        root = ElementTree.parse(path).getroot()
        return _read(root)
    except FileNotFoundError:
        return Suite("the tests have not been run as a whole in this checkout: tox -e parity")
    except (OSError, ElementTree.ParseError, KeyError, ValueError) as error:
        return Suite(f"{path} cannot be read: {error!r}; run tox -e parity again")


def _read(root: ElementTree.Element) -> Suite:
    """Return the run that a ``testsuites`` or ``testsuite`` element of JUnit XML describes."""
    suites = [root] if root.tag == "testsuite" else root.findall("testsuite")
    if not suites:
        raise ValueError(f"it must hold a testsuite, its root is {root.tag!r}")
    started = datetime.fromisoformat(suites[0].attrib["timestamp"])
    cases: dict[str, list[ElementTree.Element]] = {}
    for suite in suites:
        for case in suite.iter("testcase"):
            cases.setdefault(_rung(case), []).append(case)
    return Suite(
        message="",
        date=started.strftime("%Y-%m-%d %H:%M"),
        seconds=sum(float(suite.attrib["time"]) for suite in suites),
        rungs=[_count(rung, cases[rung]) for rung in sorted(cases)],
    )


def _rung(case: ElementTree.Element) -> str:
    """Return the number and the name of a test's rung.

    The root ``conftest.py`` writes the number.
    """
    for prop in case.iter("property"):
        if prop.get("name") == "rung":
            number = prop.get("value", "")
            return f"{number} {RUNGS.get(number, '')}".rstrip()
    return BESIDE


def _count(rung: str, cases: Sequence[ElementTree.Element]) -> Rung:
    failed = [
        case for case in cases if case.find("failure") is not None or case.find("error") is not None
    ]
    skipped = [case for case in cases if _is_skipped(case)]
    return Rung(
        name=rung,
        tests=len(cases),
        skipped=len(skipped),
        failed=len(failed),
        seconds=sum(float(case.get("time", 0)) for case in cases),
    )


def _is_skipped(case: ElementTree.Element) -> bool:
    """Return True if the test did not run.

    Pytest marks tests that failed as expected as skipped, too.
    """
    skipped = case.find("skipped")
    return skipped is not None and skipped.get("type") != "pytest.xfail"


def here() -> Suite:
    """Return the last run of the tests in the checkout that this package lies in."""
    return last_run(samestep.checkout())
