"""PyTorch's ``.pt`` files, by its unpickler that builds tensors and plain containers alone."""

import io
import itertools
import math
import pickle
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from samestep.migrate.port.neutral import named_dtype
from samestep.migrate.port.refused import Refused, shown
from samestep.reference import RULES, Rule, dialects
from samestep.reference.dialects.saved_natives import natives_like, rule_of
from samestep.reference.former_names import present_names

from .saved import Saved, SavedGroup, SavedOptimizer, SavedTensor

RULES_BY_NAME = {rule.__name__: rule for rule in RULES}
DEEPEST = 8
HIDDEN = ("params", "param_names")  # entries of a group that are no hyperparameters


def read_pytorch(data: bytes, label: str, call: str = "") -> Saved:
    """What a ``.pt`` file holds; ``call``, such as "pytorch:Adam()", says whose state it is."""
    content = _loaded(data, label)
    try:
        return _saved(content, len(data), call)
    except Refused as error:
        raise Refused(f"{label}: {error}") from None
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RuntimeError) as error:
        kind = type(error).__name__
        raise Refused(f"{label} must be as state_dict() gives it: {kind}: {error}") from None


def _loaded(data: bytes, label: str) -> Any:
    """The content; Refused for whatever would have to be executed."""
    try:
        import torch
    except ImportError as error:
        raise Refused(
            "files of PyTorch need PyTorch, which is not installed; pip install 'samestep[pytorch]'"
        ) from error
    data = _checked(data, label)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        text = str(error)
        name = text.split("GLOBAL ")[1].split(" ")[0] if "GLOBAL " in text else "another class"
        raise Refused(
            f"{label} asks for {shown(name)}, which could run code, so it is not loaded; save "
            "state_dict()s, tensors and plain numbers alone"
        ) from None
    except MemoryError:
        raise Refused(f"{label} must fit into memory") from None
    except Exception as error:  # whatever a damaged file makes torch raise
        kind = type(error).__name__
        raise Refused(f"{label} must be a whole file of torch.save: {kind}: {error}") from None


def _checked(data: bytes, label: str) -> bytes:
    """The zip made anew of its members, whose checksums hold; a file that is none as it is.

    torch finds members by other numbers than those that checksums cover: a flipped bit in the
    directory made it read other bytes. Refused if a checksum is wrong, or if it would unpack to
    much more than it is.
    """
    if not data.startswith(b"PK"):
        return data
    anew = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(member.file_size for member in archive.infolist())
            if size > 2 * len(data):
                raise Refused(f"{label} must not unpack to {size} bytes, more than twice its size")
            for member in archive.infolist():
                if member.compress_size != member.file_size:
                    raise Refused(
                        f"{label}: {shown(member.filename)} must be stored as it is, as torch.save "
                        "does; the file is compressed or damaged"
                    )
            names = [member.filename for member in archive.infolist()]
            if len(set(names)) != len(names):
                raise Refused(f"{label} must have each of its members once")
            with zipfile.ZipFile(anew, "w") as copy:
                for name in names:
                    copy.writestr(zipfile.ZipInfo(name), archive.read(name))
    except Refused:
        raise
    except zipfile.BadZipFile as error:
        raise Refused(f"{label} is damaged: {shown(str(error))}") from None
    except Exception as error:
        kind = type(error).__name__
        raise Refused(f"{label} must be a whole zip: {kind}: {error}") from None
    return anew.getvalue()


def _saved(content: Any, size: int, call: str) -> Saved:
    """The optimizers, the weights and what else a checkpoint has."""
    weights: dict[str, np.ndarray] = {}
    optimizers: list[SavedOptimizer] = []
    remarks: list[str] = []
    schedules: list[tuple[str, Any]] = []
    for path, value in _parts(content, "", 0):
        if _is_optimizer(value):
            optimizers.append(_optimizer(value, size, call))
        elif isinstance(value, Mapping):
            remarks.append(_remark(path, value))
            schedules.append((path, value.get("_last_lr")))
        elif hasattr(value, "detach"):
            weights[path] = array_of(value, path, size)
        elif isinstance(value, int | float | str):
            remarks.append(f"{shown(path)} is {shown(value)}")
    return Saved(
        format="PyTorch's .pt", weights=weights, optimizers=tuple(optimizers),
        remarks=tuple(remarks), lost=tuple(_contradictions(optimizers, schedules)),
    )  # fmt: skip


def _contradictions(
    optimizers: list[SavedOptimizer], schedules: list[tuple[str, Any]]
) -> Iterator[str]:
    """A line if the only scheduler holds other rates than the only optimizer."""
    if len(optimizers) != 1 or len(schedules) != 1:
        return
    rates: list[Any] = [group.settings.get("lr") for group in optimizers[0].groups]
    ((path, last),) = schedules
    if isinstance(last, list) and [float(rate) for rate in last] != [float(r) for r in rates]:
        yield (
            f"{shown(path)} holds the rates {shown(last)}, the optimizer {shown(rates)}: one of "
            "the two was loaded or made after the other"
        )


