"""The neutral file, ``samestep-run/1``: safetensors, with a description as JSON in its metadata.

Nothing in it can be executed. docs/reference/run-file.md describes it. Floats are hexadecimal, so
that they keep all digits, and a SHA-256 covers the description and every array: safetensors itself
has no checksum.
"""

import hashlib
import json
import math
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from samestep.reference import RULES, Rule
from samestep.reference.former_names import present_names

from .disk import read_once, write_whole
from .refused import Refused, shown
from .run import Around, Run, Tensor, check, check_name

FORMAT = "samestep-run/1"
RULES_BY_NAME = {rule.__name__: rule for rule in RULES}
MOST_ARRAYS = 100_000
MOST_HEADER = 32 * 2**20  # bytes
AROUND = tuple(Around.__dataclass_fields__)
HEX = re.compile(r"-?0x[01]\.[0-9a-f]{1,13}p[+-][0-9]{1,4}")
DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64",
    "I32": "int32", "I16": "int16", "I8": "int8", "U64": "uint64", "U32": "uint32",
    "U16": "uint16", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
OTHER_FORMATS = {
    b"PK\3\4": "a zip, such as .pt or .keras",
    b"\x80": "a pickle",
    b"\x89HDF": "HDF5",
    b"\x93NUMPY": "NumPy's .npy",
}


def save(run: Run, path: Path) -> None:
    """Write the run; Refused, before anything is written, if no rule could go on from it."""
    check(run, allow_nan=True)
    write_whole(path, to_bytes(run))


def load(path: Path, allow_nan: bool = False) -> Run:
    """Read a run; Refused in one line for every other file. Each word of it is checked before."""
    run = from_bytes(read_once(path), str(path))
    check(run, allow_nan)
    return run


def to_bytes(run: Run) -> bytes:
    """The file of a run."""
    arrays = {name: np.array(array, order="C") for name, array in _arrays_of(run).items()}
    text = json.dumps(_description(run), allow_nan=False)
    metadata = {"samestep": text, "sha256": digest(text, arrays)}
    specs = _library()
    flat = {
        name: specs.TensorSpec(
            dtype=array.dtype.name,
            shape=array.shape,
            data_ptr=array.ctypes.data,
            data_len=array.nbytes,
        )
        for name, array in arrays.items()
    }
    return bytes(specs.serialize(flat, metadata=metadata))


def digest(text: str, arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the description, and of every array's name, dtype, shape and bytes."""
    total = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        total.update(f"\n{name} {array.dtype.name} {list(array.shape)}\n".encode())
        total.update(array.reshape(-1).view(np.uint8).data)
    return total.hexdigest()


def from_bytes(data: bytes, label: str) -> Run:
    """The run in a file's bytes, not yet checked by ``run.check``; ``label`` names the file."""
    check_header(data, label)
    text, arrays = _opened(data, label)
    del data
    try:
        return _run(_parsed(text), arrays)
    except Refused as error:
        raise Refused(f"{label}: {error}") from None
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        kind = type(error).__name__
        raise Refused(f"{label}: its description is not of {FORMAT}: {kind}: {error}") from None


def check_header(data: bytes, label: str) -> None:
    """Refused, before any of it is parsed, unless the header is one of safetensors and not huge."""
    has_header = data[8:9] == b"{"  # the length before it may look like any other format's start
    for start, kind in OTHER_FORMATS.items():
        if data.startswith(start) and not has_header:
            raise Refused(f"{label} must be a file of {FORMAT}, got {kind}")
    if len(data) < 8:
        raise Refused(f"{label} must be a file of {FORMAT}, got {len(data)} bytes")
    (length,) = struct.unpack("<Q", data[:8])
    if length > min(len(data) - 8, MOST_HEADER) or not has_header:
        raise Refused(
            f"{label} must be a file of {FORMAT}, with a header of at most {MOST_HEADER} bytes; "
            f"it says {length} in a file of {len(data)}: truncated, damaged, or another format"
        )
    count = data.count(b'"data_offsets"', 8, 8 + length)
    if count > MOST_ARRAYS:
        raise Refused(f"{label} must list at most {MOST_ARRAYS} arrays, it lists {count}")


def _opened(data: bytes, label: str) -> tuple[str, dict[str, np.ndarray]]:
    """The description and the arrays, of which the digest is right."""
    library = _library()
    (length,) = struct.unpack("<Q", data[:8])
    try:
        metadata = _parsed(data[8 : 8 + length].decode()).get("__metadata__")
        entries = library.deserialize(data)
    except (library.SafetensorError, UnicodeDecodeError) as error:
        raise Refused(f"{label} must be whole safetensors: {error}") from None
    except Refused as error:
        raise Refused(f"{label}: {error}") from None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("samestep"), str):
        raise Refused(
            f"{label} must describe a run; this is safetensors without one: weights alone?"
        )
    arrays = {name: _array(name, entry) for name, entry in sorted(entries)}
    if digest(metadata["samestep"], arrays) != metadata.get("sha256"):
        raise Refused(f"{label} must have the digest that it was written with: damaged or edited")
    return metadata["samestep"], arrays


