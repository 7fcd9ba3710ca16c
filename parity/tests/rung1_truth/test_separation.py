"""Rung 1, separation: a limit that lets a wrong rule through proves nothing."""

import pytest

from samestep.parity.measure import cases, nearest_wrong
from samestep.reference import dialects

pytestmark = pytest.mark.rung(1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("call", cases.CALLS)
def test_limit_keeps_out_the_nearest_wrong_rule(call: str, dtype: str) -> None:
    """Every wrong rule that moves this call at all is beyond its limit on some stream."""
    rule = dialects.read(call)
    through = {wrong.name for wrong in nearest_wrong.all_wrong(rule, dtype) if not wrong.rejected}
    assert through <= nearest_wrong.INDISTINGUISHABLE[dtype], (
        f"{rule!r} in {dtype}: the limit lets through {through}"
    )
