"""Every row of ``reference/conventions`` holds on the installed libraries, and can be refuted."""

import dataclasses

import pytest

from samestep.parity.tests.support.frameworks import keras, tf, torch  # noqa: F401  the order

# isort: split
from samestep.migrate import checks
from samestep.parity.tests.support.require import require
from samestep.reference import conventions
from samestep.reference.conventions import CONVENTIONS, Convention


def test_every_row_has_a_check_and_no_check_is_without_a_row() -> None:
    assert list(checks.CHECKS) == [row.name for row in CONVENTIONS]


@pytest.mark.filterwarnings("ignore::UserWarning")  # the checks do what the libraries warn of
@pytest.mark.parametrize("row", CONVENTIONS, ids=lambda row: row.name)
def test_the_libraries_do_what_the_row_says(row: Convention) -> None:
    """And the check is red for the row with any of its facts changed or left out."""
    for package in row.needs:
        require(package)
    assert checks.wrong_facts(row) == {}
    for fact in row.facts:
        changed = {**row.facts, fact: "something else"}
        assert set(checks.wrong_facts(dataclasses.replace(row, facts=changed))) == {fact}


def test_a_fact_that_no_check_measures_is_noticed() -> None:
    row = conventions.find("norm-epsilon")
    further = dataclasses.replace(row, facts={**row.facts, "of nothing": 1})
    assert set(checks.wrong_facts(further)) == {"of nothing"}


def test_a_row_without_facts_is_refused() -> None:
    row = conventions.find("norm-epsilon")
    with pytest.raises(ValueError, match="must have at least one fact"):
        dataclasses.replace(row, facts={})


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no convention 'nothing'"):
        conventions.find("nothing")
