"""The neutral file is read as it was written, and everything else is refused in one line."""

import dataclasses
import json
import os
import pickle
import random
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samestep.migrate.port import Refused, Run, neutral
from samestep.migrate.port.disk import write_whole
from samestep.migrate.port.run import check
from samestep.migrate.tests.support import run_files
from samestep.migrate.tests.support.run_files import forged, header_of, stepped, with_header
from samestep.parity.tests.support.require import require
from samestep.reference import Adagrad, Adam

require("safetensors")
RULES = run_files.plain_rules()
FLIPS = {False: 500, True: 10_000}


@pytest.fixture(scope="module")
def data() -> bytes:
    """The file of Adam's run."""
    return neutral.to_bytes(stepped(Adam()))


def refusal_of(data: bytes) -> str:
    """The message with which a file is refused: one printable line."""
    with pytest.raises(Refused) as caught:
        check(neutral.from_bytes(data, "run.safetensors"))
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 1100
    return text


def assert_same_run(run: Run, other: Run) -> None:
    """Equal words, equal bits, equal dtypes."""
    for name in ("rule", "rate", "taken", "source", "parts"):
        assert getattr(run, name) == getattr(other, name), name
    assert list(run.buffers) == sorted(other.buffers)
    for name, buffer in run.buffers.items():
        assert buffer.tobytes() == other.buffers[name].tobytes()
    for mine, theirs in zip(run.tensors, other.tensors, strict=True):
        for name in ("name", "t", "view", "path", "rule"):
            assert getattr(mine, name) == getattr(theirs, name), name
        assert list(mine.state) == sorted(theirs.state)
        arrays = [(mine.theta, theirs.theta)]
        arrays += [(mine.state[name], theirs.state[name]) for name in mine.state]
        for array, expected in arrays:
            assert (array.dtype, array.shape) == (expected.dtype, expected.shape)
            assert array.tobytes() == np.array(expected, order="C").tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_a_run_is_read_as_it_was_written(rule: Any, dtype: str, tmp_path: Path) -> None:
    """Every rule, every dtype, arrays without dimensions among them."""
    if dtype == "bfloat16":
        require("ml_dtypes")
    run = run_files.in_dtype(stepped(rule), neutral.named_dtype(dtype))
    neutral.save(run, tmp_path / "run.safetensors")
    assert_same_run(neutral.load(tmp_path / "run.safetensors"), run)


def test_floats_have_all_their_digits(data: bytes) -> None:
    """0.1 is written in hexadecimal, in the rule and in what is around it."""
    text = header_of(data)[0]["__metadata__"]["samestep"]
    description = json.loads(text)
    assert float.fromhex(description["rate"]) == 0.1
    assert description["around"]["schedule"]["factor"] == {"float": (0.1).hex()}
    assert "0.1" not in text


def test_flipped_bits_are_refused(data: bytes, full: bool) -> None:
    """Wherever they are: in the length, the header, the description, the digest, the arrays."""
    chosen = random.Random(11)
    for _ in range(FLIPS[full]):
        place, bit = chosen.randrange(len(data)), chosen.randrange(8)
        flipped = bytearray(data)
        flipped[place] ^= 1 << bit
        with pytest.raises(Refused):
            neutral.from_bytes(bytes(flipped), "run.safetensors")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.2, 0.5, 0.99])
def test_truncated_files_are_refused(data: bytes, share: float) -> None:
    refusal_of(data[: int(len(data) * share)])


