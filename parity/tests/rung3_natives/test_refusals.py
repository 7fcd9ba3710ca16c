"""What a dialect cannot say, and what is a mistake: refused by name, with the reason and what to
do.
"""

import math
from typing import Any

import numpy as np
import pytest

from samestep.parity.measure import limits, streams
from samestep.parity.measure.rule_run import run_tensor
from samestep.parity.measure.verdict import judge_tensor
from samestep.reference import (
    LAMB,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Decay,
    Epsilon,
    Muon,
    RMSprop,
    ShapeScale,
    dialects,
)
from samestep.reference.dialects import Inexpressible

pytestmark = pytest.mark.rung(3)


@pytest.mark.parametrize(
    "parts", [name for name in dialects.keras.unsupported if not name.startswith("ema_m")]
)
def test_nothing_that_acts_around_a_rule_is_dropped(parts: str) -> None:
    """Switched on, it is refused by name."""
    with pytest.raises(Inexpressible, match=f"{parts} in a rule"):
        dialects.keras.read("Adam", **{parts: 2})


REFUSED = [
    ("keras", "pytorch:Adam(lr=0.001)", "before the bias correction", "optimizer.epsilon.assign"),
    ("pytorch", "keras:Adam(learning_rate=0.001)", "after the bias correction", "group\\['eps'\\]"),
    (
        "keras",
        "pytorch:Adagrad(lr=0.01)",
        "under the root",
        "samestep.frameworks.tensorflow.Optimizer",
    ),
    (
        "keras",
        "pytorch:RMSprop(lr=0.01)",
        "under the root",
        "samestep.frameworks.tensorflow.Optimizer",
    ),
    (
        "pytorch",
        "keras:RMSprop(learning_rate=0.01)",
        "adds epsilon to the root",
        "samestep.frameworks.pytorch.Optimizer",
    ),
    (
        "keras",
        "pytorch:SGD(lr=0.01, momentum=0.9, weight_decay=0.1)",
        "only decoupled",
        "L2 regularizer",
    ),
    (
        "pytorch",
        "keras:Adagrad(learning_rate=0.01, weight_decay=0.1)",
        "only coupled",
        "samestep.frameworks.pytorch.Optimizer",
    ),
    ("keras", "pytorch:SGD(lr=0.01, maximize=True)", "only minimizes", "negate the loss"),
    (
        "keras",
        "pytorch:SGD(lr=0.01, momentum=0.9, dampening=0.5)",
        "no dampening",
        "samestep.frameworks.tensorflow",
    ),
    ("keras", "pytorch:Adagrad(lr=0.01, lr_decay=0.1, eps=0.0)", "no lr_decay", "InverseTimeDecay"),
    (
        "keras",
        "pytorch:Adamax(lr=0.002)",
        "adds epsilon to the maximum",
        "samestep.frameworks.tensorflow.Optimizer",
    ),
    (
        "pytorch",
        "keras:Adamax(learning_rate=0.002)",
        "takes the maximum of epsilon",
        "samestep.frameworks.pytorch.Optimizer",
    ),
    (
        "keras",
        "pytorch:NAdam(lr=0.002)",
        "0.96\\^t, this rule by 0.96\\^\\(0.004 t",
        "samestep.frameworks.tensorflow.Optimizer",
    ),
    (
        "keras",
        "pytorch:RAdam(lr=0.001)",
        "it has no RAdam",
        "samestep.frameworks.tensorflow.Optimizer",
    ),
    (
        "pytorch",
        "keras:Lion(learning_rate=0.001)",
        "it has no Lion",
        "samestep.frameworks.pytorch.Optimizer",
    ),
    (
        "pytorch",
        "keras:Lamb(learning_rate=0.001)",
        "it has no LAMB",
        "samestep.frameworks.pytorch.Optimizer",
    ),
    ("keras", "pytorch:Adafactor(lr=0.01)", "adds epsilon1 to the square", "epsilon_1=0"),
    (
        "keras",
        "pytorch:Adafactor(lr=0.01, eps=(0.0, 0.001), weight_decay=0.1)",
        "after weight decay",
        "tensorflow",
    ),
    (
        "pytorch",
        "keras:Adafactor(learning_rate=0.01)",
        "adds it to the square",
        "eps=\\(0.0, 0.001\\)",
    ),
    (
        "pytorch",
        "keras:Adafactor(epsilon_1=0.0, weight_decay=0.1)",
        "before weight decay",
        "samestep.frameworks.pytorch",
    ),
    (
        "pytorch",
        "keras:Adafactor(learning_rate=1.0, epsilon_1=0.0, relative_step=False)",
        "caps the learning rate",
        "samestep.frameworks.pytorch",
    ),
    ("keras", "pytorch:Muon(lr=0.01)", "adds 1e-07 to the norm", "samestep.frameworks.tensorflow"),
    (
        "pytorch",
        "keras:Muon(learning_rate=0.01)",
        "eps as the least that the norm may be",
        "where norms stay far above",
    ),
    ("article", "keras:Adagrad(learning_rate=0.01)", "initial_accumulator", "dialects"),
    ("article", "keras:Adam(learning_rate=0.01)", "defines Adagrad alone", "dialects"),
    (
        "optax",
        "keras:Adam(learning_rate=0.01)",
        "after the bias correction",
        "eps = 1e-07 / \\(1 - 0.999",
    ),
    ("optax", "pytorch:Adagrad(lr=0.01)", "under the root, this rule to the root", "xp=jax.numpy"),
    (
        "optax",
        "pytorch:Adam(lr=0.01, amsgrad=True)",
        "maximum of the bias-corrected v",
        "xp=jax.numpy",
    ),
    (
        "optax",
        "pytorch:SGD(lr=0.01, momentum=0.5, dampening=0.5)",
        "no choice of dampening",
        "xp=jax.numpy",
    ),
    ("optax", "pytorch:SGD(lr=0.01, weight_decay=0.5)", "no weight decay", "xp=jax.numpy"),
    (
        "optax",
        "keras:Adagrad(initial_accumulator_value=0.0, epsilon=0.0)",
        "divides 0 by 0",
        "xp=jax.numpy",
    ),
    (
        "tf_keras",
        "keras:RMSprop()",
        "adds epsilon to the root, this rule under the root",
        "Keras 3",
    ),
    (
        "tf_keras",
        "pytorch:RMSprop(momentum=0.5)",
        "adds epsilon under the root, this rule to the root",
        "Keras 3",
    ),
    ("tf_keras", "keras:Adam(epsilon=0.0)", "epsilon 0 means 1e-07 there", "1e-30"),
    (
        "tf_keras",
        "pytorch:Adam()",
        "before the bias correction of v, this rule after",
        "optimizer.epsilon = 1e-08",
    ),
    ("tf_keras", "keras:AdamW()", "no weight decay", "Keras 3"),
    ("tensorflow1", "keras:RMSprop()", "mean square starts at 1, this rule's at 0", "get_slot"),
    ("tensorflow1", "paper:Adagrad(eta=0.5)", "no empty accumulator", "1e-30"),
    ("tensorflow1", "keras:Adam(amsgrad=True)", "no choice of amsgrad", "Keras 3"),
    (
        "tensorflow1",
        "pytorch:Adagrad(initial_accumulator_value=0.5)",
        "no choice of epsilon",
        "Keras 3",
    ),
    (
        "onnx",
        "pytorch:Adam()",
        "before the bias correction of v, this rule after",
        "ordinary operators",
    ),
    ("onnx", "pytorch:RMSprop()", "it has no RMSprop", "ordinary operators"),
    (
        "onnx",
        "keras:AdamW()",
        "only coupled weight decay, this rule decouples it",
        "ordinary operators",
    ),
    ("paper", "keras:Adam()", "after the bias correction of v, this rule before", "itself"),
    ("paper", "keras:Adadelta()", "no choice of lr", "itself"),
    ("paper", "pytorch:Adam(maximize=True)", "only minimizes", "negate the loss"),
    (
        "pytorch",
        "tensorflow1:RMSPropOptimizer(learning_rate=0.01)",
        "no choice of .*initial_mean_square",
        "frameworks",
    ),
    (
        "keras",
        "tensorflow1:RMSPropOptimizer(learning_rate=0.01)",
        "no choice of initial_mean_square",
        "frameworks",
    ),
]


