"""How Keras 2 writes the rules: tf_keras.optimizers.legacy 2.21, in tf.keras up to 2.10.

Read off optimizer_v2.py, gradient_descent.py, adagrad.py, adadelta.py, rmsprop.py, adam.py,
adamax.py, nadam.py and ftrl.py in tf_keras/src/optimizers/legacy.

The differences from Keras 3: Adagrad's epsilon stands outside the root, and so does RMSprop's
without momentum. Nadam warms up as slowly as PyTorch's. There is no weight decay. ``decay`` reduces
the learning rate from step to step. Epsilon 0 means 1e-7.
"""

import dataclasses
from typing import Any

from samestep.reference.adadelta import Adadelta
from samestep.reference.adagrad import Adagrad
from samestep.reference.adam import Adam
from samestep.reference.adamax import Adamax
from samestep.reference.ftrl import FTRL
from samestep.reference.nadam import NAdam
from samestep.reference.rmsprop import RMSprop
from samestep.reference.rule import Buffer, Epsilon, Rule
from samestep.reference.sgd import SGD

from .call import CONSTANT, Call, Native
from .dialect import Dialect, Refusal
from .keras import FTRL_ARGUMENTS, FTRL_DEFAULTS
from .refusal import refuse_arguments
from .remedy import NEGATED_LOSS, Workaround, epsilon_of_the_step, regularizer

UNSUPPORTED = {  # what Keras 2 does before the rule, with the value that switches it off
    "clipnorm": None, "clipvalue": None, "global_clipnorm": None, "gradient_aggregator": None,
    "gradient_transformers": None,
}  # fmt: skip
FUZZ = 1e-7  # tf_keras.backend.epsilon()

