"""The papers' words, each in its own letters.

SGD and Nesterov's: Sutskever et al. 2013, section 2, in the parameters at which the gradient is taken (Y. Bengio,
N. Boulanger-Lewandowski, R. Pascanu: Advances in Optimizing Recurrent Networks. 2012, arXiv:1212.0901, section 3.5).
Adagrad: Duchi et al. 2011. Adadelta: Zeiler 2012, which has no learning rate. RMSprop: Tieleman and Hinton's slide 29,
without epsilon. Graves: RMSprop of Graves 2013, equations 38 to 41. Adam: Kingma and Ba 2015, algorithm 1. AdamW:
Loshchilov and Hutter 2019, algorithm 2, whose decay is not multiplied by alpha. The rules' modules have the titles.
"""

from typing import Any

from ..adadelta import Adadelta
from ..adagrad import Adagrad
from ..adam import Adam
from ..rmsprop import RMSprop
from ..rule import Buffer, Decay, Epsilon, Rule
from ..sgd import SGD
from .call import Call, Inexpressible, Native, find, names_of_states, saying
from .refusal import refuse

_ADAM = {"alpha": "lr", "beta1": "beta1", "beta2": "beta2", "epsilon": "epsilon"}
_ADAM_DEFAULTS = {"alpha": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
_ADAM_STATE = {"m": "m", "v": "v"}

NATIVES = {
    "SGD": Native(
        SGD,
        {"epsilon": "lr", "mu": "momentum", "nesterov": "nesterov"},
        {"mu": 0.0, "nesterov": False},
        {"buffer": Buffer.STEPS},
        {"b": "v"},  # of opposite sign
    ),
    "Adagrad": Native(
        Adagrad, {"eta": "lr", "delta": "epsilon"}, {"delta": 0.0}, {"epsilon_at": Epsilon.OUTSIDE}, {"G": "G"},
    ),
    "Adadelta": Native(
        Adadelta, {"rho": "rho", "epsilon": "epsilon"}, {"rho": 0.95, "epsilon": 1e-6}, {"lr": 1.0},
        {"v": "E[g^2]", "u": "E[dx^2]"},
    ),
    "RMSprop": Native(
        RMSprop, {"learning_rate": "lr", "decay": "rho"}, {"decay": 0.9},
        {"epsilon": 0.0, "epsilon_at": Epsilon.OUTSIDE}, {"v": "MeanSquare"},
    ),
    "Graves": Native(
        RMSprop,
        {"aleph": "rho", "beth": "momentum", "gimel": "lr", "daleth": "epsilon"},
        {"aleph": 0.95, "beth": 0.9, "gimel": 1e-4, "daleth": 1e-4},
        {"epsilon_at": Epsilon.INSIDE, "buffer": Buffer.STEPS, "centered": True},
        {"v": "n", "m": "g", "b": "Delta"},  # Delta: of opposite sign
    ),
    "Adam": Native(Adam, _ADAM, _ADAM_DEFAULTS, {"epsilon_at": Epsilon.OUTSIDE}, _ADAM_STATE),
    "AdamW": Native(
        Adam, {**_ADAM, "lambda_": "weight_decay"}, _ADAM_DEFAULTS,  # lambda_ = lr weight_decay: see read
        {"epsilon_at": Epsilon.OUTSIDE, "decay": Decay.DECOUPLED}, _ADAM_STATE,
    ),
}  # fmt: skip


def read(name: str, /, **arguments: Any) -> Rule:
    """The rule that the paper means by these letters; ValueError for other names, arguments or values.

    AMSGrad (Reddi et al. 2018, algorithm 2) corrects no bias and raises Inexpressible.
    """
    if name == "AMSGrad":
        why = "it corrects no bias, and every Adam here does"
        instead = "Adam(amsgrad=True, epsilon=0.0) with a learning rate for each step"
        each_step = "lr = alpha * (1 - beta1**t) / (1 - beta2**t) ** 0.5"
        raise Inexpressible("the paper's AMSGrad", why, instead, each_step=each_step)
    native = find(NATIVES, name, "the papers")
    fields = native.fields(native.complete(f"the paper's {name}", arguments))
    if name == "AdamW":
        if not fields["lr"]:
            raise ValueError(f"alpha must be above 0 for the paper's AdamW, got {fields['lr']!r}")
        fields["weight_decay"] = fields["weight_decay"] / fields["lr"]
    return native.rule(**fields)


def spell(rule: Rule) -> Call:
    """The papers' words for the rule (exact arithmetic); Inexpressible if there are none."""
    wanted, condition = rule, ""
    if isinstance(rule, SGD | RMSprop) and rule.momentum and rule.buffer is Buffer.GRADIENTS:
        rule, condition = rule.replace(buffer=Buffer.STEPS), "while the learning rate stays constant"
    name = saying(NATIVES, rule)
    if name is None:
        raise refuse(wanted, NATIVES, "paper", f"{wanted!r} itself, which is no paper's")
    arguments = NATIVES[name].spell(rule)
    if name == "AdamW":
        arguments["lambda_"] = rule.lr * rule.weight_decay
    return Call(name, arguments, condition)


def state_names(rule: Rule) -> dict[str, str]:
    """The letter for each state of the rule."""
    return names_of_states(NATIVES, rule)
