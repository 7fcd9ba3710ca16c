"""Run an optimizer in a process of its own: two frameworks never meet, and a crash is the
optimizer's alone.

``python -m samestep.parity.runners.worker`` answers requests that come as lines on standard input,
each with a line. A request is a JSON object, ``{"text": ..., "runs": [{"trial": path, "dtype": ...,
"disturbance": seed or null, "out": path}, ...]}``. It writes each trajectory to its path. Its
answer is a JSON object: the framework, the rule that the optimizer says it follows, and its
learning rate. A mistake of the user's is answered with ``{"error": ...}``.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from samestep.frameworks.experiment.process import Child, run_module
from samestep.parity.measure import trajectory, trial
from samestep.parity.measure.disturbance import Job
from samestep.parity.measure.trial import Trial

from . import Native, factories, runner_of, specs
from .numpy import run as run_rule
from .result import RunOptions, RunResult
from .specs import Kind, OptimizerSpec

PATIENCE = 3600  # seconds for one optimizer
USAGE_ERROR = 2  # the exit code of a user's mistake
RUNNERS = {"pytorch": "pytorch", "keras": "keras", "tensorflow": "keras"}  # of natives and adapters


class Workshop:
    """One process that runs optimizers of one framework, request after request.

    The framework is imported once. Use it in a ``with`` statement.
    """

    def __init__(self) -> None:
        self._child: Child | None = None

    def __enter__(self) -> "Workshop":
        return self

    def __exit__(self, *raised: object) -> None:
        self._end()

    def run_all(self, spec: OptimizerSpec, jobs: Sequence[tuple[Trial, Job]]) -> list[RunResult]:
        """Run an optimizer over several trials, one after the other, built anew for each; a rule
        here.

        After a crash the next request gets a new process. ValueError if it cannot run.
        """
        if spec.kind is Kind.RULE and spec.rule:
            return [run_rule(spec.rule, given, job.dtype) for given, job in jobs]
        with tempfile.TemporaryDirectory(prefix="samestep-") as folder:
            request: dict[str, Any] = {"text": spec.text, "runs": []}
            for index, (given, job) in enumerate(jobs):
                path = trial.write(given, Path(folder) / f"trial{index}.npz")
                out = Path(folder) / f"trajectory{index}.npz"
                request["runs"].append({"trial": str(path), **job._asdict(), "out": str(out)})
            answer = self._ask(request)
            rule = spec.rule or (specs.rule(answer["rule"]) if answer["rule"] else None)
            return [
                RunResult(
                    trajectory.read(Path(entry["out"]), given), answer["home"], rule, answer["rate"]
                )
                for entry, (given, _) in zip(request["runs"], jobs, strict=True)
            ]

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._child is None:
            self._child = Child(["-m", "samestep.parity.runners.worker"])
        self._child.ask(json.dumps(request))
        line = self._child.answer(PATIENCE)
        if not line:
            ended = self._end()
            raise ValueError(
                f"{request['text']} {ended.description}: {ended.message.splitlines()[-1]}"
            )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer

    def _end(self) -> Any:
        child, self._child = self._child, None
        return child.wait() if child else None


class Workshops:
    """A process for each optimizer, request after request; several may run at the same time.

    Use it in a ``with`` statement.
    """

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._workshops: dict[int, tuple[OptimizerSpec, Workshop]] = {}  # by id of the spec
        self._lock = threading.Lock()

    def __enter__(self) -> "Workshops":
        return self

    def __exit__(self, *raised: object) -> None:
        self._stack.close()

    def run_all(self, spec: OptimizerSpec, jobs: Sequence[tuple[Trial, Job]]) -> list[RunResult]:
        """As ``Workshop.run_all``, in the process of this ``spec`` object.

        Two specs have two processes, also where they mean the same optimizer: nothing that one
        run changes in its framework reaches the other.
        """
        with self._lock:
            if id(spec) not in self._workshops:
                workshop = self._stack.enter_context(Workshop())
                self._workshops[id(spec)] = (spec, workshop)
            _, workshop = self._workshops[id(spec)]
        return workshop.run_all(spec, jobs)


def output_of(module: str, request: dict[str, Any]) -> str:
    """What a worker module prints for a request, whose "text" names the optimizer; ValueError if it
    fails.
    """
    text = request["text"]
    try:
        ended = run_module(module, [json.dumps(request)], timeout=PATIENCE)
    except subprocess.TimeoutExpired as late:
        raise ValueError(
            f"{text} must end within {PATIENCE} seconds, and did not; take fewer steps"
        ) from late
    if ended.code:
        last = ended.message.splitlines()[-1]
        raise ValueError(
            last if ended.code == USAGE_ERROR else f"{text} {ended.description}: {last}"
        )
    return ended.stdout


def run_here(spec: OptimizerSpec, given: Trial, job: Job) -> RunResult:
    """Run an optimizer over a trial in this process."""
    if spec.kind is Kind.RULE and spec.rule:
        return run_rule(spec.rule, given, job.dtype)
    if spec.kind is Kind.FACTORY:
        factory = factories.from_text(spec.text)
        return factory.run(given, job.dtype, RunOptions("eager", job.disturb()))
    if spec.kind is Kind.NATIVE and spec.call:
        return _run_native(spec, Native(spec.call, spec.mode), given, job)
    runner: Any = runner_of(RUNNERS[spec.home])
    make = runner.adapter_maker(spec.rule)
    result: RunResult = runner.run(make, given, job.dtype, RunOptions(spec.mode, job.disturb()))
    return result


def _run_native(spec: OptimizerSpec, native: Native, given: Trial, job: Job) -> RunResult:
    """Run a native; of those without an adapter the state is not seen, and they cannot be
    disturbed.
    """
    if spec.home not in RUNNERS:
        if spec.rule is None or job.disturbance is not None:
            raise ValueError(
                f"{spec.text} has no rule here, so it cannot be run; compare another call"
            )
        trajectory_of_native = runner_of(spec.home).run_native(native, given, job.dtype)
        return RunResult(trajectory_of_native, spec.home, spec.rule)
    runner: Any = runner_of(RUNNERS[spec.home])
    options = RunOptions(native.mode, job.disturb())
    result: RunResult = runner.run_native_with(native, given, job.dtype, options)
    return result._replace(rule=spec.rule or result.rule)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    """Run what a request asks for, and say what the optimizer is."""
    spec = specs.read(request["text"])
    for entry in request["runs"]:
        given = trial.read(Path(entry["trial"]))
        result = run_here(spec, given, Job(entry["dtype"], entry["disturbance"]))
        trajectory.write(result.trajectory, Path(entry["out"]))
    rule = repr(result.rule) if result.rule else ""
    return {"home": result.home, "rule": rule, "rate": result.rate}


def serve() -> None:
    """Answer requests from standard input, a line each.

    What an optimizer prints goes to standard error, and what it reads is empty.
    """
    with os.fdopen(os.dup(0)) as requests, os.fdopen(os.dup(1), "w") as channel:
        with open(os.devnull) as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(2, 1)
        for line in requests:
            try:
                answer = _answer(json.loads(line))
            except (ValueError, ImportError) as error:
                answer = {"error": str(error).splitlines()[0]}
            print(json.dumps(answer), file=channel, flush=True)
            _forget_compiled()


def _forget_compiled() -> None:
    """Let torch.compile begin anew, which gives up after some compilations of one function."""
    if "torch._dynamo" in sys.modules:
        sys.modules["torch"].compiler.reset()


if __name__ == "__main__":
    serve()
