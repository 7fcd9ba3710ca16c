"""A stand-alone script that shows a difference: it needs the frameworks of the two and NumPy, nothing of ours."""

import base64
import dataclasses
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from samestep.frameworks.experiment import process, record
from samestep.parity.measure.trial import Trial
from samestep.parity.runners import numpy as in_numpy
from samestep.parity.runners.contestants import Contestant
from samestep.parity.runners.worker import PATIENCE, RunResult
from samestep.reference import Rule, dialects

from .difference import Difference

MOST = 30  # lines
SHOWN = 1  # the script's exit code where it shows the difference

IMPORTS = {"torch": "import torch", "keras": "import keras", "tf": "import tensorflow as tf"}  # torch goes first
RUNS = {
    "torch": """def in_torch(make):
    theta = torch.nn.Parameter(torch.tensor(START))
    optimizer = make([theta])
    group, lr = optimizer.param_groups[0], optimizer.param_groups[0]["lr"]
    for g, share in STEPS:
        group["lr"], theta.grad = float(np.float32(lr * share)), None if g is None else torch.tensor(g)
        optimizer.step()
    return theta.detach().numpy()""",
    "keras": """def in_keras(optimizer, wrap=lambda apply: apply):
    theta, lr = keras.Variable(START, dtype=START.dtype.name), float(optimizer.learning_rate)
    optimizer.build([theta])
    apply = wrap(lambda g: optimizer.apply([g]))
    for g, share in STEPS:
        optimizer.learning_rate = float(np.float32(lr * share))
        _ = None if g is None else apply(keras.ops.convert_to_tensor(g))
    return theta.numpy()""",
}


@dataclasses.dataclass(frozen=True)
class Side:
    """One side of the script: an expression for where the tensor ends, and the framework it needs."""

    code: str
    needs: str


def write(path: Path, one: tuple[Contestant, RunResult], other: tuple[Contestant, RunResult], first: Difference, limit: float,
          trial: Trial, dtype: str) -> None:  # fmt: skip
    """Write the script for the first difference of positions, and run it; ValueError if it cannot be written, or does
    not show it."""
    text = script(one, other, first, limit, trial, dtype)
    try:
        record.write_whole(path, lambda file: file.write(text.encode()))
    except OSError as error:
        raise ValueError(f"{path} must be a file that can be written: {error}; name another with --repro") from error
    ended = process.run_python([str(path.resolve())], timeout=PATIENCE)
    if ended.code != SHOWN:
        reason = (process.last_lines(ended.stderr).splitlines() or [ended.description])[-1]
        raise ValueError(f"{path} was written, but does not show the difference by itself: {reason}")


def script(one: tuple[Contestant, RunResult], other: tuple[Contestant, RunResult], first: Difference, limit: float, trial: Trial,
           dtype: str) -> str:  # fmt: skip
    """The script's text."""
    trial = _cut(trial, first)
    alone = all(_apart(who, went.rule, trial, first, dtype) for who, went in (one, other))
    a, b = (_side(who, went, first, alone) for who, went in (one, other))
    needs = [name for name in IMPORTS if name in (a.needs, b.needs)]
    if not needs:
        raise ValueError("--repro needs an optimizer of PyTorch's or Keras' among the two, and neither has one")
    needs += ["tf"] * ("tf." in a.code + b.code)
    start, gradients, come = (part[first.tensor] for part in (trial.start, trial.gradients, trial.present))
    if alone:
        start, gradients = start[first.element], np.array([g[first.element] for g in gradients])
    at = "" if alone else f"[{', '.join(map(str, first.element))}]"
    steps = "GRADIENTS" if come.all() else f"(g if come else None for g, come in zip(GRADIENTS, {come.tolist()}))"
    parts = [
        f'"""Exit code 1: at step {first.step} A and B are farther apart than rounding explains."""',
        f"import {'base64, sys, zlib' if gradients.ndim > 1 else 'sys'}",
        "\n".join(["import numpy as np", *(IMPORTS[name] for name in needs)]),
        "\n".join([
            f"START = {_said(start, dtype)}", f"GRADIENTS = {_said(gradients, dtype)}",
            f"STEPS = list(zip({steps}, {_runs(trial.rate_factors)}))  # with shares of the learning rate",
            f"LIMIT = {limit!r}  # how far rounding may part them",
        ]),
        *(RUNS[name] for name in needs if name in RUNS),
        "\n".join([
            f"a = {a.code}{at if a.needs else ''}", f"b = {b.code}{at if b.needs else ''}",
            'print(f"A {float(a)!r}, B {float(b)!r}: {abs(a - b):.3g} apart, rounding explains {LIMIT:.3g}")',
            "sys.exit(not abs(a - b) <= LIMIT)",
        ]),
    ]  # fmt: skip
    blank = MOST - sum(part.count("\n") + 1 for part in parts)  # lines that may stand between parts
    return "".join(part + ("\n\n" if i < blank and i < len(parts) - 1 else "\n") for i, part in enumerate(parts))