@pytest.mark.parametrize(("dialect", "call", "why", "instead"), REFUSED)
def test_what_cannot_be_said_is_refused_with_reason_and_remedy(
    dialect: str, call: str, why: str, instead: str
) -> None:
    """The error says why, and what to use instead."""
    with pytest.raises(Inexpressible, match=f"{why}.*Instead: .*{instead}"):
        dialects.find(dialect).spell(dialects.read(call))


@pytest.mark.parametrize(("dialect", "call", "why", "instead"), REFUSED)
def test_refused_call_really_moves_otherwise(
    dialect: str, call: str, why: str, instead: str
) -> None:
    """No refusal out of laziness: the nearest native, with the same numbers, parts from the
    rule.
    """
    rule, words = dialects.read(call), dialects.find(dialect)
    near = dialects.relation.nearest(rule, words)
    if near is None or words.natives[near.name].differences(rule) == ["maximize"]:
        return
    try:
        nearest = words.read(near.name, **near.arguments)
    except ValueError:  # the native itself refuses the numbers
        assert not words.natives[near.name].differences(rule)
        return
    start, gradients = (
        streams.suit(rule, streams.start()),
        streams.suit(rule, streams.gradients("spread", 40)),
    )
    bounds = limits.of_tensor(rule, start, gradients, "float64")
    right, wrong = (run_tensor(each, start, gradients, "float64") for each in (rule, nearest))
    assert not judge_tensor(start, right, wrong, bounds).holds


