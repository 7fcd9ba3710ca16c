"""TensorFlow's kernels, tf.raw_ops.ResourceApply*, which TensorFlow 1 and Keras 2 call; here with exact numbers."""

from typing import Any, NamedTuple

import numpy as np

from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.reference import FTRL, SGD, Adadelta, Adagrad, Adam, Adamax, RMSprop, Rule
from samestep.reference.rule import Buffer

from .one_tensor import OneTensor, run_each

MODE = "kernel"


def run(rule: Rule, trial: Trial, dtype: str) -> Trajectory:
    """The trajectory of the kernel that follows the rule."""
    return run_each(rule.lr, trial, dtype, lambda tensor: _run_tensor(rule, dtype, tensor))


def _run_tensor(rule: Rule, dtype: str, tensor: OneTensor) -> np.ndarray:
    import tensorflow as tf

    start = tensor.start.astype(dtype)
    variable = tf.Variable(start)
    unused = tf.Variable(np.zeros_like(start))
    state = {key: tf.Variable(value) for key, value in rule.start(start, np).items()}
    thetas = []
    for t, (gradient, lr) in enumerate(tensor.steps, start=1):
        call = kernel_call(rule, t, lr, dtype)
        slots = {argument: state[key].handle if key else unused.handle for argument, key in call.slots.items()}
        numbers = {argument: tf.constant(value, dtype) for argument, value in call.numbers.items()}
        last = "delta" if call.name == "GradientDescent" else "grad"
        apply = getattr(tf.raw_ops, f"ResourceApply{call.name}")
        arguments = {**slots, **numbers, **call.flags, last: tf.constant(gradient.astype(dtype))}
        apply(var=variable.handle, **arguments)
        thetas.append(variable.numpy())
    return np.array(thetas)


class KernelCall(NamedTuple):
    """A kernel's name; our states by its arguments ("" for a slot that we do not keep); its numbers; its flags."""

    name: str
    slots: dict[str, str]
    numbers: dict[str, float]
    flags: dict[str, bool]


def kernel_call(rule: Any, t: int, lr: float, dtype: str) -> KernelCall:
    """The call of the kernel that takes step ``t`` of the rule; ValueError if TensorFlow has none."""
    match rule:
        case SGD(momentum=0.0):
            return KernelCall("GradientDescent", {}, {"alpha": lr}, {})
        case SGD():
            name = "KerasMomentum" if rule.buffer is Buffer.STEPS else "Momentum"
            return KernelCall(name, {"accum": "b"}, {"lr": lr, "momentum": rule.momentum}, {"use_nesterov": rule.nesterov})
        case Adagrad(epsilon=0.0):
            return KernelCall("Adagrad", {"accum": "G"}, {"lr": lr}, {})
        case Adagrad():
            return KernelCall("AdagradV2", {"accum": "G"}, {"lr": lr / (1 + rule.lr_decay * (t - 1)), "epsilon": rule.epsilon}, {})
        case Adadelta():
            return KernelCall("Adadelta", {"accum": "v", "accum_update": "u"}, {"lr": lr, **_numbers(rule, "rho", "epsilon")}, {})
        case RMSprop():
            name, slots = ("CenteredRMSProp", {"mg": "m"}) if rule.centered else ("RMSProp", {})
            slots |= {"ms": "v", "mom": "b" if rule.momentum else ""}
            return KernelCall(name, slots, {"lr": lr, **_numbers(rule, "rho", "momentum", "epsilon")}, {})
        case Adam():
            name, slots = ("AdamWithAmsgrad", {"vhat": "w"}) if rule.amsgrad else ("Adam", {})
            powers = {f"{beta}_power": _power(getattr(rule, beta), t, dtype) for beta in ("beta1", "beta2")}
            return KernelCall(name, {"m": "m", "v": "v", **slots}, {"lr": lr, **_numbers(rule, *MEANS), **powers}, {})
        case Adamax():
            powers = {"beta1_power": _power(rule.beta1, t, dtype)}
            return KernelCall("AdaMax", {"m": "m", "v": "u"}, {"lr": lr, **_numbers(rule, *MEANS), **powers}, {})
        case FTRL():
            ridge = {"l2": rule.l2 + rule.beta / (2 * lr), "l2_shrinkage": rule.shrinkage}
            numbers = {"lr": lr, "l1": rule.l1, "lr_power": rule.lr_power, **ridge}
            return KernelCall("FtrlV2", {"accum": "n", "linear": "z"}, numbers, {})
    raise ValueError(f"TensorFlow has no kernel for {rule!r}")


MEANS = ("beta1", "beta2", "epsilon")


def _numbers(rule: Rule, *names: str) -> dict[str, float]:
    return {name: getattr(rule, name) for name in names}


def _power(beta: float, t: int, dtype: str) -> float:
    """beta^t, of beta as the kernel gets it."""
    return float(np.asarray(beta).astype(dtype).astype(np.float64) ** t)
