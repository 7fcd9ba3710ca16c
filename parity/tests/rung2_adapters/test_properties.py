"""Rung 2 by chance: rules, hyperparameters, shapes, dtypes and gradients that nobody chose; still
NumPy's bits.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from samestep.parity.tests.support.frameworks import keras, ml_dtypes, tf, torch

import samestep.frameworks.numpy
import samestep.frameworks.pytorch
import samestep.frameworks.tensorflow
from samestep.parity.measure import cases
from samestep.reference import RULES, Rule

pytestmark = pytest.mark.rung(2)

DTYPES = {
    "float32": np.float32,
    "float64": np.float64,
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
}
SHAPES = ((), (0,), (3,), (2, 3), (3, 1, 2))
# of hyperparameters: products of some stay normal numbers, which equality is claimed for
SMALL, LARGE = 2.0**-10, 4.0
POWERS = ("lr_power",)  # an array's real power, which libraries round; see test_adapters
ODD = (0.0, -0.0, math.nan, math.inf, -math.inf)

# matrix products are each framework's own
EXACT = [rule for rule in RULES if rule.__name__ not in cases.MATRIX]
PROFILE = settings(derandomize=True, database=None, deadline=None, max_examples=7)


class Drawn(NamedTuple):
    """A trial: parameters, and a gradient for each of them in each step; the first may have
    none.
    """

    rule: Rule
    dtype: str
    starts: list[np.ndarray]
    steps: list[list[np.ndarray | None]]
    rates: list[float]


def hyperparameter(field: "dataclasses.Field[Any]") -> st.SearchStrategy[Any]:
    """The default, zero where it is allowed, or anything of a common size in the field's
    interval.
    """
    if "choices" in field.metadata:
        return st.sampled_from(field.metadata["choices"])
    interval = field.metadata["interval"]
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    if high <= 0:
        some = st.floats(max(low, -LARGE), -SMALL, exclude_min=interval[0] == "(" and low >= -LARGE)
    else:
        some = st.floats(
            max(low, SMALL), min(high, LARGE), exclude_max=interval[-1] == ")" and high <= LARGE
        )
    zero = [st.just(0.0)] if low == 0 and interval[0] == "[" else []
    return st.one_of(st.just(field.default), some, *zero)


@st.composite
def rules(draw: st.DrawFn, kind: type[Rule]) -> Rule:
    """The rule with any hyperparameters that go together."""
    fields = [field for field in dataclasses.fields(kind) if field.name not in POWERS]
    values = {field.name: draw(hyperparameter(field)) for field in fields}
    try:
        return kind(**values)
    except ValueError:  # such as nesterov and dampening
        raise reject() from None


def arrays(
    shape: tuple[int, ...], dtype: str, odd: tuple[float, ...]
) -> st.SearchStrategy[np.ndarray]:
    """Numbers of common sizes, which every dtype has, and now and then an odd one."""
    sizes = st.floats(2.0**-8, 8.0, width=16)
    number = st.one_of(sizes, sizes.map(lambda x: -x), *([st.sampled_from(odd)] if odd else []))
    size = math.prod(shape)
    return st.lists(number, min_size=size, max_size=size).map(
        lambda x: np.array(x, DTYPES[dtype]).reshape(shape)
    )


@st.composite
def trials(draw: st.DrawFn, kind: type[Rule], dtype: str) -> Drawn:
    """Two tensors and up to four steps."""
    rule = draw(rules(kind))
    shapes = [draw(st.sampled_from(SHAPES)) for _ in range(2)]
    starts = [draw(arrays(shape, dtype, ())) for shape in shapes]
    steps = [
        [
            draw(st.one_of(st.none(), arrays(shapes[0], dtype, ODD))),
            draw(arrays(shapes[1], dtype, ODD)),
        ]
        for _ in range(draw(st.integers(1, 4)))
    ]
    return Drawn(
        rule, dtype, starts, steps, [rule.lr * draw(st.sampled_from([0.25, 1, 2])) for _ in steps]
    )


def in_numpy(trial: Drawn) -> list[np.ndarray]:
    """Parameters after the last step."""
    parameters = [start.copy() for start in trial.starts]
    optimizer = samestep.frameworks.numpy.Optimizer(parameters, trial.rule)
    for gradients, optimizer.lr in zip(trial.steps, trial.rates, strict=True):
        optimizer.step(gradients)
    return parameters


def in_torch(trial: Drawn) -> list[np.ndarray]:
    """The same in PyTorch, eagerly."""
    dtype = getattr(torch, trial.dtype)

    def tensor(x: np.ndarray) -> Any:
        return torch.tensor(x.astype(np.float64), dtype=dtype)

    parameters = [torch.nn.Parameter(tensor(start)) for start in trial.starts]
    optimizer = samestep.frameworks.pytorch.Optimizer(parameters, trial.rule)
    for gradients, optimizer.param_groups[0]["lr"] in zip(trial.steps, trial.rates, strict=True):
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = None if gradient is None else tensor(gradient)
        optimizer.step()
    return [
        parameter.detach().double().numpy().astype(DTYPES[trial.dtype]) for parameter in parameters
    ]


def in_tensorflow(trial: Drawn) -> list[np.ndarray]:
    """The same in Keras, eagerly."""
    variables = [keras.Variable(start, dtype=trial.dtype) for start in trial.starts]
    optimizer = samestep.frameworks.tensorflow.Optimizer(trial.rule)
    optimizer.build(variables)
    for gradients, optimizer.learning_rate in zip(trial.steps, trial.rates, strict=True):
        given = [(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None]
        optimizer.apply_gradients([(tf.constant(g), v) for g, v in given])
    return [variable.numpy() for variable in variables]


def same(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    """Equal bits, tensor by tensor; not-a-number equals itself, 0 equals -0."""
    wide = [(x.astype(np.float64), y.astype(np.float64)) for x, y in zip(a, b, strict=True)]
    return all(np.array_equal(x, y, equal_nan=True) for x, y in wide)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", EXACT, ids=lambda kind: kind.__name__)
def test_three_frameworks_have_equal_bits(kind: type[Rule], dtype: str) -> None:
    """Whatever the hyperparameters, shapes, gradients and rates; and some parameter has moved."""
    moved = []

    @PROFILE
    @given(trials(kind, dtype))
    def hold(trial: Drawn) -> None:
        expected = in_numpy(trial)
        for run in (in_torch, in_tensorflow):
            actual = run(trial)
            assert same(actual, expected), f"{run.__name__}: {actual} against {expected}"
        moved.append(not same(trial.starts, expected))

    hold()
    assert any(moved)
