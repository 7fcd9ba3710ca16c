"""The state of a live optimizer by name: one neutral form for both frameworks, natives and ours.

``read`` copies what an optimizer holds. ``write`` puts it into another optimizer, new or used, so
that it goes on as the first would have. Arrays have our names (reference/dialects) and lie as the
optimizer's own parameters do; ``Link.carry`` takes them to the other framework. What two rules keep
in different ways, ``restated`` makes the one of the other, or refuses.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from samestep.frameworks.numpy import Optimizer as NumpyOptimizer
from samestep.reference import SGD, Adagrad, Buffer, Epsilon, Muon, Rule

Arrays = dict[str, np.ndarray]
UNCOUNTED = ("SGD", "Muon")  # natives of torch.optim that count no steps


@dataclass(frozen=True)
class State:
    """What an optimizer keeps between steps.

    ``arrays`` has each state by our name, then by parameter, in the parameter's dtype and layout;
    what has no name of ours has the native's. ``steps`` counts the steps of each parameter, None
    where the optimizer does not count. ``rate`` is the learning rate of the step to come. ``kind``
    is the optimizer's class. ``rule`` is None where it is not known.
    """

    kind: str
    rule: Rule | None
    rate: float | None
    steps: dict[str, int | None]
    arrays: dict[str, Arrays] = field(default_factory=dict)

    def restated(self, rule: Rule, rate: float | None = None) -> "State":
        """The same state as ``rule`` keeps it. ValueError if a buffer cannot be restated.

        Momentum of steps is momentum of gradients times the learning rate: exact while the rate
        stays. ``rate`` is that of the side that keeps steps, by default this state's. Adagrad's
        epsilon inside the root goes into the sum, and Muon's mean of gradients is a share of their
        sum.
        """
        if self.rule is None or type(self.rule) is not type(rule):
            return self
        arrays = dict(self.arrays)
        own = getattr(self.rule, "buffer", None)
        if getattr(rule, "buffer", None) is not own and "b" in arrays:
            rate = self.rate if rate is None else rate
            if not rate:
                raise ValueError(
                    "the learning rate must not be 0 to make momentum of steps one of gradients, "
                    f"got {rate}; read the state before the rate is 0"
                )
            into_steps = getattr(rule, "buffer", None) is Buffer.STEPS
            arrays["b"] = _scaled(arrays["b"], rate if into_steps else 1 / rate)
        if isinstance(self.rule, Adagrad) and isinstance(rule, Adagrad) and "G" in arrays:
            arrays["G"] = _moved(arrays["G"], _inside(self.rule) - _inside(rule))
        if isinstance(self.rule, Muon) and isinstance(rule, Muon) and "m" in arrays:
            share = 1 - self.rule.momentum
            if self.rule.ema is not rule.ema:  # what has v, too, moves by Adam
                by_adam = arrays.get("v", {})
                sums = {name: array for name, array in arrays["m"].items() if name not in by_adam}
                scaled = _scaled(sums, share if rule.ema else 1 / share)
                arrays["m"] = {**arrays["m"], **scaled}
        return replace(self, rule=rule, arrays=arrays)


def _inside(rule: Adagrad) -> float:
    return float(rule.epsilon) if rule.epsilon_at is Epsilon.INSIDE else 0.0


def _scaled(arrays: Arrays, factor: float) -> Arrays:
    return {name: array * array.dtype.type(factor) for name, array in arrays.items()}


def _moved(arrays: Arrays, shift: float) -> Arrays:
    return {name: array + array.dtype.type(shift) for name, array in arrays.items()}


def read(optimizer: Any, named: Mapping[str, Any]) -> State:
    """The state of an optimizer: NumPy's, ``torch.optim``'s, Keras', or ours of any of them.

    ``named`` are the parameters that it moves, by name: arrays, tensors, Keras variables.
    """
    if isinstance(optimizer, NumpyOptimizer):
        return _read_numpy(optimizer, named)
    if hasattr(optimizer, "param_groups"):
        return _read_pytorch(optimizer, named)
    return _read_keras(optimizer, named)


def write(optimizer: Any, named: Mapping[str, Any], state: State) -> None:
    """Put a state into an optimizer of the same rule; entries that it does not keep are left out.

    ValueError where it cannot go on from the state: its steps are not counted or not equal, or a
    shape differs.
    """
    for slot, arrays in state.arrays.items():
        for name, array in arrays.items():
            _require_shape(slot, name, array, named)
    if isinstance(optimizer, NumpyOptimizer):
        _write_numpy(optimizer, named, state)
    elif hasattr(optimizer, "param_groups"):
        _write_pytorch(optimizer, named, state)
    else:
        _write_keras(optimizer, named, state)


def take_over(optimizer: Any, named: Mapping[str, Any], given: State) -> None:
    """Put those arrays of a state into an optimizer that it keeps, too; its step counts stay.

    Nothing is put in where the two rules are not known to be of one class.
    """
    own = read(optimizer, named)
    if own.rule is None or type(own.rule) is not type(given.rule):
        return
    keeps_steps = getattr(own.rule, "buffer", None) is Buffer.STEPS
    arrays: dict[str, Arrays] = {}
    restated = given.restated(own.rule, own.rate if keeps_steps else given.rate)
    for slot, of_slot in restated.arrays.items():
        mine = own.arrays.get(slot, {})
        same = [name for name in of_slot if name in mine]
        fitting = [name for name in same if mine[name].shape == of_slot[name].shape]
        arrays[slot] = {**mine, **{name: of_slot[name] for name in fitting}}
    write(optimizer, named, replace(own, arrays={**own.arrays, **arrays}))


def _require_shape(slot: str, name: str, array: np.ndarray, named: Mapping[str, Any]) -> None:
    if name not in named:
        raise ValueError(
            f"the state {slot} must be of parameters of the optimizer, but it has {name!r}; they "
            f"are {', '.join(named)}"
        )
    shape = tuple(named[name].shape)
    if array.size == int(np.prod(shape)) and array.shape != shape and array.ndim == len(shape):
        raise ValueError(
            f"the state {slot} of {name} must have the parameter's shape {shape}, got "
            f"{array.shape}; carry it by the link of the parameter"
        )


def _of(state: State, name: str) -> Arrays:
    """All arrays of one parameter, by state."""
    return {slot: arrays[name] for slot, arrays in state.arrays.items() if name in arrays}


def _by_slot(of_each: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, Arrays]:
    slots: dict[str, Arrays] = {}
    for name, arrays in of_each.items():
        for slot, array in arrays.items():
            slots.setdefault(slot, {})[name] = np.array(array)
    return slots


def _places(optimizer: NumpyOptimizer, named: Mapping[str, Any]) -> dict[str, int]:
    """The index of each named array among the optimizer's."""
    places = {id(array): index for index, array in enumerate(optimizer.parameters)}
    return {name: places[id(array)] for name, array in named.items()}


