"""TensorFlow's kernels, tf.raw_ops.ResourceApply*, which TensorFlow 1 and Keras 2 call; here with exact numbers."""

from typing import Any

import numpy as np

from samestep.parity.measure.nearest_wrong import TensorTrial
from samestep.reference import FTRL, SGD, Adadelta, Adagrad, Adam, Adamax, RMSprop, Rule
from samestep.reference.rule import Buffer

KIND = "kernel"


def run(rule: Rule, dtype: str, trial: TensorTrial) -> np.ndarray:
    """Where the kernel that follows the rule goes, (steps, n)."""
    import tensorflow as tf

    start = trial.start.astype(dtype)
    variable, thetas = tf.Variable(start), []
    unused, kept = tf.Variable(np.zeros_like(start)), {k: tf.Variable(v) for k, v in rule.start(start, np).items()}
    state = {name: value.handle for name, value in kept.items()}
    for t, (gradient, lr) in enumerate(zip(trial.gradients, trial.rates, strict=True), start=1):
        name, slots, numbers, flags = called(rule, t, lr, dtype)
        given = {argument: state[ours] if ours else unused.handle for argument, ours in slots.items()}
        scalars = {argument: tf.constant(value, dtype) for argument, value in numbers.items()}
        last = "delta" if name == "GradientDescent" else "grad"
        apply = getattr(tf.raw_ops, f"ResourceApply{name}")
        apply(var=variable.handle, **given, **scalars, **flags, **{last: tf.constant(gradient.astype(dtype))})
        thetas.append(variable.numpy())
    return np.array(thetas)


Called = tuple[str, dict[str, str], dict[str, float], dict[str, bool]]


def called(rule: Any, t: int, lr: float, dtype: str) -> Called:
    """The kernel's name, our states by its arguments ("" is a slot that is not kept), its numbers, its flags."""
    match rule:
        case SGD(momentum=0.0):
            return "GradientDescent", {}, {"alpha": lr}, {}
        case SGD():
            name = "KerasMomentum" if rule.buffer is Buffer.STEPS else "Momentum"
            return name, {"accum": "b"}, {"lr": lr, "momentum": rule.momentum}, {"use_nesterov": rule.nesterov}
        case Adagrad(epsilon=0.0):
            return "Adagrad", {"accum": "G"}, {"lr": lr}, {}
        case Adagrad():
            return "AdagradV2", {"accum": "G"}, {"lr": lr / (1 + rule.lr_decay * (t - 1)), "epsilon": rule.epsilon}, {}
        case Adadelta():
            return "Adadelta", {"accum": "v", "accum_update": "u"}, {"lr": lr, **_numbers(rule, "rho", "epsilon")}, {}
        case RMSprop():
            name, slots = ("CenteredRMSProp", {"mg": "m"}) if rule.centered else ("RMSProp", {})
            slots |= {"ms": "v", "mom": "b" if rule.momentum else ""}
            return name, slots, {"lr": lr, **_numbers(rule, "rho", "momentum", "epsilon")}, {}
        case Adam():
            name, slots = ("AdamWithAmsgrad", {"vhat": "w"}) if rule.amsgrad else ("Adam", {})
            powers = {f"{beta}_power": _power(getattr(rule, beta), t, dtype) for beta in ("beta1", "beta2")}
            return name, {"m": "m", "v": "v", **slots}, {"lr": lr, **_numbers(rule, *MEANS), **powers}, {}
        case Adamax():
            powers = {"beta1_power": _power(rule.beta1, t, dtype)}
            return "AdaMax", {"m": "m", "v": "u"}, {"lr": lr, **_numbers(rule, *MEANS), **powers}, {}
        case FTRL():
            ridge = {"l2": rule.l2 + rule.beta / (2 * lr), "l2_shrinkage": rule.shrinkage}
            numbers = {"lr": lr, "l1": rule.l1, "lr_power": rule.lr_power, **ridge}
            return "FtrlV2", {"accum": "n", "linear": "z"}, numbers, {}
    raise ValueError(f"TensorFlow has no kernel for {rule!r}")


MEANS = ("beta1", "beta2", "epsilon")


def _numbers(rule: Rule, *names: str) -> dict[str, float]:
    return {name: getattr(rule, name) for name in names}


def _power(beta: float, t: int, dtype: str) -> float:
    """beta^t, of beta as the kernel gets it."""
    return float(np.asarray(beta).astype(dtype).astype(np.float64) ** t)
