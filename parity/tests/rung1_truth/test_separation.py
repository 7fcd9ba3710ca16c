"""Rung 1, separation: a limit that lets a wrong rule through proves nothing."""

import pytest

from samestep.parity.measure import cases, nearest_wrong
from samestep.reference import Rule, dialects

pytestmark = pytest.mark.rung(1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("call", cases.CALLS)
def test_limit_keeps_out_the_nearest_wrong_rule(call: str, dtype: str) -> None:
    """Every wrong rule that moves this call at all is beyond its limit on some stream."""
    reject_wrong_rules(dialects.read(call), dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rule", cases.UNSAID, ids=repr)
def test_limit_keeps_out_the_nearest_wrong_rule_where_no_call_means_the_rule(
    rule: Rule, dtype: str
) -> None:
    """Weight decay after the step, and Adam without bias correction."""
    reject_wrong_rules(rule, dtype)


def reject_wrong_rules(rule: Rule, dtype: str) -> None:
    """Assert that the limits of the rule reject every wrong rule that moves otherwise."""
    through = {wrong.name for wrong in nearest_wrong.all_wrong(rule, dtype) if not wrong.rejected}
    assert through <= nearest_wrong.INDISTINGUISHABLE[dtype], (
        f"{rule!r} in {dtype}: the limit lets through {through}"
    )
