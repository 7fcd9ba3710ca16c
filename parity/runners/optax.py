"""optax, eager and under jax.jit.

The learning rates of a trial are given to optax as a schedule.
"""

import contextlib
from typing import Any

import numpy as np

from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.reference.dialects import Call

from . import Native
from .one_tensor import OneTensor, run_each

RATE_ONCE = ("rprop",)  # natives that take no schedule and use the learning rate only at the start


def run_native(native: Native, trial: Trial, dtype: str, each_step: str = "") -> Trajectory:
    """The trajectory of a native.

    float64 needs jax' switch ``enable_x64``; float32 runs without it, as most users run it.
    ``each_step`` is code of ours that sets arguments before each step, so that each step has a
    transformation of its own.
    """
    import jax

    lr = _learning_rate(native.call)
    precision = jax.enable_x64(True) if dtype == "float64" else contextlib.nullcontext()
    with precision:
        return run_each(
            lr, trial, dtype, lambda tensor: _run_tensor(native, dtype, each_step, tensor)
        )


def _learning_rate(call: Call) -> float:
    """The learning rate of a call without its sign; 1 if it has none, which is optax' default."""
    lr = call.arguments.get("learning_rate")
    return abs(lr) if isinstance(lr, float | int) else 1.0


def _run_tensor(native: Native, dtype: str, each_step: str, tensor: OneTensor) -> np.ndarray:
    """The values of one tensor after each step, (steps, *shape)."""
    import jax
    import optax
    from jax import numpy as jnp

    make = getattr(optax, native.call.name)
    arguments = _with_rates(native, dtype, tensor)

    def step(gradient, theta, state, **changed):  # type: ignore[no-untyped-def]
        updates, state = make(**{**arguments, **changed}).update(gradient, state, theta)
        return optax.apply_updates(theta, updates), state

    take = jax.jit(step) if native.mode == "jit" else step
    theta = jnp.asarray(tensor.start, dtype)
    state = make(**arguments).init(theta)
    thetas = []
    for t, (gradient, lr) in enumerate(tensor.steps, start=1):
        changed: dict[str, Any] = {}
        exec(each_step, {"t": t, "lr": lr}, changed)
        theta, state = take(jnp.asarray(gradient, dtype), theta, state, **changed)
        thetas.append(np.asarray(theta))
    return np.array(thetas)


def _with_rates(native: Native, dtype: str, tensor: OneTensor) -> dict[str, Any]:
    """The call's arguments; its learning rate becomes a schedule of the trial's rates."""
    from jax import numpy as jnp

    arguments = dict(native.call.arguments)
    lr = arguments.get("learning_rate", 1)
    if lr is None:
        return arguments
    if native.call.name in RATE_ONCE:
        arguments["learning_rate"] = tensor.rates[0]
        return arguments
    sign = -1 if lr < 0 else 1  # with a negative rate optax maximizes
    rates = jnp.asarray(tensor.rates, dtype) * sign
    arguments["learning_rate"] = lambda t: rates[t]
    return arguments
