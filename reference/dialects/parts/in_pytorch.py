"""Keras' parts in PyTorch's words: code that stands beside an optimizer, ready to be pasted.

``parameters`` are the model's, ``loss`` is one batch's. The lines come in the order of a step.
"""

from samestep.reference.dialects.call import Call, Inexpressible
from samestep.reference.parts import (
    Accumulation,
    Average,
    ClipGlobalNorm,
    ClipNorm,
    Clipping,
    Schedule,
)

from . import pytorch

MODULE = "samestep.frameworks.pytorch.parts"


def lines(
    loss_scale: float | None = None,
    accumulation: Accumulation | None = None,
    clipping: Clipping | None = None,
    average: Average | None = None,
    schedule: Schedule | None = None,
) -> list[str]:
    """The lines for the parts that are given: for each when it runs, then its code."""
    code = _backward(loss_scale, accumulation)
    if clipping:
        code += _clipping(clipping)
    if average:
        code += _average(average)
    if schedule:
        code += _schedule(schedule)
    return code


def _backward(loss_scale: float | None, accumulation: Accumulation | None) -> list[str]:
    """The loss' scale and accumulation: what is derived for each batch, and when a step is due."""
    if not loss_scale and not accumulation:
        return []
    factor = f" * {loss_scale!r}" if loss_scale else ""
    share = f" / {accumulation.steps}" if accumulation else ""
    code = ["loss, for each batch:", f"  (loss{factor}{share}).backward()"]
    if accumulation:
        nth = f"after each {accumulation.steps}th batch"
        code += [
            f"accumulation, {nth} alone:",
            "  optimizer.step(); optimizer.zero_grad()",
            f"  or {MODULE}.Accumulator({accumulation!r}) and the loss of one batch",
        ]
    if loss_scale:
        code += [
            "loss scale, before optimizer.step() and before clipping:",
            f"  for p in parameters: p.grad.div_({loss_scale!r})",
        ]
    return code


def first_rate(schedule: Schedule) -> float:
    """The learning rate of the optimizer under a schedule: its scheduler's, or the first rate."""
    try:
        return pytorch.base_rate(schedule)
    except Inexpressible:
        rate: float = schedule.rate(1)
        return rate


def _clipping(clipping: Clipping) -> list[str]:
    limit = clipping.limit
    title = "clipping, after backward() and before optimizer.step():"
    ours = f"  or {MODULE}.clip_(parameters, {clipping!r})"
    if isinstance(clipping, ClipNorm):
        code = f"for p in parameters: p.grad.mul_({limit!r} / p.grad.norm().clamp(min={limit!r}))"
        near = f"torch.nn.utils.clip_grad_norm_(p, {limit!r})"
        note = f"  # {near} for each p is near: it adds 1e-6 to the norm"
        return [title, f"  {code}", ours, note]
    if isinstance(clipping, ClipGlobalNorm) and not clipping.added:
        norm = "norm = torch.nn.utils.get_total_norm([p.grad for p in parameters])"
        code = f"for p in parameters: p.grad.mul_({limit!r} / norm.clamp(min={limit!r}))"
        near = f"torch.nn.utils.clip_grad_norm_(parameters, {limit!r})"
        note = f"  # {near} is near: it adds 1e-6 to the norm"
        return [title, f"  {norm}", f"  {code}", ours, note]
    return [
        title,
        f"  torch.nn.utils.{_code(pytorch.spell_clipping(clipping), 'parameters')}",
        ours,
    ]


def _average(average: Average) -> list[str]:
    function = f"torch.optim.swa_utils.{pytorch.spell_average(average)}"
    return [
        "average, beside the model:",
        f"  averaged = torch.optim.swa_utils.AveragedModel(model, avg_fn={function})",
        "  averaged.update_parameters(model)  # after each optimizer.step()",
        f"  or {MODULE}.Averages(parameters, {average!r})",
    ]


def _schedule(schedule: Schedule) -> list[str]:
    title = "schedule, with scheduler.step() after each optimizer.step():"
    ours = f"scheduler = {MODULE}.Scheduler(optimizer, {schedule!r})"
    try:
        scheduler = pytorch.spell_schedule(schedule)
    except Inexpressible as refusal:
        return [title, f"  {ours}", f"  # {refusal.why}"]
    code = f"torch.optim.lr_scheduler.{_code(scheduler, 'optimizer')}"
    return [title, f"  scheduler = {code}  # {scheduler.condition}", f"  or {ours}"]


def _code(call: Call, first: str) -> str:
    """A call with its first argument, and calls inside it likewise."""
    arguments = [first]
    for name, value in call.arguments.items():
        if isinstance(value, list) and value and isinstance(value[0], Call):
            inner = ", ".join(f"torch.optim.lr_scheduler.{_code(each, first)}" for each in value)
            arguments.append(f"{name}=[{inner}]")
        else:
            arguments.append(f"{name}={value!r}")
    return f"{call.name}({', '.join(arguments)})"
