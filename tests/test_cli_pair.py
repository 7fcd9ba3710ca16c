"""``samestep pair`` and ``samestep record``: what a person sees, exit codes, mistakes."""

import html
import json
import os
import textwrap
from pathlib import Path
from typing import Any

import pytest
from report_checkout import MISTAKE, ROOT, samestep

pytest.importorskip("typer", reason="the command line is the extra 'report'")
pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("keras", reason="Keras is not installed")

IN_PYTORCH = """
import numpy as np
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))

    def forward(self, x):
        return self.layers(x)

def torch_model():
    print("the user's own words")
    from helper import made
    return made(Net)

def batch():
    random = np.random.default_rng(0)
    return random.standard_normal((5, 4)).astype("float32"), random.integers(0, 3, 5)

optimizer = "pytorch:Adam(lr=0.001)"
"""
IN_KERAS = """
import keras
from keras import layers

class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.first = layers.Dense(6, activation="{activation}")
        self.last = layers.Dense(3)

    def call(self, x):
        return self.last(self.first(x))

def keras_model():
    return Net()

optimizer = "pytorch:Adam(lr=0.001)"
"""


def files(folder: Path, activation: str = "relu") -> tuple[str, str]:
    """Two files of a pair; the second cannot import PyTorch."""
    (folder / "helper.py").write_text("def made(kind):\n    return kind()\n")
    (folder / "a.py").write_text(IN_PYTORCH)
    (folder / "b.py").write_text(IN_KERAS.format(activation=activation))
    return "a.py", "b.py"


