"""Mutants: wrong rules, made on purpose, by one change to the source.

Each is a mistake that somebody has made, or plausibly would. ``test_sensitivity`` plants them one at a time in a copy
of the project and runs the unchanged suite. The other tests take the wrong rules among them as the nearest wrong
answer that a limit must keep out.
"""

import functools
import importlib
import itertools
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from reference import Rule

ROOT = Path(__file__).resolve().parent.parent


class Mutant(NamedTuple):
    """In ``file``, ``before`` stands exactly once and becomes ``after``."""

    name: str
    file: str
    before: str
    after: str

    def applies(self, root: Path) -> bool:
        """Whether ``before`` stands exactly once in the source under ``root``."""
        return (root / self.file).read_text().count(self.before) == 1

    def apply(self, root: Path) -> None:
        """Change the source under ``root``; ValueError if the mutant does not apply."""
        if not self.applies(root):
            raise ValueError(
                f"mutant {self.name!r}: {self.before!r} must stand once in {self.file}; "
                "adapt parity/mutants.py to the new source"
            )
        path = root / self.file
        path.write_text(path.read_text().replace(self.before, self.after))


def _of(file: str, *changes: tuple[str, str, str]) -> list[Mutant]:
    where = Path(file).with_suffix("").as_posix().partition("/")[2]
    return [Mutant(f"{where}: {name}", file, before, after) for name, before, after in changes]


# A mutant a line, however long: they are read as a table.

