"""Optimizers of PyTorch: natives, our adapter, or the user's own."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import numpy as np
import torch

import samestep.frameworks.pytorch
from samestep import reference
from samestep.frameworks.pytorch import native as natives
from samestep.parity.measure.disturbance import Disturbance
from samestep.parity.measure.dtypes import numpy_dtype
from samestep.parity.measure.trajectory import Trajectory, TrajectoryRecorder
from samestep.parity.measure.trial import SparseGradient, Trial
from samestep.reference import Rule
from samestep.reference.dialects import Call
from samestep.reference.dialects import pytorch as dialect
from samestep.reference.dialects.pytorch import DECOUPLES, PAIRS

from . import Native
from .libraries import WITHOUT_BFLOAT16
from .result import GradientWritten, RunOptions, RunResult

MODES = ("eager",)  # of the user's optimizers
RULES = {rule.__name__: rule for rule in reference.RULES}

PLAINLY = RunOptions()

Make = Callable[[list[torch.nn.Parameter]], Any]  # builds the optimizer of a list of parameters


def is_optimizer(candidate: Any) -> bool:
    """True for anything with a ``step``, except a class."""
    return callable(getattr(candidate, "step", None)) and not isinstance(candidate, type)


def native_maker(call: Call, mode: str = "for-loop") -> Make:
    """The function that builds a native from its parameters."""
    implementation = "for-loop" if mode == WITHOUT_BFLOAT16 else mode
    return lambda parameters: natives.optimizer(parameters, call, implementation)


def adapter_maker(rule: Rule) -> Make:
    """The function that builds our adapter of a rule from its parameters."""
    return lambda parameters: samestep.frameworks.pytorch.Optimizer(parameters, rule)


def run_native(native: Native, trial: Trial, dtype: str, each_step: str = "") -> Trajectory:
    """The trajectory of a native; ``each_step`` is code of ours for the parameter group, run before
    each step.
    """
    return run_native_with(
        native, trial, dtype, RunOptions(native.mode, each_step=each_step)
    ).trajectory


def run_native_with(native: Native, trial: Trial, dtype: str, options: RunOptions) -> RunResult:
    """Run a native with all the options that a run may have."""
    return run(native_maker(native.call, native.mode), trial, dtype, options)


def first_rate(make: Make) -> float | None:
    """The learning rate that the optimizer starts with; None if it has none that can be set from
    outside.
    """
    groups = _groups(make([torch.nn.Parameter(torch.zeros(1))]))
    return float(groups[0]["lr"]) if groups else None


def run(make: Make, trial: Trial, dtype: str, options: RunOptions = PLAINLY) -> RunResult:
    """The optimizer's trajectory in ``dtype``, and the rule that its class and groups say it
    follows.

    GradientWritten if the optimizer writes to a gradient while gradients are watched.
    """
    torch.set_num_threads(1)  # the first two-threaded square root of a process was seen wrong
    parameters = [
        torch.nn.Parameter(_tensor(start, dtype, trial)) for start in trial.start.values()
    ]
    optimizer = make(list(parameters))
    stepper = _Stepper(optimizer, parameters, trial, dtype, options)
    recorder = TrajectoryRecorder(trial, [_array(parameter) for parameter in parameters])
    for step in range(trial.steps):
        stepper.take(step)
        recorder.add([_array(parameter) for parameter in parameters], states(optimizer, parameters))
        stepper.disturb_state()
    rate = stepper.rates[0] if stepper.rates else None
    return RunResult(recorder.trajectory(), "pytorch", stepper.claimed_rule, rate)


class _Stepper:
    """Takes the steps of one run."""

    def __init__(
        self,
        optimizer: Any,
        parameters: list[torch.nn.Parameter],
        trial: Trial,
        dtype: str,
        options: RunOptions,
    ) -> None:
        self.optimizer = optimizer
        self.parameters = parameters
        self.trial = trial
        self.dtype = dtype
        self.options = options
        self.claimed_rule = claimed_rule(optimizer)
        self.groups = _groups(optimizer)
        self.rates = [float(group["lr"]) for group in self.groups]
        self.rate_before = trial.rate_at(self.rates[0], 0) if self.rates else 0.0

    def take(self, step: int) -> None:
        """Set learning rates and gradients, and take a step (counted from 0)."""
        for group, lr in zip(self.groups, self.rates, strict=True):
            _set_rate(group, self.trial.rate_at(lr, step))
        if self.options.each_step:
            self._run_each_step(step)
        dense = self._dense_gradients(step)
        for index, parameter in enumerate(self.parameters):
            parameter.grad = self._gradient(step, index, dense[index])
        with (
            _without_bfloat16()
            if self.options.mode == WITHOUT_BFLOAT16
            else contextlib.nullcontext()
        ):
            self.optimizer.step()
        if self.options.watch_gradients:
            self._check_gradients(step, dense)

    def _run_each_step(self, step: int) -> None:
        lr = self.trial.rate_at(self.rates[0], step)
        names = {"group": self.groups[0], "t": step + 1, "lr": lr, "lr_before": self.rate_before}
        exec(self.options.each_step, names)
        self.rate_before = lr

    def _dense_gradients(self, step: int) -> list[np.ndarray | None]:
        gradients = self.trial.gradients_at(step, self.dtype)
        disturb = self.options.disturbance
        if disturb is None:
            return gradients
        return [None if gradient is None else disturb(gradient) for gradient in gradients]

    def _gradient(self, step: int, index: int, dense: np.ndarray | None) -> torch.Tensor | None:
        name = list(self.trial.start)[index]
        if dense is None:
            return None
        if name in self.trial.sparse:
            return _sparse(self.trial.sparse[name][step], dense.shape, self.dtype)
        return _tensor(dense, self.dtype, self.trial)

    def _check_gradients(self, step: int, dense: list[np.ndarray | None]) -> None:
        for index, parameter in enumerate(self.parameters):
            gradient = parameter.grad
            expected = dense[index]
            if gradient is None or expected is None or gradient.layout is not torch.strided:
                continue
            if not np.array_equal(_array(gradient), expected, equal_nan=True):
                raise GradientWritten(
                    f"{type(self.optimizer).__name__} must leave gradients as they are, "
                    "but it wrote to the gradient "
                    f"of tensor {index} in step {step + 1}, {self.dtype}; work on a copy"
                )

    def disturb_state(self) -> None:
        """Disturb the parameters and all arrays of the state, if the run is a disturbed one."""
        disturb = self.options.disturbance
        if disturb is None:
            return
        for tensor in self.parameters:
            _disturb(tensor, disturb)
        for state in getattr(self.optimizer, "state", {}).values():
            for value in state.values():
                if isinstance(value, torch.Tensor) and value.is_floating_point() and value.ndim:
                    _disturb(value, disturb)


def _disturb(tensor: torch.Tensor, disturb: Disturbance) -> None:
    tensor.data.copy_(torch.tensor(disturb(tensor.detach().numpy())))


def _without_bfloat16() -> Any:
    return mock.patch.object(torch.Tensor, "bfloat16", torch.Tensor.clone)


def _groups(optimizer: Any) -> list[dict[str, Any]]:
    """The parameter groups that have a learning rate."""
    groups = getattr(optimizer, "param_groups", None) or []
    return [group for group in groups if "lr" in group]


def _set_rate(group: dict[str, Any], lr: float) -> None:
    if isinstance(group["lr"], torch.Tensor):
        group["lr"].fill_(lr)
    else:
        group["lr"] = lr


def _tensor(array: np.ndarray, dtype: str, trial: Trial) -> torch.Tensor:
    """A tensor of the array's numbers, transposed in memory if the trial wants that."""
    transposed = trial.transposed and array.ndim == 2
    wide = np.asarray(array.T if transposed else array, np.float64)
    tensor = torch.tensor(wide, dtype=getattr(torch, dtype))
    return tensor.T if transposed else tensor


