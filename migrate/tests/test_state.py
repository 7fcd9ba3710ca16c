"""The state of a live optimizer is read and written: the new one goes on as the first would."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, tf, torch

# isort: split
from samestep import reference
from samestep.frameworks import numpy as ours_in_numpy
from samestep.frameworks import pytorch as ours_in_pytorch
from samestep.frameworks import tensorflow as ours_in_keras
from samestep.migrate import state
from samestep.reference import dialects

SHAPES = {"matrix": (5, 4), "vector": (4,)}
NATIVES = [(side, name) for side in ("pytorch", "keras") for name in dialects.find(side).natives]
RULES = [rule.__name__ for rule in reference.RULES]


def gradients(step: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(step)
    return {name: random.standard_normal(shape) for name, shape in SHAPES.items()}


def start(dtype: str = "float64") -> dict[str, np.ndarray]:
    return {name: array.astype(dtype) for name, array in gradients(99).items()}


class InPytorch:
    """Two parameters and an optimizer of PyTorch."""

    def __init__(self, make: Any, values: Mapping[str, np.ndarray]) -> None:
        self.named = {name: torch.nn.Parameter(torch.tensor(v)) for name, v in values.items()}
        self.optimizer = make(list(self.named.values()))

    def step(self, number: int) -> None:
        for name, gradient in gradients(number).items():
            self.named[name].grad = torch.tensor(gradient)
        self.optimizer.step()

    def values(self) -> dict[str, np.ndarray]:
        return {name: p.detach().numpy().copy() for name, p in self.named.items()}


class InKeras:
    """Two variables and an optimizer of Keras."""

    def __init__(self, make: Any, values: Mapping[str, np.ndarray]) -> None:
        self.named = {
            name: keras.Variable(value, dtype="float64", name=name)
            for name, value in values.items()
        }
        self.optimizer = make()
        self.optimizer.build(list(self.named.values()))

    def step(self, number: int) -> None:
        given = [tf.constant(gradient) for gradient in gradients(number).values()]
        self.optimizer.apply(given, list(self.named.values()))

    def values(self) -> dict[str, np.ndarray]:
        return {name: np.array(v.numpy()) for name, v in self.named.items()}


class InNumpy:
    """Two arrays and our optimizer of NumPy."""

    def __init__(self, make: Any, values: Mapping[str, np.ndarray]) -> None:
        self.named = {name: np.array(value) for name, value in values.items()}
        self.optimizer = make(list(self.named.values()))

    def step(self, number: int) -> None:
        self.optimizer.step(list(gradients(number).values()))

    def values(self) -> dict[str, np.ndarray]:
        return {name: array.copy() for name, array in self.named.items()}


def native(side: str, name: str) -> Any:
    """What makes a live native: with momentum where it has one, so that there is a state."""
    options = {"momentum": 0.5} if name in ("SGD", "RMSprop") else {}
    if side == "keras":
        return lambda: getattr(keras.optimizers, name)(**options)
    return lambda parameters: getattr(torch.optim, name)(parameters, **options)


def goes_on(
    sides: tuple[Any, Any], makes: tuple[Any, Any], exact: bool = True, taken: int = 3
) -> bool:
    """After some steps the second optimizer goes on with the state of the first: equal bits.

    True if a fresh one would not. If not ``exact``, only the state itself has equal bits.
    """
    first = sides[0](makes[0], start())
    for number in range(taken):
        first.step(number)
    second = sides[1](makes[1], first.values())
    read = state.read(first.optimizer, first.named)
    state.write(second.optimizer, second.named, read)
    again = state.read(second.optimizer, second.named)
    for slot, arrays in again.arrays.items():
        for name, array in arrays.items():
            assert np.array_equal(array, read.arrays[slot][name]), (slot, name)
    assert again.steps == read.steps
    fresh = sides[1](makes[1], first.values())
    for number in range(taken, taken + 3):
        for each in (first, second, fresh):
            each.step(number)
    for name, expected in first.values().items() if exact else ():
        assert np.array_equal(second.values()[name], expected), name
    return any(np.any(fresh.values()[name] != first.values()[name]) for name in SHAPES)


@pytest.fixture(autouse=True)
def float64() -> Any:
    """Keras' Muon moves weights of Keras' global dtype alone."""
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx(before)


@pytest.mark.parametrize(("side", "name"), NATIVES)
def test_a_native_goes_on_in_a_new_one(side: str, name: str) -> None:
    if name in ("SparseAdam", "Muon") and side == "pytorch":
        pytest.skip("it takes sparse gradients or matrices alone")
    kind = InPytorch if side == "pytorch" else InKeras
    make = native(side, name)
    assert goes_on((kind, kind), (make, make)), "a fresh optimizer goes on as well: no proof"


OURS: dict[str, tuple[Any, Any]] = {
    "numpy": (InNumpy, lambda rule: lambda parameters: ours_in_numpy.Optimizer(parameters, rule)),
    "pytorch": (
        InPytorch,
        lambda rule: lambda parameters: ours_in_pytorch.Optimizer(parameters, rule),
    ),
    "keras": (InKeras, lambda rule: lambda: ours_in_keras.Optimizer(rule)),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("source", "target"), [("pytorch", "keras"), ("keras", "numpy"), ("numpy", "pytorch")]
)
def test_ours_go_on_in_another_framework(rule: str, source: str, target: str) -> None:
    """Both are in one layout here; weights and state have equal bits."""
    made = getattr(reference, rule)(lr=0.01)
    sides = OURS[source][0], OURS[target][0]
    exact = rule != "Muon"  # matrix products are rounded otherwise by each framework
    goes_on(sides, (OURS[source][1](made), OURS[target][1](made)), exact)


def test_a_buffer_of_gradients_becomes_one_of_steps() -> None:
    """From torch.optim.SGD into keras.optimizers.SGD, and back."""
    first = InPytorch(native("pytorch", "SGD"), start())
    first.step(0)
    of_torch = state.read(first.optimizer, first.named)
    second = InKeras(lambda: keras.optimizers.SGD(0.001, momentum=0.5), start())
    second.step(0)
    of_keras = state.read(second.optimizer, second.named)
    assert of_keras.rule is not None
    restated = of_torch.restated(of_keras.rule)
    for name, array in of_keras.arrays["b"].items():
        assert np.array_equal(restated.arrays["b"][name], of_torch.arrays["b"][name] * 0.001)
        assert np.array_equal(array, of_keras.rate * gradients(0)[name])


def test_what_cannot_go_on_is_refused() -> None:
    """Unequal counts in Keras, no count at all, another shape, an unknown name."""
    rule = reference.Adam(lr=0.01)
    ours = InNumpy(lambda parameters: ours_in_numpy.Optimizer(parameters, rule), start())
    ours.step(0)
    ours.optimizer.t[0] = 5
    target = InKeras(native("keras", "Adam"), start())
    with pytest.raises(ValueError, match="must be equal for Adam of Keras, which has one count"):
        state.write(target.optimizer, target.named, state.read(ours.optimizer, ours.named))
    uncounted = InPytorch(native("pytorch", "SGD"), start())
    uncounted.step(0)
    adam = InPytorch(native("pytorch", "Adam"), start())
    read = state.read(uncounted.optimizer, uncounted.named)
    with pytest.raises(ValueError, match=r"must have the steps of matrix for torch.optim.Adam"):
        state.write(adam.optimizer, adam.named, read)
    turned = state.State(read.kind, read.rule, read.rate, read.steps, {"b": {"matrix": ZEROS}})
    with pytest.raises(ValueError, match=r"must have the parameter's shape \(5, 4\), got \(4, 5\)"):
        state.write(adam.optimizer, adam.named, turned)
    unknown = state.State(read.kind, read.rule, read.rate, read.steps, {"b": {"other": ZEROS}})
    with pytest.raises(ValueError, match="must be of parameters of the optimizer"):
        state.write(adam.optimizer, adam.named, unknown)


ZEROS = np.zeros((4, 5))