RULES = [
    *_of(
        "reference/rule.py",
        ("decoupled decay ignores the learning rate", "return lr * self.weight_decay if", "return self.weight_decay if"),
        ("coupled decay is scaled by the learning rate", "is Decay.DECOUPLED else self.weight_decay", "is Decay.DECOUPLED else lr * self.weight_decay"),
        ("decay grows the weights", "return theta - c.shrink * theta, gradient", "return theta + c.shrink * theta, gradient"),
        ("decay is decoupled for everybody", "is Decay.COUPLED:", "is None:"),
        ("decay stands outside the sign of maximize", "gradient + c.shrink *", "gradient + (-c.shrink if self.maximize else c.shrink) *"),
        ("maximize is ignored", "gradient = -gradient", "gradient = gradient"),
        ("small decay is dropped", "if not self.weight_decay or", "if self.weight_decay < 5e-4 or"),
        ("followed steps forget their state", "update(theta, gradient, state, rule.coefficients(t", "update(theta, gradient, rule.start(theta, xp), rule.coefficients(t"),
        ("followed steps are all the first", "rule.coefficients(t, rule.lr)", "rule.coefficients(1, rule.lr)"),
    ),
    *_of(
        "reference/scalars.py",
        ("power drops the first bit", "exponent >> k & 1", "exponent >> k & (k > 0)"),
        ("power knows eight bits", "EXPONENT_BITS = 32", "EXPONENT_BITS = 8"),
    ),
    *_of(
        "reference/sums.py",
        ("last elements are not added", "_part(x, 0, size - power, axis) + _part(x, power, size, axis)", "_part(x, 0, size - power, axis)"),
        ("middle is forgotten", "[joined, _part(x, size - power, power, axis)]", "[joined, 0 * _part(x, size - power, power, axis)]"),
        ("halves are joined to themselves", "_part(x, power, 2 * power, axis)", "_part(x, 0, power, axis)"),
    ),
    *_of(
        "reference/sgd.py",
        ("climbs instead of descending", "return theta - c.lr * g, state", "return theta + c.lr * g, state"),
        ("buffer is a running mean", '* state["b"] + s', '* state["b"] + (s - c.momentum * s)'),
        ("Nesterov looks ahead from the old buffer", "s + c.momentum * b if", 's + c.momentum * state["b"] if'),
        ("Nesterov is plain momentum", "s + c.momentum * b if self.nesterov else b", "b"),
        ("first step is dampened", "xp.where(t == 1, 1.0, 1 - self.dampening)", "1 - self.dampening"),
        ("step index is off by one", "t == 1", "t == 2"),
        ("dampening is taken for its complement", "1.0, 1 - self.dampening", "1.0, self.dampening"),
        ("rate stands outside the buffer", "take = share * lr if self.buffer is Buffer.STEPS else share", "take = share"),
        ("rate counts twice", "(step if self.buffer is Buffer.STEPS else c.lr * step)", "c.lr * step"),
        ("buffer is never kept", 'step), {"b": b}', "step), state"),
        ("buffer starts at one", '{"b": xp.zeros_like(theta)}', '{"b": xp.zeros_like(theta) + 1.0}'),
        ("steps are never dampened", "1.0, 1 - self.dampening)", "1.0, 1 - self.dampening * (self.buffer is Buffer.GRADIENTS))"),
        ("Nesterov looks ahead downhill alone", "c.momentum * b if self.nesterov", "c.momentum * b if self.nesterov and not self.maximize"),
    ),
    *_of(
        "reference/adagrad.py",
        ("epsilon is in the wrong place", "is Epsilon.INSIDE else", "is Epsilon.OUTSIDE else"),
        ("epsilon is forgotten", "else xp.sqrt(G) + c.epsilon", "else xp.sqrt(G)"),
        ("accumulator starts at zero", " + self.initial_accumulator", ""),
        ("accumulates magnitudes", "xp.square(g)", "xp.sqrt(xp.square(g))"),
        ("no square root", "else xp.sqrt(G) + c.epsilon", "else G + c.epsilon"),
        ("step index of the decay is off by one", "(t - 1) * self.lr_decay", "t * self.lr_decay"),
        ("rate decays by the root of time", "lr / (1 + (t - 1) * self.lr_decay)", "lr / xp.sqrt(1 + (t - 1) * self.lr_decay)"),
        ("accumulator is never kept", '{"G": G}', "state"),
        ("decay follows the decayed rate", "self.shrink(lr))", "self.shrink(step))"),
    ),
    *_of(
        "reference/adadelta.py",
        ("epsilon is outside the roots", "xp.sqrt(v + c.epsilon)", "(xp.sqrt(v) + c.epsilon)"),
        ("epsilon of the steps is forgotten", 'xp.sqrt(state["u"] + c.epsilon)', 'xp.sqrt(state["u"] + c.epsilon * c.take)'),
        ("means are swapped", "keep=self.rho, take=1 - self.rho", "keep=1 - self.rho, take=self.rho"),
        ("steps are counted with the learning rate", "c.take * xp.square(d)", "c.take * xp.square(c.lr * d)"),
        ("steps start at one", '"u": xp.zeros_like(theta)', '"u": xp.zeros_like(theta) + 1.0'),
        ("steps are never kept", '"u": u}', '"u": state["u"]}'),
        ("gradient mean is one step late", '{"v": v, "u": u}', '{"v": c.keep * v, "u": u}'),
        ("learning rate is ignored", "theta - c.lr * d", "theta - d"),
        ("decay ignores the learning rate", "shrink=self.shrink(lr))", "shrink=self.weight_decay)"),
    ),
    *_of(
        "reference/rmsprop.py",
        ("epsilon is in the wrong place", "is Epsilon.INSIDE else", "is Epsilon.OUTSIDE else"),
        ("mean square starts at one", "xp.zeros_like(theta) + self.initial_mean_square", "xp.zeros_like(theta) + 1.0"),
        ("mean square starts at zero", "xp.zeros_like(theta) + self.initial_mean_square", "xp.zeros_like(theta)"),
        ("means are swapped", "keep=self.rho, take=1 - self.rho", "keep=1 - self.rho, take=self.rho"),
        ("mean square is bias-corrected", "take=1 - self.rho,", "take=(1 - self.rho) / (1 - xp.integer_power(self.rho, t)),"),
        ("mean square is one step late", 'w = state["v"]\n', 'w, state["v"] = state["v"], c.keep * state["v"]\n'),
        ("centring subtracts the mean, not its square", 'w - xp.square(state["m"])', 'w - state["m"]'),
        ("centring is ignored", 'w = w - xp.square(state["m"])', "pass"),
        ("rate stands on the other side of the buffer", "is Buffer.STEPS or", "is Buffer.GRADIENTS or"),
        ("buffer is a running mean", '* state["b"] + step', '* state["b"] + (step - c.momentum * step)'),
        ("momentum is ignored", "        if self.momentum:", "        if False:"),
        ("variance is clamped at zero", 'w = w - xp.square(state["m"])', 'w = xp.maximum(w - xp.square(state["m"]), xp.zeros_like(theta))'),
        ("epsilon moves under the root of a buffer of steps", "is Epsilon.INSIDE else", "is Epsilon.INSIDE or (self.momentum and self.buffer is Buffer.STEPS) else"),
    ),
    *_of(
        "reference/adam.py",
        ("epsilon is in the wrong place", "hat = self.epsilon_at is Epsilon.HAT", "hat = self.epsilon_at is Epsilon.OUTSIDE"),
        ("epsilon-hat is standard epsilon", "xp.sqrt(v) if self.epsilon_at is Epsilon.HAT else c.stretch", "c.stretch"),
        ("epsilon is under the root", "c.stretch * xp.sqrt(v)", "c.stretch * xp.sqrt(v + c.epsilon)"),
        ("mean starts at one", "{name: xp.zeros_like(theta)", '{name: xp.zeros_like(theta) + (1.0 if name == "m" else 0.0)'),
        ("mean square starts at one", "{name: xp.zeros_like(theta)", '{name: xp.zeros_like(theta) + (1.0 if name == "v" else 0.0)'),
        ("step index is off by one", "self.beta2, t)", "self.beta2, t + 1)"),
        ("no bias correction of the mean", "first = 1 - xp.integer_power(self.beta1, t)", "first = 1.0"),
        ("no bias correction of the mean square", "second = xp.sqrt(1 - xp.integer_power(self.beta2, t))", "second = 1.0"),
        ("beta1 serves both means", "keep2=self.beta2, take2=1 - self.beta2", "keep2=self.beta1, take2=1 - self.beta1"),
        ("maximum is of the old mean square", 'xp.maximum(state["w"], v)', 'xp.maximum(state["w"], state["v"])'),
        ("maximum is never kept", 'v = new["w"] = xp', 'new["w"] = state["w"]\n            v = xp'),
        ("amsgrad is ignored", 'v = new["w"] =', 'new["w"] ='),
        ("sign of the gradient", "- c.step * m /", "- c.step * g /"),
        ("bias correction ends after a thousand steps", "second = xp.sqrt(1 - xp.integer_power(self.beta2, t))", "second = xp.where(t > 1000, 1.0, xp.sqrt(1 - xp.integer_power(self.beta2, t)))"),
    ),
    *_of(
        "reference/asgd.py",
        ("rate starts at zero", "first=xp.where(t == 1, lr, 0.0)", "first=0.0"),
        ("rate acts at once", 'eta = state["eta"] + c.first', "eta = c.later"),
        ("rate falls a step early", "self.lambd * lr * t, self.alpha", "self.lambd * lr * (t + 1), self.alpha"),
        ("rate falls by the square root", "xp.power(1 + self.lambd * lr * t, self.alpha)", "xp.sqrt(1 + self.lambd * lr * t)"),
        ("pull to zero ignores the rate", "theta - c.lambd * eta * theta", "theta - c.lambd * theta"),
        ("pull to zero is forgotten", "theta - c.lambd * eta * theta", "theta"),
    ),
    *_of(
        "reference/rprop.py",
        ("first size is forgotten", 'state["d"] + c.first', 'state["d"] + c.smallest'),
        ("sizes change the other way", "xp.where(s > 0, c.rise * d, xp.where(s < 0, c.fall * d, d))", "xp.where(s > 0, c.fall * d, xp.where(s < 0, c.rise * d, d))"),
        ("sizes never shrink", "xp.where(s < 0, c.fall * d, d)", "d"),
        ("steps are taken where the sign turns", "g = xp.where(s < 0, nothing, g)", "g = g + nothing"),
        ("turned gradients are remembered", '{"d": d, "h": g}', '{"d": d, "h": gradient}'),
        ("sizes know no bound below", "xp.maximum(d, nothing + c.smallest)", "d"),
        ("sizes know no bound above", "xp.minimum(xp.maximum(d, nothing + c.smallest), nothing + c.largest)", "xp.maximum(d, nothing + c.smallest)"),
        ("steps are as long as the gradient", "theta - d * xp.sign(g)", "theta - d * g"),
    ),
    *_of(
        "reference/ftrl.py",
        ("accumulator starts at zero", " + self.initial_accumulator", ""),
        ("linear term forgets theta", "- c.pace * (after - before) * theta)", ")"),
        ("second penalty is halved", "ridge=2 * self.l2", "ridge=self.l2"),
        ("beta ignores the rate", "self.beta / lr", "self.beta"),
        ("shrinkage is halved", "shrinkage=2 * self.shrinkage", "shrinkage=self.shrinkage"),
        ("first penalty lets everything through", "xp.abs(z) - c.l1", "xp.abs(z)"),
        ("power is always a square root", "if self.lr_power == -0.5 else", "if True else"),
        ("theta moves instead of being rebuilt", "return -xp.sign(z)", "return theta - xp.sign(z)"),
    ),
    *_of(
        "reference/adamax.py",
        ("epsilon is in the wrong place", "inside = self.epsilon_at is Epsilon.INSIDE", "inside = self.epsilon_at is Epsilon.OUTSIDE"),
        ("no bias correction", "lr / (1 - xp.integer_power(self.beta1, t))", "lr"),
        ("step index is off by one", "self.beta1, t)", "self.beta1, t + 1)"),
        ("norm never forgets", 'c.keep2 * state["u"]', 'state["u"]'),
        ("norm is the last gradient's", 'xp.maximum(c.keep2 * state["u"], xp.abs(g) + c.epsilon if inside else xp.abs(g))', "xp.abs(g) + c.epsilon if inside else xp.abs(g)"),
        ("sign of the gradient enters the norm", "if inside else xp.abs(g))", "if inside else g)"),
    ),
    *_of(
        "reference/nadam.py",
        ("momentum does not warm up", "self.beta1 * (1 - xp.integer_power(base, k) / 2)", "self.beta1 * (1 - 0 * xp.integer_power(base, k))"),
        ("momentum is not halved at first", "xp.integer_power(base, k) / 2", "xp.integer_power(base, k)"),
        ("step index is off by one", "for k in (t, t + 1)", "for k in (t - 1, t)"),
        ("product is never kept", '"v": v, "P": P}', '"v": v, "P": state["P"]}'),
        ("product starts at zero", 'xp.ones((), dtype=theta.dtype)', '0 * xp.ones((), dtype=theta.dtype)'),
        ("products are not corrected for", "c.rest * g / (1 - P)", "c.rest * g"),
        ("epsilon is under the root", "c.stretch * xp.sqrt(v)", "c.stretch * xp.sqrt(v + c.epsilon)"),
        ("no bias correction of the mean square", "1 / xp.sqrt(1 - xp.integer_power(self.beta2, t))", "1.0"),
        ("gradient is forgotten", " + c.rest * g / (1 - P)", ""),
    ),
    *_of(
        "reference/radam.py",
        ("epsilon is in the wrong place", "hat = self.epsilon_at is Epsilon.HAT", "hat = self.epsilon_at is Epsilon.OUTSIDE"),
        ("rate adapts from a length of 4", "TRACTABLE = 5 ", "TRACTABLE = 4 "),
        ("rate never adapts", "adaptive = length > TRACTABLE", "adaptive = length > 1e9"),
        ("step is not rectified", "if hat else lr * r / first", "if hat else lr / first"),
        ("memory is one longer", "2 / (1 - self.beta2) - 1", "2 / (1 - self.beta2)"),
        ("step index is off by one", "2 * t * power", "2 * (t + 1) * power"),
        ("rectified by the square", "r = xp.sqrt((known", "r = ((known"),
        ("no bias correction of the mean", "first, power = 1 - xp.integer_power(self.beta1, t),", "first, power = 1.0,"),
    ),
    *_of(
        "reference/schedulefree.py",
        ("average is of the last point alone", "share=1 / t, rest=(1 - 1 / t) * (1 / self.beta1)", "share=1.0, rest=0.0"),
        ("average is a step late", "share=1 / t, rest=(1 - 1 / t) *", "share=1 / (t + 1), rest=(1 - 1 / (t + 1)) *"),
        ("point starts at zero", "first=xp.where(t == 1, 1.0, 0.0)", "first=0.0"),
        ("warm-up is ignored", "if self.warmup else lr", "if False else lr"),
        ("point is recovered from itself", "c.rest * (theta - c.rest1 * z)", "c.rest * theta"),
        ("epsilon is under the root", "c.stretch * xp.sqrt(v)", "c.stretch * xp.sqrt(v + c.epsilon)"),
        ("no bias correction", "1 / xp.sqrt(1 - xp.integer_power(self.beta2, t))", "1.0"),
        ("gradients are taken at the average", "return c.rest1 * z + c.beta1 * x,", "return x,"),
        ("decay shrinks the first point too", '        z = state["z"] + c.first * theta\n        theta, g = self.decayed(theta, gradient, c)\n', '        theta, g = self.decayed(theta, gradient, c)\n        z = state["z"] + c.first * theta\n'),
    ),
    *_of(
        "reference/lion.py",
        ("betas are swapped", "keep1=self.beta1, take1=1 - self.beta1, keep2=self.beta2, take2=1 - self.beta2", "keep1=self.beta2, take1=1 - self.beta2, keep2=self.beta1, take2=1 - self.beta1"),
        ("mean is taken first", 'direction = xp.sign(c.keep1 * state["m"] + c.take1 * g)', 'direction = xp.sign(c.keep2 * state["m"] + c.take2 * g)'),
        ("sign of the gradient alone", 'xp.sign(c.keep1 * state["m"] + c.take1 * g)', "xp.sign(g)"),
        ("step is not a sign", 'xp.sign(c.keep1 * state["m"] + c.take1 * g)', '(c.keep1 * state["m"] + c.take1 * g)'),
        ("mean is never kept", '{"m": c.keep2 * state["m"] + c.take2 * g}', "state"),
        ("mean starts at one", '{"m": xp.zeros_like(theta)}', '{"m": xp.zeros_like(theta) + 1.0}'),
    ),
    *_of(
        "reference/adafactor.py",
        ("epsilon1 is in the wrong place", "floor, before = self.epsilon1_at is Epsilon.FLOOR", "floor, before = self.epsilon1_at is Epsilon.INSIDE"),
        ("rate is never capped", "xp.where(lr < cap, lr, cap) if self.relative_step else lr", "lr"),
        ("rate is always capped", "xp.where(lr < cap, lr, cap) if self.relative_step else lr", "xp.where(lr < cap, lr, cap)"),
        ("cap falls with the square of t", "1 / xp.sqrt(t)", "1 / (t * t)"),
        ("mean square forgets at a constant rate", "take, cap = xp.power(t, self.beta2_decay)", "take, cap = xp.where(t == 1, 1.0, 0.5)"),
        ("step index is off by one", "xp.power(t, self.beta2_decay)", "xp.power(t + 1, self.beta2_decay)"),
        ("rows stand for all", "xp.sqrt(new[\"r\"] / root) * xp.sqrt(new[\"c\"] / root)", "xp.sqrt(new[\"r\"] + 0 * new[\"c\"])"),
        ("no square root", 'xp.sqrt(new["r"] / root) * xp.sqrt(new["c"] / root)', '(new["r"] / root) * (new["c"] / root)'),
        ("columns are never kept", '"c": mean(s, xp, -2)}', '"c": mean(s, xp, -2) + 0 * state["c"]}\n        state = {**state, "c": 0 * state["c"]} if "c" in state else state'),
        ("steps are not clipped", "c.over * length, xp", "0 * length, xp"),
        ("clipping is turned over", "over=1 / self.clip", "over=self.clip"),
        ("steps are not shares of theta", "xp.maximum(size, xp.zeros_like(size) + c.epsilon2)", "(xp.zeros_like(size) + c.epsilon2)"),
        ("small tensors never start", "xp.maximum(size, xp.zeros_like(size) + c.epsilon2)", "size"),
        ("theta is measured on the other side of decay", "is Measure.BEFORE_DECAY else theta", "is Measure.AFTER_DECAY else theta"),
        ("norms are clipped", "length = xp.sqrt(total_square(U, xp) * share)", "length = xp.sqrt(total_square(U, xp))"),
        ("decay follows the capped rate", "shrink=self.shrink(lr)", "shrink=self.shrink(xp.where(lr < cap, lr, cap))"),
    ),
    *_of(
        "reference/muon.py",
        ("Nesterov is plain momentum", "c.keep * m + c.take * g if self.nesterov else m", "m"),
        ("Nesterov looks ahead from the old buffer", "c.keep * m + c.take * g if", 'c.keep * state["m"] + c.take * g if'),
        ("momentum is never kept", 'X, {"m": m}', "X, state"),
        ("gradient is made orthogonal, not the momentum", "M = c.keep * m + c.take * g if self.nesterov else m", "M = g"),
        ("epsilon is in the wrong place", "if self.epsilon_at is Epsilon.FLOOR else size + floor", "if self.epsilon_at is Epsilon.OUTSIDE else size + floor"),
        ("norm is that of the momentum before", "size = norm(M, xp)", "size = norm(m, xp)"),
        ("momentum is not made orthogonal", "orthogonalized(M / size, c.a, c.b, c.c, self.ns_steps, xp)", "M / size"),
        ("coefficients trade places", "c.a, c.b, c.c, self", "c.a, c.c, c.b, self"),
        ("iterates once less", "self.ns_steps, xp", "self.ns_steps - 1, xp"),
        ("reach is that of the transpose", "rows, columns = theta.shape", "columns, rows = theta.shape"),
        ("reach has no root", "xp.sqrt(xp.zeros_like(size) + reach)", "(xp.zeros_like(size) + reach)"),
        ("reach is of the shorter side", "Reach.LONG: max(rows, columns)", "Reach.LONG: min(rows, columns)"),
        ("share is ignored", "lr=lr * self.share", "lr=lr"),
        ("Adam has the rate of matrices", "coefficients(t, lr * self.adam_share, xp)", "coefficients(t, lr, xp)"),
        ("Adam has the decay of matrices", "weight_decay=self.adam_weight_decay, decay", "weight_decay=self.weight_decay, decay"),
        ("Adam's decay follows its own rate", "self.others.shrink(lr)", "self.others.shrink(lr * self.adam_share)"),
        ("Adam's epsilon is standard", "epsilon_at=Epsilon.HAT", "epsilon_at=Epsilon.OUTSIDE"),
        ("Adam has the epsilon of matrices", "c._replace(epsilon=c.adam_epsilon, ", "c._replace("),
        ("vectors are no matter", "if not self.adam:\n            raise", "if False:\n            raise"),
    ),
    *_of(
        "reference/matrices.py",
        ("square has no square", "c * xp.matmul(square, square)", "c * square"),
        ("iterates once", "for _ in range(steps)", "for _ in range(min(steps, 1))"),
        ("tall matrices stay turned", "return xp.transpose(orthogonalized(xp.transpose(x), a, b, c, steps, xp))", "return xp.reshape(orthogonalized(xp.transpose(x), a, b, c, steps, xp), x.shape)"),
    ),
    *_of(
        "reference/lamb.py",
        ("length is left alone", "theta - c.lr * ratio * d", "theta - c.lr * d"),
        ("ratio is upside down", "size / xp.where(usable, length, one)", "xp.where(usable, length, one) / xp.where(usable, size, one)"),
        ("length is that of the gradient", "norm(theta, xp), norm(d, xp)", "norm(theta, xp), norm(g, xp)"),
        ("direction becomes as long as lr", "size / xp.where(usable, length, one)", "one / xp.where(usable, length, one)"),
        ("tensors of zeros never start", "xp.where(usable, size / xp.where(usable, length, one), one)", "xp.where(usable, size / xp.where(usable, length, one), size)"),
        ("epsilon is forgotten", "c.stretch * xp.sqrt(v) + c.epsilon", "c.stretch * xp.sqrt(v)"),
        ("epsilon is under the root", "c.stretch * xp.sqrt(v) + c.epsilon", "c.stretch * xp.sqrt(v + c.epsilon)"),
        ("joined decay is forgotten", "d = d + c.shrink * theta", "d = d"),
        ("joined decay is added after the length is known", "        if self.weight_decay and self.decay is Decay.JOINED:\n            d = d + c.shrink * theta\n        size, length = norm(theta, xp), norm(d, xp)\n", "        size, length = norm(theta, xp), norm(d, xp)\n        if self.weight_decay and self.decay is Decay.JOINED:\n            d = d + c.shrink * theta\n"),
        ("length is that of the mean", "norm(d, xp)", "norm(m, xp)"),
        ("mean square is one step late", 'd = c.correct * m / (c.stretch * xp.sqrt(v)', 'd = c.correct * m / (c.stretch * xp.sqrt(state["v"])'),
    ),
]  # fmt: skip