def _array(name: str, entry: Mapping[str, Any]) -> np.ndarray:
    dtype = DTYPES.get(entry["dtype"])
    if dtype is None:
        raise Refused(f"{name}: dtype must be one of {', '.join(DTYPES)}, got {entry['dtype']}")
    return np.frombuffer(entry["data"], named_dtype(dtype)).reshape(entry["shape"])


def named_dtype(name: str) -> np.dtype:
    """The dtype of that name; bfloat16 is that of ml_dtypes."""
    if name != "bfloat16":
        return np.dtype(name)
    try:
        import ml_dtypes
    except ImportError as error:
        raise Refused("bfloat16 needs ml_dtypes; pip install ml_dtypes") from error
    return np.dtype(ml_dtypes.bfloat16)


def _parsed(text: str) -> dict[str, Any]:
    """A JSON object; Refused for duplicate keys, nesting without end, and numbers with a point."""
    try:
        value = json.loads(
            text,
            object_pairs_hook=_without_duplicates,
            parse_float=_refuse_decimal,
            parse_constant=_refuse_decimal,
        )
    except RecursionError:
        raise Refused("its JSON must not be nested that deep") from None
    except Refused:
        raise
    except ValueError as error:
        raise Refused(f"its JSON is damaged: {error}") from None
    if not isinstance(value, dict):
        raise Refused(f"its JSON must be an object, got {shown(value)}")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Refused(f"its JSON must have each key once, got {shown(twice)} twice")
    return values


def _refuse_decimal(text: str) -> Any:
    raise Refused(f"its JSON must write floats in hexadecimal, got {shown(text)}")


def _library() -> Any:
    try:
        import safetensors
    except ImportError as error:
        raise Refused(
            "run files need safetensors, which is not installed; pip install 'samestep[port]'"
        ) from error
    return safetensors


def _arrays_of(run: Run) -> dict[str, np.ndarray]:
    arrays = {f"buffer/{name}": array for name, array in run.buffers.items()}
    for tensor in run.tensors:
        arrays[f"theta/{tensor.name}"] = tensor.theta
        if tensor.average is not None:
            arrays[f"average/{tensor.name}"] = tensor.average
        for name, array in tensor.state.items():
            arrays[f"state/{tensor.name}/{name}"] = array
    return arrays


def _description(run: Run) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "source": run.source,
        "layout": "pytorch",
        "rule": rule_to_plain(run.rule),
        "rate": float(run.rate).hex(),
        "taken": run.taken,
        "tensors": [_row(tensor) for tensor in run.tensors],
        "around": {name: _plain(getattr(run.parts, name)) for name in AROUND},
    }


def _row(tensor: Tensor) -> dict[str, Any]:
    row = {
        "name": tensor.name,
        "path": tensor.path,
        "view": list(tensor.view),
        "t": tensor.t,
        "states": sorted(tensor.state),
    }
    return {**row, "rule": rule_to_plain(tensor.rule)} if tensor.rule else row


