"""Keras' own files, ``.keras`` and ``.weights.h5``, read without Keras: nothing in them is built.

A ``.keras`` file names the optimizer's class and hyperparameters. A ``.weights.h5`` file does not,
so the call must be given.
"""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from samestep.migrate.port.refused import Refused, shown
from samestep.reference import RULES, Rule, dialects
from samestep.reference.former_names import present_names

from .hdf5 import Reader
from .saved import Saved, SavedGroup, SavedOptimizer, SavedTensor
from .slots import ALL, NUMBER, OURS, Slot, fits, shapes_of, slots

PREFIX = "optimizer/vars/"
CONTENTS = "contents"  # our optimizer's entry that says whose variables they are
RULES_BY_NAME = {rule.__name__: rule for rule in RULES}
Config = Mapping[str, Any]


def read_keras(data: bytes, label: str, call: str = "") -> Saved:
    """What a ``.keras`` file holds; ``call`` is not needed and must be empty."""
    if call:
        raise Refused(f"{label} says itself whose optimizer it has; leave --optimizer out")
    members = unzipped(data, label, ("config.json", "model.weights.h5"))
    config = _json(members["config.json"], label)
    entry = (config.get("compile_config") or {}).get("optimizer")
    if isinstance(entry, str):
        entry = {"class_name": entry, "config": {}}
    return _saved(members["model.weights.h5"], label, "Keras' .keras", entry)


def read_weights(data: bytes, label: str, call: str = "") -> Saved:
    """What a ``.weights.h5`` file holds; ``call``, such as "keras:Adam()", says whose state."""
    return _saved(data, label, "Keras' .weights.h5", _as_config(call))


def optimizer_of(values: list[np.ndarray], call: str, name: str) -> SavedOptimizer:
    """The optimizer of which a file has the variables by number and says no more.

    ``call`` says whose they are, and ``name`` is what the file calls it; both may be empty.
    """
    entry = _as_config(call)
    if entry is not None:
        return _optimizer(entry, values, ())
    remark = (
        f"the file does not say whose state it is (its optimizer was called {shown(name)}); "
        "say it with --optimizer, such as --optimizer 'keras:Adam()'"
    )
    return SavedOptimizer(
        native="an optimizer of Keras", groups=(), tensors=(), remarks=(remark,),
        taken=_whole(values[0]) if values[0].dtype.kind == "i" else None,
        others={str(place): value for place, value in enumerate(values)},
    )  # fmt: skip


def _as_config(call: str) -> dict[str, Any] | None:
    """A call as a config has it, or None for no call."""
    if not call:
        return None
    dialect, name, arguments = dialects.parse(call)
    if dialect != "keras":
        raise Refused(f"--optimizer must be a call of Keras, such as keras:Adam(), got {call}")
    dialects.keras.find(name)
    return {"class_name": name, "config": arguments}


def unzipped(data: bytes, label: str, names: Sequence[str]) -> dict[str, bytes]:
    """Members of a zip whose checksums are right, and which does not unpack to more than it is."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(member.file_size for member in archive.infolist())
            if size > 2 * len(data):
                raise Refused(
                    f"{label} must not unpack to more than twice its size, it claims {size} bytes "
                    f"in {len(data)}; save it uncompressed"
                )
            missing = [name for name in names if name not in archive.namelist()]
            if missing:
                raise Refused(f"{label} must hold {missing[0]}; it is a zip of something else")
            return {name: archive.read(name) for name in names}
    except Refused:
        raise
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, ValueError) as error:
        raise Refused(f"{label} must be a whole zip: {error}") from None
    except Exception as error:  # zlib's and lzma's own
        raise Refused(f"{label} must be a whole zip: {type(error).__name__}: {error}") from None


def _json(text: bytes, label: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except RecursionError:
        raise Refused(f"{label}: its config must not be nested that deep") from None
    except ValueError as error:
        raise Refused(f"{label}: its config is damaged: {error}") from None
    if not isinstance(value, dict):
        raise Refused(f"{label}: its config must be an object, got {shown(value)}")
    return value


def _saved(data: bytes, label: str, form: str, entry: Any) -> Saved:
    """The weights of the file, and its optimizer as ``entry`` describes it."""
    reader = Reader(data, label)
    arrays = reader.read()
    contents = arrays.pop(PREFIX + CONTENTS, None)
    values = _numbered(label, {k: v for k, v in arrays.items() if k.startswith(PREFIX)})
    weights = {path: value for path, value in arrays.items() if not path.startswith("optimizer/")}
    if not values:
        return Saved(format=form, weights=weights, remarks=("no optimizer was saved",))
    try:
        if entry is None:
            optimizer = optimizer_of(values, "", reader.names.get("optimizer/vars", ""))
        else:
            optimizer = _optimizer(entry, values, _paths(contents))
    except Refused as error:
        raise Refused(f"{label}: {error}") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Refused(f"{label}: the optimizer's config is damaged: {error}") from None
    return Saved(format=form, weights=weights, optimizers=(optimizer,))


def _numbered(label: str, arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The optimizer's variables in their order."""
    names = [path[len(PREFIX) :] for path in arrays]
    expected = [str(place) for place in range(len(names))]
    if set(names) != set(expected):
        raise Refused(f"{label}: the optimizer's variables must be 0 to {len(names) - 1}")
    return [arrays[PREFIX + name] for name in expected]