def _read_numpy(optimizer: NumpyOptimizer, named: Mapping[str, Any]) -> State:
    places = _places(optimizer, named)
    steps: dict[str, int | None] = {name: optimizer.t[index] for name, index in places.items()}
    arrays = _by_slot({name: optimizer.state[index] for name, index in places.items()})
    rule = optimizer.rule
    return State("samestep.frameworks.numpy.Optimizer", rule, float(optimizer.lr), steps, arrays)


def _write_numpy(optimizer: NumpyOptimizer, named: Mapping[str, Any], state: State) -> None:
    for name, index in _places(optimizer, named).items():
        own = optimizer.state[index]
        for slot, array in _of(state, name).items():
            if slot in own:
                own[slot] = np.array(array, np.asarray(own[slot]).dtype)
        optimizer.t[index] = _count(state, name)


def _count(state: State, name: str) -> int:
    """The steps of a parameter. Without a count: 1 if it has a state, which is all that matters."""
    steps = state.steps.get(name, 0)
    if steps is not None:
        return steps
    return int(any(np.any(array) for array in _of(state, name).values()))


def _kind(optimizer: Any) -> str:
    return f"{type(optimizer).__module__}.{type(optimizer).__name__}"


def _read_pytorch(optimizer: Any, named: Mapping[str, Any]) -> State:
    from samestep.parity.runners.pytorch import claimed_rule, states

    arrays = _by_slot(dict(zip(named, states(optimizer, list(named.values())), strict=True)))
    steps: dict[str, int | None] = {}
    for name, parameter in named.items():
        own = optimizer.state.get(parameter, {})
        counted = own.get("step", None if own else 0)
        steps[name] = None if counted is None else int(counted)
    rate = float(optimizer.param_groups[0]["lr"])
    return State(_kind(optimizer), claimed_rule(optimizer), rate, steps, arrays)


def _write_pytorch(optimizer: Any, named: Mapping[str, Any], state: State) -> None:
    import torch

    from samestep.frameworks.pytorch import Optimizer
    from samestep.reference.dialects import pytorch as dialect

    ours = isinstance(optimizer, Optimizer)
    kind = type(optimizer).__name__
    own_names = {} if ours else dict(dialect.find(kind).state)
    for name, parameter in named.items():
        entries = {
            own_names.get(slot, slot): torch.from_numpy(np.array(array))
            for slot, array in _of(state, name).items()
            if ours or slot in own_names or state.kind == _kind(optimizer)
        }
        if not _of(state, name) and not state.steps.get(name):
            continue
        if ours:
            optimizer.state[parameter] = {"step": _count(state, name), **entries}
            continue
        if kind not in UNCOUNTED:
            if state.steps[name] is None:
                raise ValueError(
                    f"the state must have the steps of {name} for torch.optim.{kind}, which counts "
                    "them, but the optimizer it comes from does not"
                )
            entries["step"] = torch.tensor(float(state.steps[name] or 0))
        optimizer.state[parameter] = entries


