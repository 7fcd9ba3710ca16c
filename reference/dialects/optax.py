"""Optax's words: optax 0.2.8. Read off optax/_src/alias.py, _src/transform.py and transforms/_accumulation.py.

Epsilon stands where PyTorch has it in Adam, under the root in Adagrad and, unless ``eps_in_sqrt=False``, in RMSprop.
The momentum buffer accumulates gradients in ``sgd`` and steps in ``rmsprop``. Uphill is a negative learning rate, and
``adadelta``'s default learning rate, None, drops the minus sign: it climbs.
"""

import math
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

from .call import Call, Inexpressible, Native, find, names_of_states, refused, saying
from .refusal import refuse

AROUND = {  # what no rule here has, with the value that means "nothing"
    "accumulator_dtype": None, "mu_dtype": None, "mask": None, "weight_decay_mask": None, "eps_root": 0.0,
    "bias_correction": False, "threshold": 5.0,
}  # fmt: skip
OTHERS = {  # of these, the arguments that each native takes
    "sgd": ("accumulator_dtype",), "adadelta": ("weight_decay_mask",), "rmsprop": ("bias_correction", "nesterov"),
    "adam": ("eps_root", "mu_dtype", "nesterov"), "adamw": ("eps_root", "mu_dtype", "mask", "nesterov"),
    "nadam": ("eps_root", "mu_dtype", "nesterov"), "nadamw": ("eps_root", "mu_dtype", "mask", "nesterov"),
    "adamaxw": ("mask",),
    "radam": ("eps_root", "threshold", "nesterov"), "lion": ("mu_dtype", "mask"), "lamb": ("eps_root", "mask"),
}  # fmt: skip

LACKING = {
    "Adafactor": "optax.adafactor factors the two largest dimensions and sets its own rate; it is not described here",
    "ScheduleFree": "optax.contrib.schedule_free_adamw is not described here",
    "Muon": "optax.contrib.muon is not described here",
}  # fmt: skip
AT_ONCE = 1e6  # a momentum_decay with which 0.96^momentum_decay is 0: momentum does not warm up

_ADAM = {"learning_rate": "lr", "b1": "beta1", "b2": "beta2", "eps": "epsilon"}
_ADAM_DEFAULTS = {"b1": 0.9, "b2": 0.999, "eps": 1e-8}
_ADAM_STATE = {"m": "mu", "v": "nu"}

