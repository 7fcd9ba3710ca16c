"""``samestep inspect``: what a person sees, exit codes, mistakes."""

import json
from pathlib import Path

import pytest
from report_checkout import MISTAKE, samestep

pytest.importorskip("typer", reason="the command line is the extra 'report'")
torch = pytest.importorskip("torch", reason="PyTorch is not installed")


def saved(path: Path, lose: bool = False) -> Path:
    """A checkpoint of Adam after a step; its moments may be lost."""
    weight = torch.nn.Parameter(torch.ones(2, 3))
    optimizer = torch.optim.Adam([("fc.weight", weight)], lr=0.1)
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    state = optimizer.state_dict()
    for name in ("exp_avg", "exp_avg_sq") if lose else ():
        state["state"][0][name].zero_()
    torch.save({"optimizer": state, "epoch": 3}, path)
    return path


def test_a_checkpoint_is_shown(tmp_path: Path) -> None:
    ended = samestep("inspect", str(saved(tmp_path / "m.pt")), cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    for text in (
        "optimizer: torch.optim.Adam",
        "steps taken: 1",
        "learning rate: 0.1",
        "rule: Adam(lr=0.1)",
        "pytorch: Adam(lr=0.1)",
        "keras: none: Keras adds epsilon",
        "fc.weight: 1 steps",
        "m: 2x3 float32, norm 0.244949",
        "'epoch' is 3",
    ):
        assert text in ended.stdout


def test_what_looks_lost_ends_with_one(tmp_path: Path) -> None:
    """As text and as JSON."""
    path = str(saved(tmp_path / "m.pt", lose=True))
    ended = samestep("inspect", path, cwd=tmp_path)
    assert ended.returncode == 1
    assert "looks lost: fc.weight: 1 steps are counted, but all its state is zero" in ended.stdout
    ended = samestep("inspect", path, "--json", cwd=tmp_path)
    assert ended.returncode == 1
    answer = json.loads(ended.stdout)
    assert len(answer["lost"]) == 1
    assert answer["optimizers"][0]["tensors"][0]["state"]["m"]["norm"] == 0


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_text("words")
    for arguments in (["a.pt"], ["none.pt"], []):
        ended = samestep("inspect", *arguments, cwd=tmp_path)
        assert ended.returncode == MISTAKE
    ended = samestep("inspect", "a.pt", cwd=tmp_path)
    assert ended.stderr.count("\n") == 1
    assert "must be a checkpoint" in ended.stderr
