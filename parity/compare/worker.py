"""One contestant and its feed, in a process of its own: two frameworks never meet, and a crash is the contestant's.

``python -m samestep.parity.compare.worker TEXT --feed feed.npz --dtype float32 --out account.npz`` writes the account and prints
one JSON object: the framework, and the rule that the optimizer says it follows. The three options may come again, for
more feeds in turn, each with an optimizer made anew. A user's mistake ends it with exit code 2 and one line on standard
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

from samestep.frameworks.experiment import launch
from samestep.parity.measure.nearest_wrong import Trial
from samestep.parity.runners import natives as witnesses
from samestep.reference import Rule

from . import account, contestants, in_numpy
from . import feed as feeds
from .account import Account
from .contestants import Contestant
from .feed import Feed

SIDES = {"pytorch": "in_pytorch", "keras": "in_tensorflow", "tensorflow": "in_tensorflow"}
PATIENCE = 3600  # seconds for one contestant
MISTAKE = 2  # the exit code of a user's mistake


class Ran(NamedTuple):
    """What a contestant did, where, and the rule that it means to follow, if any says so."""

    account: Account
    home: str
    rule: Rule | None


def ran(contestant: Contestant, feed: Feed, dtype: str) -> Ran:
    """Run the contestant: a rule here, anything else in a process of its own. ValueError if it cannot run."""
    return ran_on(contestant, [(feed, dtype)])[0]


def ran_on(contestant: Contestant, trials: Sequence[tuple[Feed, str]]) -> list[Ran]:
    """The same on several feeds, each in its dtype, one after the other in one process."""
    if contestant.kind == "rule":
        rule = contestant.rule
        assert rule
        return [Ran(in_numpy.run(rule, feed, dtype), "numpy", rule) for feed, dtype in trials]
    with tempfile.TemporaryDirectory(prefix="samestep-") as folder:
        outs, words = [Path(folder) / f"account{i}.npz" for i in range(len(trials))], [contestant.text]
        for i, ((feed, dtype), out) in enumerate(zip(trials, outs, strict=True)):
            given = feeds.write(feed, Path(folder) / f"feed{i}.npz")
            words += ["--feed", str(given), "--dtype", dtype, "--out", str(out)]
        said = json.loads(apart("samestep.parity.compare.worker", words).splitlines()[-1])
        meant = contestant.rule or (contestants.rule(said["rule"]) if said["rule"] else None)
        return [Ran(account.read(out, feed), said["home"], meant) for (feed, _), out in zip(trials, outs, strict=True)]


def apart(module: str, words: list[str]) -> str:
    """What a module printed, run on a contestant in a process of its own; ValueError with its last words if it
    failed."""
    command = [sys.executable, "-m", module, *words]
    try:
        done = subprocess.run(
            command, env=launch.environment(), capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as late:
        raise ValueError(f"{words[0]} must end within {PATIENCE} seconds, and did not; take fewer steps") from late
    if done.returncode:
        last = (launch.last_words(done.stderr).splitlines() or ["it left no message"])[-1]
        ended = "" if done.returncode == MISTAKE else f"{words[0]} {launch.ending(done.returncode)}: "
        raise ValueError(f"{ended}{last}")
    return done.stdout


def execute(contestant: Contestant, feed: Feed, dtype: str) -> Ran:
    """Run a native, an adapter or a factory in this process."""
    home, mode, make = contestant.home, contestant.mode, None
    if contestant.kind == "factory":
        home, make = called(contestant.text)
        mode = "eager"
    if home not in SIDES:
        return Ran(_witness(contestant, feed, dtype), home, contestant.rule)
    side: Any = importlib.import_module(f".{SIDES[home]}", __package__)
    went, claimed = side.run(make or side.maker(contestant), feed, dtype, mode)
    return Ran(went, home, contestant.rule or claimed)


def _witness(contestant: Contestant, feed: Feed, dtype: str) -> Account:
    """A native of a dialect without an adapter, tensor by tensor; what it keeps is not seen."""
    assert contestant.call
    assert contestant.rule, f"{contestant.text} has no rule to take its rate from"
    rates = [feed.rate(contestant.rule.lr, step) for step in range(feed.steps)]
    if not all(present.all() for present in feed.present.values()):
        raise ValueError(f"{contestant.text} must be given a gradient of every tensor at every step")
    thetas = {
        name: witnesses.of(contestant.home).run(
            contestant.call, contestant.mode, dtype, Trial(feed.start[name], feed.gradients[name], rates)
        )
        for name in feed.start
    }
    return Account({k: v.astype(dtype) for k, v in feed.start.items()}, thetas, {name: {} for name in thetas})


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
        prog="python -m samestep.parity.compare.worker", description="One contestant, one account."
    )
    parser.add_argument("text")
    for name in ("feed", "dtype", "out"):
        parser.add_argument(f"--{name}", required=True, action="append")
    options = parser.parse_args(arguments)
    try:
        for feed, dtype, out in zip(options.feed, options.dtype, options.out, strict=True):
            found = execute(contestants.read(options.text), feeds.read(Path(feed)), dtype)
            account.write(found.account, Path(out))
    except (ValueError, ImportError) as error:
        print(str(error).splitlines()[0], file=sys.stderr)
        return MISTAKE
    print(json.dumps({"home": found.home, "rule": repr(found.rule) if found.rule else ""}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
