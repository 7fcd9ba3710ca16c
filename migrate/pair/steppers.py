"""Clip and take the optimizer's step on one side: a rule in NumPy, or a live optimizer.

Each side steps with A's gradients, carried by the map. So what an earlier stage got wrong cannot
be seen here again.
"""

import importlib
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from samestep.frameworks.numpy import Optimizer
from samestep.frameworks.numpy.parts import clipped
from samestep.migrate import state
from samestep.migrate.state import State
from samestep.reference import Rule
from samestep.reference.parts import ClipGlobalNorm, ClipNorm, Clipping, ClipValue, Schedule

from .record import Arrays, Update
from .shared import PairError, users_code

KEYS = {"clipnorm": ClipNorm, "global_clipnorm": ClipGlobalNorm, "clipvalue": ClipValue}


class Stepper(Protocol):
    """Something that takes the optimizer's steps of one side."""

    title: str

    def step(self, weights: Arrays, gradients: Arrays) -> Update:
        """Clip the gradients and move the weights, by name; its state goes on from step to step."""
        ...

    def take_over(self, given: State) -> None:
        """Go on from the arrays of another optimizer's state, in the layout of this side."""
        ...

    @property
    def rate(self) -> float | None:
        """The learning rate of the last step; None if it is not known."""
        ...

    def claimed(self) -> "RuleStepper | None":
        """A stepper of the rule that this one follows; None if that is not known."""
        ...


class RuleStepper:
    """A rule in NumPy, which takes the same steps as our adapters in both frameworks.

    A schedule sets the learning rate of each step.
    """

    def __init__(
        self, rule: Rule, clipping: Clipping | None = None, schedule: Schedule | None = None
    ) -> None:
        self.rule = rule
        self.clipping = clipping
        self.schedule = schedule
        self.title = ", ".join(repr(part) for part in (rule, clipping, schedule) if part)
        self.optimizer: Optimizer | None = None
        self.arrays: Arrays = {}
        self.taken = 0

    @property
    def rate(self) -> float | None:
        """The learning rate of the last step; of the first before it."""
        if self.schedule:
            return float(self.schedule.rate(max(1, self.taken)))
        return float(self.rule.lr)

    def claimed(self) -> "RuleStepper | None":
        """A fresh stepper of the rule."""
        return RuleStepper(self.rule, self.clipping, self.schedule)

    def take_over(self, given: State) -> None:
        """Go on from another state of the rule; before the first step there is none to replace."""
        if self.optimizer is not None:
            state.take_over(self.optimizer, self.arrays, given)

    def step(self, weights: Arrays, gradients: Arrays) -> Update:
        """One step in float64."""
        if self.optimizer is None:
            self.arrays = {name: np.array(weights[name], np.float64) for name in weights}
            self.optimizer = Optimizer(list(self.arrays.values()), self.rule)
        for name, array in self.arrays.items():
            array[...] = weights[name]
        given = [_wide(gradients.get(name)) for name in self.arrays]
        if self.clipping:
            given = clipped(self.clipping, given)
        self.taken += 1
        if self.schedule:
            self.optimizer.lr = self.rate
        self.optimizer.step(given)
        pairs = zip(self.arrays, given, strict=True)
        update = Update(
            clipped={name: gradient for name, gradient in pairs if gradient is not None},
            after={name: array.copy() for name, array in self.arrays.items()},
        )
        for name, own in zip(self.arrays, self.optimizer.state, strict=True):
            if name in gradients:
                for slot, array in own.items():
                    update.state.setdefault(slot, {})[name] = np.array(array)
        return update


