"""The natives of the frameworks: the calls that mean a rule, and whether one has the same bits."""

from samestep.parity.measure.disturbance import Job
from samestep.parity.natives.interpretations import MACHINE_EPSILON
from samestep.parity.runners import specs
from samestep.reference import Rule, dialects

from .observe import Evidence


def spell_calls(rule: Rule) -> dict[str, str]:
    """By dialect: the call that means the rule, or a sentence that starts with "cannot say it"."""
    calls = {}
    for name in ("pytorch", "keras"):
        try:
            calls[name] = _without_default(str(dialects.find(name).spell(rule)))
        except dialects.Inexpressible as reason:
            calls[name] = f"cannot say it: {reason.why}"
    return calls


def _without_default(call: str) -> str:
    """The call without the default of Adafactor's eps in PyTorch: the weights' machine epsilon."""
    unset = call.replace(f"eps=({MACHINE_EPSILON['float32']!r}, ", "eps=(None, ")
    return unset.replace(", eps=(None, 0.001)", "")


def find_native(calls: dict[str, str], evidence: Evidence) -> str:
    """The native of the optimizer's framework that takes the same bits on every trial; else ""."""
    call = calls.get(evidence.dialect, "cannot")
    if call.startswith("cannot") or "#" in call:
        return ""
    observations = evidence.observations
    requests = [(known.trial, Job(known.dtype)) for known in observations]
    try:
        native = specs.read(f"native:{evidence.dialect}:{call}")
        results = evidence.box.run(native, requests)
    except ValueError:
        return ""
    for observation, result in zip(observations, results, strict=True):
        if not observation.same_bits(result.trajectory):
            return ""
    return native.text
