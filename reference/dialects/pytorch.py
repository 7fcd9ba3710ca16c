"""How PyTorch writes the rules: torch.optim 2.13. Read off torch/optim/*.py.

Epsilon stands outside the root and, in Adam, after bias correction; Adadelta's inside. A momentum
buffer accumulates gradients. Weight decay is an L2 penalty except in AdamW and where
``decoupled_weight_decay`` says otherwise.
"""

import dataclasses
import itertools
from typing import Any

from samestep.reference.adadelta import Adadelta
from samestep.reference.adafactor import Adafactor
from samestep.reference.adagrad import Adagrad
from samestep.reference.adam import Adam
from samestep.reference.adamax import Adamax
from samestep.reference.asgd import ASGD
from samestep.reference.muon import Muon
from samestep.reference.nadam import NAdam
from samestep.reference.radam import RAdam
from samestep.reference.rmsprop import RMSprop
from samestep.reference.rprop import Rprop
from samestep.reference.rule import Buffer, Decay, Epsilon, Rule, ShapeScale, SizeMeasuredAt
from samestep.reference.sgd import SGD

from .call import CONSTANT, Call, Native, require_known
from .dialect import Dialect, Refusal
from .refusal import ADAM_SIZE
from .remedy import NEGATED_LOSS, Workaround

EXECUTION = ("foreach", "fused", "capturable", "differentiable")  # they change no step
PAIRS = {  # arguments that hold several hyperparameters
    "betas": ("beta1", "beta2"),
    "etas": ("etaminus", "etaplus"),
    "step_sizes": ("step_size_min", "step_size_max"),
    "eps": ("eps1", "eps2"),
    "ns_coefficients": ("a", "b", "c"),
}
READ_ONLY = ("SparseAdam",)  # it takes no dense gradient, so no rule is spelled with it
MACHINE_EPSILON = 2.0**-23  # of float32; Adafactor's first eps if it is None
LIKE_ADAM = 0.2  # Muon's lr_scale under adjust_lr_fn="match_rms_adamw"
LEFT_OUT = {
    "LBFGS": "it asks for several gradients a step and searches along a line: no first-order rule"
}
DECOUPLES = ("Adam", "NAdam", "RAdam")  # those with the argument decoupled_weight_decay

_COMMON = {"lr": "lr", "weight_decay": "weight_decay", "maximize": "maximize"}
_MEANS = {**_COMMON, "eps": "epsilon", "beta1": "beta1", "beta2": "beta2"}
_MEANS_DEFAULTS = {
    "lr": 2e-3,
    "beta1": 0.9,
    "beta2": 0.999,
    "eps": 1e-8,
    "weight_decay": 0.0,
    "maximize": False,
}
_ADAM = {**_MEANS, "amsgrad": "amsgrad"}
_ADAM_DEFAULTS = {**_MEANS_DEFAULTS, "lr": 1e-3, "amsgrad": False}
_ADAM_STATE = {"m": "exp_avg", "v": "exp_avg_sq", "w": "max_exp_avg_sq"}

