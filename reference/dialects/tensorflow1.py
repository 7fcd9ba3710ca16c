"""How TensorFlow 1 writes the rules: tf.compat.v1.train in TensorFlow 2.21.

Read off gradient_descent.py, momentum.py, adagrad.py, adadelta.py, rmsprop.py, adam.py and ftrl.py
in tensorflow/python/training.

Adagrad has no epsilon and no empty accumulator. RMSProp's mean square starts at 1, and its epsilon
stands under the root. Adam's epsilon is epsilon-hat. A momentum buffer accumulates gradients in
Momentum and steps in RMSProp. There is no weight decay.
"""

from typing import Any

from samestep.reference.adadelta import Adadelta
from samestep.reference.adagrad import Adagrad
from samestep.reference.adam import Adam
from samestep.reference.ftrl import FTRL
from samestep.reference.rmsprop import RMSprop
from samestep.reference.rule import Buffer, Epsilon, Rule
from samestep.reference.sgd import SGD

from .call import CONSTANT, Call, Native
from .dialect import Dialect, Refusal
from .keras import FTRL_ARGUMENTS, FTRL_DEFAULTS
from .pytorch import with_epsilon_in_the_accumulator
from .remedy import NEGATED_LOSS, Workaround, epsilon_of_the_step, regularizer

IGNORED = (  # arguments that change no step
    "use_locking", "name", "use_own_namescope_for_non_slot_vars", "accum_name", "linear_name",
)  # fmt: skip
LEFT_OUT = {
    "AdagradDAOptimizer": "it averages the gradients of all steps, and no rule here does",
    "ProximalAdagradOptimizer": "it takes a proximal step of l1 and l2 after Adagrad's; no rule "
    "here does",
    "ProximalGradientDescentOptimizer": "it takes a proximal step of l1 and l2; no rule here does",
    "SyncReplicasOptimizer": "it joins the gradients of replicas around another optimizer: no rule",
}

NATIVES = {
    "GradientDescentOptimizer": Native(
        SGD,
        arguments={"learning_rate": "lr"},
        defaults={},
        fixed={},
        state={},
    ),
    "MomentumOptimizer": Native(
        SGD,
        arguments={"learning_rate": "lr", "momentum": "momentum", "use_nesterov": "nesterov"},
        defaults={"use_nesterov": False},
        fixed={"buffer": Buffer.GRADIENTS},
        state={"b": "momentum"},
    ),
    "AdagradOptimizer": Native(
        Adagrad,
        arguments={"learning_rate": "lr", "initial_accumulator_value": "initial_accumulator"},
        defaults={"initial_accumulator_value": 0.1},
        fixed={"epsilon": 0.0, "epsilon_at": Epsilon.OUTSIDE},
        state={"G": "accumulator"},
    ),
    "AdadeltaOptimizer": Native(
        Adadelta,
        arguments={"learning_rate": "lr", "rho": "rho", "epsilon": "epsilon"},
        defaults={"learning_rate": 1e-3, "rho": 0.95, "epsilon": 1e-8},
        fixed={},
        state={"v": "accum", "u": "accum_update"},
    ),
    "RMSPropOptimizer": Native(
        RMSprop,
        arguments={"learning_rate": "lr", "decay": "rho", "momentum": "momentum",
                   "epsilon": "epsilon", "centered": "centered"},
        defaults={"decay": 0.9, "momentum": 0.0, "epsilon": 1e-10, "centered": False},
        fixed={"epsilon_at": Epsilon.INSIDE, "buffer": Buffer.STEPS, "initial_mean_square": 1.0},
        state={"v": "rms", "b": "momentum", "m": "mg"},
    ),
    "AdamOptimizer": Native(
        Adam,
        arguments={"learning_rate": "lr", "beta1": "beta1", "beta2": "beta2", "epsilon": "epsilon"},
        defaults={"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
        fixed={"epsilon_at": Epsilon.HAT},
        state={"m": "m", "v": "v"},
    ),
    "FtrlOptimizer": Native(
        FTRL,
        arguments={"learning_rate": "lr", **FTRL_ARGUMENTS},
        defaults={**FTRL_DEFAULTS, "beta": None},
        fixed={},
        state={"n": "accum", "z": "linear"},
        literals={"beta": {None: 0.0}},
    ),
}  # fmt: skip


def read(name: str, /, **arguments: Any) -> Rule:
    """The rule that ``tf.compat.v1.train.<name>(**arguments)`` follows.

    Takes every argument of the native; some only choose how it runs and change nothing
    (``IGNORED``). Raises ValueError for an unknown optimizer or argument and for a value outside
    its range.
    """
    native = tensorflow1.find(name)
    fields = native.fields(native.complete(tensorflow1.title(name), arguments, IGNORED))
    if native.rule is Adagrad and not fields["initial_accumulator"]:
        value = fields["initial_accumulator"]
        raise ValueError(f"initial_accumulator_value must be above 0, got {value!r}")
    return native.rule(**fields)


def express(rule: Rule) -> Call | None:
    """The call in tf.compat.v1.train that means the rule in exact arithmetic, or None."""
    condition = ""
    exact = rule
    if isinstance(rule, SGD | RMSprop) and rule.momentum:
        buffer = Buffer.GRADIENTS if isinstance(rule, SGD) else Buffer.STEPS
        condition = CONSTANT if rule.buffer is not buffer else ""
        exact = rule.replace(buffer=buffer)
    if isinstance(rule, Adagrad) and rule.epsilon_at is Epsilon.INSIDE:
        exact = with_epsilon_in_the_accumulator(rule)
    name = tensorflow1.native_for(exact)
    if name is None or _is_empty(exact):
        return None
    return Call(name, NATIVES[name].spell(exact), condition)


def _is_empty(rule: Rule) -> bool:
    """True for an Adagrad with neither an epsilon nor an initial accumulator."""
    return isinstance(rule, Adagrad) and not rule.epsilon and not rule.initial_accumulator


REFUSALS = (
    Refusal(
        lambda rule: _is_empty(rule) and not rule.lr_decay and not rule.weight_decay,
        "tf.compat.v1.train.AdagradOptimizer takes no empty accumulator",
    ),
    Refusal(
        lambda rule: (
            isinstance(rule, RMSprop)
            and rule.initial_mean_square != 1
            and express(rule.replace(initial_mean_square=1.0))
        ),
        "its mean square starts at 1, this rule's at {initial_mean_square}",
        size=(
            "while rho^t outweighs the mean square: a first step of up to sqrt(1 - rho) times too "
            "small a gradient's"
        ),
    ),
)
WORKAROUNDS = (
    NEGATED_LOSS,
    regularizer("tf_keras"),
    epsilon_of_the_step("epsilon = {value}"),
    Workaround(
        _is_empty,
        lambda rule: rule.replace(initial_accumulator=1e-30, epsilon_at=Epsilon.OUTSIDE),
        condition="where roots of squares stay far above 1e-15",
    ),
    Workaround(
        lambda rule: isinstance(rule, RMSprop) and rule.initial_mean_square != 1,
        lambda rule: rule.replace(initial_mean_square=1.0),
        beside="with optimizer.get_slot(variable, 'rms').assign({initial_mean_square} * "
        "tf.ones_like(variable)) before the first step",
    ),
)

tensorflow1 = Dialect(
    name="tensorflow1",
    prefix="tf.compat.v1.train",
    natives=NATIVES,
    read=read,
    express=express,
    ours="in Keras 3 samestep.frameworks.tensorflow.Optimizer({rule})",
    refusals=REFUSALS,
    workarounds=WORKAROUNDS,
    left_out=LEFT_OUT,
)