def test_a_right_pair_in_two_files_ends_with_nought(tmp_path: Path) -> None:
    ended = samestep("pair", *files(tmp_path), "--map", "map.toml", cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "SAME training step" in ended.stdout
    assert "the user's own words" not in ended.stdout
    written = (tmp_path / "map.toml").read_text()
    assert 'pytorch = ["layers.0.weight"]\npieces = ["permute 1 0"]' in written


def test_a_record_is_judged_as_the_model_itself(tmp_path: Path) -> None:
    """As JSON, which is the only thing on standard output."""
    first, second = files(tmp_path, "tanh")
    assert samestep("record", first, "--out", "a.npz", cwd=tmp_path).returncode == 0
    ended = samestep("pair", "a.npz", second, "--json", "--html", "a.html", cwd=tmp_path)
    assert ended.returncode == 1, ended.stderr
    answer = json.loads(ended.stdout)
    assert not answer["same"]
    assert answer["first"]["stage"] == "forward"
    assert answer["first"]["a"] == "layers.1"
    assert answer["first"]["kind"] == "same input, other output"
    assert "relu in PyTorch" in answer["causes"][0]["text"]
    assert len(answer["map"]) == 4
    page = (tmp_path / "a.html").read_text()
    assert "Different: forward, step 1, <code>layers.1 ~ net/dense.activation</code>" in page
    assert answer["causes"][0]["text"] in html.unescape(page)
    assert "http" not in page.replace("http-equiv", "")


def test_a_file_that_needs_both_frameworks_gets_both(tmp_path: Path) -> None:
    """Each process first leaves the other framework out, and starts again where that fails."""
    shared = "UNITS = int(torch.tensor(6))\nACTIVATION = keras.activations.get('relu').__name__\n"
    text = IN_PYTORCH + IN_KERAS.format(activation="relu").replace("Net", "KerasNet")
    text = text.replace("class KerasNet", f"{shared}class KerasNet").replace("optimizer = ", "o = ")
    text = text.replace('layers.Dense(6, activation="relu")', "layers.Dense(UNITS, ACTIVATION)")
    files(tmp_path)
    (tmp_path / "both.py").write_text(text)
    ended = samestep("pair", "both.py", "--steps", "1", cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "SAME training step" in ended.stdout


OF_BATCH = IN_PYTORCH[IN_PYTORCH.index("def batch") : IN_PYTORCH.index("optimizer =")]


def test_a_record_of_keras_is_the_reference(tmp_path: Path) -> None:
    """PyTorch's file imports no Keras; its own batch is compared."""
    first, second = files(tmp_path, "tanh")
    text = (tmp_path / second).read_text()
    (tmp_path / second).write_text(f"import numpy as np\n{text}\n{OF_BATCH}")
    ended = samestep("record", second, "--side", "keras", "--out", "b.npz", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    ended = samestep("pair", "b.npz", first, "--json", cwd=tmp_path)
    assert ended.returncode == 1, ended.stderr
    answer = json.loads(ended.stdout)
    assert answer["facts"]["reference"] == "keras"
    assert answer["first"]["stage"] == "forward"
    assert (answer["first"]["a"], answer["first"]["b"]) == ("net/dense.activation", "layers.1")
    assert "tanh in Keras and relu in PyTorch" in answer["causes"][0]["text"]
    wrong = samestep("pair", "b.npz", first, "--reference", "pytorch", cwd=tmp_path)
    assert "--reference must be the side of the record, which is keras" in mistake(wrong)


@pytest.mark.parametrize(("activation", "code"), [("relu", 0), ("tanh", 1)])
def test_keras_can_be_the_reference(tmp_path: Path, activation: str, code: int) -> None:
    text = IN_PYTORCH + IN_KERAS.format(activation=activation).replace("Net", "KerasNet")
    files(tmp_path)
    (tmp_path / "both.py").write_text(text)
    ended = samestep("pair", "both.py", "--reference", "keras", "--steps", "2", cwd=tmp_path)
    assert ended.returncode == code, ended.stdout + ended.stderr
    assert ("SAME training step" if code == 0 else "DIFFERENT: forward") in ended.stdout


def mistake(ended: Any) -> str:
    assert ended.returncode == MISTAKE, ended.stdout + ended.stderr
    return str(ended.stderr)


def test_mistakes_end_with_two(tmp_path: Path) -> None:
    """The user's own code with its traceback; the rest in one line."""
    files(tmp_path)
    file = tmp_path / "broken.py"
    file.write_text(textwrap.dedent(IN_PYTORCH).replace("self.layers(x)", "self.nothing(x)"))
    message = mistake(samestep("record", "broken.py", "--out", "a.npz", cwd=tmp_path))
    assert "return self.nothing(x)" in message
    assert "samestep: the PyTorch model's forward pass failed: AttributeError" in message
    assert "no_such.py must be a Python file" in mistake(samestep("pair", "no_such.py"))
    (tmp_path / "b.npz").write_bytes(b"no record")
    assert "must be judged against a file" in mistake(samestep("pair", "b.npz", cwd=tmp_path))


@pytest.mark.parametrize(("missing", "side"), [("torch", "pytorch"), ("keras", "keras")])
def test_a_missing_framework_can_be_replaced_by_a_record(
    tmp_path: Path, missing: str, side: str
) -> None:
    """The message has the two commands; the record is judged where the framework is missing."""
    first, second = files(tmp_path)
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(f"import sys\nsys.modules[{missing!r}] = None\n")
    env = {"PYTHONPATH": f"{hidden}{os.pathsep}{ROOT}"}
    text = mistake(samestep("pair", first, second, cwd=tmp_path, env=env))
    assert f"needs {missing}, which is not installed" in text
    assert f"samestep record FILE.py --side {side} --out a.npz" in text
    assert "samestep pair a.npz OTHER.py" in text
    if side == "pytorch":
        steps = ("--steps", "1")
        samestep("record", first, "--out", "a.npz", *steps, cwd=tmp_path)
        ended = samestep("pair", "a.npz", second, cwd=tmp_path, env=env)
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_another_backend_of_keras_is_refused(tmp_path: Path) -> None:
    ended = samestep("pair", *files(tmp_path), env={"KERAS_BACKEND": "torch"}, cwd=tmp_path)
    assert "must run on its tensorflow backend" in mistake(ended)
