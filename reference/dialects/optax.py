"""How optax writes the rules: optax 0.2.8.

Read off optax/_src/alias.py, _src/transform.py and transforms/_accumulation.py.

Epsilon stands where PyTorch has it in Adam, under the root in Adagrad and, unless
``eps_in_sqrt=False``, in RMSprop. The momentum buffer accumulates gradients in ``sgd`` and steps in
``rmsprop``. A negative learning rate maximizes. ``adadelta``'s default learning rate is None, which
leaves out the minus sign, so it maximizes.
"""

import math
from collections.abc import Mapping
from typing import Any

from samestep.reference.adadelta import Adadelta
from samestep.reference.adagrad import Adagrad
from samestep.reference.adam import Adam
from samestep.reference.adamax import Adamax
from samestep.reference.lamb import LAMB
from samestep.reference.lion import Lion
from samestep.reference.nadam import NAdam
from samestep.reference.radam import RAdam
from samestep.reference.rmsprop import RMSprop
from samestep.reference.rprop import Rprop
from samestep.reference.rule import Buffer, Decay, Epsilon, Rule
from samestep.reference.sgd import SGD

from .call import CONSTANT, Call, Inexpressible, Native, Remedy
from .dialect import Dialect, Refusal
from .refusal import refuse_arguments
from .remedy import NEGATED_LOSS, Workaround

UNSUPPORTED = {  # arguments that no rule here has, with the value that switches each off
    "accumulator_dtype": None, "mu_dtype": None, "mask": None, "weight_decay_mask": None,
    "eps_root": 0.0, "bias_correction": False, "threshold": 5.0,
}  # fmt: skip
UNCORRECTED = {"bias_correction_mu": False, "bias_correction_nu": False}  # of amsgrad
OTHERS = {  # of these, the arguments that each native takes
    "sgd": ("accumulator_dtype",),
    "adadelta": ("weight_decay_mask",),
    "rmsprop": ("bias_correction", "nesterov"),
    "adam": ("eps_root", "mu_dtype", "nesterov"),
    "adamw": ("eps_root", "mu_dtype", "mask", "nesterov"),
    "amsgrad": ("eps_root", "mu_dtype", *UNCORRECTED),
    "nadam": ("eps_root", "mu_dtype", "nesterov"),
    "nadamw": ("eps_root", "mu_dtype", "mask", "nesterov"),
    "adamaxw": ("mask",),
    "radam": ("eps_root", "threshold", "nesterov"),
    "lion": ("mu_dtype", "mask"),
    "lamb": ("eps_root", "mask"),
}

LACKING = {  # why a class of rules has no native here
    "Adafactor": (
        "optax.adafactor factors the two largest dimensions and sets its own rate; "
        "it is not described here"
    ),
    "ScheduleFree": "optax.contrib.schedule_free_adamw is not described here",
    "Muon": "optax.contrib.muon is not described here",
}
_AROUND = "it stands around optimizers, and a rule is one of them: give that alone"
_NO_RULE = "no rule here takes its steps"
LEFT_OUT = {
    **dict.fromkeys(
        ("chain", "named_chain", "multi_transform", "partition", "masked", "apply_if_finite",
         "inject_hyperparams", "lookahead", "MultiSteps", "skip_not_finite"),
        _AROUND,
    ),
    "adafactor": LACKING["Adafactor"],
    "lbfgs": "it searches along a line: no first-order rule",
    **dict.fromkeys(
        ("adabelief", "adan", "fromage", "lars", "noisy_sgd", "novograd", "optimistic_adam",
         "optimistic_adam_v2", "optimistic_gradient_descent", "polyak_sgd", "sign_sgd", "signum",
         "sm3", "yogi"),
        _NO_RULE,
    ),
}  # fmt: skip
EMPTY = "where the accumulator is zero optax leaves the parameter alone"
AT_ONCE = 1e6  # a momentum_decay with which 0.96^momentum_decay is 0: momentum does not warm up

