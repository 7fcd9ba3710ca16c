"""How Keras writes the rules: keras.optimizers 3.15. Read off keras/src/optimizers/*.py.

Epsilon stands inside the root, in Adam outside it but before bias correction (epsilon-hat), in
Nadam after it. A momentum buffer accumulates steps. Weight decay is decoupled, for every optimizer.
"""

import dataclasses
from typing import Any

from samestep.reference.adadelta import Adadelta
from samestep.reference.adafactor import Adafactor
from samestep.reference.adagrad import Adagrad
from samestep.reference.adam import Adam
from samestep.reference.adamax import Adamax
from samestep.reference.ftrl import FTRL
from samestep.reference.lamb import LAMB
from samestep.reference.lion import Lion
from samestep.reference.muon import Muon
from samestep.reference.nadam import NAdam
from samestep.reference.rmsprop import RMSprop
from samestep.reference.rule import Buffer, Decay, Epsilon, Rule, ShapeScale, SizeMeasuredAt
from samestep.reference.schedulefree import ScheduleFree
from samestep.reference.sgd import SGD

from .call import CONSTANT, Call, Inexpressible, Native
from .dialect import Dialect, Refusal
from .refusal import ADAM_SIZE
from .remedy import NEGATED_LOSS, Workaround, epsilon_of_the_step, regularizer

