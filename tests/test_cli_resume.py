"""``samestep resume``: what a person sees, exit codes, mistakes."""

import json
from pathlib import Path

import pytest
from report_checkout import MISTAKE, samestep

pytest.importorskip("typer", reason="the command line is the extra 'report'")
pytest.importorskip("torch", reason="PyTorch is not installed")

TRAINING = """
import torch

def build():
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)

    def step(number):
        generator = torch.Generator().manual_seed(number)
        loss = model(torch.randn(8, 3, generator=generator)).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "step": step}

def save(run, folder):
    torch.save(run["model"].state_dict(), folder / "model.pt")

def load(run, folder):
    run["model"].load_state_dict(torch.load(folder / "model.pt", weights_only=True))
"""
MINE = ("--save", "save", "--load", "load")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a user's training, whose own functions forget the optimizer."""
    (tmp_path / "training.py").write_text(TRAINING)
    return tmp_path


def test_a_whole_run_ends_with_nought(folder: Path) -> None:
    ended = samestep("resume", "training:build", "--at", "5", "--steps", "3", cwd=folder)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("SAME run: saved after 5 steps, 3 steps on")
    assert "compared: model, optimizer" in ended.stdout


def test_a_loss_is_named_with_its_cure(folder: Path) -> None:
    """In the user's own functions; as text, and as JSON."""
    arguments = ("resume", "training:build", "--at", "5", "--steps", "3", *MINE)
    ended = samestep(*arguments, cwd=folder)
    assert ended.returncode == 1, ended.stderr
    for text in ("NOT the unbroken run", "first lost: optimizer arrays", "optimizer/0/exp_avg is",
                 "weights differ from step 6 on", "cure: save optimizer.state_dict()"):  # fmt: skip
        assert text in ended.stdout
    answer = json.loads(samestep(*arguments, "--json", cwd=folder).stdout)
    assert (answer["same"], answer["stage"], answer["first_step"]) == (
        False, "optimizer arrays", 1,
    )  # fmt: skip
    assert {"missing"} == {loss["how"] for loss in answer["losses"]}


def test_mistakes_are_one_line(folder: Path) -> None:
    for arguments, text in (
        (["nothing:build"], "must be a module"),
        (["training"], "MODULE:FUNCTION"),
        (["training:nothing"], "must have a function 'nothing'"),
        (["training:build", "--save", "save"], "both or neither"),
        (["training:load"], ""),
    ):
        ended = samestep("resume", *arguments, cwd=folder)
        assert ended.returncode == (MISTAKE if text else 1)
        assert text in ended.stderr