DIALECTS = [
    *_of(
        "reference/dialects/keras.py",
        ("Adam's epsilon is PyTorch's", '"beta_2": 0.999, "epsilon": 1e-7', '"beta_2": 0.999, "epsilon": 1e-8'),
        ("Adam's epsilon stands after bias correction", '4e-3},\n        {"epsilon_at": Epsilon.HAT', '4e-3},\n        {"epsilon_at": Epsilon.OUTSIDE'),
        ("accumulator starts at zero", '1e-3, "initial_accumulator_value": 0.1', '1e-3, "initial_accumulator_value": 0.0'),
        ("weight decay is coupled", '{"buffer": Buffer.STEPS, "decay": Decay.DECOUPLED}', '{"buffer": Buffer.STEPS, "decay": Decay.COUPLED}'),
        ("momentum is PyTorch's", '{"epsilon_at": Epsilon.INSIDE, "buffer": Buffer.STEPS', '{"epsilon_at": Epsilon.INSIDE, "buffer": Buffer.GRADIENTS'),
        ("Adam's decay is coupled", '{"epsilon_at": Epsilon.HAT, "decay": Decay.DECOUPLED}, _ADAM_STATE,\n    ),\n    "AdamW"', '{"epsilon_at": Epsilon.HAT, "decay": Decay.COUPLED}, _ADAM_STATE,\n    ),\n    "AdamW"'),
        ("Adadelta's decay is coupled", '{"decay": Decay.DECOUPLED},\n        {"v": "accumulated_grad"', '{"decay": Decay.COUPLED},\n        {"v": "accumulated_grad"'),
        ("Nadam's momentum warms up as PyTorch's", '{"momentum_decay": 1.0', '{"momentum_decay": 0.004'),
        ("Adamax's epsilon is PyTorch's", '{"epsilon_at": Epsilon.OUTSIDE, "decay": Decay.DECOUPLED},\n        {"m": "momentum", "u"', '{"epsilon_at": Epsilon.INSIDE, "decay": Decay.DECOUPLED},\n        {"m": "momentum", "u"'),
        ("Adafactor's epsilon1 is PyTorch's", '{"epsilon1_at": Epsilon.INSIDE', '{"epsilon1_at": Epsilon.FLOOR'),
        ("Adafactor measures as PyTorch", '"measure": Measure.AFTER_DECAY', '"measure": Measure.BEFORE_DECAY'),
        ("Muon's epsilon is PyTorch's", '"epsilon": 1e-7, "epsilon_at": Epsilon.OUTSIDE, "reach"', '"epsilon": 1e-7, "epsilon_at": Epsilon.FLOOR, "reach"'),
        ("Muon's momentum is a mean", '{"mean": False', '{"mean": True'),
        ("Muon without rms_rate has a reach", '**muon.fixed, "reach": Reach.ONE', '**muon.fixed, "reach": Reach.LONG'),
        ("Lamb's decay joins the direction", 'LAMB, _MEANS, _MEANS_DEFAULTS, {"decay": Decay.DECOUPLED}', 'LAMB, _MEANS, _MEANS_DEFAULTS, {"decay": Decay.JOINED}'),
        ("Lion's betas are Adam's", '"beta_1": 0.9, "beta_2": 0.99,', '"beta_1": 0.9, "beta_2": 0.999,'),
        ("schedule-free epsilon is Adam's", '"epsilon": 1e-8, "warmup_steps"', '"epsilon": 1e-7, "warmup_steps"'),
        ("clipping is dropped", 'and around != "ema_momentum"', 'and around == "clipnorm"'),
        ("states change names", '"accumulated_grad", "u": "accumulated_delta_var"', '"accumulated_delta_var", "u": "accumulated_grad"'),
    ),
    *_of(
        "reference/dialects/pytorch.py",
        ("RMSprop keeps as much as Keras", '"alpha": 0.99', '"alpha": 0.9'),
        ("Adagrad's epsilon is under the root", '{"epsilon_at": Epsilon.OUTSIDE, "decay": Decay.COUPLED},\n        {"G"', '{"epsilon_at": Epsilon.INSIDE, "decay": Decay.COUPLED},\n        {"G"'),
        ("translation forgets epsilon", "rule.initial_accumulator + rule.epsilon", "rule.initial_accumulator"),
        ("RAdam's epsilon stands after bias correction", '{**_MEANS_DEFAULTS, "lr": 1e-3}, {"epsilon_at": Epsilon.HAT', '{**_MEANS_DEFAULTS, "lr": 1e-3}, {"epsilon_at": Epsilon.OUTSIDE'),
        ("Adamax's epsilon is Keras'", '{"epsilon_at": Epsilon.INSIDE', '{"epsilon_at": Epsilon.OUTSIDE'),
        ("Adafactor's epsilons trade places", '"eps": ("eps1", "eps2")', '"eps": ("eps2", "eps1")'),
        ("Muon steps as long as Adam whatever is said", '"original": Reach.TALL', '"original": Reach.LONG'),
        ("Muon's share is forgotten", 'fixed={**muon.fixed, "share": LIKE_ADAM}', "fixed=muon.fixed"),
        ("Muon's epsilon is that of the sum", "epsilon=(1 - rule.momentum) * rule.epsilon", "epsilon=rule.epsilon"),
        ("no epsilon is none", 'values["eps1"] = MACHINE_EPSILON', 'values["eps1"] = 0.0'),
        ("Adafactor's states change names", '"r": "row_var", "c": "col_var"', '"r": "col_var", "c": "row_var"'),
        ("sizes of Rprop trade places", '("step_size_min", "step_size_max")', '("step_size_max", "step_size_min")'),
        ("decoupled decay of NAdam is lost", 'DECOUPLES = ("Adam", "NAdam", "RAdam")', 'DECOUPLES = ("Adam", "RAdam")'),
        ("AdamW couples its decay", '{"epsilon_at": Epsilon.OUTSIDE, "decay": Decay.DECOUPLED}', '{"epsilon_at": Epsilon.OUTSIDE, "decay": Decay.COUPLED}'),
        ("betas are spelled backwards", "for single in names)\n            joined", "for single in reversed(names))\n            joined"),
        ("states change names", '_ADAM_STATE = {"m": "exp_avg", "v": "exp_avg_sq"', '_ADAM_STATE = {"m": "exp_avg_sq", "v": "exp_avg"'),
    ),
    *_of(
        "reference/dialects/article.py",
        ("epsilon is Keras'", '"eps": 1e-8}', '"eps": 1e-7}'),
        ("learning rate is Keras'", '{"lr": 1e-2,', '{"lr": 1e-3,'),
    ),
    *_of(
        "reference/dialects/optax.py",
        ("Adam's epsilon stands before bias correction", 'Adam, _ADAM, _ADAM_DEFAULTS, {"epsilon_at": Epsilon.OUTSIDE}, _ADAM_STATE),\n    "adamw"', 'Adam, _ADAM, _ADAM_DEFAULTS, {"epsilon_at": Epsilon.HAT}, _ADAM_STATE),\n    "adamw"'),
        ("words for the place of epsilon are swapped", "{True: Epsilon.INSIDE, False: Epsilon.OUTSIDE}", "{True: Epsilon.OUTSIDE, False: Epsilon.INSIDE}"),
        ("RMSprop's momentum is PyTorch's", '{"buffer": Buffer.STEPS}', '{"buffer": Buffer.GRADIENTS}'),
        ("Nadam's momentum warms up", "AT_ONCE = 1e6", "AT_ONCE = 4e-3"),
        ("Adamax's epsilon is Keras'", '_ADAM, _ADAM_DEFAULTS, {"epsilon_at": Epsilon.INSIDE}', '_ADAM, _ADAM_DEFAULTS, {"epsilon_at": Epsilon.OUTSIDE}'),
        ("Lion's second beta is Adam's", '"b2": 0.99, "weight_decay": 1e-3', '"b2": 0.999, "weight_decay": 1e-3'),
        ("Lamb's decay is Keras'", '{"decay": Decay.JOINED}', '{"decay": Decay.DECOUPLED}'),
        ("decay of AdamW is PyTorch's", '"weight_decay": 1e-4},\n        {"epsilon_at": Epsilon.OUTSIDE', '"weight_decay": 1e-2},\n        {"epsilon_at": Epsilon.OUTSIDE'),
        ("no learning rate descends", "math.copysign(1, fields[\"lr\"]) < 0", "fields[\"lr\"] < -1"),
        ("uphill is dropped in spelling", 'arguments["learning_rate"] = -arguments["learning_rate"]', "pass"),
        ("epsilon under the root is dropped", '"eps_root": 0.0,\n', "\n"),
        ("empty accumulator divides", "if name is None or empty:", "if name is None:"),
        ("setting of each step multiplies", "'epsilon', 0)} / (1 -", "'epsilon', 0)} * (1 -"),
        ("setting of AMSGrad is its inverse", "lr * (1 - {rule.beta2}**t) ** 0.5 / (1 - {rule.beta1}**t)", "lr / (1 - {rule.beta2}**t) ** 0.5 * (1 - {rule.beta1}**t)"),
        ("states change names", '{"m": "mu", "v": "nu"}', '{"m": "nu", "v": "mu"}'),
    ),
    *_of(
        "reference/dialects/tf_keras.py",
        ("RMSprop's epsilon is Keras 3's", '{"epsilon_at": Epsilon.OUTSIDE, "buffer"', '{"epsilon_at": Epsilon.INSIDE, "buffer"'),
        ("RMSprop's epsilon knows no momentum", "Epsilon.INSIDE if momentum else native", "Epsilon.INSIDE if not native else native"),
        ("Adagrad's epsilon is Keras 3's", '{"epsilon_at": Epsilon.OUTSIDE},\n        {"G"', '{"epsilon_at": Epsilon.INSIDE},\n        {"G"'),
        ("Nadam warms up as Keras 3's", '"schedule_decay": 0.004}', '"schedule_decay": 1.0}'),
        ("Adamax's epsilon is PyTorch's", 'Adamax, _MEANS, _MEANS_DEFAULTS, {"epsilon_at": Epsilon.OUTSIDE}', 'Adamax, _MEANS, _MEANS_DEFAULTS, {"epsilon_at": Epsilon.INSIDE}'),
        ("epsilon zero is zero", "{FUZZ: FUZZ, 0.0: FUZZ, None: FUZZ}", "{FUZZ: FUZZ, None: FUZZ}"),
        ("decay is dropped", '{"decay": 0.0}', '{"decay": arguments.get("decay")}'),
        ("old name of the learning rate is dropped", 'if "lr" in arguments:', 'if "lr" in native.arguments:'),
    ),
    *_of(
        "reference/dialects/tensorflow1.py",
        ("mean square starts at zero", '"initial_mean_square": 1.0}', '"initial_mean_square": 0.0}'),
        ("Adagrad has an epsilon", '{"epsilon": 0.0, "epsilon_at": Epsilon.OUTSIDE}', '{"epsilon": 1e-7, "epsilon_at": Epsilon.OUTSIDE}'),
        ("Momentum's buffer is Keras'", '{"buffer": Buffer.GRADIENTS}', '{"buffer": Buffer.STEPS}'),
        ("Adam's epsilon is PyTorch's", '{"epsilon_at": Epsilon.HAT}', '{"epsilon_at": Epsilon.OUTSIDE}'),
        ("translation forgets epsilon", "rule.initial_accumulator + rule.epsilon", "rule.initial_accumulator"),
        ("epsilon of Adadelta is Keras'", '"rho": 0.95, "epsilon": 1e-8', '"rho": 0.95, "epsilon": 1e-7'),
    ),
    *_of(
        "reference/dialects/onnx.py",
        ("Adam's epsilon is PyTorch's", '{"epsilon_at": Epsilon.HAT', '{"epsilon_at": Epsilon.OUTSIDE'),
        ("penalty is decoupled", '{"epsilon_at": Epsilon.HAT, "decay": Decay.COUPLED}', '{"epsilon_at": Epsilon.HAT, "decay": Decay.DECOUPLED}'),
        ("beta is the dampening", '1 - values["beta"]', 'values["beta"]'),
        ("beta is spelled as the dampening", 'arguments["beta"] = 1 - rule.dampening', 'arguments["beta"] = rule.dampening'),
        ("Adam counts from zero", '"Adam": 1}', '"Adam": 0}'),
        ("decay after the step is dropped", 'if arguments.get("norm_coefficient_post"):', 'if arguments.get("norm_coefficient_after"):'),
        ("translation forgets epsilon", "rule.initial_accumulator + rule.epsilon", "rule.initial_accumulator"),
    ),
    *_of(
        "reference/dialects/paper.py",
        ("AdamW's decay is multiplied by alpha", 'fields["weight_decay"] / fields["lr"]', 'fields["weight_decay"]'),
        ("Adam's epsilon is epsilon-hat", '_ADAM, _ADAM_DEFAULTS, {"epsilon_at": Epsilon.OUTSIDE}', '_ADAM, _ADAM_DEFAULTS, {"epsilon_at": Epsilon.HAT}'),
        ("FTRL's second penalty is TensorFlow's", 'fields["l2"] / 2', 'fields["l2"]'),
        ("LAMB's decay is Keras'", '{"decay": Decay.JOINED}', '{"decay": Decay.DECOUPLED}'),
        ("FTRL has a first accumulator", '{"initial_accumulator": 0.0}', '{"initial_accumulator": 0.1}'),
        ("Hinton has an epsilon", '{"epsilon": 0.0, "epsilon_at"', '{"epsilon": 1e-7, "epsilon_at"'),
        ("Zeiler has a learning rate of Keras", '{"lr": 1.0}', '{"lr": 1e-3}'),
        ("Graves does not centre", '"centered": True}', '"centered": False}'),
        ("Graves' letters are swapped", '"aleph": "rho", "beth": "momentum"', '"aleph": "momentum", "beth": "rho"'),
        ("delta is PyTorch's", '{"delta": 0.0}', '{"delta": 1e-10}'),
        ("setting of AMSGrad is its inverse", "alpha * (1 - beta1**t) / (1 - beta2**t) ** 0.5", "alpha / (1 - beta1**t) * (1 - beta2**t) ** 0.5"),
    ),
    *_of(
        "reference/dialects/call.py",
        ("arguments that must be given are not asked for", "if name not in arguments]:", "if name is None]:"),
        ("words mean themselves", "if word == value), value)", "if word is words), value)"),
    ),
    *_of(
        "reference/dialects/relation.py",
        ("conditions are dropped", "if call.condition:", "if False:"),
        ("everything exact is the same", "Kind.SAME if same else Kind.OTHER", "Kind.SAME"),
    ),
    *_of(
        "reference/dialects/refusal.py",
        ("sizes change places", '(Epsilon.INSIDE, Epsilon.OUTSIDE): "with 16/9', '(Epsilon.OUTSIDE, Epsilon.OUTSIDE): "with 16/9'),
    ),
]  # fmt: skip

