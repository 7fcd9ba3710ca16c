"""``samestep compare``: what a person sees, exit codes, mistakes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from report_checkout import assert_mistake, samestep

from samestep.parity.measure.wrong_rules import RULES
from samestep.parity.tests.support.planted import FAULTS_OF_ADAPTERS, altered_checkout

pytest.importorskip("typer", reason="the command line is the extra 'report'")

ADAM = "pytorch:Adam(lr=0.001)"


def test_the_same_ends_with_nought_and_different_with_one() -> None:
    same = samestep("compare", ADAM, "Adam(lr=0.001)")
    assert (same.returncode, same.stderr) == (0, "")
    assert "SAME: equal bits at every step" in same.stdout
    other = samestep("compare", ADAM, "keras:Adam(learning_rate=0.001)")
    assert (other.returncode, other.stderr) == (1, "")
    questions = ["DIFFERENT: ", "first difference: step 1, ", "distance, ", "cause:", "remedy:"]
    places = [other.stdout.index(question) for question in questions]
    assert places == sorted(places)
    assert "epsilon_at=Epsilon.OUTSIDE instead of Epsilon.HAT makes B equal to A" in other.stdout
    assert "samestep.frameworks.tensorflow.Optimizer(Adam(lr=0.001))" in other.stdout


def test_a_constant_rate_makes_two_momentum_buffers_equal() -> None:
    arguments = (
        "compare",
        "keras:SGD(learning_rate=0.1, momentum=0.9)",
        "pytorch:SGD(lr=0.1, momentum=0.9)",
    )
    assert samestep(*arguments).returncode == 1
    assert samestep(*arguments, "--constant").returncode == 0


def test_a_file_of_gradients_is_compared_on(tmp_path: Path) -> None:
    """AMSGrad is Adam while v grows.

    Where g halves, v first falls at step 6, since 4^-5 < 0.001 (1 + 1/4 + ...).
    """
    for growing, code in ((True, 0), (False, 1)):
        gradients = 2.0 ** np.arange(-9, 0)[:: 1 if growing else -1, None]
        np.savez(tmp_path / "gradients.npz", **{"gradients/kernel": gradients})
        ended = samestep(
            "compare",
            ADAM,
            "pytorch:Adam(lr=0.001, amsgrad=True)",
            "--gradients",
            tmp_path / "gradients.npz",
        )
        assert ended.returncode == code, ended.stdout
        assert ("first difference: step 6, tensor kernel" in ended.stdout) == (code == 1)


def test_a_users_own_optimizers_are_found_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in each framework, each in a process of its own."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    pytest.importorskip("keras", reason="Keras is not installed")
    (tmp_path / "mine.py").write_text(
        "def torch_sgd(parameters):\n"
        "    import torch\n    return torch.optim.SGD(parameters, lr=0.25)\n\n"
        "def keras_sgd():\n"
        "    import sys\n    assert 'torch' not in sys.modules\n    import keras\n"
        "    return keras.optimizers.SGD(0.25)\n\n"
        "def broken(parameters):\n    raise RuntimeError('no luck')\n\n"
        "def odd(parameters):\n    return 'SGD'\n"
    )
    ended = samestep("compare", "mine:torch_sgd", "mine:keras_sgd", cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "mine:keras_sgd  means SGD(lr=0.25)" in ended.stdout
    assert_mistake(
        samestep("compare", "mine:broken", ADAM, cwd=tmp_path),
        "mine:broken failed when called",
        "no luck",
    )
    assert_mistake(
        samestep("compare", "mine:odd", ADAM, cwd=tmp_path),
        "must return a torch.optim.Optimizer",
        "str",
    )
    assert_mistake(
        samestep("compare", "mine:none", ADAM, cwd=tmp_path), "mine:none must be a module", "none"
    )


def test_training_on_mnist_ends_with_the_answer() -> None:
    """Two rules in NumPy: the same calls, then others, with the optimizers' own answer below."""
    same = samestep("compare", ADAM.partition(":")[2], "Adam(lr=0.001)", "--mnist", "--steps", "3")
    assert (same.returncode, same.stderr) == (0, "")
    assert (
        "SAME: equal bits of data, forward pass, loss, gradient and weights at every step"
        in same.stdout
    )
    other = samestep(
        "compare", "Adam(lr=0.001)", "Adam(lr=0.001, beta2=0.99)", "--mnist", "--steps", "3"
    )
    assert other.returncode == 1
    assert "DIFFERENT: other bits from step 1 on" in other.stdout
    assert "in the state" in other.stdout
    assert "beta2=0.999 instead of 0.99 makes B equal to A" in other.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Adamm()", ADAM], "there is no rule 'Adamm'"),
        ([ADAM, "Adam"], "Adam alone is not clear: write pytorch:Adam() or keras:Adam()"),
        ([ADAM, ADAM, "--dtype", "float8"], "dtype must be one of float32, float64, got 'float8'"),
        ([ADAM, ADAM, "--gradients", "no.npz"], "no.npz must be an .npz file of gradients"),
        (
            [ADAM, ADAM, "--mnist", "--constant"],
            "--mnist trains in lockstep at each one's own rate: leave out",
        ),
        (
            ["Adam()", "Adam(lr=1.0)", "--repro", "no/such/x.py"],
            "no/such/x.py must be a file that can be written",
        ),
        (
            [
                "Adam(lr=1.0, epsilon_at=Epsilon.HAT, maximize=True)",
                "adapter:pytorch:Adam()",
                "--repro",
                "x.py",
            ],
            "--repro needs an optimizer of PyTorch's or Keras' among the two, and neither has one",
        ),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], message: str) -> None:
    assert_mistake(samestep("compare", *arguments), message)