def _plain(value: Any) -> Any:
    """Plain values with floats as ``{"float": "0x..."}``."""
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    raise Refused(f"parts around a rule must be numbers and texts, got {shown(value)}")


def _from_plain(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"float"}:
            return from_hex("a number", value["float"])
        return {key: _from_plain(each) for key, each in value.items()}
    return [_from_plain(each) for each in value] if isinstance(value, list) else value


def rule_to_plain(rule: Rule) -> dict[str, Any]:
    """The rule's name and hyperparameters, floats in hexadecimal."""
    values = rule.to_dict().items()
    plain = {name: value.hex() if isinstance(value, float) else value for name, value in values}
    return {"rule": type(rule).__name__, **plain}


def rule_from_plain(plain: Any) -> Rule:
    """The inverse; Refused or ValueError for anything else."""
    values = dict(_typed("rule", plain, dict))
    name = values.pop("rule", None)
    kind = RULES_BY_NAME.get(name) if isinstance(name, str) else None
    if kind is None:
        raise Refused(f"the rule must be one of {', '.join(RULES_BY_NAME)}, got {shown(name)}")
    values = present_names(kind.__name__, values)
    for field, value in values.items():
        if isinstance(value, str) and value[:2] in ("0x", "-0"):
            values[field] = from_hex(field, value)
    missing = [field for field in kind.names() if field not in values]
    if missing:
        raise Refused(f"the rule must have all hyperparameters, it lacks {', '.join(missing)}")
    return kind(**values)


def from_hex(name: str, text: Any) -> float:
    """The finite float that ``float.hex`` wrote."""
    if not isinstance(text, str) or not HEX.fullmatch(text):
        raise Refused(f"{name} must be a float in hexadecimal, got {shown(text)}")
    number = float.fromhex(text)
    if not math.isfinite(number):
        raise Refused(f"{name} must be finite, got {number}")
    return number


def _run(description: dict[str, Any], arrays: dict[str, np.ndarray]) -> Run:
    if description.get("format") != FORMAT or description.get("layout") != "pytorch":
        raise Refused(f"format must be {FORMAT}, got {shown(description.get('format'))}")
    rows = _typed("tensors", description["tensors"], list)
    parts = _typed("around", description["around"], dict)
    for name, value in parts.items():
        if value is not None:
            _typed(name, value, dict)
    tensors = tuple(_tensor(row, arrays) for row in rows)
    buffers = {name[7:]: array for name, array in arrays.items() if name.startswith("buffer/")}
    extra = [name for name in arrays if not name.startswith("buffer/")]
    if extra:
        raise Refused(f"every array must belong to a tensor, {shown(extra[0])} does not")
    return Run(
        rule=rule_from_plain(description["rule"]),
        tensors=tensors,
        rate=from_hex("rate", description["rate"]),
        taken=description["taken"],
        buffers=buffers,
        source=_typed("source", description["source"], str),
        parts=Around(**{name: _from_plain(value) for name, value in parts.items()}),
    )


def _tensor(row: Any, arrays: dict[str, np.ndarray]) -> Tensor:
    """A tensor of the description, with its arrays taken out of ``arrays``."""
    row = _typed("a tensor", row, dict)
    name = row["name"]
    check_name(name)
    states = [_typed("a state", state, str) for state in _typed("states", row["states"], list)]
    keys = {"theta": f"theta/{name}", **{state: f"state/{name}/{state}" for state in states}}
    missing = [key for key in keys.values() if key not in arrays]
    if missing:
        raise Refused(f"{shown(missing[0])} is listed, but it is not in the file")
    found_arrays = {key: arrays.pop(place) for key, place in keys.items()}
    return Tensor(
        name=name,
        theta=found_arrays.pop("theta"),
        state=found_arrays,
        t=row["t"],
        view=tuple(_typed("an axis", axis, int) for axis in _typed("view", row["view"], list)),
        path=_typed("path", row["path"], str),
        rule=rule_from_plain(row["rule"]) if "rule" in row else None,
        average=arrays.pop(f"average/{name}", None),
    )


def _typed(name: str, value: Any, kind: type) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Refused(f"{name} must be {kind.__name__}, got {shown(value)}")
    return value
