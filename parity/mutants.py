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
        ("decoupled decay ignores the learning rate", "else lr * self.weight_decay", "else self.weight_decay"),
        ("coupled decay is scaled by the learning rate", "return self.weight_decay if self", "return lr * self.weight_decay if self"),
        ("decay grows the weights", "return theta - c.shrink * theta, gradient", "return theta + c.shrink * theta, gradient"),
        ("decay is decoupled for everybody", "is Decay.COUPLED:", "is None:"),
        ("decay stands outside the sign of maximize", "gradient + c.shrink *", "gradient + (-c.shrink if self.maximize else c.shrink) *"),
        ("maximize is ignored", "gradient = -gradient", "gradient = gradient"),
        ("small decay is dropped", "if not self.weight_decay:\n", "if self.weight_decay < 5e-4:\n"),
        ("followed steps forget their state", "update(theta, gradient, state, rule.coefficients(t", "update(theta, gradient, rule.start(theta, xp), rule.coefficients(t"),
        ("followed steps are all the first", "rule.coefficients(t, rule.lr)", "rule.coefficients(1, rule.lr)"),
    ),
    *_of(
        "reference/scalars.py",
        ("power drops the first bit", "exponent >> k & 1", "exponent >> k & (k > 0)"),
        ("power knows eight bits", "EXPONENT_BITS = 32", "EXPONENT_BITS = 8"),
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
]  # fmt: skip

