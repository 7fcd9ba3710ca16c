"""TensorFlow's kernels, tf.raw_ops.ResourceApply*, that TensorFlow 1 and Keras 2 call.

Here they get exact numbers, so that they are tested without the rounding of those optimizers.
"""

from typing import Any, NamedTuple

import numpy as np

from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.reference import FTRL, SGD, Adadelta, Adagrad, Adam, Adamax, RMSprop, Rule
from samestep.reference.rule import Buffer

from .one_tensor import OneTensor, run_each


def run(rule: Rule, trial: Trial, dtype: str) -> Trajectory:
    """The trajectory of the kernel that follows the rule."""
    return run_each(rule.lr, trial, dtype, lambda tensor: _run_tensor(rule, dtype, tensor))


def _run_tensor(rule: Rule, dtype: str, tensor: OneTensor) -> np.ndarray:
    """The values of one tensor after each step, (steps, *shape)."""
    import tensorflow as tf

    start = tensor.start.astype(dtype)
    variable = tf.Variable(start)
    variables = {key: tf.Variable(value) for key, value in rule.start(start, np).items()}
    variables[UNUSED] = tf.Variable(np.zeros_like(start))
    thetas = []
    for t, (gradient, lr) in enumerate(tensor.steps, start=1):
        call = kernel_call(rule, t, lr, dtype)
        slots = {argument: variables[key].handle for argument, key in call.slots.items()}
        numbers = {argument: tf.constant(value, dtype) for argument, value in call.numbers.items()}
        last = "delta" if call.name == "GradientDescent" else "grad"
        apply = getattr(tf.raw_ops, f"ResourceApply{call.name}")
        arguments = {**slots, **numbers, **call.flags, last: tf.constant(gradient.astype(dtype))}
        apply(var=variable.handle, **arguments)
        thetas.append(variable.numpy())
    return np.array(thetas)


class KernelCall(NamedTuple):
    """The call of a kernel, by the names of its arguments.

    ``name`` follows "ResourceApply". ``slots`` are the keys of the rule's state, ``UNUSED`` for a
    slot that the rule does not have. ``numbers`` are the scalars, ``flags`` the switches.
    """

    name: str
    slots: dict[str, str]
    numbers: dict[str, float]
    flags: dict[str, bool]


def kernel_call(rule: Any, t: int, lr: float, dtype: str) -> KernelCall:
    """The call of the kernel that takes step ``t`` of the rule; ValueError if there is none."""
    match rule:
        case SGD(momentum=0.0):
            return KernelCall("GradientDescent", {}, {"alpha": lr}, {})
        case SGD():
            name = "KerasMomentum" if rule.buffer is Buffer.STEPS else "Momentum"
            numbers = {"lr": lr, "momentum": rule.momentum}
            return KernelCall(name, {"accum": "b"}, numbers, {"use_nesterov": rule.nesterov})
        case Adagrad(epsilon=0.0):
            return KernelCall("Adagrad", {"accum": "G"}, {"lr": lr}, {})
        case Adagrad():
            rate = lr / (1 + rule.lr_decay * (t - 1))
            numbers = {"lr": rate, "epsilon": rule.epsilon}
            return KernelCall("AdagradV2", {"accum": "G"}, numbers, {})
        case Adadelta():
            slots = {"accum": "v", "accum_update": "u"}
            numbers = {"lr": lr, **_numbers(rule, "rho", "epsilon")}
            return KernelCall("Adadelta", slots, numbers, {})
        case RMSprop():
            name = "CenteredRMSProp" if rule.centered else "RMSProp"
            slots = {"ms": "v", "mom": "b" if rule.momentum else UNUSED}
            if rule.centered:
                slots["mg"] = "m"
            numbers = {"lr": lr, **_numbers(rule, "rho", "momentum", "epsilon")}
            return KernelCall(name, slots, numbers, {})
        case Adam():
            name = "AdamWithAmsgrad" if rule.amsgrad else "Adam"
            slots = {"m": "m", "v": "v"}
            if rule.amsgrad:
                slots["vhat"] = "w"
            numbers = {
                "lr": lr,
                **_numbers(rule, *MEANS),
                "beta1_power": _power(rule.beta1, t, dtype),
                "beta2_power": _power(rule.beta2, t, dtype),
            }
            return KernelCall(name, slots, numbers, {})
        case Adamax():
            power = {"beta1_power": _power(rule.beta1, t, dtype)}
            numbers = {"lr": lr, **_numbers(rule, *MEANS), **power}
            return KernelCall("AdaMax", {"m": "m", "v": "u"}, numbers, {})
        case FTRL():
            numbers = {
                "lr": lr,
                "l1": rule.l1,
                "lr_power": rule.lr_power,
                "l2": rule.l2 + rule.beta / (2 * lr),
                "l2_shrinkage": rule.shrinkage,
            }
            return KernelCall("FtrlV2", {"accum": "n", "linear": "z"}, numbers, {})
    raise ValueError(f"TensorFlow has no kernel for {rule!r}")


MEANS = ("beta1", "beta2", "epsilon")
UNUSED = ""  # the key of a slot that the rule does not have


def _numbers(rule: Rule, *names: str) -> dict[str, float]:
    return {name: getattr(rule, name) for name in names}


def _power(beta: float, t: int, dtype: str) -> float:
    """beta^t in float64, where beta is rounded to ``dtype`` as the kernel gets it."""
    return float(np.asarray(beta).astype(dtype).astype(np.float64) ** t)