_ADAM = {"learning_rate": "lr", "b1": "beta1", "b2": "beta2", "eps": "epsilon"}
_ADAM_DEFAULTS = {"b1": 0.9, "b2": 0.999, "eps": 1e-8}
_ADAM_STATE = {"m": "mu", "v": "nu"}

NATIVES = {
    "sgd": Native(
        SGD,
        arguments={"learning_rate": "lr", "momentum": "momentum", "nesterov": "nesterov"},
        defaults={"momentum": None, "nesterov": False},
        fixed={"buffer": Buffer.GRADIENTS},
        state={"b": "trace"},
        literals={"momentum": {None: 0.0}},
    ),
    "adagrad": Native(
        Adagrad,
        arguments={"learning_rate": "lr", "initial_accumulator_value": "initial_accumulator",
                   "eps": "epsilon"},
        defaults={"initial_accumulator_value": 0.1, "eps": 1e-7},
        fixed={"epsilon_at": Epsilon.INSIDE},
        state={"G": "sum_of_squares"},
    ),
    "adadelta": Native(
        Adadelta,
        arguments={"learning_rate": "lr", "rho": "rho", "eps": "epsilon",
                   "weight_decay": "weight_decay"},
        defaults={"learning_rate": None, "rho": 0.9, "eps": 1e-6, "weight_decay": 0.0},
        fixed={"decay": Decay.COUPLED},
        state={"v": "e_g", "u": "e_x"},
    ),
    "rmsprop": Native(
        RMSprop,
        arguments={"learning_rate": "lr", "decay": "rho", "eps": "epsilon",
                   "initial_scale": "initial_mean_square", "eps_in_sqrt": "epsilon_at",
                   "centered": "centered", "momentum": "momentum"},
        defaults={"decay": 0.9, "eps": 1e-8, "initial_scale": 0.0, "eps_in_sqrt": True,
                  "centered": False, "momentum": None},
        fixed={"buffer": Buffer.STEPS},
        state={"v": "nu", "b": "trace", "m": "mu"},  # trace: of opposite sign
        literals={"momentum": {None: 0.0},
                  "eps_in_sqrt": {True: Epsilon.INSIDE, False: Epsilon.OUTSIDE}},
    ),
    "adam": Native(
        Adam,
        arguments=_ADAM,
        defaults=_ADAM_DEFAULTS,
        fixed={"epsilon_at": Epsilon.OUTSIDE},
        state=_ADAM_STATE,
    ),
    "adamw": Native(
        Adam,
        arguments={**_ADAM, "weight_decay": "weight_decay"},
        defaults={**_ADAM_DEFAULTS, "weight_decay": 1e-4},
        fixed={"epsilon_at": Epsilon.OUTSIDE, "decay": Decay.DECOUPLED},
        state=_ADAM_STATE,
    ),
    "nadam": Native(
        NAdam,
        arguments=_ADAM,
        defaults=_ADAM_DEFAULTS,
        fixed={"momentum_decay": AT_ONCE},
        state=_ADAM_STATE,
    ),
    "nadamw": Native(
        NAdam,
        arguments={**_ADAM, "weight_decay": "weight_decay"},
        defaults={**_ADAM_DEFAULTS, "weight_decay": 1e-4},
        fixed={"momentum_decay": AT_ONCE, "decay": Decay.DECOUPLED},
        state=_ADAM_STATE,
    ),
    "radam": Native(
        RAdam,
        arguments=_ADAM,
        defaults=_ADAM_DEFAULTS,
        fixed={"epsilon_at": Epsilon.OUTSIDE},
        state=_ADAM_STATE,
    ),
    "adamax": Native(
        Adamax,
        arguments=_ADAM,
        defaults=_ADAM_DEFAULTS,
        fixed={"epsilon_at": Epsilon.INSIDE},
        state={"m": "mu", "u": "nu"},
    ),
    "adamaxw": Native(
        Adamax,
        arguments={**_ADAM, "weight_decay": "weight_decay"},
        defaults={**_ADAM_DEFAULTS, "weight_decay": 1e-4},
        fixed={"epsilon_at": Epsilon.INSIDE, "decay": Decay.DECOUPLED},
        state={"m": "mu", "u": "nu"},
    ),
    "lion": Native(
        Lion,
        arguments={"learning_rate": "lr", "b1": "beta1", "b2": "beta2",
                   "weight_decay": "weight_decay"},
        defaults={"b1": 0.9, "b2": 0.99, "weight_decay": 1e-3},
        fixed={"decay": Decay.DECOUPLED},
        state={"m": "mu"},
    ),
    "lamb": Native(
        LAMB,
        arguments={**_ADAM, "weight_decay": "weight_decay"},
        defaults={**_ADAM_DEFAULTS, "eps": 1e-6, "weight_decay": 0.0},
        fixed={"decay": Decay.JOINED},
        state=_ADAM_STATE,
    ),
    "rprop": Native(
        Rprop,
        arguments={"learning_rate": "lr", "eta_minus": "fall", "eta_plus": "rise",
                   "min_step_size": "smallest", "max_step_size": "largest"},
        defaults={"eta_minus": 0.5, "eta_plus": 1.2, "min_step_size": 1e-6, "max_step_size": 50.0},
        fixed={},
        state={"d": "step_sizes", "h": "prev_updates"},  # prev_updates: of the length of the step
    ),
}  # fmt: skip
AMSGRAD = Native(  # amsgrad without bias correction; with it no rule here describes amsgrad
    Adam,
    arguments=_ADAM,
    defaults=_ADAM_DEFAULTS,
    fixed={"amsgrad": True, "bias_correction": False},
    state={**_ADAM_STATE, "w": "nu_max"},
)