_MEANS = {"learning_rate": "lr", "beta_1": "beta1", "beta_2": "beta2", "epsilon": "epsilon"}
_MEANS_DEFAULTS = {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
_FUZZ = {"epsilon": {FUZZ: FUZZ, 0.0: FUZZ, None: FUZZ}}

NATIVES = {
    "SGD": Native(
        SGD,
        arguments={"learning_rate": "lr", "momentum": "momentum", "nesterov": "nesterov"},
        defaults={"learning_rate": 1e-2, "momentum": 0.0, "nesterov": False},
        fixed={"buffer": Buffer.STEPS},
        state={"b": "momentum"},  # of opposite sign
    ),
    "Adagrad": Native(
        Adagrad,
        arguments={"learning_rate": "lr", "initial_accumulator_value": "initial_accumulator",
                   "epsilon": "epsilon", "decay": "lr_decay"},
        defaults={"learning_rate": 1e-3, "initial_accumulator_value": 0.1, "epsilon": 1e-7,
                  "decay": 0.0},
        fixed={"epsilon_at": Epsilon.OUTSIDE},
        state={"G": "accumulator"},
        literals=_FUZZ,
    ),
    "Adadelta": Native(
        Adadelta,
        arguments={"learning_rate": "lr", "rho": "rho", "epsilon": "epsilon"},
        defaults={"learning_rate": 1e-3, "rho": 0.95, "epsilon": 1e-7},
        fixed={},
        state={"v": "accum_grad", "u": "accum_var"},
        literals=_FUZZ,
    ),
    "RMSprop": Native(
        RMSprop,
        arguments={"learning_rate": "lr", "rho": "rho", "momentum": "momentum",
                   "epsilon": "epsilon", "centered": "centered"},
        defaults={"learning_rate": 1e-3, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7,
                  "centered": False},
        fixed={"epsilon_at": Epsilon.OUTSIDE, "buffer": Buffer.STEPS},  # see read
        state={"v": "rms", "b": "momentum", "m": "mg"},
        literals=_FUZZ,
    ),
    "Adam": Native(
        Adam,
        arguments={**_MEANS, "amsgrad": "amsgrad"},
        defaults={**_MEANS_DEFAULTS, "amsgrad": False},
        fixed={"epsilon_at": Epsilon.HAT},
        state={"m": "m", "v": "v", "w": "vhat"},
        literals=_FUZZ,
    ),
    "Adamax": Native(
        Adamax,
        arguments=_MEANS,
        defaults=_MEANS_DEFAULTS,
        fixed={"epsilon_at": Epsilon.OUTSIDE},
        state={"m": "m", "u": "v"},
        literals=_FUZZ,
    ),
    "Nadam": Native(
        NAdam,
        arguments={**_MEANS, "schedule_decay": "momentum_decay"},
        defaults={**_MEANS_DEFAULTS, "schedule_decay": 0.004},
        fixed={},
        state={"m": "m", "v": "v", "P": ""},  # P is one number for all variables
        literals=_FUZZ,
    ),
    "Ftrl": Native(
        FTRL,
        arguments={"learning_rate": "lr", **FTRL_ARGUMENTS},
        defaults={"learning_rate": 1e-3, **FTRL_DEFAULTS},
        fixed={},
        state={"n": "accumulator", "z": "linear"},
    ),
}  # fmt: skip


def read(name: str, /, **arguments: Any) -> Rule:
    """The rule that ``tf_keras.optimizers.legacy.<name>(**arguments)`` follows.

    Takes every argument of the native; ``lr`` is the old name of ``learning_rate``. Clipping and
    the like (``UNSUPPORTED``), and ``decay`` except in Adagrad, raise Inexpressible when switched
    on. Raises ValueError for an unknown optimizer or argument and for a value outside its range. A
    schedule is not a number.
    """
    native = tf_keras.find(name)
    title = tf_keras.title(name)
    values = native.complete(title, arguments, [*UNSUPPORTED, "name", "lr", "decay"])
    instead = "clip or transform the gradients before the rule gets them"
    refuse_arguments(title, arguments, UNSUPPORTED, instead)
    if lowers_rate(native):
        instead = "a learning rate of lr / (1 + decay * (t - 1)) at step t, which is InverseTime"
        refuse_arguments(title, arguments, {"decay": 0.0}, instead)
    if "lr" in arguments:
        values["learning_rate"] = arguments["lr"]
    fields = native.fields(values)
    if native.rule is RMSprop and fields["momentum"]:
        fields["epsilon_at"] = Epsilon.INSIDE  # with momentum it runs another kernel
    return native.rule(**fields)


def lowers_rate(native: Native) -> bool:
    """True if ``decay`` lowers the learning rate; Adagrad's rule has it, Nadam overwrites it."""
    return "decay" not in native.arguments and native.rule is not NAdam


def express(rule: Rule) -> Call | None:
    """The call in Keras 2 that means the rule in exact arithmetic, or None."""
    condition = ""
    exact = rule
    if isinstance(rule, SGD | RMSprop) and rule.momentum and rule.buffer is Buffer.GRADIENTS:
        exact = rule.replace(buffer=Buffer.STEPS)
        condition = CONSTANT
    name = tf_keras.native_for(exact)
    if name is None or _means_fuzz(exact):
        return None
    return Call(name, NATIVES[name].spell(exact), condition)


def adapt(native: Native, rule: Rule) -> Native:
    """The native as the rule makes it: RMSprop with momentum has epsilon inside the root."""
    if isinstance(rule, RMSprop) and rule.momentum:
        fixed = {**native.fixed, "epsilon_at": Epsilon.INSIDE}
        return dataclasses.replace(native, fixed=fixed)
    return native


def _means_fuzz(rule: Rule) -> bool:
    """True for an epsilon of 0, which Keras 2 takes for FUZZ."""
    natives = tf_keras.natives_of(type(rule)).values()
    is_replaced = any("epsilon" in native.literals for native in natives)
    return is_replaced and not getattr(rule, "epsilon", FUZZ)


REFUSALS = (Refusal(_means_fuzz, f"epsilon 0 means {FUZZ} there"),)
WORKAROUNDS = (
    NEGATED_LOSS,
    regularizer("tf_keras"),
    epsilon_of_the_step("optimizer.epsilon = {value}"),
    Workaround(
        lambda rule: _means_fuzz(rule) and not isinstance(rule, Adadelta),
        lambda rule: rule.replace(epsilon=1e-30),
        condition="where roots of squares stay far above 1e-15",
    ),
)

tf_keras = Dialect(
    name="tf_keras",
    prefix="tf_keras.optimizers.legacy",
    natives=NATIVES,
    read=read,
    express=express,
    ours="in Keras 3 samestep.frameworks.tensorflow.Optimizer({rule})",
    adapt=adapt,
    refusals=REFUSALS,
    workarounds=WORKAROUNDS,
    unsupported=UNSUPPORTED,
)
