"""optax, eager and under jax.jit. The learning rate comes as a schedule, so that all else stays the caller's number."""

import contextlib
from typing import Any

import numpy as np

from samestep.parity.measure.nearest_wrong import TensorTrial
from samestep.reference.dialects import Call

NEEDS = ("optax", "jax")
TITLE = "optax"
RATE_ONCE = ("rprop",)  # what takes a number as its learning rate, and looks at it in the beginning alone


def kinds(name: str) -> list[str]:
    """Eager and compiled."""
    return ["eager", "jit"]


def run(call: Call, kind: str, dtype: str, trial: TensorTrial, each_step: str = "") -> np.ndarray:
    """Where the native goes; float64 under jax's own switch for it, float32 without, as users have it.

    ``each_step`` is code that sets arguments, run before each step; then each step has a transformation of its own.
    """
    import jax
    import optax
    from jax import numpy as jnp

    with jax.enable_x64(True) if dtype == "float64" else contextlib.nullcontext():
        given = dict(call.arguments)
        rates = jnp.asarray(trial.rates, dtype) * (-1 if (given.get("learning_rate") or 1) < 0 else 1)
        if given.get("learning_rate", 1) is not None:
            given["learning_rate"] = trial.rates[0] if call.name in RATE_ONCE else lambda t: rates[t]

        def step(gradient, theta, state, **now):  # type: ignore[no-untyped-def]
            updates, state = getattr(optax, call.name)(**{**given, **now}).update(gradient, state, theta)
            return optax.apply_updates(theta, updates), state

        taken = jax.jit(step) if kind == "jit" else step
        theta, thetas = jnp.asarray(trial.start, dtype), []
        state = getattr(optax, call.name)(**given).init(theta)
        for t, (gradient, lr) in enumerate(zip(trial.gradients, trial.rates, strict=True), start=1):
            now: dict[str, Any] = {}
            exec(each_step, {"t": t, "lr": lr}, now)
            theta, state = taken(jnp.asarray(gradient, dtype), theta, state, **now)
            thetas.append(np.asarray(theta))
    return np.array(thetas)
