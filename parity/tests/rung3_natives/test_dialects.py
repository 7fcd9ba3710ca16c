"""The dialects say what the frameworks say: names, defaults, and what cannot be said."""

import importlib
import inspect
from typing import Any

import numpy as np
import pytest

from samestep.parity.measure import cases, limits, streams
from samestep.parity.measure.rule_run import run_tensor
from samestep.parity.measure.verdict import judge_tensor
from samestep.reference import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Buffer,
    Decay,
    Epsilon,
    Muon,
    RMSprop,
    ShapeScale,
    dialects,
)
from samestep.reference.dialects import Inexpressible, Native
from samestep.reference.dialects.pytorch import PAIRS

pytestmark = pytest.mark.rung(3)

NATIVES = [
    (name, native) for name in ("pytorch", "keras") for native in dialects.find(name).natives
]


@pytest.mark.parametrize(("dialect", "name"), NATIVES)
def test_every_argument_and_default_of_the_native_is_read(dialect: str, name: str) -> None:
    """Reading a call with the framework's own defaults spelled out changes nothing; no argument is
    unknown.
    """
    signature = inspect.signature(_native(dialect, name).__init__)
    defaults = {
        argument: parameter.default for argument, parameter in signature.parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }  # fmt: skip
    assert len(defaults) >= 4
    read = dialects.find(dialect).read
    assert read(name, **defaults) == read(name)


def _native(dialect: str, name: str) -> Any:
    module = "torch.optim" if dialect == "pytorch" else "keras.optimizers"
    return getattr(pytest.importorskip(module, reason=f"{module} is not installed"), name)


@pytest.mark.parametrize("dialect", ["pytorch", "keras"])
def test_every_optimizer_of_the_framework_is_read_or_left_out_with_a_reason(dialect: str) -> None:
    """By what the framework exports now: a new release cannot add one unnoticed."""
    name = "torch.optim" if dialect == "pytorch" else "keras.optimizers"
    module = pytest.importorskip(name, reason=f"{name} is not installed")
    exported = {n for n, kind in vars(module).items() if inspect.isclass(kind)} - {"Optimizer"}
    words = dialects.find(dialect)
    assert exported == {*words.natives, *words.left_out}
    assert all(words.left_out.values())


EVERY = [
    (name, native) for name,
    words in dialects.DIALECTS.items() for native in words.natives if native != "SparseAdam"
]  # fmt: skip


def other(default: Any) -> Any:
    """Another value than the default, valid for any hyperparameter."""
    if isinstance(default, bool):
        return not default
    if isinstance(default, int):
        return default + 1
    return (default * 1.5 if default > 1 else default / 2) if default else 0.25


def given(native: Native, argument: str) -> Any:
    """A value for an argument of the native that is neither its default nor what necessity would
    give it.
    """
    common = native.defaults.get(argument, dialects.relation.necessary(native).get(argument))
    words = {
        w: meant
        for w, meant in native.literals.get(argument, {}).items()
        if isinstance(meant, bool | Epsilon | ShapeScale)
    }
    return (
        next((w for w, meant in words.items() if meant != words.get(common)), None)
        if words
        else other(common)
    )


@pytest.mark.parametrize(("dialect", "name"), EVERY)
def test_every_argument_reaches_its_field_and_comes_back(dialect: str, name: str) -> None:
    """No argument is dropped, in reading or in spelling, and decay is of the framework's kind."""
    words = dialects.find(dialect)
    native = words.natives[name]
    left = ("nesterov", "dampening")  # they need, or exclude, each other
    said = {a: given(native, a) for a, field in native.arguments.items() if field not in left}
    expected = native.fields(said)
    expected.update(OTHERWISE.get((dialect, name), {}))
    for pair, names in PAIRS.items():
        if dialect == "pytorch" and names[0] in said:
            said[pair] = tuple(said.pop(single) for single in names)
    rule = words.read(name, **dialects.relation.necessary(native) | said)
    assert {field: getattr(rule, field) for field in expected} == expected
    kind = Decay.DECOUPLED if dialect == "keras" else DECAYS.get(name, Decay.COUPLED)
    assert not rule.weight_decay or rule.decay is kind
    again = words.spell(rule)
    assert words.read(again.name, **again.arguments) == rule


DECAYS = {
    **dict.fromkeys(("AdamW", "adamw", "nadamw", "adamaxw", "Lion", "lion", "Adafactor", "Muon"),
     Decay.DECOUPLED),
    "lamb": Decay.JOINED, "LAMB": Decay.JOINED,
}  # fmt: skip
OTHERWISE: dict[
    tuple[str, str], dict[str, Any]
] = {  # where an argument means more, or something else, than its own field
    ("tf_keras", "RMSprop"): {"epsilon_at": Epsilon.INSIDE},  # with momentum
    ("paper", "AdamW"): {"weight_decay": 0.25 / 5e-4},  # lambda over alpha
    ("paper", "FTRL"): {"l2": 0.125},  # half of lambda2
}


