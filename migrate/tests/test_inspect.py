"""Checkpoints of both frameworks are read as they are, without executing anything in them."""

import dataclasses
import io
import json
import math
import os
import pickle
import random
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, tf, torch

from samestep.frameworks import pytorch as our_pytorch
from samestep.frameworks import tensorflow as our_tensorflow
from samestep.migrate.port import Refused, files, inspection
from samestep.migrate.port.files.saved import Saved, SavedOptimizer
from samestep.migrate.port.files.slots import ALL, OURS, Slot, shapes_of, slots
from samestep.parity.tests.support.require import require
from samestep.reference import RULES, Adam, dialects

h5py = require("h5py")


SHAPES = [(4, 6), (6,), (2, 2, 3, 4), (3, 3), ()]
FLAGS: dict[str, list[dict[str, Any]]] = {
    "SGD": [{"momentum": 0.9}],
    "RMSprop": [{"momentum": 0.9}, {"centered": True}, {"momentum": 0.9, "centered": True}],
    "Adam": [{"amsgrad": True}],
    "AdamW": [{"amsgrad": True}],
}
OPTIONS: list[dict[str, Any]] = [
    {}, {"use_ema": True}, {"gradient_accumulation_steps": 2},
    {"use_ema": True, "gradient_accumulation_steps": 3},
]  # fmt: skip
CASES = [
    (kind, {**flags, **options})
    for kind in dialects.keras.natives
    for flags in [{}, *FLAGS.get(kind, [])]
    for options in OPTIONS
]


def variables() -> list[Any]:
    """Variables of all ranks."""
    return [keras.Variable(np.ones(shape), name=f"x{i}") for i, shape in enumerate(SHAPES)]


def names_of(optimizer: Any) -> list[Slot]:
    """What Keras itself calls each variable, and whose it is by the beginning of its name."""
    listed = []
    for variable in optimizer.variables:
        owner, _, name = variable.name.partition("_")
        if owner[:1] == "x" and owner[1:].isdigit():
            listed.append(Slot(name, int(owner[1:])))
        else:
            nameless = re.fullmatch(r"variable(_\d+)?", variable.name)  # numbered in a process
            listed.append(Slot("variable" if nameless else variable.name, ALL))
    return listed


def test_every_optimizer_of_keras_is_in_the_table() -> None:
    kinds = {
        name
        for name, value in vars(keras.optimizers).items()
        if isinstance(value, type) and issubclass(value, keras.optimizers.Optimizer)
    }
    listed = {*dialects.keras.natives, *dialects.keras.left_out, "Optimizer"}
    assert kinds <= listed | {"OptimizerMap"}
    assert {kind for kind, _ in CASES} == kinds - {*dialects.keras.left_out, "Optimizer"}


@pytest.mark.parametrize(("kind", "options"), CASES, ids=str)
@pytest.mark.parametrize("scheduled", [False, True])
def test_slots_stand_as_keras_creates_them(
    kind: str, options: dict[str, Any], scheduled: bool
) -> None:
    """By name, of each class, and with everything that adds variables."""
    rate = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9) if scheduled else 0.1
    optimizer = getattr(keras.optimizers, kind)(rate, **options)
    optimizer.build(variables())
    config = optimizer.get_config()
    table = slots(kind, config, SHAPES)
    expected = names_of(optimizer)
    nameless = {"r": "", "c": "", "u_product": "variable"}
    mine = [Slot(nameless.get(slot.name, slot.name), slot.owner) for slot in table]
    assert mine == expected
    arrays = [np.asarray(variable) for variable in optimizer.variables]
    if len(table) > 3:
        assert shapes_of(kind, config, arrays) == SHAPES


@pytest.mark.parametrize("rule", [rule() for rule in RULES], ids=repr)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_slots_of_ours_stand_as_they_are_created(rule: Any, options: dict[str, Any]) -> None:
    optimizer = our_tensorflow.Optimizer(rule, **options)
    optimizer.build(variables())
    table = slots(OURS, optimizer.get_config(), SHAPES, rule)
    mine = [Slot(slot.name.removeprefix("number:"), slot.owner) for slot in table]
    assert mine == names_of(optimizer)