NATIVES = {
    "sgd": Native(
        SGD,
        {"learning_rate": "lr", "momentum": "momentum", "nesterov": "nesterov"},
        {"momentum": None, "nesterov": False},
        {"buffer": Buffer.GRADIENTS},
        {"b": "trace"},
        {"momentum": {None: 0.0}},
    ),
    "adagrad": Native(
        Adagrad,
        {"learning_rate": "lr", "initial_accumulator_value": "initial_accumulator", "eps": "epsilon"},
        {"initial_accumulator_value": 0.1, "eps": 1e-7},
        {"epsilon_at": Epsilon.INSIDE},
        {"G": "sum_of_squares"},
    ),
    "adadelta": Native(
        Adadelta,
        {"learning_rate": "lr", "rho": "rho", "eps": "epsilon", "weight_decay": "weight_decay"},
        {"learning_rate": None, "rho": 0.9, "eps": 1e-6, "weight_decay": 0.0},
        {"decay": Decay.COUPLED},
        {"v": "e_g", "u": "e_x"},
    ),
    "rmsprop": Native(
        RMSprop,
        {"learning_rate": "lr", "decay": "rho", "eps": "epsilon", "initial_scale": "initial_mean_square",
         "eps_in_sqrt": "epsilon_at", "centered": "centered", "momentum": "momentum"},
        {"decay": 0.9, "eps": 1e-8, "initial_scale": 0.0, "eps_in_sqrt": True, "centered": False, "momentum": None},
        {"buffer": Buffer.STEPS},
        {"v": "nu", "b": "trace", "m": "mu"},  # trace: of opposite sign
        {"momentum": {None: 0.0}, "eps_in_sqrt": {True: Epsilon.INSIDE, False: Epsilon.OUTSIDE}},
    ),
    "adam": Native(Adam, _ADAM, _ADAM_DEFAULTS, {"epsilon_at": Epsilon.OUTSIDE}, _ADAM_STATE),
    "adamw": Native(
        Adam, {**_ADAM, "weight_decay": "weight_decay"}, {**_ADAM_DEFAULTS, "weight_decay": 1e-4},
        {"epsilon_at": Epsilon.OUTSIDE, "decay": Decay.DECOUPLED}, _ADAM_STATE,
    ),
    "nadam": Native(NAdam, _ADAM, _ADAM_DEFAULTS, {"momentum_decay": AT_ONCE}, _ADAM_STATE),
    "nadamw": Native(
        NAdam, {**_ADAM, "weight_decay": "weight_decay"}, {**_ADAM_DEFAULTS, "weight_decay": 1e-4},
        {"momentum_decay": AT_ONCE, "decay": Decay.DECOUPLED}, _ADAM_STATE,
    ),
    "radam": Native(RAdam, _ADAM, _ADAM_DEFAULTS, {"epsilon_at": Epsilon.OUTSIDE}, _ADAM_STATE),
    "adamax": Native(Adamax, _ADAM, _ADAM_DEFAULTS, {"epsilon_at": Epsilon.INSIDE}, {"m": "mu", "u": "nu"}),
    "adamaxw": Native(
        Adamax, {**_ADAM, "weight_decay": "weight_decay"}, {**_ADAM_DEFAULTS, "weight_decay": 1e-4},
        {"epsilon_at": Epsilon.INSIDE, "decay": Decay.DECOUPLED}, {"m": "mu", "u": "nu"},
    ),
    "lion": Native(
        Lion, {"learning_rate": "lr", "b1": "beta1", "b2": "beta2", "weight_decay": "weight_decay"},
        {"b1": 0.9, "b2": 0.99, "weight_decay": 1e-3}, {"decay": Decay.DECOUPLED}, {"m": "mu"},
    ),
    "lamb": Native(
        LAMB, {**_ADAM, "weight_decay": "weight_decay"}, {**_ADAM_DEFAULTS, "eps": 1e-6, "weight_decay": 0.0},
        {"decay": Decay.JOINED}, _ADAM_STATE,
    ),
    "rprop": Native(
        Rprop,
        {"learning_rate": "lr", "eta_minus": "fall", "eta_plus": "rise", "min_step_size": "smallest",
         "max_step_size": "largest"},
        {"eta_minus": 0.5, "eta_plus": 1.2, "min_step_size": 1e-6, "max_step_size": 50.0},
        {}, {"d": "step_sizes", "h": "prev_updates"},  # prev_updates: of the length of the step
    ),
}  # fmt: skip


def read(name: str, /, **arguments: Any) -> Rule:
    """The rule that ``optax.<name>(**arguments)`` follows, its updates applied with ``optax.apply_updates``.

    Takes every argument of the native; a negative learning rate is a positive one with ``maximize``. What no rule here
    has (``AROUND``, ``amsgrad``) raises Inexpressible. Raises ValueError for an unknown optimizer or argument and for a
    value outside its range; schedules are no numbers.
    """
    if name == "amsgrad":
        raise _amsgrad()
    native, title = find(NATIVES, name, "optax"), f"optax.{name}"
    values = native.complete(title, arguments, OTHERS.get(name, ()))
    around = AROUND if native.rule is SGD else {**AROUND, "nesterov": native.rule is NAdam}
    refused(title, arguments, around, f"optax.{name} itself")
    fields = native.fields(values)
    if fields["lr"] is None:  # adadelta's default
        fields["lr"] = -1.0
    if isinstance(fields["lr"], float | int) and math.copysign(1, fields["lr"]) < 0:
        fields.update(lr=-fields["lr"], maximize=True)
    if fields.get("maximize") and fields.get("weight_decay"):
        why = "a learning rate that climbs also turns the sign of the decay, and no rule here does"
        raise Inexpressible(f"{title} uphill with weight decay", why, "a positive learning rate and a negated loss")
    if native.rule is Adagrad and not fields["epsilon"] and not fields["initial_accumulator"]:
        why = "where the accumulator is zero optax leaves the parameter alone, the rule divides 0 by 0"
        raise Inexpressible(f"{title} with neither eps nor an initial accumulator", why, "a tiny eps, such as 1e-30")
    return native.rule(**fields)


