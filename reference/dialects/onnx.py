"""How ONNX writes the rules: the operators of ai.onnx.preview.training, version 1.

Read off onnx/defs/training/defs.cc.

Inputs and attributes are arguments alike: ``R`` is the learning rate, ``T`` the update count in the
first step, ``H`` the start of Adagrad's accumulator; other states start at zero. Epsilon stands
outside the root, in Adam before bias correction. A momentum buffer accumulates gradients.
``norm_coefficient`` is an L2 penalty.
"""

from typing import Any

from samestep.reference.adagrad import Adagrad
from samestep.reference.adam import Adam
from samestep.reference.rule import Buffer, Decay, Epsilon, Rule
from samestep.reference.sgd import SGD

from .call import CONSTANT, Call, Inexpressible, Native, Remedy
from .dialect import Dialect
from .pytorch import with_epsilon_in_the_accumulator
from .remedy import NEGATED_LOSS, Workaround

NATIVES = {
    "Momentum": Native(
        SGD,
        arguments={"R": "lr", "alpha": "momentum", "beta": "dampening", "mode": "nesterov",
                   "norm_coefficient": "weight_decay"},
        defaults={},  # the operator has none
        fixed={"buffer": Buffer.GRADIENTS, "decay": Decay.COUPLED},
        state={"b": "V"},
        literals={"mode": {"standard": False, "nesterov": True},
                  "beta": {1.0: 0.0}},  # beta = 1 - dampening: see read
    ),
    "Adagrad": Native(
        Adagrad,
        arguments={"R": "lr", "H": "initial_accumulator", "epsilon": "epsilon",
                   "decay_factor": "lr_decay", "norm_coefficient": "weight_decay"},
        defaults={"H": 0.0, "epsilon": 1e-6, "decay_factor": 0.0, "norm_coefficient": 0.0},
        fixed={"epsilon_at": Epsilon.OUTSIDE, "decay": Decay.COUPLED},
        state={"G": "H"},
    ),
    "Adam": Native(
        Adam,
        arguments={"R": "lr", "alpha": "beta1", "beta": "beta2", "epsilon": "epsilon",
                   "norm_coefficient": "weight_decay"},
        defaults={"alpha": 0.9, "beta": 0.999, "epsilon": 1e-6, "norm_coefficient": 0.0},
        fixed={"epsilon_at": Epsilon.HAT, "decay": Decay.COUPLED},
        state={"m": "V", "v": "H"},
    ),
}  # fmt: skip
FIRST_T = {"Momentum": 0, "Adagrad": 0, "Adam": 1}  # the T of the first step
REFUSED = {"Adam": ("norm_coefficient_post",)}


def read(name: str, /, **arguments: Any) -> Rule:
    """The rule that the operator ``name`` follows, ``T`` counted up from ``FIRST_T[name]``.

    Takes every attribute. Another first ``T`` and ``norm_coefficient_post`` raise Inexpressible.
    Raises ValueError for an unknown operator or argument and for a value outside its range.
    """
    native = onnx.find(name)
    title = onnx.title(name)
    values = native.complete(title, arguments, ["T", *REFUSED.get(name, ())])
    if arguments.get("T", FIRST_T[name]) != FIRST_T[name]:
        raise _counted_otherwise(title, FIRST_T[name])
    if arguments.get("norm_coefficient_post"):
        raise _decayed_after(title, native.fields(values), arguments["norm_coefficient_post"])
    fields = native.fields(values)
    if native.rule is SGD:
        if not isinstance(fields["nesterov"], bool):
            raise ValueError(f"mode must be 'standard' or 'nesterov', got {fields['nesterov']!r}")
        if values["beta"] != 1 and (not fields["momentum"] or fields["nesterov"]):
            raise _scaled(title)
        fields["dampening"] = 1 - values["beta"]
    return native.rule(**fields)


def express(rule: Rule) -> Call | None:
    """The operator and inputs that mean the rule in exact arithmetic, or None."""
    condition = ""
    exact = rule
    if isinstance(rule, SGD) and rule.momentum and rule.buffer is Buffer.STEPS:
        exact = rule.replace(buffer=Buffer.GRADIENTS)
        condition = CONSTANT
    if isinstance(rule, Adagrad) and rule.epsilon_at is Epsilon.INSIDE:
        exact = with_epsilon_in_the_accumulator(rule)
    name = onnx.native_for(exact)
    if name is None:
        return None
    arguments = NATIVES[name].spell(exact)
    if isinstance(exact, SGD):
        arguments["beta"] = 1 - exact.dampening if exact.momentum else 1.0
    return Call(name, arguments, condition)


def _counted_otherwise(title: str, first: int) -> Inexpressible:
    if first:
        why = (
            "T=0 corrects no bias in the first step, and later steps as if they were one step "
            "earlier"
        )
        size = (
            "a first step of (1 - alpha) / sqrt(1 - beta) times the right one: 3.2 with the "
            "defaults"
        )
        instead = "T=1 in the first step, if bias is to be corrected from there"
        return Inexpressible(f"{title} with another first T", why, instead, size)
    why = "T=0 marks the first step, and the learning rate decays from there"
    instead = "T=0 in the first step, if the rate is to decay from there"
    return Inexpressible(f"{title} with another first T", why, instead)


def _decayed_after(title: str, fields: dict[str, Any], share: float) -> Inexpressible:
    """The error for weight decay after the step; ``fields`` are those of the rule without it."""
    why = "it shrinks the parameters after the step, by a share that no learning rate scales"
    what = f"norm_coefficient_post of {title}"
    lr = fields["lr"]
    if fields["weight_decay"] or not lr:
        return Inexpressible(what, why, "ordinary operators that write out both kinds of decay")
    rule = Adam(**{**fields, "weight_decay": share / lr, "decay": Decay.AFTER})
    return Inexpressible(what, why, [Remedy(repr(rule), condition=CONSTANT)])


def _scaled(title: str) -> Inexpressible:
    why = (
        "from the second step on it scales the gradient, and no rule here does without plain "
        "momentum"
    )
    instead = "the operator itself; or beta=1, if the gradient is not to be scaled"
    return Inexpressible(f"beta of {title} without momentum, or with Nesterov's", why, instead)


WORKAROUNDS = (
    NEGATED_LOSS,
    Workaround(
        lambda rule: isinstance(rule, Adam) and not rule.bias_correction,
        lambda rule: rule.replace(bias_correction=True, epsilon_at=Epsilon.HAT),
        each_step="T = 0",
    ),
)

onnx = Dialect(
    name="onnx",
    prefix="ai.onnx.preview.training",
    natives=NATIVES,
    read=read,
    express=express,
    ours="ordinary operators that write out {rule}",
    workarounds=WORKAROUNDS,
)
