"""``samestep identify``: what a person sees, exit codes, mistakes."""

import os
import re
from pathlib import Path

import pytest
from report_checkout import ROOT, assert_mistake, samestep

pytest.importorskip("typer", reason="the command line is the extra 'report'")
pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("scipy", reason="identify needs the extra 'identify'")

MINE = """
import torch

def good(parameters):
    return torch.optim.SGD(parameters, lr=0.25, momentum=0.5)

class Jumpy(torch.optim.SGD):
    count = 0

    def step(self):
        self.count += 1
        if self.count % 7 == 0:
            super().step()
        super().step()

def jumpy(parameters):
    return Jumpy(parameters, lr=0.25)

def broken(parameters):
    raise RuntimeError("no luck")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a person has a module of their own."""
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def test_what_is_known_is_named_with_its_numbers_and_calls(folder: Path) -> None:
    """Exit code 0."""
    ended = samestep("identify", "mine:good", cwd=folder)
    assert (ended.returncode, ended.stderr) == (0, "")
    first, *_ = ended.stdout.splitlines()
    assert first == "mine:good is SGD(lr=0.25, momentum=0.5), in PyTorch"
    assert "  pytorch  SGD(lr=0.25, momentum=0.5)" in ended.stdout
    assert (
        "equal bits to native:pytorch:SGD(lr=0.25, momentum=0.5) at every step of every trial"
        in ended.stdout
    )
    assert "float64, 1200 steps: " in ended.stdout


def test_what_is_custom_is_none_with_the_nearest(folder: Path) -> None:
    """Exit code 1; the nearest, its distance and limit, and the step where it leaves."""
    ended = samestep("identify", "mine:jumpy", cwd=folder)
    assert (ended.returncode, ended.stderr) == (1, "")
    first, nearest, leaves = ended.stdout.splitlines()
    assert first == "mine:jumpy is none of the known rules, in PyTorch"
    match = re.fullmatch(
        r"  the nearest is (\w+)\(.*\): distance (\S+) of the path, limit (\S+)", nearest
    )
    assert match, nearest
    assert float(match[2]) > float(match[3])
    assert re.match(
        r"  it leaves it at step [1-9]\d*, tensor \w+, element \d+, in float(32|64): ", leaves
    ), leaves


def test_the_missing_package_is_named(folder: Path) -> None:
    """Without SciPy: exit code 2, and what to install."""
    (folder / "sitecustomize.py").write_text("import sys; sys.modules['scipy'] = None")
    path = os.pathsep.join([str(folder), str(ROOT)])
    ended = samestep("identify", "mine:good", cwd=folder, env={"PYTHONPATH": path})
    assert_mistake(ended, "identify needs SciPy, which is not installed; pip install scipy")


def test_equal_bits_beyond_the_limit_are_told_as_that() -> None:
    """float32 has no square of 1e-30: torch's Adafactor gives NaN there, the rule does not move."""
    from samestep.parity.identify.answer import Identity
    from samestep.parity.identify.judge import judge
    from samestep.parity.identify.observe import Observation
    from samestep.parity.identify.trials import probes
    from samestep.parity.measure.disturbance import Job
    from samestep.parity.runners import specs
    from samestep.parity.tests.support.boxes import here
    from samestep.report.terminal.identity import lines

    live = specs.read("native:pytorch:Adafactor(lr=0.05, eps=(1e-30, 0.0325))")
    assert live.rule
    results = here(live, [(probes(), Job("float32"))])
    observation = Observation(probes(), "float32", results[0].trajectory)
    judgement = judge(live.rule, "pytorch", [observation])
    identity = Identity(
        live.text,
        "pytorch",
        ("float32",),
        takes_vectors=True,
        rule=live.rule,
        results=tuple(judgement.results),
        native=live.text,
    )
    printed = list(lines(identity))
    assert printed[0].startswith(f"{live.text} is Adafactor(lr=0.05, ")
    assert (
        f"  beyond the limit in float32, but bit for bit the steps of the live {live.text}"
        in printed
    )
    assert printed[-1].startswith("  float32, 64 steps: distance ")
    assert printed[-1].endswith(": BEYOND")


@pytest.mark.parametrize(
    ("what", "parts"),
    [
        ("nowhere:factory", ["nowhere:factory must be a module, in this folder or installed"]),
        ("mine:broken", ["mine:broken failed when called", "no luck"]),
        ("there/mine.py:broken", ["must be named by its module", "write mine:broken"]),
        ("mine", ["a call must read like", "got 'mine'"]),
    ],
)
def test_a_mistake_is_one_line(what: str, parts: list[str], folder: Path) -> None:
    """Exit code 2; what else can be wrong with a factory is reported as by compare."""
    assert_mistake(samestep("identify", what, cwd=folder), *parts)