def _parts(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    """The optimizers, schedulers, loss scales, tensors and numbers of nested containers."""
    if depth > DEEPEST:
        raise Refused(f"containers must not be nested deeper than {DEEPEST}, at {shown(path)}")
    if isinstance(value, Mapping):
        if _is_optimizer(value) or _is_schedule(value) or _is_loss_scale(value):
            yield path, value
            return
        for key, each in value.items():
            yield from _parts(each, f"{path}/{key}" if path else str(key), depth + 1)
    elif isinstance(value, list | tuple):
        for place, each in enumerate(value):
            yield from _parts(each, f"{path}[{place}]", depth + 1)
    else:
        yield path, value


def _is_optimizer(value: Any) -> bool:
    return isinstance(value, Mapping) and {"state", "param_groups"} <= set(value)


def _is_schedule(value: Mapping[str, Any]) -> bool:
    return "last_epoch" in value


def _is_loss_scale(value: Mapping[str, Any]) -> bool:
    return {"scale", "growth_factor"} <= set(value)


def _remark(path: str, value: Mapping[str, Any]) -> str:
    if _is_loss_scale(value):
        return f"{shown(path)} is the state of a GradScaler, loss scale {shown(value['scale'])}"
    rates = value.get("_last_lr")
    return (
        f"{shown(path)} is the state of a scheduler, at position {shown(value['last_epoch'])}, "
        f"with the rates {shown(rates)}"
    )


def array_of(value: Any, name: str, size: int) -> np.ndarray:
    """A tensor as an array that shares its memory; Refused if it claims more than the file has."""
    import torch

    if value.layout is not torch.strided or value.is_quantized:
        raise Refused(f"{shown(name)} must be a dense tensor, got {value.layout}")
    if value.numel() * value.element_size() > size:
        raise Refused(
            f"{shown(name)} claims {value.numel() * value.element_size()} bytes of {size}"
        )
    value = value.detach().resolve_conj().resolve_neg()
    if value.dtype is torch.bfloat16:
        bits = value.contiguous().view(torch.int16).numpy()
        return bits.view(named_dtype("bfloat16"))
    array: np.ndarray = value.numpy()
    return array


def _optimizer(saved: Mapping[str, Any], size: int, call: str) -> SavedOptimizer:
    """An optimizer by its state_dict."""
    states, groups = saved["state"], saved["param_groups"]
    state_names = set(itertools.chain.from_iterable(states.values()))
    native, new_groups = _groups(groups, state_names, call)
    tensors = []
    for place, group in enumerate(groups):
        names = group.get("param_names") or [f"parameter {key}" for key in group["params"]]
        for key, name in zip(group["params"], names, strict=True):
            state = states.get(key, {})
            tensors.append(_tensor(str(name), state, place, (new_groups[place].rule, size)))
    listed = set(itertools.chain.from_iterable(group["params"] for group in groups))
    extra = [key for key in states if key not in listed]
    remarks = [f"state of {shown(key)}, which is in no group" for key in extra[:1]]
    counts = [tensor.t for tensor in tensors if tensor.t is not None]
    return SavedOptimizer(
        native=native, groups=tuple(new_groups), tensors=tuple(tensors),
        rate=float(groups[0]["lr"]) if groups else None,
        schedule="a scheduler's" if groups and "initial_lr" in groups[0] else "",
        taken=max(counts, default=None), remarks=tuple(remarks),
    )  # fmt: skip


def _groups(groups: Any, states: set[str], call: str) -> tuple[str, list[SavedGroup]]:
    """The class of the optimizer, and its groups with their rules."""
    first = groups[0] if groups else {}
    ours = isinstance(first.get("rule"), str) and first["rule"] in RULES_BY_NAME
    names = [dialects.parse(call)[1]] if call else natives_like(first, states)
    new = []
    for group in groups:
        settings = {name: value for name, value in group.items() if name not in HIDDEN}
        rule, reason = _rule(group, names, ours)
        new.append(SavedGroup(rule=rule, reason=reason, settings=settings))
    if ours:
        return f"samestep's {first['rule']}", new
    return " or ".join(f"torch.optim.{name}" for name in names) or "an unknown optimizer", new


def _rule(group: Mapping[str, Any], names: list[str], ours: bool) -> tuple[Rule | None, str]:
    if ours:
        values = present_names(group["rule"], group)
        kind = RULES_BY_NAME[group["rule"]]
        return kind(**{name: values[name] for name in kind.names()}), ""
    if not names:
        return None, "its groups fit no optimizer of torch.optim"
    rule = rule_of(names[0], group)
    return rule, "" if rule else f"no rule here says torch.optim.{names[0]} with these arguments"


def _tensor(
    label: str, saved: Mapping[str, Any], group: int, known: tuple[Rule | None, int]
) -> SavedTensor:
    """A parameter's state, by the rule's names."""
    rule, size = known
    names = {}
    if rule is not None:
        names = {theirs: mine for mine, theirs in dialects.pytorch.state_names(rule).items()}
    state = {}
    for name, value in saved.items():
        if hasattr(value, "detach") and name != "step":
            state[names.get(name, name)] = array_of(value, f"{label} {name}", size)
    return SavedTensor(label=label, state=state, t=_count(label, saved), group=group)


def _count(label: str, saved: Mapping[str, Any]) -> int | None:
    """The steps counted; 0 for a parameter without state, None where nobody counts."""
    if not saved:
        return 0
    if "step" not in saved:
        return None
    number = float(saved["step"])
    if not math.isfinite(number) or number < 0 or not number.is_integer():
        raise Refused(f"{label}: the step count must be a whole number, got {number}")
    return int(number)