def read(name: str, /, **arguments: Any) -> Rule:
    """The rule that ``optax.<name>(**arguments)`` follows.

    Its updates are applied with ``optax.apply_updates``.

    Takes every argument of the native; a negative learning rate is a positive one with
    ``maximize``. What no rule here has (``UNSUPPORTED``, ``amsgrad``) raises Inexpressible. Raises
    ValueError for an unknown optimizer or argument and for a value outside its range. A schedule is
    not a number.
    """
    native = AMSGRAD if name == "amsgrad" else optax.find(name)
    title = optax.title(name)
    values = native.complete(title, arguments, OTHERS.get(name, ()))
    if name == "amsgrad":
        _check_amsgrad(arguments)
    unsupported = {**UNSUPPORTED}
    if native.rule is not SGD:
        unsupported["nesterov"] = native.rule is NAdam
    refuse_arguments(title, arguments, unsupported, f"optax.{name} itself")
    fields = native.fields(values)
    if fields["lr"] is None:  # adadelta's default
        fields["lr"] = -1.0
    if isinstance(fields["lr"], float | int) and math.copysign(1, fields["lr"]) < 0:
        fields.update(lr=-fields["lr"], maximize=True)
    if fields.get("maximize") and fields.get("weight_decay"):
        why = "a learning rate that climbs also turns the sign of the decay, and no rule here does"
        instead = f"{title} itself; a positive learning rate and a negated loss shrink the weights"
        raise Inexpressible(f"{title} uphill with weight decay", why, instead)
    if native.rule is Adagrad and not fields["epsilon"] and not fields["initial_accumulator"]:
        what = f"{title} with neither eps nor an initial accumulator"
        why = f"{EMPTY}, the rule divides 0 by 0"
        raise Inexpressible(what, why, "a tiny eps, such as 1e-30")
    return native.rule(**fields)