def _cut(trial: Trial, first: Difference) -> Trial:
    """The trial up to the step of the difference, of its tensor alone."""
    name, end = first.tensor, max(first.step, 1)
    gradients = {name: trial.gradients[name][:end]}
    return Trial({name: trial.start[name]}, gradients, {name: trial.present[name][:end]}, trial.rate_factors[:end])


def _apart(who: Contestant, rule: Rule | None, trial: Trial, first: Difference, dtype: str) -> bool:
    """Whether the element goes its way without the others: tried, and taken for granted of nobody's own optimizer."""
    if who.kind == "factory" or rule is None:
        return False
    name, whole = first.tensor, in_numpy.run(rule, trial, dtype).thetas[first.tensor]
    place: Any = (slice(None), *first.element)
    one = Trial({name: trial.start[name][first.element].reshape(1)}, {name: trial.gradients[name][place][:, None]},
               trial.present, trial.rate_factors)  # fmt: skip
    try:
        return np.array_equal(in_numpy.run(rule, one, dtype).thetas[name][:, 0], whole[place], equal_nan=True)
    except (ValueError, IndexError):  # it needs a matrix
        return False


def _side(who: Contestant, went: RunResult, first: Difference, alone: bool) -> Side:
    """Live code where a framework has the optimizer, else the value that it came to."""
    if who.kind == "factory":
        module, _, name = who.text.partition(":")
        factory = f"(sys.path.insert(0, '.'), __import__({module!r}, fromlist=['']))[1].{name}"
        if went.home == "pytorch":
            return Side(f"in_torch({factory})", "torch")
        return Side(f"in_keras({factory}())", "keras")
    home, name, arguments, mode = _native(who)
    given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    if home == "pytorch":
        more = f"{', ' * bool(given)}{mode}=True" if mode in ("foreach", "fused") else ""
        return Side(f"in_torch(lambda p: torch.optim.{name}(p, {given}{more}))", "torch")
    if home == "keras":
        wrap = {"graph": ", tf.function", "xla": ", lambda f: tf.function(f, jit_compile=True)"}.get(mode, "")
        code = f"in_keras(keras.optimizers.{name}({given}){wrap})"
        return Side(code, "keras")
    value = float(went.trajectory.thetas[first.tensor][(first.step - 1, *first.element)])
    return Side(f"{value!r}  # {who.text}", "")


def _native(who: Contestant) -> tuple[str, str, dict[str, object], str]:
    """The dialect, name, arguments and mode of the framework's optimizer that means the contestant, if there is one."""
    if who.kind == "native" and who.call:
        return who.home, who.call.name, who.call.arguments, who.mode
    if who.kind == "rule" and who.dialect in ("pytorch", "keras"):
        dialect, name, arguments = dialects.parse(who.text)
        return dialect, name, arguments, ""
    for dialect in ("pytorch", "keras") if who.kind == "rule" else ():
        assert who.rule
        relation = dialects.relate(who.rule, dialects.find(dialect))
        if relation.call and not relation.call.condition:
            return dialect, relation.call.name, relation.call.arguments, ""
    return "", "", {}, ""


def _said(array: np.ndarray, dtype: str) -> str:
    """Numbers as code: few as they are, many packed."""
    if np.ndim(array) < 2:
        return f'np.array({np.asarray(array).tolist()}, "{dtype}")'
    packed = base64.b64encode(zlib.compress(np.ascontiguousarray(array, "<f8").tobytes())).decode()
    unpacked = f'np.frombuffer(zlib.decompress(base64.b64decode("{packed}")), "<f8")'
    return f'{unpacked}.reshape({array.shape}).astype("{dtype}")'


def _runs(shares: np.ndarray) -> str:
    """A list with its repetitions told, ``[1.0] * 20 + [0.25] * 40``."""
    ends = [*(np.flatnonzero(np.diff(shares)) + 1).tolist(), len(shares)]
    parts = [f"[{float(shares[begin])!r}] * {end - begin}" for begin, end in zip([0, *ends], ends, strict=False)]
    return " + ".join(parts) if len(parts) <= MOST else repr(shares.tolist())