def test_sparse_adam_is_read_and_never_spelled() -> None:
    """It takes no dense gradient, so it is no answer; on gradients with every row it is Adam with
    epsilon-hat.
    """
    rule = dialects.pytorch.read("SparseAdam", lr=0.01)
    assert rule == Adam(lr=0.01, epsilon_at=Epsilon.HAT)
    with pytest.raises(Inexpressible):
        dialects.pytorch.spell(rule)


def test_article_has_the_defaults_that_it_is_given_here() -> None:
    """Its rate is the article's, its epsilon this project's."""
    assert dialects.article.read("Adagrad") == Adagrad(
        lr=0.01, epsilon=1e-8, epsilon_at=Epsilon.INSIDE
    )


@pytest.mark.parametrize("call", cases.CALLS)
def test_call_spelled_back_means_the_same_rule(call: str) -> None:
    """What a dialect reads it can say again."""
    dialect, name, arguments = dialects.parse(call)
    words = dialects.find(dialect)
    rule = words.read(name, **arguments)
    spelled = words.spell(rule)
    assert words.read(spelled.name, **spelled.arguments) == rule
    assert not spelled.condition


@pytest.mark.parametrize("name", dialects.DIALECTS)
def test_a_dialect_is_a_value_under_its_own_name(name: str) -> None:
    """Also after the module of this name, which defines it, has been imported."""
    module = importlib.import_module(f"samestep.reference.dialects.{name}")
    dialect = getattr(dialects, name)
    assert isinstance(dialect, dialects.Dialect)
    assert dialect is dialects.DIALECTS[name] is dialects.find(name) is getattr(module, name)
    assert (dialect.name, repr(dialect)) == (name, f"dialects.{name}")


@pytest.mark.parametrize("dialect", dialects.DIALECTS)
@pytest.mark.parametrize("call", cases.CALLS)
def test_translation_moves_alike_or_is_refused(call: str, dialect: str) -> None:
    """A call in another dialect takes the same steps up to rounding, at a constant rate where it
    says so.
    """
    rule = dialects.read(call)
    try:
        spelled = dialects.find(dialect).spell(rule)
    except Inexpressible as refusal:
        if refusal.why and refusal.instead:
            return
        raise
    translated = dialects.find(dialect).read(spelled.name, **spelled.arguments)
    start, gradients = (
        streams.suit(rule, streams.start()),
        streams.suit(rule, streams.gradients("spread", 40)),
    )
    rates = None if spelled.condition else streams.rates(rule.lr, 40)
    bounds = limits.of_tensor(rule, start, gradients, "float64", rates)
    expected = run_tensor(rule, start, gradients, "float64", rates)
    actual = run_tensor(translated, start, gradients, "float64", rates)
    verdict = judge_tensor(start, expected, actual, bounds)
    assert verdict.holds, f"{call} as {spelled}: {verdict}"


def test_adafactor_without_epsilon1_is_the_same_in_both() -> None:
    """And torch's None, which depends on a dtype, is read as float32's machine epsilon and spelled
    out.
    """
    rule = dialects.keras.read("Adafactor", learning_rate=0.25, epsilon_1=0.0)
    assert dialects.pytorch.spell(rule) == dialects.Call(
        "Adafactor", {"lr": 0.25, "eps": (0.0, 0.001)}
    )
    assert dialects.pytorch.read("Adafactor").to_dict()["epsilon1"] == float(
        np.finfo(np.float32).eps
    )
    assert dialects.pytorch.spell(dialects.pytorch.read("Adafactor")).arguments["eps"] == (
        2.0**-23,
        0.001,
    )


def test_muon_of_a_sum_is_muon_of_a_mean_with_a_smaller_epsilon() -> None:
    """The mean is 1 - momentum times the sum, and the norm with it."""
    rule = Muon(
        lr=0.5,
        momentum=0.75,
        epsilon=1.0,
        epsilon_at=Epsilon.FLOOR,
        shape_scale=ShapeScale.LONGER_SIDE,
        lr_scale=0.2,
        adam=False,
    )
    call = dialects.pytorch.spell(rule)
    assert call.arguments == {
        "lr": 0.5, "weight_decay": 0.0, "momentum": 0.75, "eps": 0.25,
        "adjust_lr_fn": "match_rms_adamw",
    }  # fmt: skip
    start, gradients = (
        streams.suit(rule, streams.start()),
        streams.suit(rule, streams.gradients("shrinking", 40)),
    )
    both = (rule, dialects.pytorch.read(call.name, **call.arguments))
    a, b = (run_tensor(each, start, gradients, "float64") for each in both)
    assert judge_tensor(start, a, b, limits.of_tensor(rule, start, gradients, "float64")).holds


