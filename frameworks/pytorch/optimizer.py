"""Any rule as a ``torch.optim.Optimizer``."""

import functools
import warnings
from collections.abc import Callable
from typing import Any

import torch

import reference
from reference import Rule

from . import namespace

RULES = {rule.__name__: rule for rule in reference.RULES}


class Optimizer(torch.optim.Optimizer):
    """Moves ``params`` by ``rule``: ``Optimizer(model.parameters(), Adam(lr=1e-3))``.

    The rule's hyperparameters are the defaults of every parameter group, under the rule's own names, so a group can
    differ (``{"params": ..., "weight_decay": 0.0}``) and a scheduler can set ``lr``. Each tensor keeps its own step
    number, which advances only when it has a gradient. float16 and bfloat16 are computed in float32 and rounded once a
    step, parameters and state alike. Sparse gradients are made dense, duplicates summed. Runs eagerly;
    ``torch.compile(optimizer.step)`` compiles the arithmetic and traces it once for all steps and learning rates.

    Raises ValueError for complex or integer parameters and for hyperparameters out of range.
    """

    def __init__(self, params: Any, rule: Rule) -> None:
        if not isinstance(rule, Rule):
            raise ValueError(f"rule must be a rule such as reference.Adam(lr=1e-3), got {rule!r}")
        super().__init__(params, {"rule": type(rule).__name__, **rule.plain()})

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
        """As in torch; ValueError if the state was saved under another rule."""
        ours = [group["rule"] for group in self.param_groups]
        theirs = [group.get("rule") for group in state_dict["param_groups"]]
        if ours != theirs:
            raise ValueError(f"the saved state must belong to {ours}, got {theirs}; build the optimizer with that rule")
        super().load_state_dict(state_dict)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; gives what ``closure``, run with gradients enabled, returns. A tensor without a gradient rests."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for theta, gradient, state, rule, c in _moves(self, torch.compiler.is_compiling()):
            _apply(theta, gradient, state, rule, c)
        return loss


def _apply(theta: torch.Tensor, gradient: torch.Tensor, state: dict[str, torch.Tensor], rule: Rule, c: Any) -> None:
    """The arithmetic of one tensor's step, in place: all that a compiler gets to see."""
    wide = torch.float32 if theta.dtype.itemsize == 2 else theta.dtype
    old = {name: value.to(wide) for name, value in state.items()}
    moved, new = rule.update(theta.to(wide), gradient.to(wide), old, c, namespace)
    theta.copy_(moved)
    for name, value in new.items():
        state[name].copy_(value)


@torch.compiler.disable
def _moves(optimizer: Optimizer, compiled: bool) -> list[tuple[Any, ...]]:
    """What ``_apply`` needs, tensor by tensor, with the steps counted. Scalar work, kept out of compiled code."""
    moves = []
    for group in optimizer.param_groups:
        rule, lr = _rule(group), float(group["lr"])
        for theta in group["params"]:
            if theta.grad is None:
                continue
            state = optimizer.state[theta] or _begin(optimizer.state[theta], theta, rule)
            state["step"] += 1
            c = rule.coefficients(state["step"], lr)
            arrays = {name: value for name, value in state.items() if name != "step"}
            move = theta, _dense(theta.grad), arrays, rule, c
            moves.append(_for_compiler(*move) if compiled else move)
    return moves


def _for_compiler(theta: Any, gradient: Any, state: dict[str, Any], rule: Rule, c: Any) -> tuple[Any, ...]:
    """Coefficients as tensors, so that one trace serves every step and learning rate; 0-d tensors as views of one
    element, since compiled writes to a 0-d float64 state were seen lost (torch 2.13)."""
    dtype = torch.float32 if theta.dtype.itemsize == 2 else theta.dtype
    c = c._make(torch.tensor(c, dtype=dtype, device=theta.device).unbind())
    theta, gradient = (x if x.ndim else x.view(1) for x in (theta, gradient))
    return theta, gradient, {name: x if x.ndim else x.view(1) for name, x in state.items()}, rule, c


def _rule(group: dict[str, Any]) -> Rule:
    """The rule of a parameter group. Its learning rate is the group's business: it may be a tensor, or scheduled."""
    names = [name for name in RULES[group["rule"]].names() if name != "lr"]
    return _cached_rule(group["rule"], tuple((name, group[name]) for name in names))


@functools.lru_cache(maxsize=256)
def _cached_rule(name: str, hyperparameters: tuple[tuple[str, Any], ...]) -> Rule:
    return RULES[name](**dict(hyperparameters))


def _begin(state: dict[str, Any], theta: torch.Tensor, rule: Rule) -> dict[str, Any]:
    """The state before the first step; its arrays have theta's dtype and device."""
    state["step"] = 0
    wide = torch.zeros_like(theta, dtype=torch.float32 if theta.dtype.itemsize == 2 else theta.dtype)
    state.update({name: value.to(theta) for name, value in rule.start(wide, namespace).items()})
    return state


def _dense(gradient: torch.Tensor) -> torch.Tensor:
    if gradient.layout is torch.strided:
        return gradient
    _warn_sparse()
    return gradient.to_dense()


@functools.cache  # once a process
def _warn_sparse() -> None:
    warnings.warn("sparse gradients are made dense, duplicate indices summed", stacklevel=2)
