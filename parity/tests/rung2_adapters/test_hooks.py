"""What torch puts around an optimizer's step is there where somebody has asked for it, and not
elsewhere.
"""

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from samestep.parity.tests.support.frameworks import torch

from samestep.frameworks.pytorch import Optimizer, hooks
from samestep.reference import SGD

pytestmark = pytest.mark.rung(2)

hooks_of_torch = importlib.import_module(torch.optim.Optimizer.__module__)


def parameter() -> Any:
    """One with a gradient."""
    param = torch.nn.Parameter(torch.ones(3))
    param.grad = torch.ones(3)
    return param


HOOKS: dict[str, Callable[[Any, Any], Any]] = {
    "before its steps": lambda optimizer, hook: optimizer.register_step_pre_hook(hook),
    "after its steps": lambda optimizer, hook: optimizer.register_step_post_hook(hook),
    "before any's": lambda optimizer, hook: hooks_of_torch.register_optimizer_step_pre_hook(hook),
    "after any's": lambda optimizer, hook: hooks_of_torch.register_optimizer_step_post_hook(hook),
}


@pytest.mark.parametrize("where", HOOKS)
def test_hooks_are_run_at_every_step_and_see_its_arguments(where: str) -> None:
    """While they are registered, as torch runs them around its own optimizers: once a step."""
    seen = []
    for make in (
        lambda param: Optimizer([param], SGD()),
        lambda param: torch.optim.SGD([param], lr=0.1),
    ):
        calls: list[Any] = []
        optimizer = make(parameter())
        hook = HOOKS[where](
            optimizer, lambda optimizer, args, kwargs, calls=calls: calls.append((args[1:], kwargs))
        )
        optimizer.step()
        optimizer.step(closure=None)
        hook.remove()
        optimizer.step()
        seen.append(calls)
    assert seen[0] == seen[1] == [((), {}), ((), {"closure": None})]


def test_profiler_sees_a_step() -> None:
    """By the name under which torch shows its own."""
    optimizer = Optimizer([parameter()], SGD())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the profiler's own, about itself
        with torch.profiler.profile() as profile:
            optimizer.step()
    assert [event.name for event in profile.events()].count("Optimizer.step#Optimizer.step") == 1


def step(optimizer: Any) -> str:
    """A step by itself."""
    return "by itself"


def test_without_hooks_and_profilers_nothing_is_put_around_a_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That would cost time; with one of them it is torch's own way."""
    monkeypatch.setattr(
        torch.optim.Optimizer, "profile_hook_step", lambda step: lambda optimizer: "in torch's way"
    )
    optimizer, wrapped = Optimizer([parameter()], SGD()), hooks.hooked(step)
    assert getattr(wrapped, "hooked", False)  # or torch would put it around all the same
    assert wrapped(optimizer) == "by itself"
    for register in HOOKS.values():
        hook = register(optimizer, lambda *_: None)
        assert wrapped(optimizer) == "in torch's way"
        hook.remove()
        assert wrapped(optimizer) == "by itself"


def test_an_untested_torch_does_as_it_always_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """It finds the method itself, and wraps it."""
    monkeypatch.setattr("samestep.frameworks.pytorch.inductor.TESTED", ())
    assert hooks.hooked(step) is step
