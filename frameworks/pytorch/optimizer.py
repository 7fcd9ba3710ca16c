"""Any rule as a ``torch.optim.Optimizer``."""

import functools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch

from samestep import reference
from samestep.reference import LAMB, Adafactor, Muon, Rule
from samestep.reference.former_names import present_names

from . import namespace
from .compiled import Move, Stepper, for_compiler
from .hooks import hooked

PIECE = 2**15  # elements: a step's arrays and what it makes of them, some ten times 128 KiB, stay near a core
COUPLED = (LAMB, Adafactor, Muon)  # rules in which elements of a tensor act on each other

RULES = {rule.__name__: rule for rule in reference.RULES}


class Optimizer(torch.optim.Optimizer):
    """Moves ``params`` by ``rule``: ``Optimizer(model.parameters(), Adam(lr=1e-3))``.

    The rule's hyperparameters are the defaults of every parameter group, under the rule's own names, so a group can
    differ (``{"params": ..., "weight_decay": 0.0}``) and a scheduler can set ``lr``. Each tensor keeps its own step
    number, which advances only when it has a gradient. float16 and bfloat16 are computed in float32 and rounded once a
    step, parameters and state alike. Sparse gradients are made dense, duplicates summed.

    ``compiled=True`` takes the same steps, to the last bit, in compiled code: for all tensors together, traced once for
    all steps, learning rates and other numbers of the rule, without the cost of ``torch.compile`` at each call.
    ``torch.compile(optimizer.step)`` works, too. Otherwise steps are eager.

    Raises ValueError for complex or integer parameters and for hyperparameters out of range.
    """

    def __init__(self, params: Any, rule: Rule, *, compiled: bool = False) -> None:
        if not isinstance(rule, Rule):
            raise ValueError(f"rule must be a rule such as reference.Adam(lr=1e-3), got {rule!r}")
        self.compiled = compiled
        super().__init__(params, {"rule": type(rule).__name__, **rule.to_dict()})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters; what the group does not set it takes from the rule. ValueError for a name unknown to it."""
        for name in param_group:
            if name not in (*self.defaults, "params", "param_names", "initial_lr"):
                raise ValueError(f"a parameter group may set {', '.join(self.defaults)}, got {name!r}")
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        try:
            _rule(group)
            for parameter in group["params"]:
                if not parameter.is_floating_point():
                    raise ValueError(f"parameters must be real floating-point tensors, got {parameter.dtype}")
        except ValueError:
            self.param_groups.pop()
            raise

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As in torch; ValueError if the state was saved under another rule.

        Hyperparameters that were saved under former names are renamed.
        """
        ours = [group["rule"] for group in self.param_groups]
        theirs = [group.get("rule") for group in state_dict["param_groups"]]
        if ours != theirs:
            raise ValueError(f"the saved state must belong to {ours}, got {theirs}; build the optimizer with that rule")
        groups = [present_names(group["rule"], group) for group in state_dict["param_groups"]]
        super().load_state_dict({**state_dict, "param_groups": groups})
        self._rules.clear()

    @hooked
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; gives what ``closure``, run with gradients enabled, returns. A tensor without a gradient rests."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        compiling = torch.compiler.is_compiling()
        if self.compiled and not compiling:
            self._stepper.take(_moves(self))
        else:
            with torch.no_grad():
                for move in _moves(self, compiling):
                    for piece in (move,) if compiling else _pieces(move):
                        _apply(*piece)
        return loss

    @functools.cached_property
    def _rules(self) -> dict[int, Rule]:
        """By the number of a group, the rule that its tensors' states are made for."""
        return {}

    @functools.cached_property
    def _stepper(self) -> Stepper:
        return Stepper(_apply, COUPLED)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy is made of; it compiles anew."""
        return {**super().__getstate__(), "compiled": self.compiled}


def _apply(theta: torch.Tensor, gradient: torch.Tensor, state: dict[str, torch.Tensor], rule: Rule, c: Any) -> None:
    """The arithmetic of one tensor's step, in place: all that a compiler gets to see."""
    wide = torch.float32 if theta.dtype.itemsize == 2 else theta.dtype
    old = {name: value.to(wide) for name, value in state.items()}
    moved, new = rule.update(theta.to(wide), gradient.to(wide), old, c, namespace)
    theta.copy_(moved)
    for name, value in new.items():
        state[name].copy_(value)


