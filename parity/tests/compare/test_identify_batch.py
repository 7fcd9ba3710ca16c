"""Rules that ``identify`` follows together take the steps that each of them takes alone."""

import numpy as np
import pytest

from samestep.parity.identify.batch import Tensor, follow_all
from samestep.parity.measure.limits import SAFETY, of_tensor
from samestep.parity.measure.streams import normal
from samestep.parity.tests.support.boxes import drawn
from samestep.reference import LAMB, RULES, Adafactor, Muon, Rule

STEPS = 12
SHAPES = {Muon: (4, 3), LAMB: (5, 3), Adafactor: (5, 3)}  # the others are elementwise


@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.__name__)
def test_rules_followed_together_take_the_steps_of_each_alone(kind: type[Rule]) -> None:
    """Sums and real powers may round otherwise; then the limit is that of the rule."""
    rule = drawn(kind, 7)
    shape = SHAPES.get(kind, (9,))
    tensor = Tensor(
        normal(shape, 1), normal((STEPS, *shape), 2), np.ones(STEPS), kind not in SHAPES
    )
    rules = [rule.replace(lr=rule.lr * factor) for factor in (1.0, 0.5, 0.25)]
    together = follow_all(rules, tensor)
    assert together.shape == (len(rules), STEPS, *shape)
    for thetas, single in zip(together, rules, strict=True):
        alone = follow_all([single], tensor)[0]
        limit = SAFETY * of_tensor(single, tensor.start, tensor.gradients, "float64")
        assert (np.abs(thetas - alone) <= limit).all()
    assert not np.array_equal(together[0], together[1])