def test_keras_muon_without_rms_rate_takes_steps_of_the_learning_rate() -> None:
    """Whatever the shape; said and read back."""
    rule = dialects.keras.read("Muon", rms_rate=None, weight_decay=None, adam_weight_decay=None)
    assert rule == Muon(lr=1e-3, shape_scale=ShapeScale.ONE)
    assert dialects.keras.spell(rule).arguments["rms_rate"] is None
    with pytest.raises(Inexpressible):
        dialects.keras.spell(rule.replace(lr_scale=0.5))


def test_keras_adagrad_is_spelled_exactly_in_torch() -> None:
    """Epsilon under the root is a larger initial accumulator."""
    call = dialects.pytorch.spell(
        dialects.keras.read("Adagrad", epsilon=0.25, initial_accumulator_value=0.5)
    )
    assert call.arguments == {"lr": 0.001, "initial_accumulator_value": 0.75, "eps": 0.0}


def test_momentum_of_the_other_kind_holds_at_a_constant_rate_only() -> None:
    """The condition stands beside the call."""
    call = dialects.pytorch.spell(dialects.keras.read("SGD", momentum=0.9))
    assert str(call) == (
        "SGD(lr=0.01, momentum=0.9)  # while the learning rate stays constant; "
        "otherwise before each step: group['momentum'] = 0.9 * lr_before / lr"
    )


@pytest.mark.parametrize(
    "call",
    [
        "keras:SGD(nesterov=True)",
        "tf_keras:SGD(nesterov=True)",
        "optax:sgd(learning_rate=0.01, nesterov=True)",
        "tensorflow1:MomentumOptimizer(learning_rate=0.01, momentum=0.0, use_nesterov=True)",
        "onnx:Momentum(R=0.01, alpha=0.0, beta=1.0, mode='nesterov', norm_coefficient=0.0)",
    ],
)
def test_nesterov_without_momentum_is_plain_sgd(call: str) -> None:
    """All of these take it, torch refuses it; so it is said without."""
    assert dialects.pytorch.spell(dialects.read(call)).arguments == {"lr": 0.01}


def test_optax_climbs_at_a_negative_rate() -> None:
    """And by default in ``adadelta``; a rule that climbs is spelled so."""
    assert dialects.read("optax:adadelta()") == Adadelta(
        lr=1.0, rho=0.9, epsilon=1e-6, maximize=True
    )
    assert dialects.read("optax:sgd(learning_rate=-0.5)") == SGD(lr=0.5, maximize=True)
    assert str(dialects.optax.spell(Adam(lr=0.5, maximize=True))) == "adam(learning_rate=-0.5)"


def test_keras_2_reads_epsilon_zero_as_its_own_and_lr_as_learning_rate() -> None:
    """Both are what ``tf.keras`` did; with momentum RMSprop has its epsilon inside."""
    read = dialects.tf_keras.read
    assert read("Adam", epsilon=0.0) == read("Adam", epsilon=None) == read("Adam", epsilon=1e-7)
    assert read("SGD", lr=0.5) == read("SGD", learning_rate=0.5)
    assert [read("RMSprop", momentum=m).to_dict()["epsilon_at"] for m in (0.0, 0.5)] == [
        "OUTSIDE",
        "INSIDE",
    ]


def test_papers_adamw_takes_its_decay_apart_from_alpha() -> None:
    """Lambda is multiplied by the schedule alone, weight_decay by the learning rate."""
    rule = dialects.paper.read("AdamW", alpha=0.25, lambda_=0.125)
    assert rule == Adam(lr=0.25, weight_decay=0.5, decay=Decay.DECOUPLED)
    assert dialects.paper.spell(rule).arguments == {"alpha": 0.25, "lambda_": 0.125}


def test_papers_say_what_they_say() -> None:
    """Their defaults and forms, written out: no epsilon where they have none, Zeiler's rate,
    Graves' centring.
    """
    read = dialects.paper.read
    assert read("SGD", epsilon=0.5, mu=0.5) == SGD(lr=0.5, momentum=0.5, buffer=Buffer.STEPS)
    assert read("Adagrad", eta=0.5) == Adagrad(lr=0.5, epsilon=0.0)
    assert read("Adadelta") == Adadelta(lr=1.0, rho=0.95, epsilon=1e-6)
    assert read("RMSprop", learning_rate=0.5) == RMSprop(lr=0.5, rho=0.9, epsilon=0.0)
    graves = {"epsilon_at": Epsilon.INSIDE, "buffer": Buffer.STEPS, "centered": True}
    assert read("Graves") == RMSprop(lr=1e-4, rho=0.95, momentum=0.9, epsilon=1e-4, **graves)
    assert read("Adam") == Adam(lr=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8)