def express(rule: Rule) -> Call | None:
    """The call in optax that means the rule in exact arithmetic; None if there is none."""
    condition = ""
    exact = rule
    if rule.maximize and not rule.weight_decay and not isinstance(rule, Rprop):
        exact = exact.replace(maximize=False)
    if isinstance(rule, NAdam) and not (0.96**rule.momentum_decay):
        exact = exact.replace(momentum_decay=AT_ONCE)
    if isinstance(rule, SGD | RMSprop) and rule.momentum:
        buffer = Buffer.GRADIENTS if isinstance(rule, SGD) else Buffer.STEPS
        condition = CONSTANT if rule.buffer is not buffer else ""
        exact = exact.replace(buffer=buffer)
    name = optax.native_for(exact)
    if isinstance(exact, Adam) and not AMSGRAD.differences(exact):
        name, arguments = "amsgrad", {**AMSGRAD.spell(exact), **UNCORRECTED}
    elif name is None or _is_empty(rule):
        return None
    else:
        arguments = NATIVES[name].spell(exact)
    if rule.maximize:
        arguments["learning_rate"] = -arguments["learning_rate"]
    return Call(name, arguments, condition)


def _is_empty(rule: Rule) -> bool:
    """True for an Adagrad that has neither an epsilon nor an initial accumulator."""
    return isinstance(rule, Adagrad) and not rule.epsilon and not rule.initial_accumulator


def _check_amsgrad(arguments: Mapping[str, Any]) -> None:
    """Raise Inexpressible for an AMSGrad that corrects the bias of a mean."""
    if any(arguments.get(name, True) for name in UNCORRECTED):
        why = (
            "it takes the maximum of the bias-corrected v, this project's Adam(amsgrad=True) that "
            "of v itself"
        )
        size = "steps smaller by up to sqrt(1 - beta2), for good: 31.6 times with 0.999"
        uncorrected = Remedy(
            "optax:amsgrad(bias_correction_mu=False, bias_correction_nu=False)",
            condition="if the maximum is to be that of v itself",
            each_step="learning_rate = lr * (1 - b2**t) ** 0.5 / (1 - b1**t)",
        )
        remedies = [Remedy("optax.amsgrad itself"), uncorrected]
        raise Inexpressible("optax.amsgrad with bias correction", why, remedies, size)


REFUSALS = (
    Refusal(_is_empty, f"{EMPTY}, this rule divides 0 by 0"),
    Refusal(
        lambda rule: isinstance(rule, Adam) and rule.amsgrad,
        "optax.amsgrad takes the maximum of the bias-corrected v, this rule that of v itself",
        size="steps smaller by up to sqrt(1 - beta2), for good",
    ),
)
WORKAROUNDS = (
    Workaround(
        lambda rule: (
            isinstance(rule, Adam)
            and not rule.amsgrad
            and rule.bias_correction
            and rule.epsilon_at is Epsilon.HAT
        ),
        lambda rule: rule.replace(epsilon_at=Epsilon.OUTSIDE),
        each_step="eps = {epsilon} / (1 - {beta2}**t) ** 0.5",
    ),
    Workaround(
        lambda rule: (
            isinstance(rule, Adam)
            and rule.amsgrad
            and rule.bias_correction
            and rule.epsilon_at is Epsilon.HAT
            and not rule.maximize
        ),
        lambda rule: rule.replace(bias_correction=False),
        each_step="learning_rate = lr * (1 - {beta2}**t) ** 0.5 / (1 - {beta1}**t)",
    ),
    Workaround(
        lambda rule: (
            isinstance(rule, Adam)
            and not (rule.amsgrad or rule.bias_correction or rule.weight_decay or rule.maximize)
        ),
        lambda rule: rule.replace(bias_correction=True, epsilon_at=Epsilon.OUTSIDE),
        each_step="learning_rate = lr * (1 - {beta1}**t) / (1 - {beta2}**t) ** 0.5; "
        "eps = {epsilon} / (1 - {beta2}**t) ** 0.5",
    ),
    NEGATED_LOSS,
)

optax = Dialect(
    name="optax",
    prefix="optax",
    natives=NATIVES,
    read=read,
    express=express,
    ours="{rule} itself: its update takes xp=jax.numpy",
    refusals=REFUSALS,
    workarounds=WORKAROUNDS,
    lacking=LACKING,
    unsupported=UNSUPPORTED,
    left_out=LEFT_OUT,
)