DIALECTS = [
    *_of(
        "reference/dialects/keras.py",
        ("Adam's epsilon is PyTorch's", '"beta_2": 0.999, "epsilon": 1e-7', '"beta_2": 0.999, "epsilon": 1e-8'),
        ("Adam's epsilon stands after bias correction", '4e-3},\n        {"epsilon_at": Epsilon.HAT', '4e-3},\n        {"epsilon_at": Epsilon.OUTSIDE'),
        ("accumulator starts at zero", '"initial_accumulator_value": 0.1', '"initial_accumulator_value": 0.0'),
        ("weight decay is coupled", '{"buffer": Buffer.STEPS, "decay": Decay.DECOUPLED}', '{"buffer": Buffer.STEPS, "decay": Decay.COUPLED}'),
        ("momentum is PyTorch's", '{"epsilon_at": Epsilon.INSIDE, "buffer": Buffer.STEPS', '{"epsilon_at": Epsilon.INSIDE, "buffer": Buffer.GRADIENTS'),
        ("Adam's decay is coupled", '{"epsilon_at": Epsilon.HAT, "decay": Decay.DECOUPLED}, _ADAM_STATE,\n    ),\n    "AdamW"', '{"epsilon_at": Epsilon.HAT, "decay": Decay.COUPLED}, _ADAM_STATE,\n    ),\n    "AdamW"'),
        ("Adadelta's decay is coupled", '{"decay": Decay.DECOUPLED},\n        {"v": "accumulated_grad"', '{"decay": Decay.COUPLED},\n        {"v": "accumulated_grad"'),
        ("clipping is dropped", 'and around != "ema_momentum"', 'and around == "clipnorm"'),
        ("states change names", '"accumulated_grad", "u": "accumulated_delta_var"', '"accumulated_delta_var", "u": "accumulated_grad"'),
    ),
    *_of(
        "reference/dialects/pytorch.py",
        ("RMSprop keeps as much as Keras", '"alpha": 0.99', '"alpha": 0.9'),
        ("Adagrad's epsilon is under the root", '{"epsilon_at": Epsilon.OUTSIDE, "decay": Decay.COUPLED},\n        {"G"', '{"epsilon_at": Epsilon.INSIDE, "decay": Decay.COUPLED},\n        {"G"'),
        ("translation forgets epsilon", "rule.initial_accumulator + rule.epsilon", "rule.initial_accumulator"),
        ("AdamW couples its decay", '{"epsilon_at": Epsilon.OUTSIDE, "decay": Decay.DECOUPLED}', '{"epsilon_at": Epsilon.OUTSIDE, "decay": Decay.COUPLED}'),
        ("betas are spelled backwards", 'for k in ("beta1", "beta2"))', 'for k in ("beta2", "beta1"))'),
        ("states change names", '"m": "exp_avg", "v": "exp_avg_sq"', '"m": "exp_avg_sq", "v": "exp_avg"'),
    ),
    *_of(
        "reference/dialects/article.py",
        ("epsilon is Keras'", '"eps": 1e-8}', '"eps": 1e-7}'),
        ("learning rate is Keras'", '{"lr": 1e-2,', '{"lr": 1e-3,'),
    ),
    *_of(
        "reference/dialects/optax.py",
        ("Adam's epsilon stands before bias correction", '_ADAM, _ADAM_DEFAULTS, {"epsilon_at": Epsilon.OUTSIDE}', '_ADAM, _ADAM_DEFAULTS, {"epsilon_at": Epsilon.HAT}'),
        ("words for the place of epsilon are swapped", "{True: Epsilon.INSIDE, False: Epsilon.OUTSIDE}", "{True: Epsilon.OUTSIDE, False: Epsilon.INSIDE}"),
        ("RMSprop's momentum is PyTorch's", '{"buffer": Buffer.STEPS}', '{"buffer": Buffer.GRADIENTS}'),
        ("decay of AdamW is PyTorch's", '"weight_decay": 1e-4', '"weight_decay": 1e-2'),
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
        ("Adagrad's epsilon is Keras 3's", '{"epsilon_at": Epsilon.OUTSIDE},', '{"epsilon_at": Epsilon.INSIDE},'),
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
        ("state is never written", "        state[name].copy_(value)", "        pass"),
        ("learning rate is the first group's", 'rule, lr = _rule(group), float(group["lr"])', 'rule, lr = _rule(group), float(optimizer.param_groups[0]["lr"])'),
        ("steps are counted together", 'coefficients(state["step"], lr)', 'coefficients(max(s["step"] for s in optimizer.state.values()), lr)'),
        ("closure runs without gradients", "with torch.enable_grad():", "with torch.no_grad():"),
        ("state rounds every operation", "old = {name: value.to(wide)", "old = {name: value"),
        ("groups share their options", "        group = self.param_groups[-1]\n", "        group = self.param_groups[-1]\n        group.update({k: self.defaults[k] for k in (\"beta1\", \"epsilon\", \"momentum\", \"maximize\") if k in self.defaults})\n"),
        ("options of the first step stay", "rule, lr = _rule(group),", 'rule, lr = optimizer.__dict__.setdefault("_rules", {}).setdefault(len(moves), _rule(group)),'),
        ("compiled groups share a learning rate", '            state["step"] += 1\n', '            state["step"] += 1\n            lr = float(optimizer.param_groups[0]["lr"]) if compiled else lr\n'),
        ("compiled resting tensors count on", "            if theta.grad is None:\n", '            if theta.grad is None:\n                if compiled and optimizer.state[theta]:\n                    optimizer.state[theta]["step"] += 1\n'),
        ("steps are counted to a hundred", 'rule.coefficients(state["step"], lr)', 'rule.coefficients(min(state["step"], 100), lr)'),
        ("learning rate never rises", "            c = rule.coefficients(", '            lr = min(lr, optimizer.defaults["lr"])\n            c = rule.coefficients('),
        ("loaded doubles become floats", "        super().load_state_dict(state_dict)\n", "        super().load_state_dict(state_dict)\n        for state in self.state.values():\n            state.update({k: v.float() for k, v in state.items() if torch.is_tensor(v) and v.dtype == torch.float64})\n"),
        ("state begins as the first group's", "_begin(optimizer.state[theta], theta, rule)", "_begin(optimizer.state[theta], theta, _rule(optimizer.param_groups[0]))"),
        ("gradients are clamped", "gradient.to(wide), old", "gradient.to(wide).clamp(-100, 100), old"),
        ("gradients that are no number are zero", "_dense(theta.grad), arrays", "_dense(theta.grad).nan_to_num(0.0), arrays"),
        ("closure runs twice", "                loss = closure()\n", "                closure()\n                loss = closure()\n"),
        ("compiled step uses its gradient up", "    theta.copy_(moved)\n", "    theta.copy_(moved)\n    if torch.compiler.is_compiling():\n        gradient.zero_()\n"),
        ("rows without a gradient rest", "    theta.copy_(moved)\n", "    theta.copy_(torch.where(gradient != 0, moved.to(theta.dtype), theta))\n"),
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

ALL = [*RULES, *DIALECTS, *ADAPTERS]


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
        if Path(mutant.file).stem not in ("rule", "scalars", name.lower()) or not mutant.applies(ROOT):
            continue
        package = f"wrong_reference_{next(_serial)}"
        shutil.copytree(ROOT / "reference", folder / "reference", ignore=shutil.ignore_patterns("__pycache__"))
        mutant.apply(folder)
        (folder / "reference").rename(folder / package)
        yield mutant.name, getattr(importlib.import_module(package), name)