def trained(optimizer: Any) -> Any:
    """A model after two steps of Keras."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Dense(5, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(2),
        ]
    )
    model.compile(optimizer=optimizer, loss="mse")
    drawn = np.random.default_rng(5)
    x, y = drawn.standard_normal((8, 4)), drawn.standard_normal((8, 2))
    model.fit(x, y, batch_size=4, epochs=1, verbose=0, shuffle=False)
    return model


def one_optimizer(saved: Saved) -> SavedOptimizer:
    (optimizer,) = saved.optimizers
    assert optimizer.others == {}
    assert optimizer.remarks == ()
    return optimizer


KERAS = ["SGD", "Adam", "RMSprop", "Nadam", "Adafactor", "Muon", "ScheduleFreeAdamW", "Ftrl"]


@pytest.mark.parametrize("kind", KERAS)
def test_a_keras_file_has_what_the_optimizer_has(kind: str, tmp_path: Path) -> None:
    """In .keras, in .weights.h5 and in TensorFlow's checkpoint: rule, count, rate, all state."""
    options = {"momentum": 0.9} if kind == "SGD" else {}
    model = trained(getattr(keras.optimizers, kind)(0.01, **options))
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    prefix = tf.train.Checkpoint(optimizer=model.optimizer, model=model).write(
        str(tmp_path / "c.ckpt")
    )
    call = f"keras:{kind}(learning_rate=0.01{''.join(f', {k}={v}' for k, v in options.items())})"
    live = model.optimizer
    table = slots(kind, live.get_config(), [v.shape for v in model.trainable_variables])
    expected = dialects.keras.read(kind, learning_rate=float(live.learning_rate), **options)
    names = {theirs: mine for mine, theirs in dialects.keras.state_names(expected).items()}
    for path, told in ((tmp_path / "m.keras", ""), (tmp_path / "m.weights.h5", call),
                       (Path(prefix), call)):  # fmt: skip
        optimizer = one_optimizer(files.read(path, told))
        assert optimizer.native == f"keras.optimizers.{kind}"
        assert (optimizer.taken, optimizer.rate) == (2, float(live.learning_rate))
        if not told:
            assert optimizer.groups[0].rule == expected
        seen = 0
        for slot, variable in zip(table, live.variables, strict=True):
            if slot.owner == ALL:
                continue
            state = optimizer.tensors[slot.owner].state
            value = state[names.get(slot.name, slot.name) if names.get(slot.name) else slot.name]
            assert value.tobytes() == np.asarray(variable).tobytes()
            seen += 1
        assert seen == sum(len(tensor.state) for tensor in optimizer.tensors) - (
            len(optimizer.tensors) if kind == "Nadam" else 0
        )


@pytest.mark.parametrize("rule", ["Adam", "Adafactor", "Nadam", "Muon"])
def test_a_keras_file_of_ours_names_its_variables(rule: str, tmp_path: Path) -> None:
    """And has each variable's own count."""
    mine = dialects.keras.read(rule, learning_rate=0.01)
    model = trained(our_tensorflow.Optimizer(mine))
    model.save(tmp_path / "m.keras")
    optimizer = one_optimizer(files.read(tmp_path / "m.keras"))
    assert optimizer.groups[0].rule == mine
    assert [tensor.label for tensor in optimizer.tensors] == [
        variable.path for variable in model.trainable_variables
    ]
    for tensor, slots_of in zip(optimizer.tensors, model.optimizer._states, strict=True):
        assert tensor.t == 2
        assert set(tensor.state) == set(slots_of)
        for name, value in tensor.state.items():
            assert np.array_equal(value, slots_of[name].numpy())


def stepped(make: Callable[[Any], Any], steps: int = 3) -> tuple[Any, Any]:
    """A model of PyTorch and its optimizer after some steps."""
    torch.manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Linear(5, 2))
    parameters = model.named_parameters()
    optimizer = make(parameters)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(8, 4)).square().sum().backward()
        optimizer.step()
    return model, optimizer


PYTORCH = [name for name in dialects.pytorch.natives if name not in ("SparseAdam", "Muon")]


