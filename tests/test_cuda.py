"""The script for a machine with a CUDA device: it says where there is none, and runs on the CPU."""

import json
from pathlib import Path
from typing import Any

import pytest

from samestep.frameworks.experiment import process
from samestep.parity.tests.support.require import require
from samestep.reference import SGD, RMSprop

torch = require("torch")

from samestep.bench import cuda  # noqa: E402  needs torch
from samestep.frameworks.pytorch import Optimizer  # noqa: E402

SHORT = ("--device", "cpu", "--size", "mnist", "--modes", "eager", "--seconds", "0.01")
WITHOUT = """
import runpy, sys
sys.modules |= dict.fromkeys(["tensorflow", "keras", "pytest"])
sys.argv = ["cuda", "--out", sys.argv[1]]
runpy.run_module("samestep.bench.cuda", run_name="__main__")
"""


def ran(out: Path, *arguments: str) -> tuple[int, Any]:
    """The exit code and the file of a short run on the CPU."""
    code = cuda.main([*SHORT, *arguments, "--out", str(out)])
    return code, json.loads(out.read_text())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_device_nothing_is_run(tmp_path: Path) -> None:
    """One line, exit code 2, no file; and neither TensorFlow nor pytest is needed."""
    ended = process.run_python(["-c", WITHOUT, str(tmp_path / "cuda.json")], timeout=300)
    assert (ended.code, ended.stdout) == (cuda.NO_DEVICE, "")
    assert ended.stderr.strip() == "no CUDA device: not run"
    assert not list(tmp_path.iterdir())


def test_two_rules_on_the_cpu_are_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ours has the bits of itself; every implementation has a verdict, a time and ratios."""
    code, body = ran(tmp_path / "cuda.json", "--rules", "SGD,RMSprop")
    printed = capsys.readouterr().out
    assert code == 0, printed
    assert (body["device"], body["gpu"], body["not run"]) == ("cpu", None, [])
    named = {row["rule"].partition("(")[0] for row in body["rows"]}
    assert named == {SGD.__name__, RMSprop.__name__}
    for row in body["rows"]:
        assert row["agreement"]["ours eager"]["agreement"] == "equal bits"
        assert {"native for-loop", "native foreach"} <= set(row["agreement"])
        times = row["times"]
        assert times["ours"]["eager"]["to usual"]["value"] > 0
        assert times["ours"]["eager"]["share of axpy"] > 0
        assert times["quickest"] in times["natives"]
    assert "ours eager" in printed


def test_a_device_that_steps_otherwise_is_convicted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every second optimizer of ours, which stands for the device's, strays at its third step."""
    right = Optimizer.step
    steps: dict[Any, int] = {}

    def step(self: Any, closure: Any = None) -> None:
        right(self, closure)
        steps[self] = steps.get(self, 0) + 1
        if steps[self] == 3 and len(steps) % 2 == 0:
            self.param_groups[0]["params"][0].data.mul_(1.001)

    monkeypatch.setattr(Optimizer, "step", step)
    code, body = ran(tmp_path / "cuda.json", "--rules", "SGD")
    assert code == 1
    row = body["rows"][0]
    assert row["agreement"]["ours eager"]["agreement"] == "differ"
    assert row["agreement"]["native foreach"]["holds"]
    assert "differ" in capsys.readouterr().out


def test_what_fails_is_said_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def step(self: Any, closure: Any = None) -> None:
        raise RuntimeError("no kernel")

    monkeypatch.setattr(Optimizer, "step", step)
    code, body = ran(tmp_path / "cuda.json", "--rules", "SGD")
    assert code == 1
    assert body["rows"][0]["agreement"]["ours eager"] == {"failed": "RuntimeError: no kernel"}
    assert body["rows"][0]["agreement"]["native foreach"]["holds"]
    printed = capsys.readouterr().out
    assert "FAILED" in printed
    assert "not timed: RuntimeError: no kernel" in printed


def test_when_the_time_is_up_the_rest_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, body = ran(tmp_path / "cuda.json", "--rules", "SGD", "--limit", "-1")
    assert code == 1
    assert "not run, for the time was up: SGD" in capsys.readouterr().out
    assert body["not run"]


@pytest.mark.parametrize("option", ["--rules", "--modes"])
def test_a_name_that_there_is_not_is_refused(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cuda.main([option, "Adamm"])
    assert f"{option} must be some of " in capsys.readouterr().err
