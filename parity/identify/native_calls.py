"""The live optimizers: how they are called, and whether one takes the black box's steps to the last bit."""

from collections.abc import Sequence

from samestep.parity.runners import contestants
from samestep.reference import Rule, dialects

from .interpretations import MACHINE
from .observe import Run, equal
from .trials import Observation


def spelled(rule: Rule) -> dict[str, str]:
    """How each framework's users say the rule, or why they cannot."""
    said = {}
    for name in ("pytorch", "keras"):
        try:
            said[name] = _defaulted(str(dialects.find(name).spell(rule)))
        except dialects.Inexpressible as reason:
            said[name] = f"cannot say it: {reason.why}"
    return said


def _defaulted(call: str) -> str:
    """Adafactor's eps as PyTorch's users leave it: the machine epsilon of the weights."""
    return call.replace(f"eps=({MACHINE['float32']!r}, ", "eps=(None, ").replace(", eps=(None, 0.001)", "")


def native(dialect: str, calls: dict[str, str], trials: Sequence[Observation], run: Run) -> str:
    """The live optimizer of the box's framework that takes the same bits, if it does."""
    call = calls.get(dialect, "cannot")
    if call.startswith("cannot") or "#" in call:
        return ""
    try:
        live = contestants.read(f"native:{dialect}:{call}")
        went = run(live, [(trial.trial, trial.dtype) for trial in trials])
    except ValueError:
        return ""
    return live.text if all(equal(trial, each) for trial, each in zip(trials, went, strict=True)) else ""