IDLE = """
import torch

class Idle(torch.optim.Adam):
    count = 0

    def step(self):
        self.count += 1
        if self.count != 3:
            super().step()
"""
REPRODUCED = [  # the two, on what: elements that go alone, a tensor, a mode, a user's own
    (ADAM, "keras:Adam(learning_rate=0.001)"),
    ("keras:Lamb(learning_rate=0.25)", "native:keras:graph:Lamb(learning_rate=0.125)"),
    ("mine:Idle", ADAM),
]


@pytest.mark.parametrize("arguments", REPRODUCED, ids=" ".join)
def test_the_script_shows_the_difference_by_itself(
    arguments: tuple[str, str], tmp_path: Path
) -> None:
    """It runs outside the checkout, imports nothing of samestep, and has at most thirty lines."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    pytest.importorskip("keras", reason="Keras is not installed")
    (tmp_path / "mine.py").write_text(IDLE)
    script = tmp_path / "shown.py"
    ended = samestep("compare", *arguments, "--repro", script, cwd=tmp_path)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert f"{script} shows the first difference of positions by itself" in ended.stdout
    text = script.read_text()
    assert len(text.splitlines()) <= 30, text
    assert not [name for name in ("reference", "frameworks", "parity", "samestep") if name in text]
    surroundings = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, str(script)]
    shown = subprocess.run(
        command, cwd=tmp_path, env=surroundings, capture_output=True, text=True, timeout=300
    )
    assert shown.returncode == 1, shown.stderr
    assert "Traceback" not in shown.stderr
    assert "apart, rounding explains" in shown.stdout
    if arguments != REPRODUCED[0]:  # what follows is asked of one of them
        return
    equal = text.replace("b = ", "b = a  # ")  # and where nothing differs it says so
    assert equal != text
    script.write_text(equal)
    assert (
        subprocess.run(
            command, cwd=tmp_path, env=surroundings, capture_output=True, timeout=300
        ).returncode
        == 0
    )


def test_nothing_is_written_where_nothing_differs(tmp_path: Path) -> None:
    ended = samestep("compare", ADAM, ADAM, "--repro", tmp_path / "shown.py")
    assert ended.returncode == 0
    assert "no script is written" in ended.stdout
    assert not list(tmp_path.iterdir())


SGD, HAT = "SGD(lr=0.25, momentum=0.5)", "keras:Adam(learning_rate=0.001)"
PLANTED = [  # a mutant, what is compared in its house, and what the answer says
    ("state is never written", "frameworks/pytorch/recorded.py", (SGD, f"adapter:pytorch:{SGD}"),
     ["step 1, ", "in the state b", "except that it begins every step with a new b"]),
    ("learning rate is the rule's for ever", "frameworks/tensorflow/coefficients.py",
     (SGD, f"adapter:tensorflow:graph:{SGD}"),
     ["step 21, ", "in the update", "does not follow the learning rate when it changes"]),
    ("no bias correction of the mean", "reference/adam.py", (HAT, f"native:{HAT}"),
     ["step 1, ", "in the update"]),
    ("gradient skips the grid", "frameworks/pytorch/model.py",
     (SGD, f"adapter:pytorch:{SGD}", "--mnist", "--steps", "2"),
     ["step 1, ", "in the gradient", "SAME: equal bits at every step"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "file", "arguments", "parts"), PLANTED)
def test_a_fault_in_this_house_is_named(
    name: str, file: str, arguments: tuple[str, ...], parts: list[str], tmp_path: Path
) -> None:
    """The answer names the step, the stage, and the cause if one exchange explains the fault."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    pytest.importorskip("keras", reason="Keras is not installed")
    tables = (*RULES, *FAULTS_OF_ADAPTERS)
    (patch,) = (p for p in tables if p.file == file and p.name.endswith(f": {name}"))
    altered_checkout(tmp_path, patch)
    ended = samestep("compare", *arguments, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)})
    assert ended.returncode == 1, ended.stdout + ended.stderr
    for part in parts:
        assert part in ended.stdout
