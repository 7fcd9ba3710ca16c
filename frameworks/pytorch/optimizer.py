"""Any rule as a ``torch.optim.Optimizer``."""

import functools
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch

from samestep import reference
from samestep.reference import LAMB, Adafactor, Muon, Rule
from samestep.reference.arguments import WrongArgument, shown
from samestep.reference.checks import require, require_no_others, require_rule
from samestep.reference.former_names import present_names

from . import namespace
from .hooks import hooked
from .stepper import Stepper, for_compiler
from .trace import Move, compute_dtype

# Elements of a piece: a step's arrays and its results, some ten times 128 KiB, stay near a core.
PIECE = 2**15
# The rules in which elements of a tensor act on each other.
COUPLED = (LAMB, Adafactor, Muon)

RULES = {rule.__name__: rule for rule in reference.RULES}


class Optimizer(torch.optim.Optimizer):
    """Moves ``params`` by ``rule``: ``Optimizer(model.parameters(), Adam(lr=1e-3))``.

    The rule's hyperparameters are the defaults of every parameter group, under the rule's own
    names, so a group can differ (``{"params": ..., "weight_decay": 0.0}``) and a scheduler can set
    ``lr``. Each tensor has its own step number, which advances only when it has a gradient.
    float16 and bfloat16 are computed in float32 and rounded once a step, parameters and state
    alike. Sparse gradients are made dense, duplicates summed.

    With ``compiled=True`` the steps have the same bits and are taken in compiled code: for all
    tensors together, traced once for all step numbers, learning rates and other numbers of the
    rule, without the cost of ``torch.compile`` at each call. ``torch.compile(optimizer.step)``
    works, too. Otherwise steps are eager.

    Raises ValueError for complex or integer parameters and for hyperparameters out of range.
    """

    def __init__(
        self, params: Any, rule: Any = None, *, compiled: bool = False, **others: Any
    ) -> None:
        require_no_others(others, rule)
        require_rule(rule, params)
        require("compiled", compiled, bool, "True or False")
        if isinstance(params, torch.nn.Module):
            raise WrongArgument(
                f"params must be a model's parameters, got {shown(params)}; write "
                "model.parameters()"
            )
        require("params", params, Iterable, "tensors such as model.parameters()")
        self.compiled = compiled
        super().__init__(params, {"rule": type(rule).__name__, **rule.to_dict()})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters; options that the group does not set come from the rule.

        ValueError for an option that the rule does not have.
        """
        for name in param_group:
            if name not in (*self.defaults, "params", "param_names", "initial_lr"):
                allowed = ", ".join(self.defaults)
                raise ValueError(f"a parameter group may set {allowed}, got {name!r}")
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        try:
            _rule(group)
            for parameter in group["params"]:
                if not parameter.is_floating_point():
                    raise ValueError(
                        f"parameters must be real floating-point tensors, got {parameter.dtype}"
                    )
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
            raise ValueError(
                f"the saved state must belong to {ours}, got {theirs}; "
                "build the optimizer with that rule"
            )
        groups = [present_names(group["rule"], group) for group in state_dict["param_groups"]]
        super().load_state_dict({**state_dict, "param_groups": groups})
        self._rules.clear()

    @hooked
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; a tensor without a gradient is left alone.

        Gives the result of ``closure``, which runs first, with gradients enabled.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        compiling = torch.compiler.is_compiling()
        if self.compiled and not compiling:
            self._stepper.take(moves_of(self))
        else:
            with torch.no_grad():
                for move in moves_of(self, compiling):
                    for piece in (move,) if compiling else pieces_of(move):
                        apply_move(*piece)
        return loss

    @functools.cached_property
    def _rules(self) -> dict[int, Rule]:
        """By the number of a group, the rule that its tensors' states are made for."""
        return {}

    @functools.cached_property
    def _stepper(self) -> Stepper:
        return Stepper(apply_move, COUPLED)

    def __getstate__(self) -> dict[str, Any]:
        """The state for a copy, which compiles anew."""
        return {**super().__getstate__(), "compiled": self.compiled}


def apply_move(
    theta: torch.Tensor,
    gradient: torch.Tensor,
    state: dict[str, torch.Tensor],
    rule: Rule,
    c: Any,
) -> None:
    """The arithmetic of one tensor's step, in place: this is all that a compiler gets to see."""
    wide = torch.float32 if theta.dtype.itemsize == 2 else theta.dtype
    old = {name: value.to(wide) for name, value in state.items()}
    moved, new = rule.update(theta.to(wide), gradient.to(wide), old, c, namespace)
    theta.copy_(moved)
    for name, value in new.items():
        state[name].copy_(value)


def pieces_of(move: Move) -> Iterator[Move]:
    """Cut the move into pieces that stay in the cache from one operation to the next.

    A move whose elements act on each other stays whole. State that is one number is copied, so
    that every piece begins alike; it is written after the last piece.
    """
    theta, gradient, state, rule, c = move
    numbers = {name: value for name, value in state.items() if not value.ndim}
    names = [name for name in state if name not in numbers]
    arrays = theta, gradient, *(state[name] for name in names)
    contiguous = all(x.shape == theta.shape and x.is_contiguous() for x in arrays)
    if theta.numel() <= PIECE or not contiguous or isinstance(rule, COUPLED):
        yield move
        return
    for theta, gradient, *values in zip(*(x.view(-1).split(PIECE) for x in arrays), strict=True):
        copies = {name: value.clone() for name, value in numbers.items()}
        yield Move(theta, gradient, dict(zip(names, values, strict=True)) | copies, rule, c)
    for name, value in numbers.items():
        value.copy_(copies[name])


@torch.compiler.disable
def moves_of(optimizer: Optimizer, compiling: bool = False) -> list[Move]:
    """The moves of all tensors that have a gradient, with their steps counted.

    It is scalar work and stays out of compiled code. With ``compiling`` the moves are made for the
    public ``torch.compile``.
    """
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
                gradient = dense(gradient)
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
    """The rule of a parameter group.

    Its learning rate is left out, since the group's may be a tensor, or scheduled.
    """
    return _cached_rule(group["rule"], *[group[name] for name in _names(group["rule"])])


@functools.cache
def _names(rule: str) -> list[str]:
    return [name for name in RULES[rule].names() if name != "lr"]


@functools.lru_cache(maxsize=256)
def _cached_rule(name: str, *hyperparameters: Any) -> Rule:
    return RULES[name](**dict(zip(_names(name), hyperparameters, strict=True)))


def _begin(state: dict[str, Any], theta: torch.Tensor, rule: Rule) -> dict[str, Any]:
    """Add the parts of the rule's first state that ``state`` lacks, of theta's dtype and device."""
    state.setdefault("step", 0)
    wide = torch.zeros_like(theta, dtype=compute_dtype(theta))
    start = {name: value.to(theta) for name, value in rule.start(wide, namespace).items()}
    state.update({name: value for name, value in start.items() if name not in state})
    return state


def dense(gradient: torch.Tensor) -> torch.Tensor:
    """The gradient as a dense tensor; duplicate indices are summed, and a warning is given once."""
    if gradient.layout is torch.strided:
        return gradient
    _warn_sparse()
    return gradient.to_dense()


@functools.cache  # once a process
def _warn_sparse() -> None:
    warnings.warn("sparse gradients are made dense, duplicate indices summed", stacklevel=2)
