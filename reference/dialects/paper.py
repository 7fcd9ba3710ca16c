"""How the papers write the rules, each in its own letters.

- SGD and Nesterov's: Sutskever et al. 2013, section 2, in the parameters at which the gradient is
  taken (Y. Bengio, N. Boulanger-Lewandowski, R. Pascanu: Advances in Optimizing Recurrent Networks.
  2012, arXiv:1212.0901, section 3.5).
- Adagrad: Duchi et al. 2011. Adadelta: Zeiler 2012, which has no learning rate.
- RMSprop: Tieleman and Hinton's slide 29, without epsilon. Graves: RMSprop of Graves 2013,
  equations 38 to 41.
- Adam: Kingma and Ba 2015, algorithm 1. Adamax: algorithm 2, without epsilon. AdamW: Loshchilov and
  Hutter 2019, algorithm 2, whose decay is not multiplied by alpha. AMSGrad: Reddi et al. 2018,
  algorithm 2, without bias correction or epsilon. Nadam: Dozat 2016, algorithm 2.
- Lion: Chen et al. 2023, program 1. LAMB: You et al. 2020, algorithm 2. FTRL: McMahan et al. 2013,
  algorithm 1. Rprop: Igel and Huesken 2000, iRprop-. ASGD: Bottou 2012, section 5.2. Adafactor:
  Shazeer and Stern 2018, algorithms 4 and 5.

The modules of the rules have the titles.
"""

from typing import Any

from samestep.reference.adadelta import Adadelta
from samestep.reference.adafactor import Adafactor
from samestep.reference.adagrad import Adagrad
from samestep.reference.adam import Adam
from samestep.reference.adamax import Adamax
from samestep.reference.asgd import ASGD
from samestep.reference.ftrl import FTRL
from samestep.reference.lamb import LAMB
from samestep.reference.lion import Lion
from samestep.reference.nadam import NAdam
from samestep.reference.rmsprop import RMSprop
from samestep.reference.rprop import Rprop
from samestep.reference.rule import Buffer, Decay, Epsilon, Rule, SizeMeasuredAt
from samestep.reference.sgd import SGD

from .call import CONSTANT, Call, Native
from .dialect import Dialect
from .remedy import NEGATED_LOSS