def spell(rule: Rule) -> Call:
    """The call in optax that means the rule (exact arithmetic); Inexpressible if there is none."""
    wanted, condition = rule, ""
    if rule.maximize and not rule.weight_decay and not isinstance(rule, Rprop):
        rule = rule.replace(maximize=False)
    if isinstance(rule, NAdam) and not (0.96**rule.momentum_decay):
        rule = rule.replace(momentum_decay=AT_ONCE)
    if isinstance(rule, SGD | RMSprop) and rule.momentum:
        ours = Buffer.GRADIENTS if isinstance(rule, SGD) else Buffer.STEPS
        condition = "while the learning rate stays constant" if rule.buffer is not ours else ""
        rule = rule.replace(buffer=ours)
    empty = isinstance(rule, Adagrad) and not rule.epsilon and not rule.initial_accumulator
    name = saying(NATIVES, rule)
    if name is None or empty:
        raise _inexpressible(wanted)
    arguments = NATIVES[name].spell(rule)
    if wanted.maximize:
        arguments["learning_rate"] = -arguments["learning_rate"]
    return Call(name, arguments, condition)


def state_names(rule: Rule) -> dict[str, str]:
    """What optax calls each state of the rule, as a field of the transformation's state tuple."""
    return names_of_states(NATIVES, rule)


def _amsgrad() -> Inexpressible:
    why = "it takes the maximum of the bias-corrected v, this project's Adam(amsgrad=True) that of v itself"
    size = "steps smaller by up to sqrt(1 - beta2), for good: 31.6 times with 0.999"
    instead = "bias_correction_mu=False, bias_correction_nu=False and a learning rate for each step"
    each_step = "learning_rate = lr * (1 - b2**t) ** 0.5 / (1 - b1**t)  # is Adam(amsgrad=True, epsilon_at=HAT)"
    return Inexpressible("optax.amsgrad", why, instead, size, each_step)


def _inexpressible(rule: Rule) -> Inexpressible:
    instead = f"{rule!r} itself: its update takes xp=jax.numpy"
    if isinstance(rule, Adagrad) and not rule.epsilon and not rule.initial_accumulator:
        why = "where the accumulator is zero optax leaves the parameter alone, this rule divides 0 by 0"
        return Inexpressible(f"{rule!r} in optax", why, instead)
    if isinstance(rule, Adam) and rule.amsgrad:
        why = "optax.amsgrad takes the maximum of the bias-corrected v, this rule that of v itself"
        size = "steps smaller by up to sqrt(1 - beta2), for good"
        code = ""
        if rule.epsilon_at is Epsilon.HAT and not rule.weight_decay:
            code = f"learning_rate = lr * (1 - {rule.beta2}**t) ** 0.5 / (1 - {rule.beta1}**t)"
            instead = "optax.amsgrad(bias_correction_mu=False, bias_correction_nu=False)"
        return Inexpressible(f"{rule!r} in optax", why, instead, size, code)
    code = f"eps = {getattr(rule, 'epsilon', 0)} / (1 - {getattr(rule, 'beta2', 0)}**t) ** 0.5"
    return refuse(rule, NATIVES, "optax", instead, code if isinstance(rule, Adam) else "", lacking=LACKING)
