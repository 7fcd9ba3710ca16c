"""Rung 1: corners that random trials pass over (``truth.corners``), and the NumPy optimizer's own
refusals.
"""

from collections.abc import Iterator

import numpy as np
import pytest

from samestep.frameworks.numpy import Optimizer
from samestep.parity.measure import cases, streams, wrong_rules
from samestep.parity.truth import corners
from samestep.reference import RULES, Adagrad, RMSprop, Rule, dialects

pytestmark = pytest.mark.rung(1)

STEPS = 8
CORNER_CASES = [
    pytest.param(corner, id=f"{module}: {corner.__name__}")
    for module, functions in corners.CORNERS.items()
    for corner in functions
]


def assert_facts(facts: Iterator[corners.Fact]) -> None:
    """Each fact has its expected value."""
    assert [str(fact) for fact in facts if not fact.holds] == []


@pytest.mark.parametrize("corner", CORNER_CASES)
def test_corner_is_as_worked_out_by_hand(corner: corners.Corner) -> None:
    """Of single rules and of the modules that all rules stand on."""
    assert_facts(corner(corners.RIGHT))


@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.__name__)
def test_rule_keeps_the_state_that_it_needs_and_no_more(kind: type[Rule]) -> None:
    """The state that it starts with is the state that every step gives, and each part of it comes
    to change.
    """
    assert_facts(corners.states(corners.RIGHT, kind.__name__))


def test_every_corner_belongs_to_a_module_or_a_rule() -> None:
    """Else no mutant would be judged by it."""
    assert set(corners.CORNERS) <= {*wrong_rules.SHARED, *(kind.__name__ for kind in RULES)}


REFUSED = [  # parameters, gradients, what the NumPy optimizer says
    ([np.ones(2, int)], None, "parameter 0 must have a real floating dtype, got int64"),
    (
        [np.ones(2), np.ones(2, complex)],
        None,
        "parameter 1 must have a real floating dtype, got complex128",
    ),
    ([np.ones(2)], [np.ones(3)], "gradient 0 must have the parameter's shape"),
    ([np.ones(2)], [np.ones(2, np.float32)], "gradient 0 must have the parameter's shape"),
    ([np.ones(2)], [], "zip"),
]


@pytest.mark.parametrize(("parameters", "gradients", "told"), REFUSED)
def test_numpy_optimizer_refuses_what_does_not_fit(
    parameters: list[np.ndarray], gradients: list[np.ndarray] | None, told: str
) -> None:
    """By name, and nothing has moved."""
    with pytest.raises(ValueError, match=told):
        Optimizer(parameters, RMSprop()).step(gradients or [])
    assert all((parameter == 1).all() for parameter in parameters)


def test_numpy_optimizer_leaves_alone_what_has_no_gradient() -> None:
    """Its step number does not advance."""
    early, late = np.ones(3), np.ones(3)
    optimizer = Optimizer([early, late], RMSprop())
    optimizer.step([np.ones(3), None])
    assert (early < 1).all()
    assert late.tolist() == [1.0] * 3
    optimizer.step([np.ones(3), np.ones(3)])
    assert optimizer.t == [2, 1]


@pytest.mark.parametrize("call", cases.CALLS)
def test_step_in_half_precision_is_one_of_float32_rounded_once(call: str) -> None:
    """Parameters and state alike; nothing between is rounded."""
    rule = dialects.read(call)
    start, gradients = (
        streams.suit(rule, streams.start()),
        streams.suit(rule, streams.gradients("spread", STEPS)),
    )
    half = Optimizer([start.astype(np.float16)], rule)
    for gradient in gradients.astype(np.float16):
        single = Optimizer([half.parameters[0].astype(np.float32)], rule)
        single.t = list(half.t)
        single.state = [{name: array.astype(np.float32) for name, array in half.state[0].items()}]
        half.step([gradient])
        single.step([gradient.astype(np.float32)])
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(
                half.parameters[0], single.parameters[0].astype(np.float16)
            )
            for name, array in half.state[0].items():
                np.testing.assert_array_equal(array, single.state[0][name].astype(np.float16))


def test_state_of_half_precision_is_rounded_from_float32() -> None:
    """As every framework does: this number is a tie between two of float16 only after float32 has
    rounded it.
    """
    optimizer = Optimizer(
        [np.ones(1, np.float16)], Adagrad(initial_accumulator=1 + 2.0**-11 + 2.0**-30)
    )
    assert optimizer.state[0]["G"].tolist() == [1.0]
