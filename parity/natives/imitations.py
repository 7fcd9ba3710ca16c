"""Imitations: rules that make the same mistake as a native, digit for digit.

They prove the cause of a deviation: the native must agree with its imitation as closely as other
natives agree with the right rule. Each public function here takes the right rule and returns the
imitation, or the rule itself if the mistake does not affect it.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from samestep.parity.measure.bounded import Bounded
from samestep.reference import (
    ASGD,
    FTRL,
    LAMB,
    SGD,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    Muon,
    NAdam,
    RAdam,
    Rprop,
    Rule,
    ScheduleFree,
    scalars,
)

SCALAR_FUNCTIONS = ("integer_power", "power", "sqrt", "where")  # that coefficients use

Imitation = Callable[[Rule], Rule]


def to_float32(x: Any) -> Any:
    """A number, array or bounded number rounded to float32, as a double.

    ``tf.cast(x, tf.float64)`` does this to a Python number.
    """
    if isinstance(x, Bounded):
        return Bounded(to_float32(x.value), x.error, x.dtype)
    if np.ndim(x):
        return np.asarray(x).astype(np.float32).astype(np.float64)
    return float(np.float32(x))


def _with_functions(xp: Any, **replacements: Callable[..., Any]) -> SimpleNamespace:
    """The scalar functions of ``xp``, some of them replaced."""
    functions = {name: getattr(xp, name) for name in SCALAR_FUNCTIONS}
    return SimpleNamespace(**{**functions, **replacements})


def _with_float32_integer_powers(xp: Any) -> SimpleNamespace:
    """``xp``, with integer powers that round their base to float32."""

    def integer_power(base: Any, exponent: Any) -> Any:
        return xp.integer_power(to_float32(base), exponent)

    return _with_functions(xp, integer_power=integer_power)


def _with_float32_powers(xp: Any) -> SimpleNamespace:
    """``xp``, with real powers that round their base to float32."""

    def power(base: Any, exponent: Any) -> Any:
        return xp.power(to_float32(base), exponent)

    return _with_functions(xp, power=power)


class _Float32Powers(Rule):
    """A rule whose bias corrections use betas rounded to float32."""

    def coefficients(self, t: Any, lr: Any, xp: Any = scalars) -> Any:
        return super().coefficients(t, lr, _with_float32_integer_powers(xp))


class _Float32PowersAdam(_Float32Powers, Adam):
    pass


class _Float32PowersAdamax(_Float32Powers, Adamax):
    pass


class _Float32PowersLAMB(_Float32Powers, LAMB):
    pass


class _Float32PowersMuon(_Float32Powers, Muon):
    pass


class _Float32PowersNAdam(_Float32Powers, NAdam):
    pass


class _Float32PowersRAdam(_Float32Powers, RAdam):
    pass


_FLOAT32_POWERS: dict[type[Rule], type[Rule]] = {
    Adam: _Float32PowersAdam,
    LAMB: _Float32PowersLAMB,
    Muon: _Float32PowersMuon,
    NAdam: _Float32PowersNAdam,
    RAdam: _Float32PowersRAdam,
}


class _OptaxRprop(Rprop):
    """Each call takes the step before, unless the gradient has turned; then it takes none."""

    def update(self, theta: Any, gradient: Any, state: Any, c: Any, xp: Any) -> Any:
        nothing = xp.zeros_like(gradient)
        d = state["d"] + c.first
        s = xp.sign(gradient) * xp.sign(state["h"])
        d = xp.where(s > 0, c.rise * d, xp.where(s < 0, c.fall * d, d))
        bounded = xp.minimum(xp.maximum(d, nothing + c.smallest), nothing + c.largest)
        d = xp.where(s == 0, d, bounded)
        h = xp.where(s < 0, nothing, d * xp.sign(gradient))
        return theta - xp.where(s < 0, nothing, state["h"]), {"d": d, "h": h}


class _KerasNAdam(NAdam):
    """Betas and 0.96 are rounded to float32, except in the product of the momentum coefficients."""

    def coefficients(self, t: Any, lr: Any, xp: Any = scalars) -> Any:
        exact = super().coefficients(t, lr, xp)
        rule = _convert(NAdam, self, "beta1", "beta2")
        return rule.coefficients(t, lr, _with_float32_powers(xp))._replace(mu=exact.mu)


class _KerasScheduleFree(ScheduleFree):
    """The average is computed from the point after the step, as if it were the point before."""

    def update(self, theta: Any, gradient: Any, state: Any, c: Any, xp: Any) -> Any:
        z = state["z"] + c.first * theta
        theta, g = self.apply_decay(theta, gradient, c)
        v = c.keep2 * state["v"] + c.take2 * xp.square(g)
        z = z - c.lr * g / (c.stretch * xp.sqrt(v) + c.epsilon)
        x = c.rest * (theta - c.rest1 * z) + c.share * z
        return c.rest1 * z + c.beta1 * x, {"z": z, "v": v}


class _TorchASGD(ASGD):
    """The learning rates are stored in float32."""

    def coefficients(self, t: Any, lr: Any, xp: Any = scalars) -> Any:
        c = super().coefficients(t, lr, xp)
        rates = {name: to_float32(getattr(c, name)) for name in ("first", "later", "share")}
        return c._replace(**rates)


class _TorchNAdam(NAdam):
    """The product of the momentum coefficients is stored in float32."""

    def update(self, theta: Any, gradient: Any, state: Any, c: Any, xp: Any) -> Any:
        product = to_float32(to_float32(c.mu) * state["P"])
        without_mu = c._replace(mu=1.0)
        theta, new = super().update(theta, gradient, {**state, "P": product}, without_mu, xp)
        return theta, {**new, "P": product}


def _convert(kind: type[Rule], rule: Rule, *float32_fields: str) -> Rule:
    """The rule as an instance of ``kind``, with some fields rounded to float32."""
    rounded = {name: to_float32(getattr(rule, name)) for name in float32_fields}
    return kind(**rule.to_dict()).replace(**rounded)


# The rules that Keras computes otherwise in float64: the imitation's class, and the fields that go
# through tf.cast with an effect. Weight decay goes through it for every rule.
_KERAS_FLOAT64: dict[type[Rule], tuple[type[Rule], tuple[str, ...]]] = {
    SGD: (SGD, ("momentum",)),
    Adagrad: (Adagrad, ("initial_accumulator",)),
    FTRL: (FTRL, ("initial_accumulator",)),
    Adam: (_Float32PowersAdam, ()),
    Adamax: (_Float32PowersAdamax, ()),
    NAdam: (_KerasNAdam, ()),
    LAMB: (_Float32PowersLAMB, ()),
    Adafactor: (Adafactor, ("epsilon2",)),
    Muon: (_Float32PowersMuon, ("adam_weight_decay",)),
}


def keras_float64(rule: Rule) -> Rule:
    """Hyperparameters that go through tf.cast are rounded to float32."""
    kind, float32_fields = _KERAS_FLOAT64.get(type(rule), (type(rule), ()))
    return _convert(kind, rule, *float32_fields, "weight_decay")


def keras_float32(rule: Rule) -> Rule:
    """The betas are rounded to float32 before the bias correction is computed.

    In float32 that has an effect on Adam, on Muon's Adam, and on LAMB as long as a tensor is zero.
    """
    return float32_betas(rule) if isinstance(rule, Adam | LAMB | Muon) else rule


def _keras_adafactor(*float32_fields: str) -> Imitation:
    """The learning rate is capped although relative_step is False."""

    def imitation(rule: Rule) -> Rule:
        if not isinstance(rule, Adafactor) or rule.relative_step:
            return rule
        return _convert(Adafactor, rule, *float32_fields).replace(relative_step=True)

    return imitation


keras_adafactor = {
    "float32": _keras_adafactor(),
    "float64": _keras_adafactor("epsilon2", "weight_decay"),
}


def _keras_schedule_free(*float32_fields: str) -> Imitation:
    """The average is computed from the point after the step."""

    def imitation(rule: Rule) -> Rule:
        if not isinstance(rule, ScheduleFree):
            return rule
        return _convert(_KerasScheduleFree, rule, *float32_fields)

    return imitation


keras_schedule_free = {
    "float32": _keras_schedule_free(),
    "float64": _keras_schedule_free("beta1", "beta2", "epsilon", "weight_decay"),
}


def torch_nadam(rule: Rule) -> Rule:
    """The product of NAdam's momentum coefficients is float32, in every dtype of the parameter."""
    return _convert(_TorchNAdam, rule) if isinstance(rule, NAdam) else rule


