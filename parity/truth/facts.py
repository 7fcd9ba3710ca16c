"""Facts about hyperparameters, written down apart from the rules: defaults, intervals, and which
field needs which.
"""

from typing import Any

from samestep.reference import Decay, Epsilon, Rule, ShapeScale, dialects

DEFAULTS: dict[
    str, tuple[str, dict[str, Any]]
] = {  # whose defaults a rule has, and what is otherwise here
    "SGD": ("pytorch:SGD(lr=0.01)", {}),
    "ASGD": ("pytorch:ASGD()", {}),
    "Rprop": ("pytorch:Rprop()", {}),
    "Adagrad": ("pytorch:Adagrad()", {}),
    "FTRL": ("keras:Ftrl()", {"decay": Decay.COUPLED}),
    "Adadelta": ("paper:Adadelta()", {}),
    "RMSprop": (
        "pytorch:RMSprop(lr=0.001, alpha=0.9)",
        {"initial_mean_square": 0.0},
    ),  # the slide's
    "Adam": ("paper:Adam()", {"amsgrad": False, "bias_correction": True}),
    "Adamax": ("paper:Adamax()", {"epsilon": 1e-8}),  # the paper has none
    "NAdam": ("pytorch:NAdam()", {}),
    "RAdam": ("pytorch:RAdam()", {"epsilon_at": Epsilon.OUTSIDE}),
    "ScheduleFree": ("keras:ScheduleFreeAdamW()", {}),
    "Lion": ("paper:Lion(eta=0.0001)", {}),
    "LAMB": ("paper:LAMB(eta=0.001)", {"bias_correction": True}),
    "Adafactor": ("paper:Adafactor()", {}),
    "Muon": (
        "keras:Muon()",
        {
            "lr": 0.02,
            "shape_scale": ShapeScale.ASPECT_RATIO,
            "lr_scale": 1.0,
            "adam_weight_decay": 0.0,
        },  # K. Jordan's
    ),
}
DEFAULTS_OF_ALL = {
    "weight_decay": 0.0,
    "maximize": False,
}  # of every rule, whatever the native's are

INTERVALS = {  # of every number that may not be anything from 0 on
    "(-inf, inf)": ("Muon.a", "Muon.b", "Muon.c"),
    "(-inf, 0]": ("FTRL.lr_power", "Adafactor.beta2_decay"),
    "(0, inf)": ("FTRL.lr", "Adafactor.clip"),  # they are divided by
    "(0, 1)": ("Rprop.fall",),
    "(1, inf)": ("Rprop.rise",),
    "(0, 1]": ("ScheduleFree.beta1",),  # it is divided by
    "[0, 1]": (
        "SGD.momentum", "SGD.dampening", "RMSprop.momentum", "RMSprop.rho", "Adadelta.rho",
        "Lion.beta1", "Muon.momentum",
    ),
    "[0, 1)": (  # bias is corrected by 1 - beta^t
        "Adam.beta1", "Adam.beta2", "Adamax.beta1", "Adamax.beta2", "NAdam.beta1", "NAdam.beta2",
        "RAdam.beta1", "RAdam.beta2", "ScheduleFree.beta2", "Lion.beta2", "LAMB.beta1",
        "LAMB.beta2", "Muon.adam_beta1", "Muon.adam_beta2",
    ),
    "[0, 100)": ("Muon.ns_steps",),
}  # fmt: skip
WHOLE_NUMBERS = {"Muon.ns_steps"}

MATTERS_WITH = {  # a field, or a field of one rule: it changes nothing while one of these is zero
    "decay": ("weight_decay",),
    "SGD.decay": ("weight_decay", "momentum"),  # without momentum both kinds take the same step
    "size_measured_at": ("weight_decay",),
    "epsilon_at": ("epsilon",),
    "Adam.epsilon_at": ("epsilon", "bias_correction"),  # both places are one without it
    "epsilon1_at": ("epsilon1",),
    "dampening": ("momentum",),
    "nesterov": ("momentum",),
    "buffer": ("momentum",),
    "ema": ("momentum",),
    "alpha": ("lambd",),
    "adam_lr_scale": ("adam",),
    "adam_beta1": ("adam",),
    "adam_beta2": ("adam",),
    "adam_epsilon": ("adam",),
    "adam_weight_decay": ("adam",),
}


def default_values(rule_name: str) -> dict[str, Any]:
    """The value that each hyperparameter of the rule must have by default, as ``Rule.to_dict``
    gives it.
    """
    call, otherwise = DEFAULTS[rule_name]
    return dialects.read(call).replace(**DEFAULTS_OF_ALL, **otherwise).to_dict()


def interval_of(rule_name: str, field_name: str) -> str:
    """The interval in which a number must lie."""
    label = f"{rule_name}.{field_name}"
    return next((interval for interval, labels in INTERVALS.items() if label in labels), "[0, inf)")


def needs_of(rule_name: str, field_name: str) -> tuple[str, ...]:
    """The fields of which none may be zero if this one is to change anything; empty if it needs
    none.
    """
    by_field = MATTERS_WITH.get(field_name, ())
    return MATTERS_WITH.get(f"{rule_name}.{field_name}", by_field)


FIRST_STATE: dict[str, float | str] = {  # where it is not zero: a number, or a hyperparameter
    "Adagrad.G": "initial_accumulator",
    "FTRL.n": "initial_accumulator",
    "RMSprop.v": "initial_mean_square",
    "NAdam.P": 1.0,
}


def first_state(rule: Rule, entry: str) -> float:
    """The number that fills an entry of the state before the first step."""
    value = FIRST_STATE.get(f"{type(rule).__name__}.{entry}", 0.0)
    return float(getattr(rule, value)) if isinstance(value, str) else value