LACKING = {  # why a class of rules has no native here
    "RAdam": (
        "the paper adapts its rate from a length of memory of 4, "
        "this rule, like all libraries, from 5"
    ),
    "ScheduleFree": "the paper's ScheduleFree is not described here",
    "Muon": "Muon's first description is not a paper's",
}
_ADAM = {"alpha": "lr", "beta1": "beta1", "beta2": "beta2", "epsilon": "epsilon"}
_ADAM_DEFAULTS = {"alpha": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
_ADAM_STATE = {"m": "m", "v": "v"}

NATIVES = {
    "SGD": Native(
        SGD,
        arguments={"epsilon": "lr", "mu": "momentum", "nesterov": "nesterov"},
        defaults={"mu": 0.0, "nesterov": False},
        fixed={"buffer": Buffer.STEPS},
        state={"b": "v"},  # of opposite sign
    ),
    "Adagrad": Native(
        Adagrad,
        arguments={"eta": "lr", "delta": "epsilon"},
        defaults={"delta": 0.0},
        fixed={"epsilon_at": Epsilon.OUTSIDE},
        state={"G": "G"},
    ),
    "Adadelta": Native(
        Adadelta,
        arguments={"rho": "rho", "epsilon": "epsilon"},
        defaults={"rho": 0.95, "epsilon": 1e-6},
        fixed={"lr": 1.0},
        state={"v": "E[g^2]", "u": "E[dx^2]"},
    ),
    "RMSprop": Native(
        RMSprop,
        arguments={"learning_rate": "lr", "decay": "rho"},
        defaults={"decay": 0.9},
        fixed={"epsilon": 0.0, "epsilon_at": Epsilon.OUTSIDE},
        state={"v": "MeanSquare"},
    ),
    "Graves": Native(
        RMSprop,
        arguments={"aleph": "rho", "beth": "momentum", "gimel": "lr", "daleth": "epsilon"},
        defaults={"aleph": 0.95, "beth": 0.9, "gimel": 1e-4, "daleth": 1e-4},
        fixed={"epsilon_at": Epsilon.INSIDE, "buffer": Buffer.STEPS, "centered": True},
        state={"v": "n", "m": "g", "b": "Delta"},  # Delta: of opposite sign
    ),
    "Adam": Native(
        Adam,
        arguments=_ADAM,
        defaults=_ADAM_DEFAULTS,
        fixed={"epsilon_at": Epsilon.OUTSIDE},
        state=_ADAM_STATE,
    ),
    "AdamW": Native(  # lambda_ = lr weight_decay: see read
        Adam,
        arguments={**_ADAM, "lambda_": "weight_decay"},
        defaults=_ADAM_DEFAULTS,
        fixed={"epsilon_at": Epsilon.OUTSIDE, "decay": Decay.DECOUPLED},
        state=_ADAM_STATE,
    ),
    "AMSGrad": Native(
        Adam,
        arguments={"alpha": "lr", "beta1": "beta1", "beta2": "beta2"},
        defaults={"alpha": 1e-3, "beta1": 0.9, "beta2": 0.999},
        fixed={"epsilon": 0.0, "amsgrad": True, "bias_correction": False},
        state={"m": "m", "v": "v", "w": "vhat"},
    ),
    "Adamax": Native(
        Adamax,
        arguments={"alpha": "lr", "beta1": "beta1", "beta2": "beta2"},
        defaults={"alpha": 2e-3, "beta1": 0.9, "beta2": 0.999},
        fixed={"epsilon": 0.0},
        state={"m": "m", "u": "u"},
    ),
    "Nadam": Native(  # mu_t = mu (1 - 0.96^(t psi) / 2), the schedule that the paper takes
        NAdam,
        arguments={"eta": "lr", "mu": "beta1", "nu": "beta2", "epsilon": "epsilon",
                   "psi": "momentum_decay"},
        defaults={"mu": 0.99, "nu": 0.999, "epsilon": 1e-8, "psi": 0.004},
        fixed={},
        state={"m": "m", "v": "n"},
    ),
    "Lion": Native(
        Lion,
        arguments={"eta": "lr", "beta1": "beta1", "beta2": "beta2", "lambda_": "weight_decay"},
        defaults={"beta1": 0.9, "beta2": 0.99, "lambda_": 0.0},
        fixed={"decay": Decay.DECOUPLED},
        state={"m": "m"},
    ),
    "LAMB": Native(
        LAMB,
        arguments={"eta": "lr", "beta1": "beta1", "beta2": "beta2", "epsilon": "epsilon",
                   "lambda_": "weight_decay"},
        defaults={"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-6, "lambda_": 0.0},
        fixed={"decay": Decay.JOINED},
        state=_ADAM_STATE,
    ),
    "FTRL": Native(  # lambda2 = 2 l2: see read
        FTRL,
        arguments={"alpha": "lr", "beta": "beta", "lambda1": "l1", "lambda2": "l2"},
        defaults={"beta": 1.0, "lambda1": 0.0, "lambda2": 0.0},
        fixed={"initial_accumulator": 0.0},
        state={"n": "n", "z": "z"},
    ),
    "Rprop": Native(
        Rprop,
        arguments={"Delta0": "lr", "eta_minus": "fall", "eta_plus": "rise", "Delta_min": "smallest",
                   "Delta_max": "largest"},
        defaults={"eta_minus": 0.5, "eta_plus": 1.2},
        fixed={},
        state={"d": "Delta", "h": "dE/dw"},
    ),
    "ASGD": Native(
        ASGD,
        arguments={"gamma0": "lr", "lambda_": "lambd", "t0": "t0"},
        defaults={},
        fixed={"alpha": 0.75},
        state={"a": "w bar"},
    ),
    "Adafactor": Native(
        Adafactor,
        arguments={"rho": "lr", "epsilon1": "epsilon1", "epsilon2": "epsilon2", "d": "clip"},
        defaults={"rho": 1e-2, "epsilon1": 1e-30, "epsilon2": 1e-3, "d": 1.0},
        fixed={"epsilon1_at": Epsilon.INSIDE, "beta2_decay": -0.8, "relative_step": True,
               "size_measured_at": SizeMeasuredAt.BEFORE_DECAY},
        state={"v": "V", "r": "R", "c": "C"},
    ),
}  # fmt: skip


def read(name: str, /, **arguments: Any) -> Rule:
    """The rule that the paper means by these letters.

    ValueError for other names and arguments and for values outside their range. AMSGrad (Reddi et
    al. 2018, algorithm 2) corrects no bias.
    """
    native = paper.find(name)
    fields = native.fields(native.complete(paper.title(name), arguments))
    if name == "AdamW":
        if not fields["lr"]:
            raise ValueError(f"alpha must be above 0 for the paper's AdamW, got {fields['lr']!r}")
        fields["weight_decay"] = fields["weight_decay"] / fields["lr"]
    if name == "FTRL":
        fields["l2"] = fields["l2"] / 2
    return native.rule(**fields)


def express(rule: Rule) -> Call | None:
    """The paper's letters for the rule in exact arithmetic; None if there are none."""
    condition = ""
    exact = rule
    if isinstance(rule, SGD | RMSprop) and rule.momentum and rule.buffer is Buffer.GRADIENTS:
        exact = rule.replace(buffer=Buffer.STEPS)
        condition = CONSTANT
    name = paper.native_for(exact)
    if name is None:
        return None
    arguments = NATIVES[name].spell(exact)
    if name == "AdamW":
        arguments["lambda_"] = rule.lr * rule.weight_decay
    if isinstance(rule, FTRL) and rule.l2:
        arguments["lambda2"] = 2 * rule.l2
    return Call(name, arguments, condition)


paper = Dialect(
    name="paper",
    prefix="the paper",
    natives=NATIVES,
    read=read,
    express=express,
    ours="{rule} itself, which is no paper's",
    workarounds=[NEGATED_LOSS],
    lacking=LACKING,
)