def _paths(contents: np.ndarray | None) -> list[str]:
    """The paths of the variables, which our own optimizer saves."""
    if contents is None:
        return []
    try:
        return [str(path) for path in json.loads(contents.tobytes())["paths"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


def _optimizer(
    entry: Mapping[str, Any], values: list[np.ndarray], paths: Sequence[str]
) -> SavedOptimizer:
    """The optimizer that a config describes, with its variables in their slots."""
    kind, config = str(entry["class_name"]), entry["config"]
    if kind == "LossScaleOptimizer":
        return _scaled(config, values)
    ours = entry.get("registered_name") == "samestep>Optimizer"
    known = {name.lower(): name for name in dialects.keras.natives}
    if not ours and kind.lower() not in known:
        raise Refused(f"its optimizer must be one of Keras' or ours, got {shown(kind)}")
    kind = OURS if ours else known[kind.lower()]
    rule, reason = _rule(kind, config)
    shapes = _shapes(kind, config, values, rule)
    native = f"samestep's {type(rule).__name__}" if ours else f"keras.optimizers.{kind}"
    group = SavedGroup(rule=rule, reason=reason, settings=_settings(config))
    table = slots(kind, config, shapes, rule) if shapes is not None else []
    if shapes is None or not fits(table, shapes, values):
        others = {str(place): value for place, value in enumerate(values)}
        remark = f"{len(values)} arrays do not stand as {native} keeps them; it lacks some, or"
        remark += " another optimizer saved them"
        taken = _whole(values[0]) if values[0].dtype.kind == "i" else None
        return SavedOptimizer(
            native=native, groups=(group,), tensors=(), taken=taken, others=others,
            remarks=(remark,),
        )  # fmt: skip
    return _placed(native, group, dict(zip(table, values, strict=True)), paths)


def _scaled(config: Config, values: list[np.ndarray]) -> SavedOptimizer:
    """Keras' LossScaleOptimizer lists its own four variables, then those of the inner one."""
    inner = _optimizer(config["inner_optimizer"], values[4:], ())
    scale = float(values[3]) if len(values) > 3 else float("nan")
    remark = f"inside a LossScaleOptimizer, loss scale {scale:g}"
    native, remarks = f"LossScaleOptimizer of {inner.native}", (remark, *inner.remarks)
    return SavedOptimizer(
        native=native, groups=inner.groups, tensors=inner.tensors, rate=inner.rate,
        schedule=inner.schedule, taken=inner.taken, others=inner.others, remarks=remarks,
    )  # fmt: skip


def _rule(kind: str, config: Config) -> tuple[Rule | None, str]:
    """The rule of the optimizer, or None and the reason."""
    if kind == OURS:
        rule = RULES_BY_NAME[config["rule"]]
        return rule(**present_names(config["rule"], config["hyperparameters"])), ""
    native = dialects.keras.find(kind)
    arguments = {name: value for name, value in config.items() if name in native.arguments}
    if not isinstance(arguments.get("learning_rate", 0.0), int | float):
        del arguments["learning_rate"]  # a schedule
    arguments = {name: _unpacked(value) for name, value in arguments.items()}
    try:
        return dialects.keras.read(kind, **arguments), ""
    except ValueError as error:
        return None, str(error)


def _unpacked(value: Any) -> Any:
    """Keras writes some numbers as a dict with their dtype."""
    return value["value"] if isinstance(value, dict) and "value" in value else value


def _settings(config: Config) -> dict[str, object]:
    """The hyperparameters of a config that are numbers or texts."""
    return {
        name: value
        for name, value in config.items()
        if isinstance(value, int | float | str) and name != "name"
    }


def _shapes(
    kind: str, config: Config, values: list[np.ndarray], rule: Rule | None
) -> list[tuple[int, ...]] | None:
    """The shapes of the trained weights; of our own optimizer by the arrays of its states."""
    if kind != OURS or rule is None:
        return shapes_of(kind, config, values, rule)
    return _shapes_of_ours(config, values, rule)


def _shapes_of_ours(
    config: Config, values: list[np.ndarray], rule: Rule
) -> list[tuple[int, ...]] | None:
    """As many weights as there are counts; each with the shape that its states have."""
    places = [place for place, value in enumerate(values) if value.dtype.kind == "i"]
    if len(places) != 2:  # iteration and steps
        return None
    rest = values[places[1] + 1 :]
    shapes: list[tuple[int, ...]] = []
    vectors: set[str] = set()
    while len(shapes) < values[places[1]].size:
        if not rest:
            return None
        shape = rest[0].shape
        if type(rule).__name__ == "Adafactor" and len(shape) > 1 and len(rest) > 1:
            shape = (*shape[:-1], rest[1].shape[-1])
        start = rule.start(np.broadcast_to(np.float16(0), shape), np)
        numbers = {name for name, value in start.items() if not value.shape and shape}
        rest = rest[len(start) - len(numbers & vectors) :]
        vectors |= numbers
        shapes.append(shape)
    return shapes


def _placed(
    native: str, group: SavedGroup, values: Mapping[Slot, np.ndarray], paths: Sequence[str]
) -> SavedOptimizer:
    """The optimizer of which each array has its slot."""
    owners = sorted({slot.owner for slot in values} - {ALL})
    taken = _whole(values[Slot("iteration")])
    rate = values.get(Slot("learning_rate"))
    tensors = []
    for owner in owners:
        label = paths[owner] if owner < len(paths) else f"variable {owner}"
        state = {slot.name: value for slot, value in values.items() if slot.owner == owner}
        state |= _of_all(values, owner)
        steps = values.get(Slot("steps"))
        t = taken if steps is None else _whole(steps.reshape(-1)[owner])
        tensors.append(SavedTensor(label=label, state=_named(group.rule, native, state), t=t))
    return SavedOptimizer(
        native=native, groups=(group,), tensors=tuple(tensors), taken=taken,
        rate=float(rate) if rate is not None else None,
        schedule="" if rate is not None else "a schedule",
    )  # fmt: skip


def _of_all(values: Mapping[Slot, np.ndarray], owner: int) -> dict[str, np.ndarray]:
    """The elements of one variable in arrays that belong to all."""
    own = {}
    for slot, value in values.items():
        if slot.name.startswith(NUMBER):
            own[slot.name[len(NUMBER) :]] = value.reshape(-1)[owner]
    if Slot("u_product") in values:
        own["P"] = values[Slot("u_product")]
    return own


def _named(rule: Rule | None, native: str, state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The state by the rule's names; Keras' own names where the rule has none."""
    names: dict[str, str] = {}
    if rule is not None and native.startswith("keras."):
        names = {theirs: mine for mine, theirs in dialects.keras.state_names(rule).items()}
        names.pop("", None)
    return {names.get(name, name): value for name, value in state.items()}


def _whole(value: Any) -> int:
    """A step count; Refused unless it is a whole number of 0 or more."""
    number = float(np.asarray(value).reshape(-1)[0])
    if not number.is_integer() or number < 0:
        raise Refused(f"a step count must be a whole number, got {number}")
    return int(number)