class Disguised:
    """What a pickle runs when it is loaded: it would leave a file."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return Path.touch, (self.place,)


def test_a_pickle_in_disguise_is_not_executed(tmp_path: Path) -> None:
    """As a whole file, and behind a header; loaded by pickle it would run."""
    mark = tmp_path / "executed"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        pickled = pickle.dumps(Disguised(mark), protocol)
        refusal_of(pickled)
        refusal_of(with_header(b"{}", pickled))
    assert "a pickle" in refusal_of(pickled)
    assert not mark.exists()
    pickle.loads(pickled)
    assert mark.exists()


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"PK\3\4", "a zip"), (b"\x89HDF\r\n", "HDF5"), (b"\x93NUMPY", "npy"), (b"", "0 bytes")],
)
def test_other_formats_are_named(start: bytes, kind: str) -> None:
    assert kind in refusal_of(start)


def changed_row(**values: Any) -> Callable[[dict[str, Any]], None]:
    """An edit of the first tensor in the description."""
    return lambda description: description["tensors"][0].update(values)


def changed(**values: Any) -> Callable[[dict[str, Any]], None]:
    """An edit of the description."""
    return lambda description: description.update(values)


def changed_rule(**values: Any) -> Callable[[dict[str, Any]], None]:
    """An edit of the rule."""
    return lambda description: description["rule"].update(values)


def without(name: str) -> Callable[[dict[str, Any]], Any]:
    """The description without an entry."""
    return lambda description: description.pop(name)


EDITS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "format": (changed(format="samestep-run/2"), "format must be samestep-run/1"),
    "layout": (changed(layout="keras"), "format must be samestep-run/1"),
    "no rule": (without("rule"), "KeyError"),
    "unknown rule": (changed_rule(rule="os.system"), "the rule must be one of"),
    "rule of no name": (changed_rule(rule=["Adam"]), "the rule must be one of"),
    "hyperparameter": (changed_rule(os="system"), "os"),
    "out of range": (changed_rule(beta1=(2.0).hex()), "beta1 must lie in"),
    "decimal float": (changed_rule(beta1="0.9"), "beta1 must be a real number"),
    "hex without digits": (changed_rule(beta1="0x"), "float in hexadecimal"),
    "infinite": (changed(rate="0x1.0p+2000"), "OverflowError"),
    "negative rate": (changed(rate=(-0.1).hex()), "the rate must be a number"),
    "rate nan": (changed(rate="nan"), "rate must be a float in hexadecimal"),
    "rate of a word": (changed(rate="fast"), "rate must be a float in hexadecimal"),
    "rate decimal": (changed(rate=0.1), "must write floats in hexadecimal"),
    "steps negative": (changed_row(t=-3), "the step count must be a whole number"),
    "steps a text": (changed_row(t="5"), "the step count must be a whole number"),
    "steps true": (changed_row(t=True), "the step count must be a whole number"),
    "steps huge": (changed_row(t=10**30), "the step count must be a whole number"),
    "taken": (changed(taken=-1), "the step count must be a whole number"),
    "count lost": (changed_row(t=0), "no step is counted, yet m is not"),
    "view": (changed_row(view=[0, 0]), "view must order the axes"),
    "view of texts": (changed_row(view=["0", "1"]), "an axis must be int"),
    "state missing": (changed_row(states=["m"]), "does not"),
    "state of no name": (changed_row(states=[["m"]]), "a state must be str"),
    "state too much": (changed_row(states=["m", "v", "w"]), "it is not in the file"),
    "double name": (changed_row(name="fc.bias"), "it is not in the file"),
    "name unknown": (changed_row(name="fc.wait"), "it is not in the file"),
    "name with escapes": (changed_row(name="a\x1b[2Jb"), "printable text"),
    "name with newlines": (changed_row(name="a\nb"), "printable text"),
    "name turned round": (changed_row(name="a\u202eb"), "printable text"),
    "long name": (changed_row(name="a" * 10_000), "printable text"),
    "name a number": (changed_row(name=5), "printable text"),
    "no tensors": (changed(tensors={}), "tensors must be list"),
    "tensors lost": (changed(tensors=[]), "does not"),
    "path": (changed_row(path=None), "path must be str"),
    "around": (changed(around=[]), "around must be dict"),
    "around unknown": (changed(around={"os": None}), "TypeError"),
    "around a text": (changed(around={"schedule": "rm"}), "schedule must be dict"),
    "around decimal": (changed(around={"schedule": {"a": 0.5}}), "hexadecimal"),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_edited_descriptions_are_refused(data: bytes, name: str) -> None:
    """Though their digest is right."""
    edit, text = EDITS[name]
    assert text in refusal_of(forged(data, edit))


def test_messages_are_one_line_whatever_they_quote(data: bytes) -> None:
    """The name of the file, and the name of a hyperparameter."""
    refusal_of(forged(data, changed_rule(**{"a\x1b[2J\nb": 1})))
    with pytest.raises(Refused) as caught:
        neutral.from_bytes(b"", "a\x1b[2J\nb")
    assert str(caught.value).startswith(r"a\x1b[2J\nb must be")


def test_the_unchanged_description_is_accepted(data: bytes) -> None:
    """So it is the edits that are refused."""
    again = neutral.from_bytes(forged(data, lambda description: None), "run.safetensors")
    assert_same_run(again, stepped(Adam()))


def test_json_without_end_is_refused(data: bytes) -> None:
    """In the header, and in the description: nested 100,000 deep."""
    deep = "[" * 10**5 + "]" * 10**5
    refusal_of(with_header(f'{{"a":{deep}}}'.encode(), b""))
    assert "nested" in refusal_of(run_files.resigned(data, deep))
    assert "nested" in refusal_of(run_files.resigned(data, '{"a":' * 10**5 + "1" + "}" * 10**5))


def test_duplicate_keys_are_refused(data: bytes) -> None:
    """In the header, and in the description: one reader would take the first, one the last."""
    header, rest = header_of(data)
    text = json.dumps(header)
    name = '"theta/fc.bias": '
    twice = text.replace(name, f"{name}{json.dumps(header['theta/fc.bias'])}, {name}")
    assert "each key once" in refusal_of(with_header(twice.encode(), rest))
    description = header["__metadata__"]["samestep"]
    doubled = description.replace('"taken": 5', '"taken": 5, "taken": 7')
    assert doubled != description
    assert "each key once, got 'taken' twice" in refusal_of(run_files.resigned(data, doubled))


def test_a_million_arrays_are_refused_before_they_are_parsed() -> None:
    entry = '"{}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'
    header = "{" + ",".join(entry.format(number) for number in range(500_000)) + "}"
    assert "at most 100000 arrays" in refusal_of(with_header(header.encode(), b""))
    assert "header of at most" in refusal_of(with_header(header.encode() * 2, b""))


def test_a_claim_of_terabytes_is_refused() -> None:
    """Of the header, and of an array."""
    header = b'{"a":{"dtype":"U8","shape":[4398046511104],"data_offsets":[0,4398046511104]}}'
    refusal_of(with_header(header, b""))
    refusal_of(struct.pack("<Q", 2**42) + b"{" + b" " * 100)


def test_plain_weights_are_no_run() -> None:
    from safetensors.numpy import save

    assert "describe a run" in refusal_of(save({"a": np.ones(3)}))


def replaced(run: Run, **changes: Any) -> Run:
    """The run with its first tensor changed."""
    first, *rest = run.tensors
    return dataclasses.replace(run, tensors=(dataclasses.replace(first, **changes), *rest))


def test_impossible_arrays_are_refused(tmp_path: Path) -> None:
    """Before anything is written, and when a file is read."""
    run = stepped(Adam())
    first = run.tensors[0]
    m, v = first.state["m"], first.state["v"]
    nan = m.copy()
    nan[2, 1] = np.nan
    cases = {
        "v must not be negative": replaced(run, state={"m": m, "v": m}),
        "m must have the shape (6, 4), got (4, 6)": replaced(run, state={"m": m.T, "v": v}),
        "m must be real floating point, got int64": replaced(
            run, state={"m": m.astype(np.int64), "v": v}
        ),
        "m must be finite, 1 of 24 elements are not, the first at (2, 1)": replaced(
            run, state={"m": nan, "v": v}
        ),
        "Adam keeps ['m', 'v'], got ['m']": replaced(run, state={"m": m}),
        "'fc.bias' twice": replaced(run, name="fc.bias"),
        "buffer 'a' must be finite": dataclasses.replace(run, buffers={"a": np.array([np.inf])}),
    }
    for text, broken in cases.items():
        with pytest.raises(Refused) as caught:
            check(broken)
        assert text in str(caught.value)
    path = tmp_path / "run.safetensors"
    neutral.save(replaced(run, state={"m": nan, "v": v}), path)  # NaN is carried where it is
    with pytest.raises(Refused, match="must be finite"):
        neutral.load(path)
    assert np.isnan(neutral.load(path, allow_nan=True).tensors[0].state["m"][2, 1])
    with pytest.raises(Refused, match="not be negative"):
        neutral.save(replaced(run, state={"m": m, "v": m}), path)
    neutral.load(path, allow_nan=True)  # a refusal leaves the file as it was


def test_state_that_looks_lost_is_a_warning() -> None:
    """It may be lawful: a layer whose gradients were all zero."""
    run = stepped(Adagrad(initial_accumulator=0.1))
    assert check(run) == []
    start = np.full_like(run.tensors[0].state["G"], 0.1)
    (line,) = check(replaced(run, state={"G": start}))
    assert line.startswith("fc.weight: 5 steps are counted, yet its state is as before the first")


def test_a_start_that_went_through_float32_is_the_start() -> None:
    """Keras fills a float64 accumulator from float32."""
    run = run_files.in_dtype(stepped(Adagrad(initial_accumulator=0.1), steps=0), np.float64)
    start = np.full((6, 4), np.float64(np.float32(0.1)))
    assert start[0, 0] != 0.1
    assert check(replaced(run, state={"G": start})) == []


def test_a_run_without_numbers_is_carried(tmp_path: Path) -> None:
    """An empty tensor, one of a single element, and no buffer."""
    run = dataclasses.replace(stepped(Adam()), buffers={})
    shape = (0, 4)
    empty = {name: np.zeros(shape, np.float32) for name in "mv"}
    run = replaced(run, theta=np.zeros(shape, np.float32), state=empty)
    neutral.save(run, tmp_path / "run.safetensors")
    assert_same_run(neutral.load(tmp_path / "run.safetensors"), run)


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    """A pipe, which could give one thing to a check and another afterwards; a folder; nothing."""
    os.mkfifo(tmp_path / "pipe")
    opened = threading.Thread(target=lambda: open(tmp_path / "pipe", "wb").close())
    opened.start()
    with pytest.raises(Refused, match="must be a regular file"):
        neutral.load(tmp_path / "pipe")
    opened.join()
    for place in (tmp_path, tmp_path / "none"):
        with pytest.raises(Refused, match="must be"):
            neutral.load(place)


def test_a_file_exchanged_while_it_is_read_gives_one_of_the_two(tmp_path: Path) -> None:
    """Never a mixture, and never what was not checked."""
    path = tmp_path / "run.safetensors"
    runs = [neutral.to_bytes(stepped(Adam(), steps)) for steps in (5, 6)]
    write_whole(path, runs[0])
    ended = threading.Event()

    def exchange() -> None:
        while not ended.is_set():
            for run in runs:
                write_whole(path, run)

    thread = threading.Thread(target=exchange)
    thread.start()
    try:
        taken = {neutral.load(path).taken for _ in range(150)}
    finally:
        ended.set()
        thread.join()
    assert taken <= {5, 6}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["run.safetensors"]


LIMITED = """
import resource, sys
from pathlib import Path
from samestep.migrate.port import neutral
from samestep.migrate.tests.support.run_files import stepped
from samestep.reference import Adam
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    neutral.save(stepped(Adam(), 9), Path(sys.argv[1]))
except OSError as error:
    print(type(error).__name__)
