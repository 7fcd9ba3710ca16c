"""Imitations: rules that make a native's known mistake, so that a deviation's cause can be held to the digit."""

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


def through_float32(x: Any) -> Any:
    """A number, array or bounded number, rounded to float32: what tf.cast(x, tf.float64) makes of a Python number."""
    if isinstance(x, Bounded):
        return Bounded(through_float32(x.value), x.error, x.dtype)
    return np.asarray(x).astype(np.float32).astype(np.float64) if np.ndim(x) else float(np.float32(x))


def _with(xp: Any, **functions: Callable[..., Any]) -> SimpleNamespace:
    """The scalar functions of ``xp``, some replaced."""
    names = ("integer_power", "power", "sqrt", "where")
    return SimpleNamespace(**{name: functions.get(name, getattr(xp, name)) for name in names})


def _powers(xp: Any) -> SimpleNamespace:
    return _with(xp, integer_power=lambda base, exponent: xp.integer_power(through_float32(base), exponent))


class _Float32Powers(Rule):
    """Bias corrections start from betas rounded to float32."""

    def coefficients(self, t: Any, lr: Any, xp: Any = scalars) -> Any:
        return super().coefficients(t, lr, _powers(xp))


class _KerasAdam(_Float32Powers, Adam):
    pass


class _KerasAdamax(_Float32Powers, Adamax):
    pass


class _KerasLAMB(_Float32Powers, LAMB):
    pass


class _KerasMuon(_Float32Powers, Muon):
    pass


class _OptaxNAdam(_Float32Powers, NAdam):
    pass


class _OptaxRAdam(_Float32Powers, RAdam):
    pass


_FLOAT32_POWERS: dict[type[Rule], type[Rule]] = {
    Adam: _KerasAdam, LAMB: _KerasLAMB, Muon: _KerasMuon, NAdam: _OptaxNAdam, RAdam: _OptaxRAdam,
}  # fmt: skip


class _OptaxRprop(Rprop):
    """The step before is taken, but where the gradient has turned."""

    def update(self, theta: Any, gradient: Any, state: Any, c: Any, xp: Any) -> Any:
        nothing, d = xp.zeros_like(gradient), state["d"] + c.first
        s = xp.sign(gradient) * xp.sign(state["h"])
        d = xp.where(s > 0, c.rise * d, xp.where(s < 0, c.fall * d, d))
        d = xp.where(s == 0, d, xp.minimum(xp.maximum(d, nothing + c.smallest), nothing + c.largest))
        h = xp.where(s < 0, nothing, d * xp.sign(gradient))
        return theta - xp.where(s < 0, nothing, state["h"]), {"d": d, "h": h}


class _KerasNAdam(NAdam):
    """Betas and 0.96 are rounded to float32, but not in the product of the momenta."""

    def coefficients(self, t: Any, lr: Any, xp: Any = scalars) -> Any:
        rounded = self.replace(beta1=through_float32(self.beta1), beta2=through_float32(self.beta2))
        through = _with(xp, power=lambda base, exponent: xp.power(through_float32(base), exponent))
        return NAdam(**rounded.to_dict()).coefficients(t, lr, through)._replace(mu=super().coefficients(t, lr, xp).mu)


class _KerasScheduleFree(ScheduleFree):
    """The average is recovered from the point as it is after the step, which then counts as the one before."""

    def update(self, theta: Any, gradient: Any, state: Any, c: Any, xp: Any) -> Any:
        z = state["z"] + c.first * theta
        theta, g = self.apply_decay(theta, gradient, c)
        v = c.keep2 * state["v"] + c.take2 * xp.square(g)
        z = z - c.lr * g / (c.stretch * xp.sqrt(v) + c.epsilon)
        x = c.rest * (theta - c.rest1 * z) + c.share * z
        return c.rest1 * z + c.beta1 * x, {"z": z, "v": v}


class _TorchASGD(ASGD):
    """The rates are kept in float32."""

    def coefficients(self, t: Any, lr: Any, xp: Any = scalars) -> Any:
        c = super().coefficients(t, lr, xp)
        kept = {name: through_float32(getattr(c, name)) for name in ("first", "later", "share")}
        return c._replace(**kept)


class _TorchNAdam(NAdam):
    """The product of the momenta is kept in float32."""

    def update(self, theta: Any, gradient: Any, state: Any, c: Any, xp: Any) -> Any:
        kept = through_float32(through_float32(c.mu) * state["P"])
        theta, new = super().update(theta, gradient, {**state, "P": kept}, c._replace(mu=1.0), xp)
        return theta, {**new, "P": kept}


def _of(kind: type[Rule], rule: Rule, *rounded: str) -> Rule:
    """The rule as ``kind``, some of its fields rounded to float32."""
    return kind(**rule.to_dict()).replace(**{name: through_float32(getattr(rule, name)) for name in rounded})


