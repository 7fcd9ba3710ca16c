"""One process runs many optimizers, and what one of them does harms none of the others."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from samestep.parity.measure.disturbance import Job
from samestep.parity.measure.rule_run import run_rule
from samestep.parity.measure.trial import Trial, of_arrays
from samestep.parity.runners import specs
from samestep.parity.runners.worker import Workshop
from samestep.parity.tests.support.require import compiler, require
from samestep.reference import SGD

require("torch")

MODULE = """
import os
import sys

import torch


def good(parameters):
    return torch.optim.SGD(parameters, lr=0.25)


def crashing(parameters):
    os.abort()


def failing(parameters):
    raise RuntimeError("no luck")


def chatty(parameters):
    print('{"error": "printed"}', flush=True)
    os.write(1, b"bytes, too\\n")
    assert sys.stdin.read() == ""
    return good(parameters)


class Compiled(torch.optim.SGD):
    def __init__(self, parameters):
        super().__init__(parameters, lr=0.25)
        self.take = torch.compile(lambda p, g, lr: p - lr * g, fullgraph=True)

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.copy_(self.take(p, p.grad, group["lr"]))
"""
MANY = 12  # torch.compile gives up after 8 compilations of one function
MADE_ANEW = ("good", "chatty", "good")


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    """A workshop whose process finds a person's module."""
    (tmp_path / "handmade.py").write_text(MODULE)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with Workshop() as made:
        yield made


def trial_of(elements: int) -> Trial:
    """Three steps of one vector."""
    gradients = np.arange(3.0 * elements).reshape(3, elements)
    return of_arrays({"x": np.ones(elements)}, {"x": gradients}, np.ones(3))


def assert_steps(workshop: Workshop, name: str, elements: int = 4) -> None:
    """Assert that this function of the module makes an optimizer that takes SGD's steps."""
    trial = trial_of(elements)
    spec = specs.read(f"handmade:{name}")
    (result,) = workshop.run_all(spec, [(trial, Job("float64"))])
    expected = run_rule(SGD(lr=0.25), trial, "float64")
    assert result.home == "pytorch"
    np.testing.assert_array_equal(result.trajectory.thetas["x"], expected.thetas["x"])


def process_of(workshop: Workshop) -> object:
    """The child process that answers now."""
    return workshop._child


def test_requests_share_one_process(workshop: Workshop) -> None:
    """What an optimizer prints is no answer, and what it reads is none of the requests."""
    processes = []
    for name in MADE_ANEW:
        assert_steps(workshop, name)
        processes.append(process_of(workshop))
    assert processes == [processes[0]] * len(MADE_ANEW)


def test_a_crash_ends_that_process_alone(workshop: Workshop) -> None:
    """It is a ValueError that says how the process ended; the next request gets a new one."""
    assert_steps(workshop, "good")
    first = process_of(workshop)
    with pytest.raises(ValueError, match=r"handmade:crashing was killed by SIGABRT"):
        assert_steps(workshop, "crashing")
    assert_steps(workshop, "good")
    assert process_of(workshop) not in (None, first)


def test_a_mistake_does_not_end_the_process(workshop: Workshop) -> None:
    """It is a ValueError with the optimizer's own words."""
    assert_steps(workshop, "good")
    first = process_of(workshop)
    with pytest.raises(ValueError, match=r"handmade:failing .*no luck"):
        assert_steps(workshop, "failing")
    assert_steps(workshop, "good")
    assert process_of(workshop) is first


def test_the_process_ends_with_the_workshop(workshop: Workshop) -> None:
    """Nothing is left that waits for requests."""
    assert_steps(workshop, "good")
    workshop.__exit__()
    assert process_of(workshop) is None


def test_compiled_optimizers_can_be_made_again_and_again(workshop: Workshop) -> None:
    """Each request compiles the same function for another shape."""
    if compiler() is None:
        pytest.skip("no C++ compiler")
    for elements in range(2, 2 + MANY):
        assert_steps(workshop, "Compiled", elements)
    assert process_of(workshop)