NATIVES = {
    "SGD": Native(
        SGD,
        arguments={**_COMMON, "momentum": "momentum", "dampening": "dampening",
                   "nesterov": "nesterov"},
        defaults={"lr": 1e-3, "momentum": 0.0, "dampening": 0.0, "nesterov": False,
                  "weight_decay": 0.0, "maximize": False},
        fixed={"buffer": Buffer.GRADIENTS, "decay": Decay.COUPLED},
        state={"b": "momentum_buffer"},
    ),
    "Adagrad": Native(
        Adagrad,
        arguments={**_COMMON, "lr_decay": "lr_decay",
                   "initial_accumulator_value": "initial_accumulator", "eps": "epsilon"},
        defaults={"lr": 1e-2, "lr_decay": 0.0, "initial_accumulator_value": 0.0, "eps": 1e-10,
                  "weight_decay": 0.0, "maximize": False},
        fixed={"epsilon_at": Epsilon.OUTSIDE, "decay": Decay.COUPLED},
        state={"G": "sum"},
    ),
    "Adadelta": Native(
        Adadelta,
        arguments={**_COMMON, "rho": "rho", "eps": "epsilon"},
        defaults={"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0.0, "maximize": False},
        fixed={"decay": Decay.COUPLED},
        state={"v": "square_avg", "u": "acc_delta"},
    ),
    "RMSprop": Native(
        RMSprop,
        arguments={**_COMMON, "alpha": "rho", "eps": "epsilon", "momentum": "momentum",
                   "centered": "centered"},
        defaults={"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "momentum": 0.0, "centered": False,
                  "weight_decay": 0.0, "maximize": False},
        fixed={"epsilon_at": Epsilon.OUTSIDE, "buffer": Buffer.GRADIENTS, "decay": Decay.COUPLED},
        state={"v": "square_avg", "b": "momentum_buffer", "m": "grad_avg"},
    ),
    "Adam": Native(
        Adam,
        arguments=_ADAM,
        defaults=_ADAM_DEFAULTS,
        fixed={"epsilon_at": Epsilon.OUTSIDE, "decay": Decay.COUPLED},
        state=_ADAM_STATE,
    ),
    "AdamW": Native(
        Adam,
        arguments=_ADAM,
        defaults={**_ADAM_DEFAULTS, "weight_decay": 1e-2},
        fixed={"epsilon_at": Epsilon.OUTSIDE, "decay": Decay.DECOUPLED},
        state=_ADAM_STATE,
    ),
    "SparseAdam": Native(  # as it acts on a gradient in which every row is present
        Adam,
        arguments={"lr": "lr", "maximize": "maximize", "eps": "epsilon", "beta1": "beta1",
                   "beta2": "beta2"},
        defaults={"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "maximize": False},
        fixed={"epsilon_at": Epsilon.HAT},
        state=_ADAM_STATE,
    ),
    "Adamax": Native(
        Adamax,
        arguments=_MEANS,
        defaults=_MEANS_DEFAULTS,
        fixed={"epsilon_at": Epsilon.INSIDE, "decay": Decay.COUPLED},
        state={"m": "exp_avg", "u": "exp_inf"},
    ),
    "NAdam": Native(
        NAdam,
        arguments={**_MEANS, "momentum_decay": "momentum_decay"},
        defaults={**_MEANS_DEFAULTS, "momentum_decay": 4e-3},
        fixed={"decay": Decay.COUPLED},
        state={"m": "exp_avg", "v": "exp_avg_sq", "P": "mu_product"},
    ),
    "RAdam": Native(
        RAdam,
        arguments=_MEANS,
        defaults={**_MEANS_DEFAULTS, "lr": 1e-3},
        fixed={"epsilon_at": Epsilon.HAT, "decay": Decay.COUPLED},
        state={"m": "exp_avg", "v": "exp_avg_sq"},
    ),
    "Rprop": Native(
        Rprop,
        arguments={"lr": "lr", "etaminus": "fall", "etaplus": "rise", "step_size_min": "smallest",
                   "step_size_max": "largest", "maximize": "maximize"},
        defaults={"lr": 1e-2, "etaminus": 0.5, "etaplus": 1.2, "step_size_min": 1e-6,
                  "step_size_max": 50.0, "maximize": False},
        fixed={},
        state={"d": "step_size", "h": "prev"},
    ),
    "Adafactor": Native(
        Adafactor,
        arguments={**_COMMON, "beta2_decay": "beta2_decay", "eps1": "epsilon1", "eps2": "epsilon2",
                   "d": "clip"},
        defaults={"lr": 1e-2, "beta2_decay": -0.8, "eps1": None, "eps2": 1e-3, "d": 1.0,
                  "weight_decay": 0.0, "maximize": False},
        fixed={"epsilon1_at": Epsilon.FLOOR, "relative_step": True, "decay": Decay.DECOUPLED,
               "size_measured_at": SizeMeasuredAt.BEFORE_DECAY},
        state={"v": "variance", "r": "row_var", "c": "col_var"},
    ),
    "Muon": Native(  # of matrices alone
        Muon,
        arguments={"lr": "lr", "weight_decay": "weight_decay", "momentum": "momentum",
                   "nesterov": "nesterov", "a": "a", "b": "b", "c": "c", "eps": "epsilon",
                   "ns_steps": "ns_steps", "adjust_lr_fn": "shape_scale"},
        defaults={"lr": 1e-3, "weight_decay": 0.1, "momentum": 0.95, "nesterov": True, "a": 3.4445,
                  "b": -4.7750, "c": 2.0315, "eps": 1e-7, "ns_steps": 5, "adjust_lr_fn": None},
        fixed={"ema": True, "epsilon_at": Epsilon.FLOOR, "decay": Decay.DECOUPLED, "adam": False},
        state={"m": "momentum_buffer"},
        literals={"adjust_lr_fn": {None: ShapeScale.ASPECT_RATIO,
                                   "original": ShapeScale.ASPECT_RATIO,
                                   "match_rms_adamw": ShapeScale.LONGER_SIDE}},
    ),
    "ASGD": Native(
        ASGD,
        arguments={**_COMMON, "lambd": "lambd", "alpha": "alpha", "t0": "t0"},
        defaults={"lr": 1e-2, "lambd": 1e-4, "alpha": 0.75, "t0": 1e6, "weight_decay": 0.0,
                  "maximize": False},
        fixed={"decay": Decay.COUPLED},
        state={"eta": "eta", "a": "ax"},
    ),
}  # fmt: skip


def read(name: str, /, **arguments: Any) -> Rule:
    """The rule that ``torch.optim.<name>(params, **arguments)`` follows.

    Takes every argument of the native; those that only choose an implementation (``EXECUTION``)
    change nothing. In Adafactor's ``eps`` None means the machine epsilon of a parameter's dtype; it
    is read as float32's. Raises ValueError for an unknown optimizer or argument and for a value
    outside its range.
    """
    native = pytorch.find(name)
    if arguments.get("adjust_lr_fn") == "match_rms_adamw":
        native = _as_long_as_adams(native)
    fixed = dict(native.fixed)
    if name in DECOUPLES and arguments.get("decoupled_weight_decay"):
        fixed["decay"] = Decay.DECOUPLED
    pairs = [pair for pair, names in PAIRS.items() if names[0] in native.arguments]
    others = [*pairs, *EXECUTION]
    if name in DECOUPLES:
        others.append("decoupled_weight_decay")
    singles = set(itertools.chain.from_iterable(PAIRS[pair] for pair in pairs))
    known = [argument for argument in (*native.arguments, *others) if argument not in singles]
    require_known(pytorch.title(name), [each for each in arguments if each not in singles], known)
    for pair in pairs:
        arguments = _split(name, pair, arguments)
    values = native.complete(pytorch.title(name), arguments, others)
    if native.rule is Adafactor and values["eps1"] is None:
        values["eps1"] = MACHINE_EPSILON
    if native.rule is SGD and values["nesterov"] and not values["momentum"]:
        raise ValueError(
            f"nesterov must come with momentum above 0, got momentum={values['momentum']!r}"
        )
    return native.rule(**{**native.fields(values), **fixed})


def express(rule: Rule) -> Call | None:
    """The call in torch.optim that means the rule in exact arithmetic, or None."""
    condition = setting = ""
    if isinstance(rule, SGD | RMSprop) and rule.momentum and rule.buffer is Buffer.STEPS:
        if not getattr(rule, "nesterov", False):
            setting = f"group['momentum'] = {rule.momentum} * lr_before / lr"
        rule = rule.replace(buffer=Buffer.GRADIENTS)
        condition = CONSTANT
    if isinstance(rule, Adagrad) and rule.epsilon_at is Epsilon.INSIDE:
        rule = with_epsilon_in_the_accumulator(rule)
    if isinstance(rule, Muon) and not rule.ema:
        # an average is 1 - momentum times the sum, and that cancels in M / |M|
        rule = rule.replace(ema=True, epsilon=(1 - rule.momentum) * rule.epsilon)
    flag = {}
    if isinstance(rule, NAdam | RAdam) and rule.weight_decay and rule.decay is Decay.DECOUPLED:
        rule = rule.replace(decay=Decay.COUPLED)
        flag = {"decoupled_weight_decay": True}
    name = pytorch.native_for(rule)
    if name is None:
        return None
    arguments = join(NATIVES[name].spell(rule), NATIVES[name])
    return Call(name, {**arguments, **flag}, condition, setting)


def adapt(native: Native, rule: Rule) -> Native:
    """The native as the rule makes it: torch's Muon has two pairs of shape_scale and lr_scale."""
    if isinstance(rule, Muon) and rule.shape_scale is ShapeScale.LONGER_SIDE:
        return _as_long_as_adams(native)
    return native


def with_epsilon_in_the_accumulator(rule: Adagrad) -> Rule:
    """The same Adagrad with epsilon 0 outside the root and a larger initial accumulator.

    sqrt(G + epsilon), when G starts at n, is sqrt(G), when G starts at n + epsilon.
    """
    start = rule.initial_accumulator + rule.epsilon
    return rule.replace(epsilon_at=Epsilon.OUTSIDE, epsilon=0.0, initial_accumulator=start)


def join(arguments: dict[str, Any], native: Native) -> dict[str, Any]:
    """The arguments as torch's signature has them, hyperparameters of ``PAIRS`` in a tuple.

    What such a tuple lacks is filled in with the native's default.
    """
    joined = dict(arguments)
    for pair, names in PAIRS.items():
        if any(single in arguments for single in names):
            values = tuple(joined.pop(single, native.defaults[single]) for single in names)
            joined = {"lr": joined.pop("lr"), pair: values, **joined}
    return joined


def _as_long_as_adams(muon: Native) -> Native:
    """Under ``adjust_lr_fn="match_rms_adamw"`` torch decides one more field."""
    return dataclasses.replace(muon, fixed={**muon.fixed, "lr_scale": LIKE_ADAM})


def _split(name: str, pair: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments with a tuple of ``PAIRS`` as single hyperparameters."""
    names = PAIRS[pair]
    for single in names:
        if single in arguments:
            raise ValueError(
                f"torch.optim.{name} has no argument {single!r}; write {pair}=({', '.join(names)})"
            )
    if pair not in arguments:
        return arguments
    values = arguments[pair]
    if not isinstance(values, list | tuple) or len(values) != len(names):
        what = "a pair" if len(names) == 2 else "three numbers"
        raise ValueError(f"{pair} must be {what} ({', '.join(names)}), got {values!r}")
    return {**arguments, **dict(zip(names, values, strict=True))}


REFUSALS = (
    Refusal(
        lambda rule: isinstance(rule, Adam) and rule.epsilon_at is Epsilon.HAT and rule.epsilon,
        "torch.optim adds epsilon after the bias correction of v, this rule before it",
        size=ADAM_SIZE,
    ),
    Refusal(
        lambda rule: (
            isinstance(rule, RAdam) and rule.epsilon_at is Epsilon.OUTSIDE and rule.epsilon
        ),
        "torch.optim.RAdam adds epsilon before the bias correction of v, this rule after it",
        size=ADAM_SIZE,
    ),
    Refusal(
        lambda rule: (
            isinstance(rule, Adamax) and rule.epsilon_at is Epsilon.OUTSIDE and rule.epsilon
        ),
        "torch.optim.Adamax takes the maximum of epsilon, this rule adds it to the maximum",
        size=(
            "per element a factor between 1 and 2 with the same epsilon, worst where |g| is far "
            "below epsilon"
        ),
    ),
    Refusal(
        lambda rule: (
            isinstance(rule, Adafactor) and rule.epsilon1_at is Epsilon.INSIDE and rule.epsilon1
        ),
        "torch.optim.Adafactor takes eps[0] as the least that means and roots may be, this rule "
        "adds it to the square of the gradient",
    ),
    Refusal(
        lambda rule: isinstance(rule, Adafactor) and not rule.relative_step,
        "torch.optim.Adafactor caps the learning rate at 1/sqrt(t), this rule does not",
    ),
    Refusal(
        lambda rule: isinstance(rule, Adafactor) and rule.decay is Decay.COUPLED,
        "torch.optim.Adafactor has only decoupled weight decay, this rule couples it",
    ),
    Refusal(
        lambda rule: isinstance(rule, Adafactor),
        "torch.optim.Adafactor measures theta before weight decay, this rule after it",
        size="a step longer by the factor 1 / (1 - lr weight_decay)",
    ),
    Refusal(
        lambda rule: isinstance(rule, Muon) and rule.maximize,
        "torch.optim.Muon only minimizes",
    ),
    Refusal(
        lambda rule: (
            isinstance(rule, Muon) and rule.is_active("decay") and rule.decay is Decay.COUPLED
        ),
        "torch.optim.Muon has only decoupled weight decay, this rule couples it",
    ),
    Refusal(
        lambda rule: isinstance(rule, Muon) and rule.epsilon_at is Epsilon.OUTSIDE and rule.epsilon,
        "torch.optim.Muon takes eps as the least that the norm may be, this rule adds epsilon to "
        "the norm",
        size="a matrix longer by the factor 1 + epsilon / |M| before it is iterated",
    ),
    Refusal(
        lambda rule: isinstance(rule, Muon) and rule.adam,
        "torch.optim.Muon moves matrices alone, this rule all tensors",
        "rule.replace(adam=False) where all are matrices, or {ours}",
    ),
    Refusal(
        lambda rule: isinstance(rule, Muon),
        "torch.optim.Muon multiplies lr by sqrt(max(1, rows / columns)) or by "
        "0.2 sqrt(max(rows, columns)), this rule otherwise",
    ),
)

# The rate and the epsilon with which a corrected Adam takes the step of one that corrects nothing.
UNCORRECTED = (
    "group['lr'] = lr * (1 - {beta1}**t) / (1 - {beta2}**t) ** 0.5; "
    "group['eps'] = {epsilon} / (1 - {beta2}**t) ** 0.5"
)


def _is_uncorrected(rule: Rule) -> bool:
    return isinstance(rule, Adam) and not rule.bias_correction


def _with_bias_correction(rule: Rule) -> Rule:
    return rule.replace(bias_correction=True, epsilon_at=Epsilon.OUTSIDE)


WORKAROUNDS = (
    NEGATED_LOSS,
    Workaround(
        lambda rule: isinstance(rule, Adam) and rule.epsilon_at is Epsilon.HAT,
        lambda rule: rule.replace(epsilon_at=Epsilon.OUTSIDE),
        each_step="group['eps'] = {epsilon} / (1 - {beta2}**t) ** 0.5",
    ),
    Workaround(
        lambda rule: isinstance(rule, RAdam) and rule.epsilon_at is Epsilon.OUTSIDE,
        lambda rule: rule.replace(epsilon_at=Epsilon.HAT),
        each_step="group['eps'] = {epsilon} * (1 - {beta2}**t) ** 0.5",
    ),
    Workaround(
        lambda rule: _is_uncorrected(rule) and rule.decay is not Decay.DECOUPLED,
        _with_bias_correction,
        each_step=UNCORRECTED,
    ),
    Workaround(
        lambda rule: _is_uncorrected(rule) and rule.decay is Decay.DECOUPLED,
        _with_bias_correction,
        each_step=f"{UNCORRECTED}; group['weight_decay'] = {{weight_decay}} * lr / group['lr']",
    ),
    Workaround(
        lambda rule: isinstance(rule, Adafactor) and rule.epsilon1_at is Epsilon.INSIDE,
        lambda rule: rule.replace(epsilon1=0.0),
        condition="where the root mean square of gradients stays far above sqrt({epsilon1})",
    ),
    Workaround(
        lambda rule: isinstance(rule, Muon) and rule.epsilon_at is Epsilon.OUTSIDE,
        lambda rule: rule.replace(epsilon_at=Epsilon.FLOOR),
        condition="where norms stay far above {epsilon}",
    ),
    Workaround(
        lambda rule: isinstance(rule, Muon) and rule.adam,
        lambda rule: rule.replace(adam=False),
        condition="where all tensors are matrices",
    ),
)

pytorch = Dialect(
    name="pytorch",
    prefix="torch.optim",
    natives=NATIVES,
    read=read,
    express=express,
    ours="samestep.frameworks.pytorch.Optimizer(params, {rule})",
    join=join,
    adapt=adapt,
    refusals=REFUSALS,
    workarounds=WORKAROUNDS,
    read_only=READ_ONLY,
    left_out=LEFT_OUT,
)