class PytorchStepper:
    """A live torch.optim.Optimizer on the model's own parameters, perhaps with a scheduler."""

    def __init__(
        self, side: Any, make: Callable[[list[Any]], Any], clipping: Clipping | None
    ) -> None:
        self.side = side
        self.clipping = clipping
        self.named = {n: p for n, p in side.model.named_parameters() if p.requires_grad}
        with users_code("the PyTorch optimizer's factory"):
            made = make(list(self.named.values()))
        self.optimizer, *rest = made if isinstance(made, tuple) else (made,)
        self.scheduler = rest[0] if rest else None
        if not hasattr(self.optimizer, "param_groups"):
            raise PairError(
                "the PyTorch optimizer must be made by a function of the parameters that returns a "
                f"torch.optim.Optimizer, or one and its scheduler, got {type(made).__name__}"
            )
        self.title = type(self.optimizer).__name__
        self.rate: float | None = None

    def claimed(self) -> RuleStepper | None:
        """The rule that the optimizer says it follows, as a stepper of its own."""
        from samestep.parity.runners.pytorch import claimed_rule

        rule = claimed_rule(self.optimizer)
        return RuleStepper(rule, self.clipping) if rule else None

    def take_over(self, given: State) -> None:
        """Go on from another state of the rule."""
        state.take_over(self.optimizer, self.named, given)

    def step(self, weights: Arrays, gradients: Arrays) -> Update:
        """One step; the model has its former weights again afterwards."""
        import torch

        from samestep.frameworks.pytorch.parts import clip_
        from samestep.parity.runners.pytorch import states

        before = self.side.state()
        self.side.load({**before, **weights})
        for name, parameter in self.named.items():
            gradient = gradients.get(name)
            parameter.grad = (
                None
                if gradient is None
                else torch.from_numpy(np.array(gradient)).to(parameter.dtype)
            )
        if self.clipping:
            clip_(list(self.named.values()), self.clipping)
        update = Update()
        for name, parameter in self.named.items():
            if parameter.grad is not None:
                update.clipped[name] = parameter.grad.numpy().copy()
        self.rate = float(self.optimizer.param_groups[0]["lr"])
        with users_code("the PyTorch optimizer's step"):
            self.optimizer.step()
            if self.scheduler is not None:
                self.scheduler.step()
        update.after = {name: p.detach().numpy().copy() for name, p in self.named.items()}
        of_each = states(self.optimizer, list(self.named.values()))
        update.state = _by_slot(dict(zip(self.named, of_each, strict=True)))
        self.side.load(before)
        return update


class KerasStepper:
    """A live Keras optimizer on the model's own variables; it clips by itself."""

    def __init__(self, side: Any, make: Callable[[], Any], clipping: Clipping | None) -> None:
        self.side = side
        self.clipping = clipping
        with users_code("the Keras optimizer's factory"):
            self.optimizer = make()
        if not hasattr(self.optimizer, "apply") or not hasattr(self.optimizer, "build"):
            raise PairError(
                "the Keras optimizer must be made by a function of nothing that returns a "
                f"keras.optimizers.Optimizer, got {type(self.optimizer).__name__}"
            )
        self.title = type(self.optimizer).__name__
        self.rate: float | None = None
        names = side.names
        self.variables = {names[id(v)]: v for v in side.model.trainable_variables}
        self.optimizer.build(list(self.variables.values()))

    def take_over(self, given: State) -> None:
        """Go on from another state of the rule."""
        state.take_over(self.optimizer, self.variables, given)

    def step(self, weights: Arrays, gradients: Arrays) -> Update:
        """One step; the model has its former weights again afterwards."""
        import tensorflow as tf

        from samestep.parity.runners.keras import states

        before = self.side.state()
        self.side.load(weights)
        given = [_wide(gradients.get(name)) for name in self.variables]
        if self.clipping:
            given = clipped(self.clipping, given)
        tensors = [None if each is None else tf.constant(each) for each in given]
        own = [tensor for tensor in tensors if tensor is not None]
        clip = getattr(self.optimizer, "_clip_gradients", None)
        shown = clip(own) if clip else own
        update = Update()
        present = [name for name in self.variables if name in gradients]
        for name, tensor in zip(present, shown, strict=True):
            update.clipped[name] = np.array(tensor)
        self.rate = float(np.asarray(self.optimizer.learning_rate))
        with users_code("the Keras optimizer's step"):
            self.optimizer.apply(tensors, list(self.variables.values()))
        update.after = {name: np.array(v.numpy()) for name, v in self.variables.items()}
        of_each = states(self.optimizer, [_Named(v) for v in self.variables.values()])
        update.state = _by_slot(dict(zip(self.variables, of_each, strict=True)))
        self.side.load(before)
        return update

    def claimed(self) -> RuleStepper | None:
        """The rule that the optimizer says it follows, as a stepper of its own."""
        from samestep.parity.runners.keras import claimed_rule

        rule = claimed_rule(self.optimizer)
        given = self.optimizer.get_config()
        own = {key: given[key] for key in KEYS if given.get(key)}
        clipping = self.clipping or (read_clipping("keras", _arguments(own)) if own else None)
        return RuleStepper(rule, clipping) if rule else None


class _Named:
    """A variable as the slots of its optimizer are called: by its path."""

    def __init__(self, variable: Any) -> None:
        self.name = variable.path.replace("/", "_")


def _arguments(values: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in values.items())


def _wide(gradient: np.ndarray | None) -> np.ndarray | None:
    return None if gradient is None else np.asarray(gradient, np.float64)


def _by_slot(states: dict[str, dict[str, np.ndarray]]) -> dict[str, Arrays]:
    slots: dict[str, Arrays] = {}
    for name, of_one in states.items():
        for slot, array in of_one.items():
            slots.setdefault(slot, {})[name] = np.array(array)
    return slots


