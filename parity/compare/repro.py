"""A stand-alone script that shows a difference: it needs the frameworks of the two and NumPy,
nothing of ours.
"""

import base64
import dataclasses
import subprocess
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from samestep.frameworks.experiment import record
from samestep.frameworks.experiment.process import run_python
from samestep.parity.measure.rule_run import run_rule
from samestep.parity.measure.trial import Trial
from samestep.parity.runners.specs import Kind
from samestep.parity.runners.worker import PATIENCE
from samestep.reference import dialects

from .comparison import Comparison, Side
from .difference import Difference

MOST_LINES = 30
SHOWS_DIFFERENCE = 1  # the script's exit code where it shows the difference

# torch goes first
IMPORTS = {"torch": "import torch", "keras": "import keras", "tf": "import tensorflow as tf"}
FUNCTIONS = {
    "torch": """def in_torch(make):
    theta = torch.nn.Parameter(torch.tensor(START))
    optimizer = make([theta])
    group, lr = optimizer.param_groups[0], optimizer.param_groups[0]["lr"]
    for g, share in STEPS:
        group["lr"] = float(np.float32(lr * share))
        theta.grad = None if g is None else torch.tensor(g)
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
class Code:
    """One side of the script: an expression for where the tensor ends, and the framework it needs
    ("" for none).
    """

    expression: str
    framework: str


class _Excerpt(NamedTuple):
    """What the script runs: the tensor of the difference, up to its step; one element, if it moves
    by itself.
    """

    start: np.ndarray
    gradients: np.ndarray
    present: np.ndarray
    rate_factors: np.ndarray
    place: str  # of the element within the tensor, "" for one element

    @property
    def steps(self) -> str:
        """The gradients and rate factors as code."""
        gradients = "GRADIENTS"
        if not self.present.all():
            pairs = f"zip(GRADIENTS, {self.present.tolist()})"
            gradients = f"(g if come else None for g, come in {pairs})"
        return f"list(zip({gradients}, {_repetitions(self.rate_factors)}))"


def write(path: Path, comparison: Comparison, first: Difference, limit: float) -> None:
    """Write the script for the first difference of a tensor, and run it.

    ``limit`` is the largest distance that rounding explains. ValueError if the script cannot be
    written, or does not show the difference by itself.
    """
    text = script(comparison, first, limit)
    try:
        record.write_whole(path, lambda file: file.write(text.encode()))
    except OSError as error:
        raise ValueError(
            f"{path} must be a file that can be written: {error}; name another with --repro"
        ) from error
    try:
        ended = run_python([str(path.resolve())], timeout=PATIENCE)
    except subprocess.TimeoutExpired as late:
        raise ValueError(
            f"{path} was written, but does not end within {PATIENCE} seconds"
        ) from late
    if ended.code != SHOWS_DIFFERENCE:
        reason = ended.message.splitlines()[-1] if ended.stderr.strip() else ended.description
        raise ValueError(
            f"{path} was written, but does not show the difference by itself: {reason}"
        )


def script(comparison: Comparison, first: Difference, limit: float) -> str:
    """The text of the script, at most ``MOST_LINES`` lines."""
    excerpt = _excerpt(comparison, first)
    a, b = (_code(side, first) for side in comparison.sides)
    frameworks = [name for name in IMPORTS if name in (a.framework, b.framework)]
    if not frameworks:
        raise ValueError(
            "--repro needs an optimizer of PyTorch's or Keras' among the two, and neither has one"
        )
    if "tf." in a.expression + b.expression:
        frameworks.append("tf")
    imports = ["import numpy as np", *(IMPORTS[name] for name in frameworks)]
    data = [
        f"START = {_literal(excerpt.start, comparison.dtype)}",
        f"GRADIENTS = {_literal(excerpt.gradients, comparison.dtype)}",
        f"STEPS = {excerpt.steps}  # with shares of the learning rate",
        f"LIMIT = {limit!r}  # how far rounding may part them",
    ]
    result = [
        f"a = {a.expression}{excerpt.place if a.framework else ''}",
        f"b = {b.expression}{excerpt.place if b.framework else ''}",
        'print(f"A {float(a)!r}, B {float(b)!r}: {abs(a - b):.3g} apart, rounding '
        'explains {LIMIT:.3g}")',
        "sys.exit(not abs(a - b) <= LIMIT)",
    ]
    parts = [
        f'"""Exit code 1: at step {first.step} A and B differ by more than rounding explains."""',
        f"import {'base64, sys, zlib' if excerpt.gradients.ndim > 1 else 'sys'}",
        "\n".join(imports),
        "\n".join(data),
        *(FUNCTIONS[name] for name in frameworks if name in FUNCTIONS),
        "\n".join(result),
    ]
    return _joined(parts)


def _joined(parts: list[str]) -> str:
    """The parts of the script, with blank lines between them as long as the lines suffice."""
    blank_lines = MOST_LINES - sum(part.count("\n") + 1 for part in parts)
    text = ""
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        text += part + ("\n" if last or index >= blank_lines else "\n\n")
    return text


def _excerpt(comparison: Comparison, first: Difference) -> _Excerpt:
    trial = comparison.trial
    end = max(first.step, 1)
    start = trial.start[first.tensor]
    gradients = trial.gradients[first.tensor][:end]
    place = f"[{', '.join(map(str, first.element))}]"
    if all(_moves_alone(comparison, side, first) for side in comparison.sides):
        start = start[first.element]
        gradients = np.array([gradient[first.element] for gradient in gradients])
        place = ""
    return _Excerpt(
        start, gradients, trial.present[first.tensor][:end], trial.rate_factors[:end], place
    )


def _moves_alone(comparison: Comparison, side: Side, first: Difference) -> bool:
    """True if this element's trajectory is the same when the tensor holds only this element.

    It is checked by running the rule; a user's own optimizer is never taken to move elements alone.
    """
    if side.spec.kind is Kind.FACTORY or side.rule is None:
        return False
    trial = comparison.trial
    name = first.tensor
    at: Any = (slice(None), *first.element)
    whole = Trial(
        {name: trial.start[name]},
        {name: trial.gradients[name]},
        {name: trial.present[name]},
        trial.rate_factors,
    )
    alone = whole.replace(
        start={name: trial.start[name][first.element].reshape(1)},
        gradients={name: trial.gradients[name][at][:, None]},
    )
    try:
        moved = run_rule(side.rule, alone, comparison.dtype).thetas[name][:, 0]
    except (ValueError, IndexError):  # it needs a matrix
        return False
    expected = run_rule(side.rule, whole, comparison.dtype).thetas[name][at]
    return bool(np.array_equal(moved[: first.step], expected[: first.step], equal_nan=True))


def _code(side: Side, first: Difference) -> Code:
    """Live code if a framework has the optimizer, else the value that it came to."""
    spec = side.spec
    if spec.kind is Kind.FACTORY:
        module, _, name = spec.text.partition(":")
        factory = f"(sys.path.insert(0, '.'), __import__({module!r}, fromlist=['']))[1].{name}"
        if side.result.home == "pytorch":
            return Code(f"in_torch({factory})", "torch")
        return Code(f"in_keras({factory}())", "keras")
    native = _native_call(side)
    if native is None:
        value = float(side.trajectory.thetas[first.tensor][(first.step - 1, *first.element)])
        return Code(f"{value!r}  # {spec.text}", "")
    arguments = ", ".join(f"{key}={value!r}" for key, value in native.arguments.items())
    if native.dialect == "pytorch":
        implementation = (
            f"{', ' * bool(arguments)}{native.mode}=True"
            if native.mode in ("foreach", "fused")
            else ""
        )
        return Code(
            f"in_torch(lambda p: torch.optim.{native.name}(p, {arguments}{implementation}))",
            "torch",
        )
    wrap = {"graph": ", tf.function", "xla": ", lambda f: tf.function(f, jit_compile=True)"}.get(
        native.mode, ""
    )
    return Code(f"in_keras(keras.optimizers.{native.name}({arguments}){wrap})", "keras")


class _NativeCall(NamedTuple):
    dialect: str
    name: str
    arguments: dict[str, Any]
    mode: str


def _native_call(side: Side) -> _NativeCall | None:
    """The call of PyTorch or Keras that means the side's optimizer, if there is one."""
    spec = side.spec
    if spec.kind is Kind.NATIVE and spec.call:
        if spec.home not in ("pytorch", "keras"):
            return None
        return _NativeCall(spec.home, spec.call.name, dict(spec.call.arguments), spec.mode)
    if spec.kind is not Kind.RULE or spec.rule is None:
        return None
    if spec.dialect in ("pytorch", "keras"):
        dialect, name, arguments = dialects.parse(spec.text)
        return _NativeCall(dialect, name, arguments, "")
    for dialect in ("pytorch", "keras"):
        call = dialects.relate(spec.rule, dialects.find(dialect)).call
        if call and not call.condition:
            return _NativeCall(dialect, call.name, dict(call.arguments), "")
    return None


def _literal(array: np.ndarray, dtype: str) -> str:
    """Numbers as code: few as they are, many packed."""
    if np.ndim(array) < 2:
        return f'np.array({np.asarray(array).tolist()}, "{dtype}")'
    packed = base64.b64encode(zlib.compress(np.ascontiguousarray(array, "<f8").tobytes())).decode()
    unpacked = f'np.frombuffer(zlib.decompress(base64.b64decode("{packed}")), "<f8")'
    return f'{unpacked}.reshape({array.shape}).astype("{dtype}")'


def _repetitions(factors: np.ndarray) -> str:
    """A list as code with repeated numbers multiplied out: ``[1.0] * 20 + [0.25] * 40``."""
    ends = [*(np.flatnonzero(np.diff(factors)) + 1).tolist(), len(factors)]
    begins = [0, *ends[:-1]]
    parts = [
        f"[{float(factors[begin])!r}] * {end - begin}"
        for begin, end in zip(begins, ends, strict=True)
    ]
    return " + ".join(parts) if len(parts) <= MOST_LINES else repr(factors.tolist())