ADAPTERS = [
    *_of(
        "frameworks/numpy/optimizer.py",
        ("counts every step twice", "self.t[index] += 1", "self.t[index] += 2"),
        ("half precision is not widened", "if array.dtype.itemsize == 2 else array", "if False else array"),
        ("learning rate is the rule's for ever", "self.t[index], self.lr)", "self.t[index], self.rule.lr)"),
        ("resting tensors count on", "            if gradient is None:\n", "            self.t[index] += gradient is None\n            if gradient is None:\n"),
        ("learning rate never rises", "self.t[index], self.lr)", "self.t[index], min(self.lr, self.rule.lr))"),
        ("gradients that are no number are zero", "_widened(gradient), state", "np.nan_to_num(_widened(gradient), nan=0.0, posinf=np.inf, neginf=-np.inf), state"),
    ),
    *_of(
        "frameworks/pytorch/optimizer.py",
        ("learning rate is the first group's", 'rule, lr = _rule(group), float(group["lr"])', 'rule, lr = _rule(group), float(optimizer.param_groups[0]["lr"])'),
        ("steps are counted together", 'rule.coefficients(t, lr)', 'rule.coefficients(max(s["step"] for s in optimizer.state.values()), lr)'),
        ("closure runs without gradients", "with torch.enable_grad():", "with torch.no_grad():"),
        ("state rounds every operation", "old = {name: value.to(wide)", "old = {name: value"),
        ("groups share their options", "        group = self.param_groups[-1]\n", "        group = self.param_groups[-1]\n        group.update({k: self.defaults[k] for k in (\"beta1\", \"epsilon\", \"momentum\", \"maximize\") if k in self.defaults})\n"),
        ("options of the first step stay", "rule, lr = _rule(group),", 'rule, lr = optimizer.__dict__.setdefault("_rules", {}).setdefault(len(moves), _rule(group)),'),
        ("compiled groups share a learning rate", "            if t not in coefficients:\n", '            lr = float(optimizer.param_groups[0]["lr"]) if compiling else lr\n            if t not in coefficients:\n'),
        ("compiled resting tensors count on", "            if (gradient := theta.grad) is None:\n", '            if (gradient := theta.grad) is None:\n                if compiling and optimizer.state[theta]:\n                    optimizer.state[theta]["step"] += 1\n'),
        ("steps are counted to a hundred", 'rule.coefficients(t, lr)', 'rule.coefficients(min(t, 100), lr)'),
        ("learning rate never rises", "            if t not in coefficients:\n", '            lr = min(lr, optimizer.defaults["lr"])\n            if t not in coefficients:\n'),
        ("loaded doubles become floats", "        super().load_state_dict(state_dict)\n", "        super().load_state_dict(state_dict)\n        for state in self.state.values():\n            state.update({k: v.float() for k, v in state.items() if torch.is_tensor(v) and v.dtype == torch.float64})\n"),
        ("state begins as the first group's", "_begin(optimizer.state[theta], theta, rule)", "_begin(optimizer.state[theta], theta, _rule(optimizer.param_groups[0]))"),
        ("gradients are clamped", "gradient.to(wide), old", "gradient.to(wide).clamp(-100, 100), old"),
        ("gradients that are no number are zero", "_dense(gradient), arrays", "_dense(gradient).nan_to_num(0.0), arrays"),
        ("elements that act on each other are cut apart", " and not isinstance(rule, COUPLED)", ""),
        ("last piece rests", "in zip(*(x.view(-1).split(PIECE) for x in arrays), strict=True):", "in zip(*(x.view(-1)[: x.numel() // PIECE * PIECE].split(PIECE) for x in arrays), strict=True):"),
        ("closure runs twice", "                loss = closure()\n", "                closure()\n                loss = closure()\n"),
        ("state is never written", "        state[name].copy_(value)", "        pass"),
        ("compiled step uses its gradient up", "    theta.copy_(moved)\n", "    theta.copy_(moved)\n    if torch.compiler.is_compiling():\n        gradient.zero_()\n"),
        ("rows without a gradient rest", "    theta.copy_(moved)\n", "    theta.copy_(torch.where(gradient != 0, moved.to(theta.dtype), theta))\n"),
    ),
    *_of(
        "frameworks/pytorch/compiled.py",
        ("any number of a rule serves its trace", "((x == 0, x == usual) if isinstance(x, float) else x", "(None if isinstance(x, float) else x"),
        ("any choice of a rule serves its trace", "tuple(map(_form, rules))", "tuple(map(type, rules))"),
        ("coefficients of the first step stay", "            view[:] = numbers", "            view[:] = [old or new for old, new in zip(view, numbers)]"),
        ("coefficients are floats", "            view[:] = numbers", "            view[:] = [ctypes.c_float(number).value for number in numbers]"),
        ("coefficients are the first tensor's", "        begin += len(move.c)\n", ""),
        ("strides do not matter", "(x.shape, x.stride(), x.dtype)", "(x.shape, x.dtype)"),
        ("writes are hidden from autograd", "        torch.autograd.graph.increment_version(tensors[: len(moves)])", "        pass"),
    ),
    *_of(
        "frameworks/pytorch/namespace.py",
        ("square root is the library's", "if torch.compiler.is_compiling() or", "if True or"),
    ),
    *_of(
        "frameworks/tensorflow/optimizer.py",
        ("state starts at zero", "self.add_variable_from_reference(variable, name, _constant(value))", "self.add_variable_from_reference(variable, name)"),
        ("steps are counted together", "self._steps[index], learning_rate, wide)", "self._steps[0], learning_rate, wide)"),
        ("learning rate is the rule's for ever", "rule.coefficients(t, lr, namespace)", "rule.coefficients(t, tf.constant(rule.lr, tf.float64), namespace)"),
        ("variable is rounded before the step", "tf.cast(variable, wide), gradient", "tf.cast(tf.cast(variable, tf.bfloat16), wide), gradient"),
        ("state is never written", "            self.assign(slots[name], value)", "            pass"),
        ("constants stay constants", "tf.unstack(tf.cast(tf.where(t > 0, values, tf.zeros_like(values)), dtype))", "tf.cast(tf.convert_to_tensor(value, tf.float64), dtype) for value in c"),
        ("decay cannot be excluded", "self.rule if self._use_weight_decay(variable) else", "self.rule if True else"),
        ("steps are counted in sixteen bits", 'dtype="int64", name="step"', 'dtype="int16", name="step"'),
        ("steps of a graph are rounded", "t = tf.cast(step.value, tf.float64)", "t = tf.cast(tf.cast(step.value, tf.float16), tf.float64)"),
        ("config drops flags", '"hyperparameters": self.rule.plain()}', '"hyperparameters": {k: v for k, v in self.rule.plain().items() if v is not True}}'),
        ("config rounds the learning rate", '        del config["weight_decay"]  # the rule\'s\n', '        del config["weight_decay"]  # the rule\'s\n        if isinstance(config["learning_rate"], float):\n            config["learning_rate"] = float(np.float32(config["learning_rate"]))\n'),
        ("accumulation divides the rate", "        wide = _wide(variable.dtype)\n", "        wide = _wide(variable.dtype)\n        learning_rate = learning_rate / (self.gradient_accumulation_steps or 1)\n"),
        ("decay cannot be excluded in a graph", "return self.rule if self", "return self.rule if not tf.executing_eagerly() or self"),
        ("duplicates of a graph overwrite", "    return tf.convert_to_tensor(gradient)", "    zeros = tf.zeros(tf.convert_to_tensor(gradient.dense_shape), gradient.values.dtype)\n    return tf.tensor_scatter_nd_update(zeros, gradient.indices[:, None], gradient.values)"),
        ("first variable's dtype serves all", "wide = _wide(variable.dtype)", "wide = _wide(tf.as_dtype(self._trainable_variables[0].dtype))"),
        ("learning rate never rises", "        wide = _wide(variable.dtype)\n", "        wide = _wide(variable.dtype)\n        learning_rate = tf.minimum(learning_rate, tf.constant(rule.lr, learning_rate.dtype))\n"),
        ("gradients are clamped", "tf.cast(_dense(gradient), wide)", "tf.clip_by_value(tf.cast(_dense(gradient), wide), tf.cast(-100.0, wide), tf.cast(100.0, wide))"),
        ("gradients that are no number are zero", "        theta, new = rule.update(", "        gradient = tf.where(tf.math.is_nan(gradient), tf.zeros_like(gradient), gradient)\n        theta, new = rule.update("),
        ("schedules are rounded", "tf.cast(tf.convert_to_tensor(learning_rate), tf.float64)", "tf.cast(tf.cast(tf.convert_to_tensor(learning_rate), tf.bfloat16), tf.float64)"),
        ("rows without a gradient rest", "self.assign(variable, theta)", "self.assign(variable, tf.where(gradient != 0, theta, tf.cast(variable, wide)))"),
    ),
    *_of(
        "frameworks/tensorflow/namespace.py",
        ("power drops the first bit", "bits % 2 == 1", "(bits % 2 == 1) & (squares != squares[0])"),
        ("square root may be rewritten", "tf.abs(tf.sqrt(x))", "tf.sqrt(x)"),
    ),
    *_of(
        "frameworks/experiment.py",
        ("every epoch has the first one's order", "words(_ORDER, epoch)", "words(_ORDER, 1)"),
        ("every epoch has the first one's masks", "words(_MASKS, epoch)", "words(_MASKS, 1)"),
        ("dropout takes a quarter", "DROPOUT * 2**32", "0.25 * 2**32"),
        ("Glorot's interval is too narrow", "np.sqrt(6 / (fan_in", "np.sqrt(3 / (fan_in"),
    ),
    *_of(
        "frameworks/run.py",
        ("accuracy is that of the training set", "trainer.accuracy(data.test_images, data.test_labels)", "trainer.accuracy(data.train_images[:10000], data.train_labels[:10000])"),
    ),
    *_of(
        "frameworks/pytorch/train.py",
        ("survivors of dropout are not scaled in plain training", "(1 / (1 - experiment.DROPOUT))", "(1 / (1 - experiment.DROPOUT) if self.lockstep else 1.0)"),
    ),
    *_of(
        "frameworks/numpy/model.py",
        ("hidden units are not gated", "np.where(before > 0, at_hidden * mask, 0)", "at_hidden * mask"),
        ("dropout is not applied backward", "at_hidden * mask, 0", "at_hidden, 0"),
    ),
    *_of(
        "frameworks/pytorch/model.py",
        ("gradient skips the grid", "return on_grid(gradient)", "return gradient"),
    ),
    *_of(
        "frameworks/tensorflow/model.py",
        ("exponentials skip the grid", "exponentials = on_grid(tf.exp(shifted))", "exponentials = tf.exp(shifted)"),
        ("plain training has no hidden bias", "tf.nn.relu(images @ W1 + b1)", "tf.nn.relu(images @ W1)"),
    ),
]  # fmt: skip