@pytest.mark.parametrize("kind", PYTORCH)
def test_a_pt_file_has_what_the_optimizer_has(kind: str, tmp_path: Path) -> None:
    """Every native of PyTorch: its class, its rule, its counts, all state, by name."""
    options = {"momentum": 0.9} if kind == "SGD" else {}
    model, live = stepped(lambda named: getattr(torch.optim, kind)(named, lr=0.01, **options))
    torch.save({"model": model.state_dict(), "optimizer": live.state_dict()}, tmp_path / "m.pt")
    saved = files.read(tmp_path / "m.pt")
    optimizer = one_optimizer(saved)
    assert f"torch.optim.{kind}" in optimizer.native.split(" or ")
    assert optimizer.groups[0].rule == dialects.pytorch.read(kind, lr=0.01, **options)
    assert [tensor.label for tensor in optimizer.tensors] == [
        n for n, _ in model.named_parameters()
    ]
    names = dialects.pytorch.state_names(optimizer.groups[0].rule)
    for tensor, parameter in zip(optimizer.tensors, model.parameters(), strict=True):
        state = live.state[parameter]
        assert tensor.t == (int(state["step"]) if "step" in state else None)
        assert tensor.state
        for name, value in tensor.state.items():
            assert np.array_equal(value, state[names.get(name, name)].numpy())
    assert {name: value.shape for name, value in saved.weights.items()} == {
        f"model/{name}": tuple(value.shape) for name, value in model.state_dict().items()
    }


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
def test_dtypes_of_a_pt_file_are_its_own(dtype: str, tmp_path: Path) -> None:
    weight = torch.nn.Parameter(torch.ones(3, dtype=getattr(torch, dtype)))
    live = our_pytorch.Optimizer([weight], Adam())
    weight.grad = torch.ones_like(weight)
    live.step()
    torch.save([live.state_dict(), weight.detach()], tmp_path / "m.pt")
    result = inspection.inspect(tmp_path / "m.pt")
    assert result.weights["[1]"].dtype == dtype
    (view,) = result.optimizers
    assert view.tensors[0].state["m"].dtype == dtype
    assert view.groups[0].rule == "Adam(lr=0.001)"
    assert view.native == "samestep's Adam"


ALONE = """
import sys
from pathlib import Path
from samestep.migrate.port import inspection
result = inspection.inspect(Path(sys.argv[1]))
names = {name.split(".")[0] for name in sys.modules}
print(result.optimizers[0].steps, sorted(names & {"torch", "tensorflow", "keras", "jax"}))
"""


def test_a_keras_file_needs_neither_keras_nor_tensorflow(tmp_path: Path) -> None:
    trained(keras.optimizers.Adam()).save(tmp_path / "m.keras")
    ended = subprocess.run(
        [sys.executable, "-c", ALONE, str(tmp_path / "m.keras")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == "2 []"


# what looks lost


def damaged(change: Callable[[Any], Any], tmp_path: Path, **parts: Any) -> list[str]:
    """What looks lost of Adam's state after a change of it."""
    _, live = stepped(lambda named: torch.optim.Adam(named, lr=0.01))
    state = live.state_dict()
    change(state)
    torch.save({"optimizer": state, **parts}, tmp_path / "m.pt")
    return list(inspection.inspect(tmp_path / "m.pt").lost)


def first(state: Any) -> Any:
    return state["state"][0]


LOSSES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "zero": (lambda s: [first(s)[k].zero_() for k in ("exp_avg", "exp_avg_sq")], "state is zero"),
    "count": (lambda s: first(s)["step"].zero_(), "no step is counted, but m is not zero"),
    "late": (lambda s: first(s)["step"].sub_(2), "1 steps of 3"),
    "nan": (lambda s: first(s)["exp_avg"][0].fill_(np.nan), "0.weight m: 4 NaN, 0 infinite"),
    "infinite": (lambda s: first(s)["exp_avg"][0, 0].fill_(np.inf), "m: 0 NaN, 1 infinite"),
    "negative": (lambda s: first(s)["exp_avg_sq"].neg_(), "v must not be negative, 20 are"),
    "no state": (lambda s: s["state"].pop(0), "1 of 4 parameters have no state: 0.weight"),
}


@pytest.mark.parametrize("name", LOSSES)
def test_what_looks_lost_is_said(name: str, tmp_path: Path) -> None:
    change, text = LOSSES[name]
    (line,) = damaged(change, tmp_path)
    assert text in line


def test_a_whole_checkpoint_has_lost_nothing(tmp_path: Path) -> None:
    assert damaged(lambda state: None, tmp_path) == []


def test_a_scheduler_with_other_rates_is_said(tmp_path: Path) -> None:
    """As it is after a scheduler was made behind the loading of the optimizer."""
    schedule = {"last_epoch": 3, "_last_lr": [0.001]}
    (line,) = damaged(lambda state: None, tmp_path, scheduler=schedule)
    assert "'scheduler' holds the rates [0.001], the optimizer [0.01]" in line
    assert damaged(lambda s: None, tmp_path, scheduler={**schedule, "_last_lr": [0.01]}) == []


def test_an_unbuilt_optimizer_of_keras_has_no_state(tmp_path: Path) -> None:
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
    model.compile(optimizer=keras.optimizers.Adam(), loss="mse")
    model.save_weights(tmp_path / "m.weights.h5")
    result = inspection.inspect(tmp_path / "m.weights.h5", "keras:Adam()")
    assert [view.tensors for view in result.optimizers] in ([()], [])


# hostile files


def refusal_of(path: Path, call: str = "") -> str:
    with pytest.raises(Refused) as caught:
        inspection.inspect(path, call)
    assert str(caught.value).isprintable()
    return str(caught.value)


class Opens:
    """What a pickle would open."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return io.open, (str(self.place), "w")


def test_a_pt_file_that_would_run_code_is_not_loaded(tmp_path: Path) -> None:
    """In torch's format, and as a bare pickle."""
    mark = tmp_path / "executed"
    torch.save({"state": Opens(mark)}, tmp_path / "m.pt")
    assert "which could run code" in refusal_of(tmp_path / "m.pt")
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "m.pt").write_bytes(pickle.dumps(Opens(mark), protocol))
        refusal_of(tmp_path / "m.pt")
    assert not mark.exists()