IGNORED = ("name",)  # changes no step
UNSUPPORTED = {  # what Keras does before and after the rule, with the value that switches it off
    "clipnorm": None, "clipvalue": None, "global_clipnorm": None, "use_ema": False,
    "ema_momentum": 0.99, "ema_overwrite_frequency": None, "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}  # fmt: skip

FTRL_ARGUMENTS = {  # in Keras 2 and TensorFlow 1, too
    "learning_rate_power": "lr_power", "initial_accumulator_value": "initial_accumulator",
    "l1_regularization_strength": "l1", "l2_regularization_strength": "l2",
    "l2_shrinkage_regularization_strength": "shrinkage", "beta": "beta",
}  # fmt: skip
FTRL_DEFAULTS = {
    "learning_rate_power": -0.5, "initial_accumulator_value": 0.1,
    "l1_regularization_strength": 0.0, "l2_regularization_strength": 0.0,
    "l2_shrinkage_regularization_strength": 0.0, "beta": 0.0,
}  # fmt: skip
LEFT_OUT = {
    "LossScaleOptimizer": "it scales gradients around another optimizer, for float16: no rule",
    "MultiOptimizer": "it gives layers optimizers of their own: no rule",
    "OptimizerMap": "it is the table that MultiOptimizer reads",
}
# Arguments that name the layers whose tensors Muon leaves to Adam.
CHOICE_BY_NAME = ("exclude_layers", "exclude_embeddings")

_COMMON = {"learning_rate": "lr", "weight_decay": "weight_decay"}
_BETAS = {**_COMMON, "beta_1": "beta1", "beta_2": "beta2"}
_MEANS = {**_BETAS, "epsilon": "epsilon"}
_MEANS_DEFAULTS = {
    "learning_rate": 1e-3,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "epsilon": 1e-7,
    "weight_decay": 0.0,
}
_ADAM = {**_MEANS, "amsgrad": "amsgrad"}
_ADAM_DEFAULTS = {**_MEANS_DEFAULTS, "amsgrad": False}
_ADAM_STATE = {"m": "momentum", "v": "velocity", "w": "velocity_hat"}

NATIVES = {
    "SGD": Native(
        SGD,
        arguments={**_COMMON, "momentum": "momentum", "nesterov": "nesterov"},
        defaults={"learning_rate": 1e-2, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0},
        fixed={"buffer": Buffer.STEPS, "decay": Decay.DECOUPLED},
        state={"b": "momentum"},  # of opposite sign
    ),
    "Adagrad": Native(
        Adagrad,
        arguments={**_COMMON, "initial_accumulator_value": "initial_accumulator",
                   "epsilon": "epsilon"},
        defaults={"learning_rate": 1e-3, "initial_accumulator_value": 0.1, "epsilon": 1e-7,
                  "weight_decay": 0.0},
        fixed={"epsilon_at": Epsilon.INSIDE, "decay": Decay.DECOUPLED},
        state={"G": "accumulator"},
    ),
    "Adadelta": Native(
        Adadelta,
        arguments={**_COMMON, "rho": "rho", "epsilon": "epsilon"},
        defaults={"learning_rate": 1e-3, "rho": 0.95, "epsilon": 1e-7, "weight_decay": 0.0},
        fixed={"decay": Decay.DECOUPLED},
        state={"v": "accumulated_grad", "u": "accumulated_delta_var"},
    ),
    "RMSprop": Native(
        RMSprop,
        arguments={**_COMMON, "rho": "rho", "momentum": "momentum", "epsilon": "epsilon",
                   "centered": "centered"},
        defaults={"learning_rate": 1e-3, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7,
                  "centered": False, "weight_decay": 0.0},
        fixed={"epsilon_at": Epsilon.INSIDE, "buffer": Buffer.STEPS, "decay": Decay.DECOUPLED},
        state={"v": "velocity", "b": "momentum", "m": "average_gradient"},
    ),
    "Adam": Native(
        Adam,
        arguments=_ADAM,
        defaults=_ADAM_DEFAULTS,
        fixed={"epsilon_at": Epsilon.HAT, "decay": Decay.DECOUPLED},
        state=_ADAM_STATE,
    ),
    "AdamW": Native(
        Adam,
        arguments=_ADAM,
        defaults={**_ADAM_DEFAULTS, "weight_decay": 4e-3},
        fixed={"epsilon_at": Epsilon.HAT, "decay": Decay.DECOUPLED},
        state=_ADAM_STATE,
    ),
    "Adamax": Native(
        Adamax,
        arguments=_MEANS,
        defaults=_MEANS_DEFAULTS,
        fixed={"epsilon_at": Epsilon.OUTSIDE, "decay": Decay.DECOUPLED},
        state={"m": "momentum", "u": "norm"},
    ),
    "Nadam": Native(
        NAdam,
        arguments=_MEANS,
        defaults=_MEANS_DEFAULTS,
        fixed={"momentum_decay": 1.0, "decay": Decay.DECOUPLED},
        state={"m": "momentum", "v": "velocity", "P": ""},  # P is a plain attribute
    ),
    "Lion": Native(
        Lion,
        arguments=_BETAS,
        defaults={"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.99, "weight_decay": 0.0},
        fixed={"decay": Decay.DECOUPLED},
        state={"m": "momentum"},
    ),
    "Adafactor": Native(
        Adafactor,
        arguments={**_COMMON, "beta_2_decay": "beta2_decay", "epsilon_1": "epsilon1",
                   "epsilon_2": "epsilon2", "clip_threshold": "clip",
                   "relative_step": "relative_step"},
        defaults={"learning_rate": 1e-3, "beta_2_decay": -0.8, "epsilon_1": 1e-30,
                  "epsilon_2": 1e-3, "clip_threshold": 1.0, "relative_step": True,
                  "weight_decay": 0.0},
        fixed={"epsilon1_at": Epsilon.INSIDE, "decay": Decay.DECOUPLED,
               "size_measured_at": SizeMeasuredAt.AFTER_DECAY},
        state={"v": "velocity", "r": "", "c": ""},  # r and c bear the name of the variable itself
    ),
    "Lamb": Native(
        LAMB,
        arguments=_MEANS,
        defaults=_MEANS_DEFAULTS,
        fixed={"decay": Decay.DECOUPLED},
        state={"m": "momentum", "v": "velocity"},
    ),
    "Muon": Native(
        Muon,
        arguments={**_COMMON, "momentum": "momentum", "nesterov": "nesterov", "muon_a": "a",
                   "muon_b": "b", "muon_c": "c", "ns_steps": "ns_steps", "rms_rate": "lr_scale",
                   "adam_lr_ratio": "adam_lr_scale", "adam_beta_1": "adam_beta1",
                   "adam_beta_2": "adam_beta2", "epsilon": "adam_epsilon",
                   "adam_weight_decay": "adam_weight_decay"},
        defaults={"learning_rate": 1e-3, "weight_decay": 4e-3, "momentum": 0.95, "nesterov": True,
                  "muon_a": 3.4445, "muon_b": -4.7750, "muon_c": 2.0315, "ns_steps": 5,
                  "rms_rate": 0.2, "adam_lr_ratio": 1.0, "adam_beta_1": 0.9, "adam_beta_2": 0.999,
                  "epsilon": 1e-7, "adam_weight_decay": 4e-3},
        fixed={"ema": False, "epsilon": 1e-7, "epsilon_at": Epsilon.OUTSIDE,
               "shape_scale": ShapeScale.LONGER_SIDE, "adam": True, "decay": Decay.DECOUPLED},
        state={"m": "momentum", "v": "velocity"},
    ),
    "Ftrl": Native(
        FTRL,
        arguments={**_COMMON, **FTRL_ARGUMENTS},
        defaults={"learning_rate": 1e-3, **FTRL_DEFAULTS, "weight_decay": 0.0},
        fixed={"decay": Decay.DECOUPLED},
        state={"n": "accumulator", "z": "linear"},
    ),
    "ScheduleFreeAdamW": Native(
        ScheduleFree,
        arguments={**_MEANS, "warmup_steps": "warmup"},
        defaults={**_MEANS_DEFAULTS, "learning_rate": 0.0025, "epsilon": 1e-8, "warmup_steps": 0.0},
        fixed={"decay": Decay.DECOUPLED},
        state={"z": "momentum", "v": "velocity"},
    ),
}  # fmt: skip


def read(name: str, /, **arguments: Any) -> Rule:
    """The rule that ``keras.optimizers.<name>(**arguments)`` follows.

    Takes every argument of the native. What Keras does before and after the rule (``UNSUPPORTED``:
    clipping, averaging, accumulation) raises Inexpressible when it is switched on. Raises
    ValueError for an unknown optimizer or argument and for a value outside its range. A schedule is
    not a number, so give it to the adapter.
    """
    native = keras.find(name)
    for part, switched_off in UNSUPPORTED.items():
        if arguments.get(part, switched_off) != switched_off and part != "ema_momentum":
            instead = (
                "read the call without it and give it to "
                f"samestep.frameworks.tensorflow.Optimizer(rule, {part}=...)"
            )
            why = "it acts before or after the update, not in it"
            raise Inexpressible(f"{part} in a rule", why, instead)
    for decay in ("weight_decay", "adam_weight_decay"):
        if decay in arguments and arguments[decay] is None and name != "AdamW":
            arguments = {**arguments, decay: 0.0}
    others = [*UNSUPPORTED, *IGNORED]
    if native.rule is Muon:
        others += CHOICE_BY_NAME
        if arguments.get("rms_rate", 1) is None:
            native = _unscaled(native)
        if arguments.get("exclude_layers"):
            why = "it chooses by name, and a rule knows no names"
            instead = (
                "read the call without it and give those layers an optimizer of their own, of "
                "rule.fallback"
            )
            raise Inexpressible("exclude_layers in a rule", why, instead)
    return native.rule(**native.fields(native.complete(keras.title(name), arguments, others)))


def express(rule: Rule) -> Call | None:
    """The call in keras.optimizers that means the rule in exact arithmetic, or None."""
    condition = setting = ""
    if isinstance(rule, SGD | RMSprop) and rule.momentum and rule.buffer is Buffer.GRADIENTS:
        if not getattr(rule, "nesterov", False):
            setting = f"optimizer.momentum = {rule.momentum} * lr / lr_before"
        rule = rule.replace(buffer=Buffer.STEPS)
        condition = CONSTANT
    # Adam and AdamW both have weight decay; a rule with weight decay becomes AdamW.
    decays = isinstance(rule, Adam) and rule.weight_decay
    for name, native in keras.natives_for(rule).items():
        if not native.differences(rule) and (name == "AdamW" or not decays):
            return Call(name, native.spell(rule), condition, setting)
    return None


def adapt(native: Native, rule: Rule) -> Native:
    """The native as the rule makes it: Keras' Muon has no scale with ``rms_rate=None``."""
    if isinstance(rule, Muon) and (rule.shape_scale, rule.lr_scale) == (ShapeScale.ONE, 1.0):
        return _unscaled(native)
    return native


def _unscaled(muon: Native) -> Native:
    """Muon with ``rms_rate=None``."""
    fixed = {**muon.fixed, "shape_scale": ShapeScale.ONE}
    return dataclasses.replace(muon, fixed=fixed, literals={"rms_rate": {None: 1.0}})


REFUSALS = (
    Refusal(lambda rule: rule.maximize, "Keras only minimizes"),
    Refusal(
        lambda rule: rule.weight_decay and rule.decay is Decay.COUPLED and rule.is_active("decay"),
        "Keras has only decoupled weight decay, this rule couples it",
    ),
    Refusal(
        lambda rule: (
            isinstance(rule, Adafactor) and rule.epsilon1_at is Epsilon.FLOOR and rule.epsilon1
        ),
        "Keras adds epsilon1 to the square of the gradient, this rule lets no mean and no root "
        "fall below it",
    ),
    Refusal(
        lambda rule: isinstance(rule, Adafactor),
        "Keras measures theta after weight decay, this rule before it",
        size="a step shorter by the factor 1 - lr weight_decay",
    ),
    Refusal(
        lambda rule: isinstance(rule, LAMB),
        "Keras shrinks theta before the step, this rule adds the decay to the direction whose "
        "length is then set",
    ),
    Refusal(
        lambda rule: isinstance(rule, Adam),
        "Keras adds epsilon before the bias correction of v, this rule after it",
        size=ADAM_SIZE,
    ),
    Refusal(
        lambda rule: isinstance(rule, Muon) and rule.epsilon_at is Epsilon.FLOOR and rule.epsilon,
        "Keras adds 1e-07 to the norm, this rule lets it not fall below epsilon",
        size=(
            "a matrix shorter by the factor 1 / (1 + 1e-07 / |M|), with M as Keras sums it, "
            "before it is iterated"
        ),
    ),
    Refusal(
        lambda rule: isinstance(rule, Muon) and not rule.adam,
        "keras.optimizers.Muon moves other tensors than matrices by Adam, this rule refuses them",
    ),
    Refusal(
        lambda rule: isinstance(rule, Muon),
        "keras.optimizers.Muon adds 1e-07 to the norm of a sum of gradients, and multiplies lr by "
        "rms_rate sqrt(max(rows, columns)) or not at all, this rule otherwise",
    ),
    Refusal(lambda rule: isinstance(rule, SGD), "keras.optimizers.SGD has no dampening"),
    Refusal(
        lambda rule: isinstance(rule, Adagrad) and rule.lr_decay,
        "keras.optimizers.Adagrad has no lr_decay",
    ),
    Refusal(
        lambda rule: isinstance(rule, NAdam),
        "keras.optimizers.Nadam warms its momentum up by 0.96^t, this rule by "
        "0.96^({momentum_decay} t)",
    ),
    Refusal(
        lambda rule: isinstance(rule, Adamax),
        "keras.optimizers.Adamax adds epsilon to the maximum, this rule takes the maximum of it",
        size=(
            "per element a factor between 1/2 and 1 with the same epsilon, worst where |g| is far "
            "below epsilon"
        ),
    ),
)

WORKAROUNDS = (
    NEGATED_LOSS,
    regularizer("keras"),
    epsilon_of_the_step("optimizer.epsilon.assign({value})  # a tf.Variable"),
    Workaround(
        lambda rule: isinstance(rule, Adagrad) and rule.lr_decay and not rule.weight_decay,
        lambda rule: rule.replace(lr_decay=0.0),
        beside="with learning_rate=keras.optimizers.schedules.InverseTimeDecay("
        "initial_learning_rate={lr}, decay_steps=1, decay_rate={lr_decay})",
        condition=CONSTANT,
    ),
    Workaround(
        lambda rule: isinstance(rule, Adafactor) and rule.epsilon1_at is Epsilon.FLOOR,
        lambda rule: rule.replace(epsilon1=0.0),
        condition="where the root mean square of gradients stays far above {epsilon1} and its root",
    ),
    Workaround(
        lambda rule: isinstance(rule, Muon) and not rule.adam,
        lambda rule: rule.replace(adam=True),
        condition="where all tensors are matrices",
    ),
    Workaround(
        lambda rule: isinstance(rule, Muon) and (rule.epsilon, rule.ema) != (1e-7, False),
        lambda rule: rule.replace(epsilon=1e-7, epsilon_at=Epsilon.OUTSIDE, ema=False),
        condition="where norms stay far above {epsilon} and 1e-07",
    ),
)

keras = Dialect(
    name="keras",
    prefix="keras.optimizers",
    natives=NATIVES,
    read=read,
    express=express,
    ours="samestep.frameworks.tensorflow.Optimizer({rule})",
    adapt=adapt,
    refusals=REFUSALS,
    workarounds=WORKAROUNDS,
    unsupported=UNSUPPORTED,
    left_out=LEFT_OUT,
)