def torch_asgd(rule: Rule) -> Rule:
    """The learning rates of ASGD are float32, in every dtype of the parameter."""
    return _convert(_TorchASGD, rule) if isinstance(rule, ASGD) else rule


def float32_betas(rule: Rule) -> Rule:
    """The bias corrections, if there are any, use betas rounded to float32.

    A rule that is an imitation itself, or wrong on purpose, stays as it is.
    """
    kind = _FLOAT32_POWERS.get(type(rule))
    if kind is None or not rule.to_dict().get("bias_correction", True):
        return rule
    return _convert(kind, rule)


def optax_rprop(rule: Rule) -> Rule:
    """Each step is returned one call late."""
    return _convert(_OptaxRprop, rule) if isinstance(rule, Rprop) else rule


class _RunningPowersAdam(Adam):
    """Powers of the betas are multiplied up in float32, step by step."""

    def coefficients(self, t: Any, lr: Any, xp: Any = scalars) -> Any:
        def integer_power(base: Any, exponent: Any) -> Any:
            return xp.integer_power(_float32_running_product(base, int(exponent)), 1)

        return super().coefficients(t, lr, _with_functions(xp, integer_power=integer_power))


class _AdjustedFTRL(FTRL):
    """beta is added to l2 in float32."""

    def coefficients(self, t: Any, lr: Any, xp: Any = scalars) -> Any:
        c = super().coefficients(t, lr, xp)
        return c._replace(ridge=2 * to_float32(c.ridge * 0.5))