"""


def child(code: str, *arguments: str) -> str:
    """What a fresh interpreter prints."""
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_an_interrupted_write_leaves_the_old_file_whole(tmp_path: Path, data: bytes) -> None:
    """The system ends the write after 1000 bytes, as a full disk does."""
    path = tmp_path / "run.safetensors"
    path.write_bytes(data)
    assert child(LIMITED, str(path)).strip() == "OSError"
    assert path.read_bytes() == data
    assert [each.name for each in tmp_path.iterdir()] == ["run.safetensors"]


MEMORY = """
import sys
from pathlib import Path
from samestep.migrate.port import neutral

def peak():
    (line,) = [x for x in open("/proc/self/status") if x.startswith("VmHWM")]
    return int(line.split()[1]) * 1024

neutral.load(Path(sys.argv[1]))
before = peak()
neutral.load(Path(sys.argv[2]))
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux says the peak there")
def test_reading_takes_at_most_three_times_the_memory(tmp_path: Path) -> None:
    """Beyond what a small file takes: of one large tensor, the hardest case."""
    small, large = tmp_path / "small", tmp_path / "large"
    neutral.save(stepped(Adam()), small)
    size = 4_000_000
    theta = np.linspace(1, 2, size, dtype=np.float32)
    run = replaced(stepped(Adam()), theta=theta, state={"m": theta, "v": theta}, view=(0,))
    neutral.save(run, large)
    assert int(child(MEMORY, str(small), str(large))) <= 3 * large.stat().st_size