_KERAS_FLOAT64: dict[type[Rule], tuple[type[Rule], tuple[str, ...]]] = {  # what Keras hands to tf.cast, if it shows
    SGD: (SGD, ("momentum",)), Adagrad: (Adagrad, ("initial_accumulator",)), FTRL: (FTRL, ("initial_accumulator",)),
    Adam: (_KerasAdam, ()), Adamax: (_KerasAdamax, ()), NAdam: (_KerasNAdam, ()),
    LAMB: (_KerasLAMB, ()), Adafactor: (Adafactor, ("epsilon2",)),
    Muon: (_KerasMuon, ("adam_weight_decay",)),
}  # fmt: skip


def keras_float64(rule: Rule) -> Rule:
    """Fields that go through tf.cast are rounded to float32, weight decay always."""
    kind, rounded = _KERAS_FLOAT64.get(type(rule), (type(rule), ()))
    return _of(kind, rule, *rounded, "weight_decay")


def keras_float32(rule: Rule) -> Rule:
    """In float32 the rounded betas can be seen in Adam, in Muon's Adam, and in LAMB where a tensor is zero as yet."""
    return rounded_powers(rule) if isinstance(rule, Adam | LAMB | Muon) else rule


def _keras_adafactor(*rounded: str) -> Callable[[Rule], Rule]:
    """The learning rate is capped whatever relative_step says."""

    def imitation(rule: Rule) -> Rule:
        if not isinstance(rule, Adafactor) or rule.relative_step:
            return rule
        return _of(Adafactor, rule, *rounded).replace(relative_step=True)

    return imitation


keras_adafactor = {"float32": _keras_adafactor(), "float64": _keras_adafactor("epsilon2", "weight_decay")}


def _keras_schedule_free(*rounded: str) -> Callable[[Rule], Rule]:
    return lambda rule: _of(_KerasScheduleFree, rule, *rounded) if isinstance(rule, ScheduleFree) else rule


keras_schedule_free = {
    "float32": _keras_schedule_free(),
    "float64": _keras_schedule_free("beta1", "beta2", "epsilon", "weight_decay"),
}


def torch_nadam(rule: Rule) -> Rule:
    """The product of NAdam's momenta is float32, whatever the parameter's dtype."""
    return _of(_TorchNAdam, rule) if isinstance(rule, NAdam) else rule


def torch_asgd(rule: Rule) -> Rule:
    """The rates of ASGD are float32, whatever the parameter's dtype."""
    return _of(_TorchASGD, rule) if isinstance(rule, ASGD) else rule


def rounded_powers(rule: Rule) -> Rule:
    """The rule with bias corrections that start from betas rounded to float32."""
    return _of(_FLOAT32_POWERS[type(rule)], rule)


def optax_rprop(rule: Rule) -> Rule:
    """Each step is the step before."""
    return _of(_OptaxRprop, rule) if isinstance(rule, Rprop) else rule


class _RunningPowers(Adam):
    """Powers of the betas are multiplied up in float32, step by step."""

    def coefficients(self, t: Any, lr: Any, xp: Any = scalars) -> Any:
        running = lambda base, exponent: xp.integer_power(_running_product(base, int(exponent)), 1)  # noqa: E731
        return super().coefficients(t, lr, _with(xp, integer_power=running))


class _AdjustedFTRL(FTRL):
    """beta joins l2 in float32."""

    def coefficients(self, t: Any, lr: Any, xp: Any = scalars) -> Any:
        c = super().coefficients(t, lr, xp)
        return c._replace(ridge=2 * through_float32(c.ridge * 0.5))


def _running_product(base: float, exponent: int) -> float:
    return float(np.multiply.reduce(np.full(exponent, base, np.float32)))


_FTRL = ("lr_power", "l1", "l2", "shrinkage", "beta")


def rounded(*fields: str) -> Callable[[Rule], Rule]:
    """The rule with some of its fields, where it has them, rounded to float32."""
    return lambda rule: _of(type(rule), rule, *(name for name in fields if name in rule.names()))


class _Keras2NAdam(NAdam):
    """0.96 goes through tf.cast."""

    def coefficients(self, t: Any, lr: Any, xp: Any = scalars) -> Any:
        through = _with(xp, power=lambda base, exponent: xp.power(through_float32(base), exponent))
        return super().coefficients(t, lr, through)


def tf_keras(rule: Rule) -> Rule:
    """Every hyperparameter but epsilon and the initial accumulator is a float32 variable."""
    told = rounded("momentum", "rho", "beta1", "beta2", "lr_decay", *_FTRL)(rule)
    return _Keras2NAdam(**told.to_dict()) if isinstance(rule, NAdam) else told


def tensorflow1(rule: Rule) -> Rule:
    """Every hyperparameter is a float32 tensor, and so are the powers of the betas."""
    told = rounded("momentum", "rho", "beta1", "beta2", "epsilon", *_FTRL)(rule)
    if isinstance(rule, FTRL) and rule.l2 + rule.beta:
        return _AdjustedFTRL(**told.to_dict())
    return _RunningPowers(**told.to_dict()) if isinstance(rule, Adam) else told


def onnx(rule: Rule) -> Rule:
    """Attributes are float32; beta is 1 - dampening."""
    told = rounded("momentum", "beta1", "beta2", "epsilon", "weight_decay", "lr_decay")(rule)
    return told.replace(dampening=1 - through_float32(1 - told.dampening)) if isinstance(told, SGD) else told