def _float32_running_product(base: float, exponent: int) -> float:
    return float(np.multiply.reduce(np.full(exponent, base, np.float32)))


_FTRL_FIELDS = ("lr_power", "l1", "l2", "shrinkage", "beta")


def float32_fields(*fields: str) -> Imitation:
    """Those of these fields that the rule has are rounded to float32."""

    def imitation(rule: Rule) -> Rule:
        return _convert(type(rule), rule, *(name for name in fields if name in rule.names()))

    return imitation


class _Keras2NAdam(NAdam):
    """0.96 is rounded to float32."""

    def coefficients(self, t: Any, lr: Any, xp: Any = scalars) -> Any:
        return super().coefficients(t, lr, _with_float32_powers(xp))


def tf_keras(rule: Rule) -> Rule:
    """Every hyperparameter but epsilon and the initial accumulator is a float32 variable."""
    rounded = float32_fields("momentum", "rho", "beta1", "beta2", "lr_decay", *_FTRL_FIELDS)(rule)
    return _convert(_Keras2NAdam, rounded) if isinstance(rule, NAdam) else rounded


def tensorflow1(rule: Rule) -> Rule:
    """Every hyperparameter is a float32 tensor, and so are the powers of the betas."""
    rounded = float32_fields("momentum", "rho", "beta1", "beta2", "epsilon", *_FTRL_FIELDS)(rule)
    if isinstance(rule, FTRL) and rule.l2 + rule.beta:
        return _convert(_AdjustedFTRL, rounded)
    return _convert(_RunningPowersAdam, rounded) if isinstance(rule, Adam) else rounded


class _ZeroFTRL(FTRL):
    """Theta is 0 where |z| is not above l1, though the denominator be 0, too."""

    def update(self, theta: Any, gradient: Any, state: Any, c: Any, xp: Any) -> Any:
        moved, new = super().update(theta, gradient, state, c, xp)
        z = new["z"]
        return xp.where(xp.abs(z) - c.l1 > 0, moved, xp.zeros_like(z)), new


class _ZeroAdjustedFTRL(_ZeroFTRL, _AdjustedFTRL):
    pass


def tensorflow_ftrl(convert: Imitation | None = None) -> Imitation:
    """The kernel of TensorFlow's Ftrl puts 0 where the equation divides 0 by 0.

    It matters only where the accumulator starts at 0. ``convert`` makes the other mistakes.
    """

    def imitate(rule: Rule) -> Rule:
        converted = convert(rule) if convert else rule
        if not isinstance(rule, FTRL) or rule.initial_accumulator:
            return rule
        kind = _ZeroAdjustedFTRL if isinstance(converted, _AdjustedFTRL) else _ZeroFTRL
        return _convert(kind, converted)

    return imitate


_ONNX_FIELDS = ("momentum", "beta1", "beta2", "epsilon", "weight_decay", "lr_decay")


def onnx(rule: Rule) -> Rule:
    """Attributes are float32; the attribute beta of Momentum is 1 - dampening."""
    rounded = float32_fields(*_ONNX_FIELDS)(rule)
    if isinstance(rounded, SGD):
        return rounded.replace(dampening=1 - to_float32(1 - rounded.dampening))
    return rounded