def test_article_rule_has_epsilon_under_the_root() -> None:
    """theta - lr g / sqrt(G + eps), from an empty sum; Keras can say it."""
    rule = dialects.read("article:Adagrad(lr=0.01, eps=1e-6)")
    assert rule == Adagrad(lr=0.01, epsilon=1e-6, epsilon_at=Epsilon.INSIDE)
    assert str(dialects.keras.spell(rule)) == (
        "Adagrad(learning_rate=0.01, initial_accumulator_value=0.0, epsilon=1e-06)"
    )


def test_weight_decay_is_coupled_in_torch_and_decoupled_in_keras() -> None:
    """But for AdamW, and for Adam with decoupled_weight_decay."""
    torch_read, keras_read = dialects.pytorch.read, dialects.keras.read
    assert torch_read("Adam", weight_decay=0.1).decay is Decay.COUPLED
    assert torch_read("AdamW") == Adam(weight_decay=0.01, decay=Decay.DECOUPLED)
    assert torch_read("Adam", weight_decay=0.01, decoupled_weight_decay=True) == torch_read("AdamW")
    assert keras_read("SGD", weight_decay=0.1).decay is Decay.DECOUPLED
    assert keras_read("AdamW").weight_decay == 0.004
    assert keras_read("Adam", weight_decay=None).weight_decay == 0


@pytest.mark.parametrize("call", cases.CALLS)
def test_rule_is_built_again_from_plain_values(call: str) -> None:
    """``plain`` carries every hyperparameter as number, bool or text."""
    rule = dialects.read(call)
    assert type(rule)(**rule.to_dict()) == rule
    assert all(isinstance(value, float | int | bool | str) for value in rule.to_dict().values())


def test_label_names_what_matters_and_nothing_else() -> None:
    """Fields that change nothing stay out of it."""
    assert repr(SGD(lr=0.1, buffer=Buffer.STEPS, decay=Decay.DECOUPLED)) == "SGD(lr=0.1)"
    assert (
        repr(SGD(momentum=0.9, buffer=Buffer.STEPS))
        == "SGD(lr=0.01, momentum=0.9, buffer=Buffer.STEPS)"
    )


@pytest.mark.parametrize("call", [call for call in cases.CALLS if not call.startswith("article")])
def test_states_have_names_in_their_dialect(call: str) -> None:
    """Every state that a rule keeps can be carried over."""
    rule = dialects.read(call)
    shapes = [(1, 1)] if isinstance(rule, Muon) and not rule.adam else [(1,), (1, 1)]
    states = [name for shape in shapes for name in rule.start(np.zeros(shape), np)]
    assert set(states) <= set(dialects.find(call.partition(":")[0]).state_names(rule))


STATES = {  # the names that a rule's states have in each dialect, as they were read off
    "pytorch": {SGD: "b momentum_buffer", Adagrad: "G sum", Adadelta: "v square_avg u acc_delta",
                RMSprop: "v square_avg b momentum_buffer m grad_avg",
                Adam: "m exp_avg v exp_avg_sq w max_exp_avg_sq"},
    "keras": {SGD: "b momentum", Adagrad: "G accumulator",
     Adadelta: "v accumulated_grad u accumulated_delta_var",
              RMSprop: "v velocity b momentum m average_gradient",
              Adam: "m momentum v velocity w velocity_hat"},
    "tf_keras": {SGD: "b momentum", Adagrad: "G accumulator", Adadelta: "v accum_grad u accum_var",
                 RMSprop: "v rms b momentum m mg", Adam: "m m v v w vhat"},
    "tensorflow1": {SGD: "b momentum", Adagrad: "G accumulator", Adadelta: "v accum u accum_update",
                    RMSprop: "v rms b momentum m mg", Adam: "m m v v"},
    "optax": {SGD: "b trace", Adagrad: "G sum_of_squares", Adadelta: "v e_g u e_x",
     RMSprop: "v nu b trace m mu",
              Adam: "m mu v nu"},
    "onnx": {SGD: "b V", Adagrad: "G H", Adam: "m V v H"},
    "paper": {SGD: "b v", Adagrad: "G G", Adadelta: "v E[g^2] u E[dx^2]",
     RMSprop: "v MeanSquare m g b Delta",
              Adam: "m m v v w vhat"},
}  # fmt: skip


@pytest.mark.parametrize("dialect", STATES)
def test_states_have_the_names_that_were_read_off(dialect: str) -> None:
    """One by one."""
    for rule, told in STATES[dialect].items():
        names = told.split()
        expected = dict(zip(names[::2], names[1::2], strict=True))
        assert dialects.find(dialect).state_names(rule()) == expected
