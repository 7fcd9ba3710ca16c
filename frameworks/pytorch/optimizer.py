"""Any rule as a ``torch.optim.Optimizer``."""

import functools
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from samestep import reference
from samestep.reference import Rule
from samestep.reference.arguments import WrongArgument, shown
from samestep.reference.checks import require, require_no_others, require_rule
from samestep.reference.views import COUPLED, View, views_from

from . import namespace
from .frames import copied_to_frame, in_frame, plain_views, views_of, warn_of_layout, warn_of_vain
from .groups import BETAS, Agreement, betas, has_betas
from .hooks import hooked
from .recorded import EagerSteps
from .state import Loading
from .stepper import Stepper, for_compiler
from .tiered import TieredStepper
from .trace import Move, compute_dtype, rule_form

RULES = {rule.__name__: rule for rule in reference.RULES}


class Optimizer(torch.optim.Optimizer):
    """Moves ``params`` by ``rule``: ``Optimizer(model.parameters(), Adam(lr=1e-3))``.

    The rule's hyperparameters are the defaults of every parameter group, under the rule's own
    names, so a group can differ (``{"params": ..., "weight_decay": 0.0}``) and a scheduler can set
    ``lr``. Where a rule has ``beta1`` and ``beta2``, a group has them as ``"betas"``, too, so that
    OneCycleLR and CyclicLR find the momentum that they move: set either, and the other follows at
    the next step. Each tensor has its own step number, which advances only when it has a gradient.
    float16 and bfloat16 are computed in float32 and rounded once a step, parameters and state
    alike. Sparse gradients are made dense, duplicates summed.

    Steps begin eagerly. As soon as that has lost the time that compiling takes they are compiled,
    with the same bits: for all tensors together, once for all step numbers, learning rates and
    other numbers of the rule, without the cost of ``torch.compile`` at each call. Where they cannot
    be compiled they stay eager; ``how()`` says why. With ``compiled=True`` they are compiled from
    the first on, and with ``compiled=False`` never; neither are they, by default, where the
    environment variable SAMESTEP_COMPILED is 0. ``torch.compile(optimizer.step)`` works, too.

    ``views`` maps names of parameters to the frames in which LAMB, Adafactor and Muon see them, as
    ``samestep.frameworks.pytorch.views(model)`` gives them for Keras' steps; ``params`` are then
    ``model.named_parameters()``. Other rules go element by element and need none. Groups and state
    dicts keep them. ``views={}``: as stored, without a warning.

    Raises ValueError for complex or integer parameters and for hyperparameters out of range.
    """

    def __init__(
        self,
        params: Any,
        rule: Any = None,
        *,
        compiled: bool | None = None,
        views: Mapping[str, Any] | None = None,
        **others: Any,
    ) -> None:
        require_no_others(others, rule)
        require_rule(rule, params)
        if compiled is not None:
            require("compiled", compiled, bool, "True or False")
        if isinstance(params, torch.nn.Module):
            raise WrongArgument(
                f"params must be a model's parameters, got {shown(params)}; write "
                "model.parameters()"
            )
        require("params", params, Iterable, "tensors such as model.parameters()")
        given = None if views is None else views_from(views)
        self.compiled = compiled
        defaults = {"rule": type(rule).__name__, **rule.to_dict()}
        if has_betas(type(rule).__name__):
            defaults["betas"] = (defaults["beta1"], defaults["beta2"])
        super().__init__(params, defaults)
        if given is not None:
            for group in self.param_groups:
                group["views"] = plain_views(group, given)
            warn_of_vain(given, self.param_groups)
        elif isinstance(rule, COUPLED):
            warn_of_layout(rule, self.param_groups)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters; options that the group does not set come from the rule.

        A group may have hyperparameters of its own, also as a whole: ``{"params": ..., "rule":
        Adam(lr=0.1)}``, and "views" by the names of its parameters. ValueError for an option that
        the rule does not have, and for a rule of another class.
        """
        given = None
        if "views" in param_group:
            param_group = dict(param_group)
            given = views_from(param_group.pop("views"))
        if "rule" in param_group:
            options = _options(param_group["rule"], self.defaults["rule"])
            param_group = {**options, **param_group, "rule": self.defaults["rule"]}
        for name in param_group:
            if name not in (*self.defaults, "params", "param_names", "initial_lr"):
                allowed = ", ".join(self.defaults)
                raise ValueError(f"a parameter group may set {allowed}, got {name!r}")
        if "betas" in param_group:
            pair = betas(param_group["betas"])
            for name, value in pair.items():
                if param_group.setdefault(name, value) != value:
                    raise ValueError(
                        f"a parameter group must set {name} once, got {param_group[name]!r} and "
                        f"{value!r} in betas"
                    )
        if "betas" in self.defaults:
            param_group["betas"] = tuple(
                param_group.get(name, self.defaults[name]) for name in BETAS
            )
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        try:
            if given is not None:
                group["views"] = plain_views(group, given)
            self.agree()
            _rule(group)
            for parameter in group["params"]:
                if not parameter.is_floating_point():
                    raise ValueError(
                        f"parameters must be real floating-point tensors, got {parameter.dtype}"
                    )
        except ValueError:
            self.param_groups.pop()
            raise

    def state_dict(self) -> dict[str, Any]:
        """As in torch. What a changed hyperparameter makes a rule keep is begun before.

        ValueError after ``eval()``, when the parameters are averages.
        """
        self.check_training("state_dict()")
        self._rules_now()
        return super().state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As in torch, but the state is loaded whole or not at all.

        Parameters are matched by name if both sides have names (``named_parameters()``), else by
        their order. Hyperparameters that were saved under former names are renamed. float32 states
        beside float16 and bfloat16 parameters stay float32. ValueError if the state belongs to
        another rule, lacks something or has too much, for a wrong shape or count, and after
        ``eval()``.
        """
        self.check_training("load_state_dict()")
        loading = Loading()
        # After the hooks of users that change what is loaded, before those that use it.
        handles = (
            self.register_load_state_dict_pre_hook(loading.check),
            self.register_load_state_dict_post_hook(loading.restore, prepend=True),
        )
        try:
            super().load_state_dict(state_dict)
        finally:
            for handle in handles:
                handle.remove()
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
        if compiling:
            with torch.no_grad():
                for move in _moves_for_compiler(self):
                    apply_move(*move)
        elif self.compiled is None:
            self._tiered.take(moves_of(self))
        elif self.compiled:
            self._stepper.take(moves_of(self))
        else:
            self._eager.take(moves_of(self))
        return loss

    def how(self) -> str:
        """Which way steps go, "eager" or "compiled", and why: a line to read."""
        if self.compiled is None:
            return self._tiered.how()
        return self._stepper.how() if self.compiled else "eager, for compiled=False says so"

    @torch.no_grad()
    def eval(self) -> None:
        """Put the averages that ScheduleFree and ASGD keep into the parameters, for evaluation.

        Under a rule without an average, and for a parameter that has not moved, nothing changes.
        Until ``train()`` there are no steps and no ``state_dict()``.
        """
        if self._points:
            return
        for group, rule in zip(self.param_groups, self._rules_now(), strict=True):
            if type(rule).average is Rule.average:
                continue
            for theta in group["params"]:
                if not self.state.get(theta, {}).get("step"):
                    continue
                wide = compute_dtype(theta)
                state = {k: v.to(wide) for k, v in self.state[theta].items() if k != "step"}
                average = rule.average(theta.to(wide), state)
                self._points[theta] = theta.clone()
                theta.copy_(average)

    @torch.no_grad()
    def train(self) -> None:
        """Put the parameters back, bit for bit, where ``eval()`` found them."""
        for theta, point in self._points.items():
            theta.copy_(point)
        self._points.clear()

    def check_training(self, what: str) -> None:
        """ValueError while the parameters are the averages that ``eval()`` has put there."""
        if self._points:
            raise ValueError(f"train() must be called before {what}: the parameters are averages")

    def agree(self) -> None:
        """Bring ``"betas"`` of each group together with ``beta1`` and ``beta2``, as steps do.

        What was changed since they last agreed counts. ValueError if both were changed and
        differ, and for a hyperparameter that the rule does not have.
        """
        self._agreement.renew(self.param_groups)

    @functools.cached_property
    def _points(self) -> dict[torch.Tensor, torch.Tensor]:
        """During evaluation, copies of the parameters as they were."""
        return {}

    @functools.cached_property
    def _agreement(self) -> Agreement:
        """Of "betas" with the rule's own numbers."""
        return Agreement()

    @functools.cached_property
    def _rules(self) -> dict[int, Rule]:
        """By the number of a group, the rule that its tensors' states are made for."""
        return {}

    def _rules_now(self) -> list[Rule]:
        """The rule of each group. States that a rule keeps since it was changed are begun."""
        self.agree()
        rules = [_rule(group) for group in self.param_groups]
        for index, (group, rule) in enumerate(zip(self.param_groups, rules, strict=True)):
            known = self._rules.get(index)
            if known is rule:
                continue
            if known is None or rule_form(known) != rule_form(rule):
                for theta, view in zip(group["params"], views_of(group), strict=True):
                    if state := self.state.get(theta):
                        _begin(state, in_frame(theta, view), rule)
            self._rules[index] = rule
        return rules

    @functools.cached_property
    def _stepper(self) -> Stepper:
        """Of steps that are compiled because it was asked for."""
        return Stepper(apply_move, COUPLED)

    @functools.cached_property
    def _tiered(self) -> TieredStepper:
        """Of steps that are compiled when it pays."""
        return TieredStepper(apply_move, COUPLED, self._eager.take)

    @functools.cached_property
    def _eager(self) -> EagerSteps:
        return EagerSteps(apply_move, COUPLED)

    def __getstate__(self) -> dict[str, Any]:
        """The state for a copy, which compiles anew."""
        self.agree()
        return {**super().__getstate__(), "compiled": self.compiled}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over the state of a copy, or of ``load_state_dict``."""
        super().__setstate__(state)
        self.agree()


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


def moves_of(optimizer: Optimizer, compiling: bool = False) -> list[Move]:
    """The moves of all tensors that have a gradient, with their steps counted.

    With ``compiling`` the moves are made for the public ``torch.compile``.
    """
    optimizer.check_training("step()")
    moves = []
    for group, rule in zip(optimizer.param_groups, optimizer._rules_now(), strict=True):
        lr = float(group["lr"])
        coefficients: dict[int, Any] = {}  # by step number, which most tensors share
        frames = views_of(group) if isinstance(rule, COUPLED) else None
        for place, theta in enumerate(group["params"]):
            if (gradient := theta.grad) is None:
                continue
            if gradient.layout is not torch.strided:
                gradient = dense(gradient)
            state = optimizer.state[theta]
            if frames and (view := frames[place]):
                theta, gradient = seen_by_rule(theta, gradient, view)
            state = state or _begin(state, theta, rule)
            state["step"] = t = state["step"] + 1
            if t not in coefficients:
                coefficients[t] = rule.coefficients(t, lr)
            arrays = state.copy()
            del arrays["step"]
            move = Move(theta, gradient, arrays, rule, coefficients[t])
            moves.append(for_compiler(*move) if compiling else move)
    return moves


@torch.no_grad()
def seen_by_rule(
    theta: torch.Tensor, gradient: torch.Tensor, view: View
) -> tuple[torch.Tensor, torch.Tensor]:
    """Theta, in its own memory, and the gradient in the frame that the view is."""
    return in_frame(theta, view), copied_to_frame(gradient, view)


@torch.compiler.disable
def _moves_for_compiler(optimizer: Optimizer) -> list[Move]:
    """It is scalar work and stays out of compiled code."""
    return moves_of(optimizer, compiling=True)


def _options(rule: Any, name: str) -> dict[str, Any]:
    """The options of a group that are given as a rule, of the class called ``name``."""
    if isinstance(rule, Rule) and type(rule).__name__ == name:
        return rule.to_dict()
    if rule == name:
        return {}
    raise ValueError(
        f"the rule of a parameter group must be {name}, as the optimizer's, got {rule!r}; "
        "make another optimizer for those parameters"
    )


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
