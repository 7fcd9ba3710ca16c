"""PyTorch's words: torch.optim 2.13. Read off torch/optim/{sgd,adagrad,adadelta,rmsprop,adam,adamw}.py.

Epsilon stands outside the root and, in Adam, after bias correction; Adadelta's inside. A momentum buffer accumulates
gradients. Weight decay is an L2 penalty except in AdamW.
"""

from typing import Any

from ..adadelta import Adadelta
from ..adagrad import Adagrad
from ..adam import Adam
from ..rmsprop import RMSprop
from ..rule import Buffer, Decay, Epsilon, Rule
from ..sgd import SGD
from .call import Call, Inexpressible, Native, find
from .refusal import refuse

EXECUTION = ("foreach", "fused", "capturable", "differentiable")  # how a step is run, not what it computes

_COMMON = {"lr": "lr", "weight_decay": "weight_decay", "maximize": "maximize"}
_ADAM = {**_COMMON, "eps": "epsilon", "amsgrad": "amsgrad", "beta1": "beta1", "beta2": "beta2"}
_ADAM_DEFAULTS = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "amsgrad": False, "maximize": False}
_ADAM_STATE = {"m": "exp_avg", "v": "exp_avg_sq", "w": "max_exp_avg_sq"}

NATIVES = {
    "SGD": Native(
        SGD,
        {**_COMMON, "momentum": "momentum", "dampening": "dampening", "nesterov": "nesterov"},
        {"lr": 1e-3, "momentum": 0.0, "dampening": 0.0, "nesterov": False, "weight_decay": 0.0, "maximize": False},
        {"buffer": Buffer.GRADIENTS, "decay": Decay.COUPLED},
        {"b": "momentum_buffer"},
    ),
    "Adagrad": Native(
        Adagrad,
        {**_COMMON, "lr_decay": "lr_decay", "initial_accumulator_value": "initial_accumulator", "eps": "epsilon"},
        {"lr": 1e-2, "lr_decay": 0.0, "initial_accumulator_value": 0.0, "eps": 1e-10, "weight_decay": 0.0,
         "maximize": False},
        {"epsilon_at": Epsilon.OUTSIDE, "decay": Decay.COUPLED},
        {"G": "sum"},
    ),
    "Adadelta": Native(
        Adadelta,
        {**_COMMON, "rho": "rho", "eps": "epsilon"},
        {"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0.0, "maximize": False},
        {"decay": Decay.COUPLED},
        {"v": "square_avg", "u": "acc_delta"},
    ),
    "RMSprop": Native(
        RMSprop,
        {**_COMMON, "alpha": "rho", "eps": "epsilon", "momentum": "momentum", "centered": "centered"},
        {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "momentum": 0.0, "centered": False, "weight_decay": 0.0,
         "maximize": False},
        {"epsilon_at": Epsilon.OUTSIDE, "buffer": Buffer.GRADIENTS, "decay": Decay.COUPLED},
        {"v": "square_avg", "b": "momentum_buffer", "m": "grad_avg"},
    ),
    "Adam": Native(
        Adam, _ADAM, {**_ADAM_DEFAULTS, "weight_decay": 0.0},
        {"epsilon_at": Epsilon.OUTSIDE, "decay": Decay.COUPLED}, _ADAM_STATE,
    ),
    "AdamW": Native(
        Adam, _ADAM, {**_ADAM_DEFAULTS, "weight_decay": 1e-2},
        {"epsilon_at": Epsilon.OUTSIDE, "decay": Decay.DECOUPLED}, _ADAM_STATE,
    ),
}  # fmt: skip


def read(name: str, /, **arguments: Any) -> Rule:
    """The rule that ``torch.optim.<name>(params, **arguments)`` follows.

    Takes every argument of the native; those that only choose an implementation (``EXECUTION``) change nothing.
    Raises ValueError for an unknown optimizer or argument and for a value outside its range.
    """
    native = find(NATIVES, name, "torch.optim")
    fixed = dict(native.fixed)
    extra = [*EXECUTION]
    if native.rule is Adam:
        arguments = _split_betas(arguments)
        extra += ["betas"] + (["decoupled_weight_decay"] if name == "Adam" else [])
        if arguments.get("decoupled_weight_decay"):
            fixed["decay"] = Decay.DECOUPLED
    values = native.complete(f"torch.optim.{name}", arguments, extra)
    return native.rule(**{native.arguments[k]: v for k, v in values.items()}, **fixed)


def spell(rule: Rule) -> Call:
    """The call in torch.optim that means the rule (exact arithmetic); Inexpressible if there is none."""
    condition = setting = ""
    if isinstance(rule, SGD | RMSprop) and rule.momentum and rule.buffer is Buffer.STEPS:
        momentum = rule.momentum
        rule, condition = rule.replace(buffer=Buffer.GRADIENTS), "while the learning rate stays constant"
        if not getattr(rule, "nesterov", False):
            setting = f"group['momentum'] = {momentum} * lr_before / lr"
    if isinstance(rule, Adagrad) and rule.epsilon_at is Epsilon.INSIDE:
        start = rule.initial_accumulator + rule.epsilon  # sqrt(G + epsilon) from G = n is sqrt(G) from G = n + epsilon
        rule = rule.replace(epsilon_at=Epsilon.OUTSIDE, epsilon=0.0, initial_accumulator=start)
    for name, native in NATIVES.items():
        if native.rule is type(rule) and not native.differences(rule):
            return Call(name, _join_betas(native.spell(rule), native), condition, setting)
    raise _inexpressible(rule)


def state_names(rule: Rule) -> dict[str, str]:
    """Where torch.optim keeps each state of the rule: our name to the key in ``optimizer.state[parameter]``."""
    (names,) = {tuple(n.state.items()) for n in NATIVES.values() if n.rule is type(rule)}
    return dict(names)


def _split_betas(arguments: dict[str, Any]) -> dict[str, Any]:
    for name in ("beta1", "beta2"):
        if name in arguments:
            raise ValueError(f"torch.optim.Adam has no argument {name!r}; write betas=(beta1, beta2)")
    betas = arguments.get("betas", (0.9, 0.999))
    if not isinstance(betas, list | tuple) or len(betas) != 2:
        raise ValueError(f"betas must be a pair (beta1, beta2), got {betas!r}")
    return {**arguments, "beta1": betas[0], "beta2": betas[1]}


def _join_betas(said: dict[str, Any], native: Native) -> dict[str, Any]:
    joined = {k: v for k, v in said.items() if k not in ("beta1", "beta2")}
    if len(joined) < len(said):
        pair = tuple(said.get(k, native.defaults[k]) for k in ("beta1", "beta2"))
        joined = {"lr": joined.pop("lr"), "betas": pair, **joined}
    return joined


def _inexpressible(rule: Rule) -> Inexpressible:
    instead = f"frameworks.pytorch.Optimizer(params, {rule!r})"
    if isinstance(rule, Adam) and rule.epsilon_at is Epsilon.HAT and rule.epsilon:
        why = "torch.optim adds epsilon after the bias correction of v, this rule before it"
        size = "per element a factor between sqrt(1 - beta2^t) and 1 at step t with the same epsilon"
        code = f"group['eps'] = {rule.epsilon} / (1 - {rule.beta2}**t) ** 0.5"
        return Inexpressible(f"{rule!r} in torch.optim", why, instead, size, code)
    return refuse(rule, NATIVES, "torch.optim", instead)