def test_decay_that_joins_the_direction_is_refused_by_keras() -> None:
    """Its Lamb shrinks theta before; without decay there is nothing to refuse."""
    assert dialects.keras.spell(LAMB(lr=0.25)) == dialects.Call(
        "Lamb", {"learning_rate": 0.25, "epsilon": 1e-6}
    )
    with pytest.raises(
        Inexpressible,
        match=r"adds the decay to the direction.*Instead: samestep\.frameworks\.tensorflow",
    ):
        dialects.keras.spell(LAMB(weight_decay=0.25))


@pytest.mark.parametrize(
    ("dialect", "fields", "why"),
    [
        ("pytorch", {"maximize": True}, "torch.optim.Muon only minimizes"),
        (
            "pytorch",
            {"weight_decay": 0.5, "decay": Decay.COUPLED},
            "has only decoupled weight decay",
        ),
        ("pytorch", {"adam": True}, "moves matrices alone"),
        ("pytorch", {"lr_scale": 0.5}, "or by 0.2 sqrt"),
        ("pytorch", {"shape_scale": ShapeScale.LONGER_SIDE, "lr_scale": 1.0}, "or by 0.2 sqrt"),
        ("keras", {"epsilon": 0.0}, "moves other tensors than matrices by Adam"),
        ("keras", {"epsilon": 0.0, "adam": True}, "adds 1e-07 to the norm of a sum"),
        ("keras", {"maximize": True}, "Keras only minimizes"),
    ],
)
def test_muon_that_is_not_a_native_s_is_refused(
    dialect: str, fields: dict[str, Any], why: str
) -> None:
    """Field by field."""
    rule = Muon(**{"ema": True, "epsilon_at": Epsilon.FLOOR, "adam": False, **fields})
    with pytest.raises(Inexpressible, match=why):
        dialects.find(dialect).spell(rule)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "keras:Adam(lr=1)",
            r"keras.optimizers.Adam has no argument 'lr'; it takes: learning_rate",
        ),
        ("pytorch:Adam(beta1=0.9)", r"write betas=\(beta1, beta2\)"),
        ("pytorch:Adam(betas=0.9)", r"betas must be a pair"),
        ("pytorch:Sophia()", r"torch.optim has no optimizer 'Sophia' here; there are: SGD, "),
        (
            "flax:Adam()",
            r"no dialect 'flax'; there are: pytorch, keras, tf_keras, tensorflow1, optax, onnx, "
            "paper, article",
        ),
        ("Adam()", r"a call must read like keras:Adam"),
        ("keras:Adam(learning_rate=rate)", r"learning_rate=rate of keras.optimizers.Adam is a var"),
        ("keras:Adam(learning_rate='0.1')", r"lr must be a real number in \[0, inf\), got '0.1'"),
        ("keras:Adam(learning_rate=-1)", r"lr must lie in \[0, inf\), got -1"),
        (
            "keras:Adam(clipnorm=1.0)",
            r"samestep.frameworks.tensorflow.Optimizer\(rule, clipnorm=...\)",
        ),
        ("keras:AdamW(weight_decay=None)", r"weight_decay must be a real number"),
        ("pytorch:Muon(ns_steps=2.5)", r"ns_steps must be a whole number in \[0, 100\), got 2.5"),
        (
            "pytorch:Muon(ns_coefficients=(1, 2))",
            r"ns_coefficients must be three numbers \(a, b, c\), got \(1, 2\)",
        ),
        (
            "pytorch:Muon(adjust_lr_fn='rms')",
            r"shape_scale must be ShapeScale.ASPECT_RATIO or ShapeScale.LONGER_SIDE or "
            "ShapeScale.ONE, got 'rms'",
        ),
        ("keras:Muon(exclude_layers=['head'])", r"chooses by name.*of rule.fallback"),
        ("optax:adam()", r"optax.adam must be given learning_rate"),
        (
            "optax:adam(learning_rate=0.1, eps_root=1e-8)",
            r"eps_root=1e-08 of optax.adam: no rule here has it",
        ),
        (
            "optax:adamw(learning_rate=0.1, nesterov=True)",
            r"nesterov=True of optax.adamw: no rule here has it",
        ),
        (
            "optax:rmsprop(learning_rate=0.1, bias_correction=True)",
            r"bias_correction=True of optax.rmsprop",
        ),
        (
            "optax:rmsprop(learning_rate=0.1, momentum=0.5, nesterov=True)",
            r"nesterov=True of optax.rmsprop",
        ),
        (
            "optax:adam(learning_rate=0.1, mu_dtype='bfloat16')",
            r"mu_dtype='bfloat16' of optax.adam",
        ),
        (
            "optax:amsgrad(learning_rate=0.1)",
            r"maximum of the bias-corrected v.*learning_rate = lr \* \(1 - b2",
        ),
        (
            "optax:adagrad(learning_rate=0.1, eps=0.0, initial_accumulator_value=0.0)",
            r"the rule divides 0 by 0",
        ),
        ("optax:adadelta(weight_decay=0.1)", r"uphill with weight decay"),
        (
            "tf_keras:SGD(decay=0.1)",
            r"decay=0.1 of tf_keras.optimizers.legacy.SGD.*lr / \(1 \+ decay",
        ),
        ("tf_keras:SGD(clipnorm=0.1)", r"clipnorm=0.1 of tf_keras.optimizers.legacy.SGD"),
        ("tf_keras:Adam(weight_decay=0.1)", r"has no argument 'weight_decay'"),
        ("tensorflow1:MomentumOptimizer(learning_rate=0.1)", r"must be given momentum"),
        (
            "tensorflow1:AdagradOptimizer(learning_rate=0.1, initial_accumulator_value=0.0)",
            r"must be above 0, got 0",
        ),
        ("onnx:Momentum(R=0.1)", r"must be given alpha, beta, mode, norm_coefficient"),
        (
            "onnx:Momentum(R=0.1, alpha=0.5, beta=1.0, mode='plain', norm_coefficient=0.0)",
            r"mode must be 'standard' or",
        ),
        (
            "onnx:Momentum(R=0.1, alpha=0.0, beta=0.5, mode='standard', norm_coefficient=0.0)",
            r"scales the gradient",
        ),
        (
            "onnx:Momentum(R=0.1, alpha=0.5, beta=0.5, mode='nesterov', norm_coefficient=0.0)",
            r"scales the gradient",
        ),
        ("onnx:Adam(R=0.1, T=0)", r"T=0 corrects no bias in the first step"),
        ("onnx:Adagrad(R=0.1, T=1)", r"learning rate decays from there"),
        ("onnx:Adam(R=0.1, norm_coefficient_post=0.1)", r"shrinks the parameters after the step"),
        ("paper:AdamW(alpha=0.0, lambda_=0.1)", r"alpha must be above 0"),
        ("paper:Adam(lr=0.1)", r"the paper's Adam has no argument 'lr'; it takes: alpha"),
        (
            "article:Adagrad(epsilon=1)",
            r"the article's Adagrad has no argument 'epsilon'; it takes: lr, eps",
        ),
    ],
)
def test_mistake_in_a_call_is_named(text: str, message: str) -> None:
    """Each error says what must hold, what came, what there is."""
    with pytest.raises(ValueError, match=message):
        dialects.read(text)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Adam(beta2=1.0), r"beta2 must lie in \[0, 1\), got 1.0"),
        (lambda: Adam(lr=math.nan), r"lr must lie in \[0, inf\), got nan"),
        (lambda: Adam(lr=math.inf), r"lr must lie in \[0, inf\), got inf"),
        (lambda: Adam(lr=True), r"lr must be a real number in \[0, inf\), got True"),
        (
            lambda: Adam(epsilon_at=Epsilon.INSIDE),
            r"epsilon_at must be Epsilon.OUTSIDE or Epsilon.HAT, got Epsilon.INS",
        ),
        (
            lambda: dialects.pytorch.read("SGD", nesterov=True),
            r"nesterov must come with momentum above 0, got",
        ),
        (
            lambda: SGD(momentum=0.9, nesterov=True, dampening=0.5),
            r"nesterov must come with dampening 0, got dampening",
        ),
        (lambda: SGD(momentum=1.5), r"momentum must lie in \[0, 1\], got 1.5"),
        (lambda: RMSprop(centered=1), r"centered must be False or True, got 1"),
        (lambda: Adadelta(rho=-0.1), r"rho must lie in \[0, 1\], got -0.1"),
        (lambda: Adagrad(epsilon=-1e-9), r"epsilon must lie in \[0, inf\), got -1e-09"),
    ],
)
def test_hyperparameter_out_of_range_is_named(make: Any, message: str) -> None:
    """The error gives the interval and the value."""
    with pytest.raises(ValueError, match=message):
        make()


def test_hyperparameter_may_be_one_number_in_an_array() -> None:
    """As torch takes a learning rate; an array of more is none."""
    assert Adam(lr=np.array(0.5)) == Adam(lr=0.5)
    with pytest.raises(
        ValueError, match=r"lr must be a real number in \[0, inf\), got array\(\[0.5\]\)"
    ):
        Adam(lr=np.array([0.5]))
