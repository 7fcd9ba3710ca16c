"""One contestant and its trial, in a process of its own: two frameworks never meet, and a crash is the contestant's.

``python -m samestep.parity.runners.worker TEXT --trial trial.npz --dtype float32 --out trajectory.npz`` writes the trajectory and prints
one JSON object: the framework, and the rule that the optimizer says it follows. The three options may come again, for
more trials in turn, each with an optimizer made anew. A user's mistake ends it with exit code 2 and one line on standard
error.
"""

import argparse
import importlib
import inspect
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from samestep.frameworks.experiment import process
from samestep.parity.measure import trajectory as trajectory
from samestep.parity.measure.nearest_wrong import TensorTrial
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.parity.measure.trial import read as read_trial
from samestep.parity.measure.trial import write as write_trial
from samestep.reference import Rule

from . import contestants
from . import natives as witnesses
from . import numpy as in_numpy
from .contestants import Contestant

SIDES = {"pytorch": "pytorch", "keras": "keras", "tensorflow": "keras"}
PATIENCE = 3600  # seconds for one contestant
MISTAKE = 2  # the exit code of a user's mistake


class RunResult(NamedTuple):
    """What a contestant did, where, and the rule that it means to follow, if any says so."""

    trajectory: Trajectory
    home: str
    rule: Rule | None


def ran(contestant: Contestant, trial: Trial, dtype: str) -> RunResult:
    """Run the contestant: a rule here, anything else in a process of its own. ValueError if it cannot run."""
    return ran_on(contestant, [(trial, dtype)])[0]


def ran_on(contestant: Contestant, trials: Sequence[tuple[Trial, str]]) -> list[RunResult]:
    """The same on several trials, each in its dtype, one after the other in one process."""
    if contestant.kind == "rule":
        rule = contestant.rule
        assert rule
        return [RunResult(in_numpy.run(rule, trial, dtype), "numpy", rule) for trial, dtype in trials]
    with tempfile.TemporaryDirectory(prefix="samestep-") as folder:
        outs, words = [Path(folder) / f"trajectory{i}.npz" for i in range(len(trials))], [contestant.text]
        for i, ((trial, dtype), out) in enumerate(zip(trials, outs, strict=True)):
            given = write_trial(trial, Path(folder) / f"trial{i}.npz")
            words += ["--trial", str(given), "--dtype", dtype, "--out", str(out)]
        said = json.loads(apart("samestep.parity.runners.worker", words).splitlines()[-1])
        meant = contestant.rule or (contestants.rule(said["rule"]) if said["rule"] else None)
        return [
            RunResult(trajectory.read(out, trial), said["home"], meant)
            for (trial, _), out in zip(trials, outs, strict=True)
        ]


def apart(module: str, words: list[str]) -> str:
    """What a module printed, run on a contestant in a process of its own; ValueError with its last words if it
    failed."""
    try:
        ended = process.run_module(module, words, timeout=PATIENCE)
    except subprocess.TimeoutExpired as late:
        raise ValueError(f"{words[0]} must end within {PATIENCE} seconds, and did not; take fewer steps") from late
    if ended.code:
        reason = (process.last_lines(ended.stderr).splitlines() or ["it left no message"])[-1]
        context = "" if ended.code == MISTAKE else f"{words[0]} {ended.description}: "
        raise ValueError(f"{context}{reason}")
    return ended.stdout


def execute(contestant: Contestant, trial: Trial, dtype: str) -> RunResult:
    """Run a native, an adapter or a factory in this process."""
    home, mode, make = contestant.home, contestant.mode, None
    if contestant.kind == "factory":
        home, make = called(contestant.text)
        mode = "eager"
    if home not in SIDES:
        return RunResult(_witness(contestant, trial, dtype), home, contestant.rule)
    side: Any = importlib.import_module(f".{SIDES[home]}", __package__)
    went, claimed = side.run(make or side.maker(contestant), trial, dtype, mode)
    return RunResult(went, home, contestant.rule or claimed)


def _witness(contestant: Contestant, trial: Trial, dtype: str) -> Trajectory:
    """A native of a dialect without an adapter, tensor by tensor; what it keeps is not seen."""
    assert contestant.call
    assert contestant.rule, f"{contestant.text} has no rule to take its rate from"
    rates = [trial.rate(contestant.rule.lr, step) for step in range(trial.steps)]
    if not all(present.all() for present in trial.present.values()):
        raise ValueError(f"{contestant.text} must be given a gradient of every tensor at every step")
    thetas = {
        name: witnesses.of(contestant.home).run(
            contestant.call, contestant.mode, dtype, TensorTrial(trial.start[name], trial.gradients[name], rates)
        )
        for name in trial.start
    }
    return Trajectory({k: v.astype(dtype) for k, v in trial.start.items()}, thetas, {name: {} for name in thetas})


def called(text: str) -> tuple[str, Callable[..., Any]]:
    """The framework of a user's factory, and the factory, wrapped so that its mistakes are told in one line."""
    module, _, name = text.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        factory: Any = importlib.import_module(module)
        for part in name.split("."):
            factory = getattr(factory, part)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{text} must be a module, in this folder or installed, and a name in it: {error}") from error
    except Exception as error:
        raise ValueError(f"{text}: importing {module} failed: {type(error).__name__}: {error}") from error
    if not callable(factory):
        raise ValueError(f"{text} must be callable, got {factory!r}")
    home = "pytorch" if _takes_parameters(factory) else "tensorflow"

    def make(*parameters: Any) -> Any:
        try:
            made = factory(*parameters)
        except Exception as error:
            raise ValueError(f"{text} failed when called: {type(error).__name__}: {error}") from error
        kind = _kind(home)
        if not isinstance(made, kind):
            raise ValueError(
                f"{text} must return a torch.optim.Optimizer, given a list of parameters, or a "
                f"keras.optimizers.Optimizer, given nothing; it was given {'parameters' if parameters else 'nothing'} "
                f"and returned {type(made).__module__}.{type(made).__name__}"
            )
        return made

    return home, make


def _takes_parameters(factory: Callable[..., Any]) -> bool:
    """Whether it must be given something."""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    taken = inspect.signature(factory).parameters.values()
    return any(p.kind in positional and p.default is inspect.Parameter.empty for p in taken)


def _kind(home: str) -> Any:
    return importlib.import_module("torch.optim" if home == "pytorch" else "keras.optimizers").Optimizer


def main(arguments: list[str] | None = None) -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m samestep.parity.runners.worker", description="One contestant, one trajectory."
    )
    parser.add_argument("text")
    for name in ("trial", "dtype", "out"):
        parser.add_argument(f"--{name}", required=True, action="append")
    options = parser.parse_args(arguments)
    try:
        for trial, dtype, out in zip(options.trial, options.dtype, options.out, strict=True):
            found = execute(contestants.read(options.text), read_trial(Path(trial)), dtype)
            trajectory.write(found.trajectory, Path(out))
    except (ValueError, ImportError) as error:
        print(str(error).splitlines()[0], file=sys.stderr)
        return MISTAKE
    print(json.dumps({"home": found.home, "rule": repr(found.rule) if found.rule else ""}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