def read_clipping(side: str, value: Any) -> Clipping | None:
    """The clipping that a user wrote for a side; PairError says which forms there are.

    A number clips the norm of all gradients together, in the same way on both sides.
    """
    from samestep.reference.dialects import parts

    if value is None or isinstance(value, Clipping):
        return value
    try:
        if isinstance(value, int | float):
            return ClipGlobalNorm(limit=float(value))
        name, arguments = _call_of(value)
        if side == "pytorch":
            return parts.pytorch.read_clipping(name, **arguments)
        return parts.keras.read_clipping(**arguments)
    except (ValueError, TypeError, SyntaxError) as error:
        raise PairError(
            "clip must be a number, a clipping of samestep.reference.parts, or a text such as "
            f"'clip_grad_norm_(max_norm=1.0)' or 'global_clipnorm=1.0', got {value!r}: {error}"
        ) from error


def _call_of(text: str) -> tuple[str, dict[str, Any]]:
    """Name and arguments of a call as text, or of arguments alone; nothing is executed."""
    import ast

    whole = text if "(" in text else f"clip({text})"
    call = ast.parse(whole.strip(), mode="eval").body
    if not isinstance(call, ast.Call) or call.args:
        raise ValueError("arguments must be given by name")
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    return name, {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}


def stepper(side: Any, optimizer: Any, clip: Any) -> Stepper | None:
    """The stepper of a side for what the user gave as its optimizer; None for None.

    ``side`` is a PytorchSide or KerasSide; ``optimizer`` a rule, a text, or a factory.
    """
    clipping = read_clipping(side.name, clip)
    if optimizer is None:
        return None
    if isinstance(optimizer, tuple | list):
        return _scheduled(side, optimizer, clipping)
    if isinstance(optimizer, Rule):
        return RuleStepper(optimizer, clipping)
    if isinstance(optimizer, str):
        return _of_text(side, optimizer, clipping)
    if side.name == "pytorch":
        if not callable(optimizer):
            raise PairError(_forms(optimizer))
        return PytorchStepper(side, optimizer, clipping)
    if hasattr(optimizer, "get_config") and hasattr(optimizer, "apply"):
        kind, config = type(optimizer), optimizer.get_config()
        return KerasStepper(side, lambda: kind.from_config(config), clipping)
    if not callable(optimizer):
        raise PairError(_forms(optimizer))
    return KerasStepper(side, optimizer, clipping)


def _scheduled(side: Any, pair: Any, clipping: Clipping | None) -> Stepper:
    """The stepper of an optimizer and a schedule of ``samestep.reference.parts``."""
    if len(pair) != 2 or not isinstance(pair[1], Schedule):
        raise PairError(_forms(pair))
    made = stepper(side, pair[0], clipping)
    if not isinstance(made, RuleStepper):
        raise PairError(
            "a schedule of samestep.reference.parts must go with a rule or a call as text, got "
            f"{pair[0]!r}; give a live optimizer the schedule of its own framework"
        )
    return RuleStepper(made.rule, made.clipping, pair[1])


def _of_text(side: Any, text: str, clipping: Clipping | None) -> Stepper:
    from samestep.parity.runners import specs
    from samestep.reference import dialects

    try:
        if text.startswith("native:"):
            _, name, arguments = dialects.parse(text.removeprefix("native:"))
            library = {"pytorch": "torch.optim", "keras": "keras.optimizers"}[side.name]
            kind = getattr(importlib.import_module(library), name)
            if side.name == "pytorch":
                return PytorchStepper(side, lambda params: kind(params, **arguments), clipping)
            return KerasStepper(side, lambda: kind(**arguments), clipping)
        own = None
        named = ":" in text.partition("(")[0] or "." in text.partition("(")[0]
        if not named and side.name == "keras" and any(f"{key}=" in text for key in KEYS):
            text, named = f"keras:{text}", True  # only Keras' calls clip
        if named:
            text, own = _without_clipping(text)
        spec = specs.read(text)
        if spec.rule is None:
            raise ValueError(f"{text} names no rule; give the factory itself, not its name")
        return RuleStepper(spec.rule, clipping or own)
    except PairError:
        raise
    except ValueError as error:
        raise PairError(f"{_forms(text)}: {error}") from error


def _without_clipping(text: str) -> tuple[str, Clipping | None]:
    """A call's text without Keras' arguments that clip, and the clipping that they mean."""
    from samestep.reference import dialects

    dialect, name, arguments = dialects.parse(text)
    given = {key: arguments.pop(key) for key in KEYS if arguments.get(key) is not None}
    if dialect != "keras" or not given:
        return text, None
    call = f"keras:{name}({_arguments(arguments)})"
    return call, read_clipping("keras", _arguments(given))


def _forms(value: Any) -> str:
    return (
        "optimizers must be, for each side, a call as text such as 'pytorch:Adam(lr=0.001)', a "
        "rule, either of them with a schedule as a pair, or a function that makes the optimizer, "
        f"got {value!r}"
    )