def test_a_pickle_called_keras_is_not_loaded(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "m.keras").write_bytes(pickle.dumps(Opens(mark), protocol))
        refusal_of(tmp_path / "m.keras")
    assert not mark.exists()


def keras_file(path: Path, config: bytes, weights: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", config)
        archive.writestr("model.weights.h5", weights)
    return path


def hdf5(fill: Callable[[Any], Any]) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file)
    return buffer.getvalue()


def numbered(file: Any) -> None:
    for place, value in enumerate([np.int64(3), np.float32(0.1), np.ones(3), np.ones(3)]):
        file[f"optimizer/vars/{place}"] = value


def compiled(**optimizer: Any) -> bytes:
    return json.dumps({"compile_config": {"optimizer": optimizer}}).encode()


CONFIGS = {
    "a function": (compiled(class_name="system", module="os", config={}), "one of Keras' or ours"),
    "a class of no text": (compiled(class_name=["Adam"], config={}), "one of Keras' or ours"),
    "no config": (compiled(class_name="Adam", config=None), "config is damaged"),
    "a rule unknown": (
        compiled(class_name="x", registered_name="samestep>Optimizer",
                 config={"rule": "os", "hyperparameters": {}}), "config is damaged"),
    "no json": (b"{", "config is damaged"),
    "a list": (b"[]", "must be an object"),
    "deep": (b"[" * 10**5 + b"]" * 10**5, "nested that deep"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_damaged_configs_are_refused(name: str, tmp_path: Path) -> None:
    config, text = CONFIGS[name]
    assert text in refusal_of(keras_file(tmp_path / "m.keras", config, hdf5(numbered)))


def linked(file: Any) -> None:
    file["a"] = h5py.ExternalLink("/etc/hostname", "/x")


def soft(file: Any) -> None:
    file["a"] = h5py.SoftLink("/nowhere")


def elsewhere(file: Any) -> None:
    file.create_dataset("a", (4,), "u1", external=[("/etc/hostname", 0, 4)])


def virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (4,))
    file.create_virtual_dataset("a", layout)


def in_circles(file: Any) -> None:
    file.create_group("a")["b"] = file["/"]


def claiming(file: Any) -> None:
    file.create_dataset("a", (2**42,), "u1", chunks=(2**20,))


def compressed(file: Any) -> None:
    file.create_dataset("a", data=np.zeros(10**7), compression="gzip")


def texts(file: Any) -> None:
    file["a"] = "words"


def deep_groups(file: Any) -> None:
    file["/".join("a" * 200)] = np.ones(2)


BOMBS = {
    linked: "in the file itself", soft: "in the file itself", elsewhere: "in the file itself",
    virtual: "in the file itself", in_circles: "two places", claiming: "must fit into its",
    compressed: "must fit into its", texts: "must be numbers", deep_groups: "nested deeper",
}  # fmt: skip


@pytest.mark.parametrize("fill", BOMBS, ids=lambda fill: fill.__name__)
def test_hdf5_that_leads_elsewhere_or_claims_too_much_is_refused(fill: Any, tmp_path: Path) -> None:
    path = tmp_path / "m.weights.h5"
    path.write_bytes(hdf5(fill))
    assert BOMBS[fill] in refusal_of(path)


def test_a_zip_that_unpacks_to_much_more_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", bytes(10**7))
    assert "twice its size" in refusal_of(tmp_path / "m.keras")


def test_a_tensor_that_claims_more_than_the_file_is_refused(tmp_path: Path) -> None:
    """One number, seen as a trillion."""
    torch.save({"a": torch.ones(1).expand(10**12)}, tmp_path / "m.pt")
    assert "claims 4000000000000 bytes" in refusal_of(tmp_path / "m.pt")


def originals(tmp_path: Path) -> dict[str, bytes]:
    """A small file of each format."""
    _, live = stepped(lambda named: torch.optim.Adam(named))
    torch.save(live.state_dict(), tmp_path / "m.pt")
    model = trained(keras.optimizers.Adam())
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    return {each: (tmp_path / each).read_bytes() for each in ("m.pt", "m.keras", "m.weights.h5")}


def test_flipped_bits_end_in_one_line_or_change_nothing(tmp_path: Path, full: bool) -> None:
    """Zips have checksums; HDF5 has none, so there a number may change, and no more than that."""
    chosen = random.Random(11)
    for name, data in originals(tmp_path).items():
        path = tmp_path / name
        expected = dataclasses.replace(inspection.inspect(path), file="")
        for _ in range(10_000 if full else 150):
            place, bit = chosen.randrange(len(data)), chosen.randrange(8)
            flipped = bytearray(data)
            flipped[place] ^= 1 << bit
            path.write_bytes(bytes(flipped))
            result = outcome(path)
            if isinstance(result, str):
                assert result.isprintable()
            elif name != "m.weights.h5":
                assert dataclasses.replace(result, file="") == expected, (name, place, bit)


def outcome(path: Path) -> Any:
    """The inspection, or the message with which the file is refused."""
    try:
        return inspection.inspect(path)
    except Refused as error:
        return str(error)


def test_truncated_files_are_refused(tmp_path: Path) -> None:
    for name, data in originals(tmp_path).items():
        for share in (0.01, 0.3, 0.7, 0.99):
            (tmp_path / name).write_bytes(data[: int(len(data) * share)])
            refusal_of(tmp_path / name)


def test_damaged_checkpoints_of_tensorflow_are_refused(tmp_path: Path) -> None:
    prefix = Path(tf.train.Checkpoint(a=tf.Variable(tf.ones(50))).write(str(tmp_path / "c[1]*")))
    assert inspection.inspect(prefix).weights["a"].norm == math.sqrt(50)
    for part in tmp_path.glob("c*"):
        data = part.read_bytes()
        part.write_bytes(data[:20] + b"\xff\xff" + data[22:])
        refusal_of(prefix)
        part.write_bytes(data)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words")
    assert "must be a checkpoint" in refusal_of(tmp_path / "a.txt")
    assert "must be a file" in refusal_of(tmp_path / "none")


def test_the_call_must_fit(tmp_path: Path) -> None:
    model = trained(keras.optimizers.Adam())
    model.save_weights(tmp_path / "m.weights.h5")
    assert "must be a call of Keras" in refusal_of(tmp_path / "m.weights.h5", "pytorch:Adam()")
    (view,) = inspection.inspect(tmp_path / "m.weights.h5", "keras:Adam(amsgrad=True)").optimizers
    assert view.tensors == ()
    assert "do not stand as keras.optimizers.Adam keeps them" in view.remarks[0]