def _pieces(move: Move) -> Iterator[Move]:
    """The move in pieces that stay in the cache from one operation to the next, where no element acts on another.

    With what the state holds as one number every piece begins alike; it is written after the last.
    """
    theta, gradient, state, rule, c = move
    numbers = {name: value for name, value in state.items() if not value.ndim}
    names = [name for name in state if name not in numbers]
    arrays = theta, gradient, *(state[name] for name in names)
    apart = all(x.shape == theta.shape and x.is_contiguous() for x in arrays) and not isinstance(rule, COUPLED)
    if theta.numel() <= PIECE or not apart:
        yield move
        return
    for theta, gradient, *values in zip(*(x.view(-1).split(PIECE) for x in arrays), strict=True):
        copies = {name: value.clone() for name, value in numbers.items()}
        yield Move(theta, gradient, dict(zip(names, values, strict=True)) | copies, rule, c)
    for name, value in numbers.items():
        value.copy_(copies[name])


@torch.compiler.disable
def _moves(optimizer: Optimizer, compiling: bool = False) -> list[Move]:
    """What ``_apply`` needs, tensor by tensor, with the steps counted. Scalar work, kept out of compiled code."""
    moves = []
    for index, group in enumerate(optimizer.param_groups):
        rule, lr = _rule(group), float(group["lr"])
        if rule is not optimizer._rules.get(index):
            for theta in group["params"]:
                if state := optimizer.state.get(theta):
                    _begin(state, theta, rule)
            optimizer._rules[index] = rule
        coefficients: dict[int, Any] = {}  # by step number, which most tensors share
        for theta in group["params"]:
            if (gradient := theta.grad) is None:
                continue
            if gradient.layout is not torch.strided:
                gradient = _dense(gradient)
            state = optimizer.state[theta] or _begin(optimizer.state[theta], theta, rule)
            state["step"] = t = state["step"] + 1
            if t not in coefficients:
                coefficients[t] = rule.coefficients(t, lr)
            arrays = state.copy()
            del arrays["step"]
            move = Move(theta, gradient, arrays, rule, coefficients[t])
            moves.append(for_compiler(*move) if compiling else move)
    return moves


def _rule(group: dict[str, Any]) -> Rule:
    """The rule of a parameter group. Its learning rate is the group's business: it may be a tensor, or scheduled."""
    return _cached_rule(group["rule"], *[group[name] for name in _names(group["rule"])])


@functools.cache
def _names(rule: str) -> list[str]:
    return [name for name in RULES[rule].names() if name != "lr"]


@functools.lru_cache(maxsize=256)
def _cached_rule(name: str, *hyperparameters: Any) -> Rule:
    return RULES[name](**dict(zip(_names(name), hyperparameters, strict=True)))


def _begin(state: dict[str, Any], theta: torch.Tensor, rule: Rule) -> dict[str, Any]:
    """The state before the first step, or what it lacks of that; its arrays have theta's dtype and device."""
    state.setdefault("step", 0)
    wide = torch.zeros_like(theta, dtype=torch.float32 if theta.dtype.itemsize == 2 else theta.dtype)
    start = {name: value.to(theta) for name, value in rule.start(wide, namespace).items()}
    state.update({name: value for name, value in start.items() if name not in state})
    return state


def _dense(gradient: torch.Tensor) -> torch.Tensor:
    if gradient.layout is torch.strided:
        return gradient
    _warn_sparse()
    return gradient.to_dense()


@functools.cache  # once a process
def _warn_sparse() -> None:
    warnings.warn("sparse gradients are made dense, duplicate indices summed", stacklevel=2)