def _sparse(gradient: SparseGradient, shape: tuple[int, ...], dtype: str) -> torch.Tensor:
    values = torch.tensor(np.asarray(gradient.values, np.float64), dtype=getattr(torch, dtype))
    return torch.sparse_coo_tensor(
        torch.tensor([gradient.rows]), values, shape, check_invariants=True
    )


def _array(tensor: torch.Tensor) -> np.ndarray:
    """The tensor as an array of its own dtype."""
    plain = tensor.detach()
    if plain.dtype == torch.bfloat16:
        return plain.double().numpy().astype(numpy_dtype("bfloat16"))
    return plain.numpy()


def states(optimizer: Any, parameters: Sequence[torch.Tensor]) -> list[dict[str, np.ndarray]]:
    """The state of each parameter, under our names where they are known."""
    our_names = {theirs: ours for ours, theirs in _state_names(optimizer).items()}
    by_parameter = getattr(optimizer, "state", {})
    collected = []
    for parameter in parameters:
        state = by_parameter.get(parameter, {}) if hasattr(by_parameter, "get") else {}
        collected.append(
            {
                our_names.get(key, key): _array(value)
                for key, value in state.items()
                if _is_state(key, value)
            }
        )
    return collected


def claimed_rule(optimizer: Any) -> Rule | None:
    """The rule that an optimizer says it follows: by its class, or the nearest known class above,
    and its first group.
    """
    if not _groups(optimizer):
        return None
    group = optimizer.param_groups[0]
    if isinstance(optimizer, samestep.frameworks.pytorch.Optimizer):
        optimizer.agree()
        kind = RULES[group["rule"]]
        return kind(**{name: group[name] for name in kind.names()})
    name = _native_name(optimizer)
    if not name:
        return None
    try:
        return dialect.read(name, **_known_arguments(name, group))
    except ValueError:
        return None


def _known_arguments(name: str, group: dict[str, Any]) -> dict[str, Any]:
    """The entries of a parameter group that are arguments of the native."""
    table = dialect.natives[name]
    pairs = [pair for pair, names in PAIRS.items() if names[0] in table.arguments]
    known = {*table.arguments, *pairs}
    if name in DECOUPLES:
        known.add("decoupled_weight_decay")
    return {key: _plain(value) for key, value in group.items() if key in known}


def _native_name(optimizer: Any) -> str:
    """The name of torch's own class that the optimizer is an instance of, if the dialect knows
    it.
    """
    bases = (
        kind.__name__
        for kind in type(optimizer).__mro__
        if kind.__module__.startswith("torch.optim.")
    )
    return next((name for name in bases if name in dialect.natives), "")


def _state_names(optimizer: Any) -> dict[str, str]:
    name = _native_name(optimizer)
    return dict(dialect.natives[name].state) if name else {}


def _is_state(key: str, value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point() and key != "step"


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, torch.Tensor) else value
