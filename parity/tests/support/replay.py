"""Record what a training stack gives an optimizer, and take the rule's own steps on it in NumPy."""

import itertools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from samestep.parity.tests.support.frameworks import torch

import samestep.frameworks.numpy
from samestep.parity.measure import limits
from samestep.parity.measure.verdict import judge_tensor
from samestep.parity.tests.support.bits import as_numpy, different_bits
from samestep.reference import Rule


class Step(NamedTuple):
    """One step of one tensor: its gradient (*shape), and the rule and learning rate of it."""

    gradient: np.ndarray
    rule: Rule
    lr: float


class History(NamedTuple):
    """Where a tensor started (*shape), and the steps that it took."""

    start: np.ndarray
    steps: list[Step]

    def replay(self) -> list[np.ndarray]:
        """The rule's own value of the tensor after each step (*shape), by NumPy."""
        theta = self.start.copy()
        values: list[np.ndarray] = []
        for step in self.steps:
            if not values:
                optimizer = samestep.frameworks.numpy.Optimizer([theta], step.rule)
            optimizer.rule = step.rule
            optimizer.lr = step.lr
            optimizer.step([step.gradient])
            values.append(theta.copy())
        return values

    def bounds(self) -> np.ndarray:
        """The rounding errors (steps, *shape) that the rule's steps may have, derived."""
        rule = self.steps[0].rule
        gradients = np.array([step.gradient for step in self.steps], np.float64)
        rates = [step.lr for step in self.steps]
        start = self.start.astype(np.float64)
        return limits.of_tensor(rule, start, gradients, self.start.dtype.name, rates)

    def check_within_limits(self, value: np.ndarray) -> None:
        """Assert that ``value`` is as near to the rule's own end as rounding allows."""
        verdict = judge_tensor(self.start, self.end()[None], value[None], self.bounds()[-1:])
        assert verdict.holds, str(verdict)

    def end(self) -> np.ndarray:
        """The rule's own value of the tensor after the last step."""
        return self.replay()[-1] if self.steps else self.start


class Recorder:
    """Records every step of a torch optimizer by a hook of torch's, and changes nothing.

    ``rule_of`` gives the rule that a parameter group follows at the time of a step. Learning rates
    are those that the groups have at that time.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, rule_of: Callable[[Any], Rule]) -> None:
        self.rule_of = rule_of
        self.groups = optimizer.param_groups
        self.histories = {p: History(_copy(p), []) for p in self.parameters()}
        self.rates: list[float] = []  # of the first group, at each step
        optimizer.register_step_pre_hook(self._before_step)

    def parameters(self) -> list[torch.Tensor]:
        """All parameters of the optimizer."""
        parameters: list[torch.Tensor] = []
        for group in self.groups:
            parameters += group["params"]
        return parameters

    def follow(self, optimizer: torch.optim.Optimizer) -> None:
        """Record also the steps of another optimizer of the same parameters: a resumed one."""
        self.groups = optimizer.param_groups
        optimizer.register_step_pre_hook(self._before_step)

    @torch.compiler.disable
    def _before_step(self, optimizer: Any, args: Any, kwargs: Any) -> Any:
        """Record now, or after the closure that makes the gradients, if there is one."""
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if closure is None:
            self._record(optimizer)
            return None

        def recorded_closure() -> Any:
            loss = closure()
            self._record(optimizer)
            return loss

        return (args[0], recorded_closure), {}

    def _record(self, optimizer: Any) -> None:
        self.rates.append(float(optimizer.param_groups[0]["lr"]))
        for group in optimizer.param_groups:
            rule, lr = self.rule_of(group), float(group["lr"])
            for parameter in group["params"]:
                if parameter.grad is not None:
                    new = History(_copy(parameter), [])  # of a group that was added
                    history = self.histories.setdefault(parameter, new)
                    history.steps.append(Step(_copy(parameter.grad), rule, lr))

    def check(self, steps: int) -> None:
        """Assert that the parameters are where the rule's own ``steps`` steps lead, to the bit."""
        assert len(self.rates) == steps
        assert_same(
            [history.end() for history in self.histories.values()],
            [_copy(parameter) for parameter in self.histories],
        )

    def check_within_limits(self, steps: int) -> None:
        """As ``check``, for rules whose matrix products have no order: within derived limits."""
        assert len(self.rates) == steps
        for parameter, history in self.histories.items():
            history.check_within_limits(_copy(parameter))


def assert_same(expected: Iterable[np.ndarray], actual: Iterable[np.ndarray]) -> None:
    """Assert that arrays have the same bits."""
    messages = different_bits(list(expected), list(actual))
    assert list(itertools.islice(messages, 3)) == []


def _copy(tensor: torch.Tensor) -> np.ndarray:
    return as_numpy(tensor).copy()