def _read_keras(optimizer: Any, named: Mapping[str, Any]) -> State:
    from samestep.frameworks.tensorflow import Optimizer
    from samestep.parity.runners.keras import claimed_rule, states

    of_each = states(optimizer, [_Named(variable) for variable in named.values()])
    arrays = _by_slot(dict(zip(named, of_each, strict=True)))
    if isinstance(optimizer, Optimizer):
        counted = [int(count) for count in optimizer._steps.numpy()]
        places = _places_in_keras(optimizer, named)
        steps: dict[str, int | None] = {name: counted[index] for name, index in places.items()}
    else:
        steps = dict.fromkeys(named, int(optimizer.iterations.numpy()))
        if hasattr(optimizer, "_u_product"):
            product = np.array(optimizer._u_product.numpy())
            arrays["P"] = dict.fromkeys(named, product)
        for slot, name, variable in _factors_in_keras(optimizer, named):
            axis = {"r": -1, "c": -2}[slot]
            arrays.setdefault(slot, {})[name] = np.expand_dims(np.array(variable.numpy()), axis)
    rate = float(np.asarray(optimizer.learning_rate))
    return State(_kind(optimizer), claimed_rule(optimizer), rate, steps, arrays)


def _places_in_keras(optimizer: Any, named: Mapping[str, Any]) -> dict[str, int]:
    return {name: optimizer._get_variable_index(variable) for name, variable in named.items()}


def _write_keras(optimizer: Any, named: Mapping[str, Any], state: State) -> None:
    from samestep.frameworks.tensorflow import Optimizer

    counts = {name: _count(state, name) for name in named}
    if isinstance(optimizer, Optimizer):
        _write_ours_in_keras(optimizer, named, state)
        optimizer.iterations.assign(max(counts.values(), default=0))
        return
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise ValueError(
            f"the steps of all parameters must be equal for {type(optimizer).__name__} of Keras, "
            f"which has one count, got {listed}; use samestep.frameworks.tensorflow.Optimizer"
        )
    optimizer.iterations.assign(next(iter(counts.values()), 0))
    slots = _slots_in_keras(optimizer, named)
    sign = -1 if isinstance(state.rule, SGD) else 1  # Keras' buffer is subtracted
    for name in named:
        for slot, array in _of(state, name).items():
            if (name, slot) in slots:
                slots[name, slot].assign(sign * array)
    for slot, name, variable in _factors_in_keras(optimizer, named):
        if name in state.arrays.get(slot, {}):
            axis = {"r": -1, "c": -2}[slot]
            variable.assign(np.squeeze(state.arrays[slot][name], axis))
    if hasattr(optimizer, "_u_product") and state.arrays.get("P"):
        products = {float(array) for array in state.arrays["P"].values()}
        if len(products) > 1:
            raise ValueError(
                f"the products of momenta must be equal for Keras' Nadam, got {sorted(products)}; "
                "use samestep.frameworks.tensorflow.Optimizer"
            )
        optimizer._u_product.assign(products.pop())


def _factors_in_keras(optimizer: Any, named: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Slot, parameter and variable of the factors of Keras' Adafactor, which have no own name."""
    if not (hasattr(optimizer, "_r") and hasattr(optimizer, "_c")):
        return
    for name, index in _places_in_keras(optimizer, named).items():
        if len(named[name].shape) > 1:
            yield "r", name, optimizer._r[index]
            yield "c", name, optimizer._c[index]


def _slots_in_keras(optimizer: Any, named: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    """The variables of a native's state by parameter and our name of the state."""
    from samestep.reference.dialects import keras as dialect

    names = dialect.find(type(optimizer).__name__).state
    our_names = {theirs: ours for ours, theirs in names.items() if theirs}
    slots: dict[tuple[str, str], Any] = {}
    starts = {name: _Named(variable).name for name, variable in named.items()}
    for variable in optimizer.variables:
        owners = [
            (len(start), name)
            for name, start in starts.items()
            if variable.name.startswith(f"{start}_")
        ]
        if owners:
            length, name = max(owners)
            own = variable.name[length + 1 :]
            slots[name, our_names.get(own, own)] = variable
    return slots


def _write_ours_in_keras(optimizer: Any, named: Mapping[str, Any], state: State) -> None:
    steps = optimizer._steps.numpy()
    for name, index in _places_in_keras(optimizer, named).items():
        own = optimizer._states[index]
        for slot, array in _of(state, name).items():
            if slot in own:
                own[slot].assign(array)
        steps[index] = _count(state, name)
    optimizer._steps.assign(steps)


class _Named:
    """A variable as the slots of its optimizer are called: by its path."""

    def __init__(self, variable: Any) -> None:
        self.name = variable.path.replace("/", "_")
