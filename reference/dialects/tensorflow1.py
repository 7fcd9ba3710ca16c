"""TensorFlow 1's words: tf.compat.v1.train in TensorFlow 2.21.

Read off tensorflow/python/training/{gradient_descent,momentum,adagrad,adadelta,rmsprop,adam,ftrl}.py. Adagrad has no
epsilon and no empty accumulator; RMSProp's mean square starts at 1, its epsilon stands under the root; Adam's epsilon
is epsilon-hat. A momentum buffer accumulates gradients in Momentum, steps in RMSProp. There is no weight decay.
"""

from typing import Any

from samestep.reference.adadelta import Adadelta
from samestep.reference.adagrad import Adagrad
from samestep.reference.adam import Adam
from samestep.reference.ftrl import FTRL
from samestep.reference.rmsprop import RMSprop
from samestep.reference.rule import Buffer, Epsilon, Rule
from samestep.reference.sgd import SGD

from .call import Call, Inexpressible, Native, find, names_of_states, saying
from .keras import FTRL_DEFAULTS, FTRL_WORDS
from .refusal import refuse

PREFIX = "tf.compat.v1.train"
EXECUTION = (
    "use_locking",
    "name",
    "use_own_namescope_for_non_slot_vars",
    "accum_name",
    "linear_name",
)  # change nothing

NATIVES = {
    "GradientDescentOptimizer": Native(SGD, {"learning_rate": "lr"}, {}, {}, {}),
    "MomentumOptimizer": Native(
        SGD,
        {"learning_rate": "lr", "momentum": "momentum", "use_nesterov": "nesterov"},
        {"use_nesterov": False},
        {"buffer": Buffer.GRADIENTS},
        {"b": "momentum"},
    ),
    "AdagradOptimizer": Native(
        Adagrad,
        {"learning_rate": "lr", "initial_accumulator_value": "initial_accumulator"},
        {"initial_accumulator_value": 0.1},
        {"epsilon": 0.0, "epsilon_at": Epsilon.OUTSIDE},
        {"G": "accumulator"},
    ),
    "AdadeltaOptimizer": Native(
        Adadelta,
        {"learning_rate": "lr", "rho": "rho", "epsilon": "epsilon"},
        {"learning_rate": 1e-3, "rho": 0.95, "epsilon": 1e-8},
        {},
        {"v": "accum", "u": "accum_update"},
    ),
    "RMSPropOptimizer": Native(
        RMSprop,
        {"learning_rate": "lr", "decay": "rho", "momentum": "momentum", "epsilon": "epsilon", "centered": "centered"},
        {"decay": 0.9, "momentum": 0.0, "epsilon": 1e-10, "centered": False},
        {"epsilon_at": Epsilon.INSIDE, "buffer": Buffer.STEPS, "initial_mean_square": 1.0},
        {"v": "rms", "b": "momentum", "m": "mg"},
    ),
    "AdamOptimizer": Native(
        Adam,
        {"learning_rate": "lr", "beta1": "beta1", "beta2": "beta2", "epsilon": "epsilon"},
        {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
        {"epsilon_at": Epsilon.HAT},
        {"m": "m", "v": "v"},
    ),
    "FtrlOptimizer": Native(
        FTRL, {"learning_rate": "lr", **FTRL_WORDS}, {**FTRL_DEFAULTS, "beta": None}, {},
        {"n": "accum", "z": "linear"}, {"beta": {None: 0.0}},
    ),
}  # fmt: skip


def read(name: str, /, **arguments: Any) -> Rule:
    """The rule that ``tf.compat.v1.train.<name>(**arguments)`` follows.

    Takes every argument of the native; those that only choose how it runs (``EXECUTION``) change nothing. Raises
    ValueError for an unknown optimizer or argument and for a value outside its range.
    """
    native = find(NATIVES, name, PREFIX)
    fields = native.fields(native.complete(f"{PREFIX}.{name}", arguments, EXECUTION))
    if native.rule is Adagrad and not fields["initial_accumulator"]:
        raise ValueError(f"initial_accumulator_value must be above 0, got {fields['initial_accumulator']!r}")
    return native.rule(**fields)


def spell(rule: Rule) -> Call:
    """The call in tf.compat.v1.train that means the rule (exact arithmetic); Inexpressible if there is none."""
    wanted, condition = rule, ""
    if isinstance(rule, SGD | RMSprop) and rule.momentum:
        ours = Buffer.GRADIENTS if isinstance(rule, SGD) else Buffer.STEPS
        condition = "while the learning rate stays constant" if rule.buffer is not ours else ""
        rule = rule.replace(buffer=ours)
    if isinstance(rule, Adagrad) and rule.epsilon_at is Epsilon.INSIDE:
        start = rule.initial_accumulator + rule.epsilon  # as in torch.optim
        rule = rule.replace(epsilon_at=Epsilon.OUTSIDE, epsilon=0.0, initial_accumulator=start)
    name = saying(NATIVES, rule)
    if name is None or (isinstance(rule, Adagrad) and not rule.initial_accumulator):
        raise _inexpressible(wanted, rule)
    return Call(name, NATIVES[name].spell(rule), condition)


def state_names(rule: Rule) -> dict[str, str]:
    """What TensorFlow 1 calls each state of the rule: our name to that of the slot."""
    return names_of_states(NATIVES, rule)


def _inexpressible(wanted: Rule, rule: Rule) -> Inexpressible:
    instead = f"in Keras 3 samestep.frameworks.tensorflow.Optimizer({wanted!r})"
    if isinstance(rule, Adagrad) and saying(NATIVES, rule):
        why = f"{PREFIX}.AdagradOptimizer takes no empty accumulator"
        return Inexpressible(f"{wanted!r} in {PREFIX}", why, "a start that arithmetic loses, such as 1e-30")
    if isinstance(rule, RMSprop) and saying(NATIVES, rule.replace(initial_mean_square=1.0)):
        why = f"its mean square starts at 1, this rule's at {rule.initial_mean_square}"
        size = "while rho^t outweighs the mean square: a first step of up to sqrt(1 - rho) times too small a gradient's"
        instead = "optimizer.get_slot(variable, 'rms').assign(...) before the first step"
        return Inexpressible(f"{wanted!r} in {PREFIX}", why, instead, size)
    code = f"epsilon = {getattr(rule, 'epsilon', 0)} * (1 - {getattr(rule, 'beta2', 0)}**t) ** 0.5"
    return refuse(wanted, NATIVES, PREFIX, instead, code if isinstance(rule, Adam) else "")