AROUND = [
    *_of(
        "reference/sums.py",
        ("transposes are told apart", "total(total(x, xp, -1), xp, -2) * 0.5 + total(total(x, xp, -2), xp, -1) * 0.5", "total(total(x, xp, -1), xp, -2)"),
    ),
    *_of(
        "reference/around/schedules.py",
        ("boundary comes a step early", "first = 1 if", "first = 0 if"),
        ("boundaries are all alike", "first = 1 if self.switch is Switch.AT else 2", "first = 1"),
        ("exponential is a step late", "        n = step - 1\n        if", "        n = xp.where(step > 1, step - 2, 0)\n        if"),
        ("staircase is smooth", "if self.staircase or self.steps == 1:", "if self.steps == 1:"),
        ("staircase has its landing a step early", "n // self.steps)", "step // self.steps)"),
        ("polynomial falls below its end", "w = _power(", "w = 1.01 * _power("),
        ("power is ignored", "self.steps), self.power, xp)", "self.steps), 1.0, xp)"),
        ("polynomial forgets its end", "self.lr * w + self.end * (1.0 - w)", "self.lr * w"),
        ("end is reached a step late", "xp.where(step > steps, 0, steps + 1 - step)", "xp.where(step > steps + 1, 0, steps + 1 - xp.where(step > 1, step - 1, step))"),
        ("cosine stays for everybody", "if self.after is After.RETURN:", "if False:"),
        ("cosine starts again instead of rising", "n = (step - 1) % (2 * self.steps)", "n = (step - 1) % self.steps"),
        ("cosine is a line", "c = _cosine(self.steps - before, self.steps, xp)", "c = 1.0 - 2.0 * xp.ratio(self.steps - before, self.steps)"),
        ("cosine's series is too short", "_series(12)", "_series(7)"),
        ("cosine forgets its end", " + self.end * (0.5 * (1.0 - c))", ""),
        ("warm-up counts among the steps", "later = xp.where(step > self.steps, step - self.steps, 1)", "later = step"),
        ("warm-up is a step too long", "end=self.then.rate(1), steps=self.steps)", "end=self.then.rate(1), steps=self.steps + 1)"),
        ("warm-up starts at nothing", "lr=self.start, end", "lr=0.0, end"),
    ),
    *_of(
        "reference/around/clipping.py",
        ("only what is too high is clipped", "-xp.maximum(-xp.maximum(g, low), low)", "-xp.maximum(-g, low)"),
        ("norm of each is the norm of all", "_scale(norm([gradient], xp), self.limit, xp) for", "_scale(norm(gradients, xp), self.limit, xp) for"),
        ("nothing is added", "total + self.added", "total"),
        ("it is added to the limit", "_scale(total + self.added, self.limit, xp)", "_scale(total, self.limit - self.added, xp)"),
        ("short gradients are made long", "return bound / xp.maximum(size, bound)", "return bound / size"),
        ("infinite norms make zeros for everybody", "if self.infinite is Infinite.NAN:", "if False:"),
        ("square root is forgotten", "return xp.sqrt(first)", "return first"),
        ("first tensor alone is measured", "first = first + other", "first = first + 0.0 * other"),
    ),
    *_of(
        "reference/around/average.py",
        ("first average is of zero", "if count == 1:", "if count == 0:"),
        ("weights are swapped", "return self.keep, 1 - self.keep", "return 1 - self.keep, self.keep"),
        ("equal weights count one too many", "return (count - 1) / count, 1 / count", "return count / (count + 1), 1 / (count + 1)"),
        ("average moves in the model's steps", "keep * a + take * theta", "keep * a + theta"),
    ),
    *_of(
        "reference/around/accumulation.py",
        ("mean is a sum", "share = 1 / self.steps", "share = 1.0"),
        ("sum is a mean", "if self.total is Total.SUM:", "if False:"),
        ("step comes one gradient early", "return count % self.steps == 0", "return (count + 1) % self.steps == 0"),
        ("last gradient replaces the sum", "else s + g", "else g"),
    ),
    *_of(
        "reference/dialects/around/pytorch.py",
        ("nothing is added to the norm", "ADDED = 1e-6", "ADDED = 0.0"),
        ("cosine stays", "after=After.RETURN)", "after=After.STAY)"),
        ("late boundary keeps its number", "int(boundary) + late", "int(boundary)"),
        ("repeated milestones count once", 'milestones = sorted(a["milestones"])', 'milestones = sorted(set(a["milestones"]))'),
        ("linear warm-up starts at a fifth", '"LinearLR": {"start_factor": 1 / 3', '"LinearLR": {"start_factor": 1 / 5'),
        ("smooth exponential is spelled by its factor", "factor ** (1 / steps)", "factor"),
        ("constant factor ends at once", 'if not a["total_iters"]:', "if False:"),
        ("decay is Keras'", '{"decay": 0.999}', '{"decay": 0.99}'),
    ),
    *_of(
        "reference/dialects/around/keras.py",
        ("boundary is PyTorch's", "switch=Switch.AFTER)", "switch=Switch.AT)"),
        ("early boundary keeps its number", "int(boundary) - early", "int(boundary)"),
        ("end is alpha itself", 'end=a["alpha"] * lr', 'end=a["alpha"]'),
        ("polynomial ends at zero", '"end_learning_rate": 1e-4', '"end_learning_rate": 0.0'),
        ("warm-up needs no target", 'if target is None or a["warmup_steps"] == 0:', 'if a["warmup_steps"] == 0:'),
        ("clipnorm is global", '"clipnorm": ClipNorm', '"clipnorm": ClipGlobalNorm'),
        ("infinite norms make zeros", 'infinite = {"infinite": Infinite.NAN} if', 'infinite = {"infinite": Infinite.ZERO} if'),
        ("momentum is PyTorch's", '"ema_momentum": 0.99,', '"ema_momentum": 0.999,'),
    ),
    *_of(
        "frameworks/numpy/around.py",
        ("scheduler is a step late", "schedule.rate(self.taken + 1)", "schedule.rate(max(self.taken, 1))"),
        ("half precision is not widened", "np.result_type(np.float32, *(", "np.result_type(*("),
        ("averages share their parameters", "return array.astype(np.float32 if array.dtype.itemsize == 2 else array.dtype)", "return array.astype(np.float32 if array.dtype.itemsize == 2 else array.dtype, copy=False)"),
    ),
    *_of(
        "frameworks/pytorch/around.py",
        ("scheduler is a step ahead", "schedule.rate(self.last_epoch + 1)", "schedule.rate(self.last_epoch + 2)"),
        ("scheduler scales the group's rate", "return [schedule.rate(self.last_epoch + 1) for schedule in self.schedules]", "return [base * schedule.rate(self.last_epoch + 1) for base, schedule in zip(self.base_lrs, self.schedules, strict=True)]"),
        ("first schedule serves all", "else list(schedule)", "else [schedule[0]] * len(schedule)"),
        ("gradient is another tensor afterwards", "parameter.grad.copy_(new)", "parameter.grad = new"),
        ("averages share their parameters", "tensor.dtype, copy=True)", "tensor.dtype)"),
        ("function counts from zero", "int(count) + 1)[0]", "int(count))[0]"),
        ("any state is taken", "if theirs != self.schedules:", "if False:"),
        ("sums are never reset", "self.accumulation.finished(self.sums), []", "self.accumulation.finished(self.sums), self.sums"),
    ),
    *_of(
        "frameworks/tensorflow/around.py",
        ("schedule of a graph is a step ahead", "return self.schedule.rate(taken + 1, namespace)", "return self.schedule.rate(taken + 2, namespace)"),
        ("schedule is float32", "// self.accumulation.steps + 1), tf.float64)", "// self.accumulation.steps + 1), tf.float32)"),
        ("batches of a graph are steps", "tf.int64) // self.accumulation.steps", "tf.int64)"),
        ("config forgets the accumulation", '"gradient_accumulation_steps": self.accumulation.steps}', '"gradient_accumulation_steps": 1}'),
        ("clipping is left to Keras", "return clipped(self.clipping, grads)", "return super()._clip_gradients(grads)"),
        ("half precision is averaged as it is", "return tf.cast(tensor, _wide(tensor.dtype))", "return tensor"),
    ),
    *_of(
        "frameworks/tensorflow/namespace.py",
        ("divisor is a constant", "where(part >= 0, float(whole), 0.0)", "tf.constant(float(whole), tf.float64)"),
    ),
]  # fmt: skip

ALL = [*RULES, *DIALECTS, *ADAPTERS, *AROUND]


@functools.cache
def wrong_rules(name: str) -> dict[str, type[Rule]]:
    """The rule of that name under each mutant of ``reference``: copies of the package, imported beside the right one."""
    folder = Path(tempfile.mkdtemp(prefix="samestep-wrong-"))
    sys.path.insert(0, str(folder))
    try:
        return dict(_wrong(name, folder))
    finally:
        sys.path.remove(str(folder))
        shutil.rmtree(folder)


_serial = itertools.count()


def _wrong(name: str, folder: Path) -> Iterator[tuple[str, type[Rule]]]:
    for mutant in RULES:
        if Path(mutant.file).stem not in ("rule", "scalars", "sums", name.lower()) or not mutant.applies(ROOT):
            continue
        package = f"wrong_reference_{next(_serial)}"
        shutil.copytree(ROOT / "reference", folder / "reference", ignore=shutil.ignore_patterns("__pycache__"))
        mutant.apply(folder)
        (folder / "reference").rename(folder / package)
        yield mutant.name, getattr(importlib.import_module(package), name)
