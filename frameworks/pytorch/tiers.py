"""Steps that begin eagerly and are compiled when that pays: which of the two, and why.

It is the rule for renting skis or buying them. Eager steps are rented, and a compiled step is
bought: as soon as the time that eager steps have lost against compiled ones reaches the time that
compiling takes. However many steps come, the whole then takes at most twice as long as the better
of "always eager" and "always compiled", if compiling takes the time that was expected; if it takes
k times that, or one k-th, at most 1 + k times as long.

How long compiling takes is expected from what it took before, which is noted beside the compiler's
cache. How long a compiled step takes is noted, too; before that it is expected to take no time,
with which the bound holds as well.
"""

import contextlib
import hashlib
import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

VARIABLE = "SAMESTEP_COMPILED"  # the environment variable: 0 switches compiling by itself off
WATCHED = 16  # compiled steps that are timed, to see that they are quicker than the eager ones

# Seconds of compiling where none has been noted: of the first time in a process, which loads the
# compiler, and later; and whether the compiler's cache is warm.
SECONDS = {"first cold": 12.0, "first warm": 3.0, "later cold": 2.0, "later warm": 0.3}

Step = Callable[..., None]
Clock = Callable[[], float]


class Expected(NamedTuple):
    """Seconds that compiling takes, and a compiled step."""

    compiling: float
    step: float = 0.0


class Tier:
    """A step that is eager until compiling pays.

    ``eager`` takes a step. ``build`` gets the same arguments, compiles for them, takes no step, and
    gives the compiled step. Both have the same effect. If ``build`` raises an error or compiled
    steps are not the quicker ones, steps stay eager. ``note`` gets what was measured, once.
    ``clock`` gives seconds.
    """

    def __init__(
        self,
        eager: Step,
        build: Callable[..., Step],
        expected: Expected,
        note: Callable[[Expected], Any] = lambda measured: None,
        clock: Clock = time.perf_counter,
    ) -> None:
        self.eager = eager
        self.build = build
        self.expected = expected
        self.note = note
        self.clock = clock
        self.lost = 0.0  # seconds, of eager steps against compiled ones
        self.eager_steps = 0
        self.eager_step = math.inf  # seconds of the quickest
        self.compiling: float | None = None  # seconds, as soon as it has been done
        self.compiled_steps = 0  # of those that are timed
        self.compiled_step = math.inf
        self.step: Step
        self.trouble = ""  # why steps stay eager
        self.take: Step = self._take_eager  # takes a step

    @property
    def pays(self) -> bool:
        """True as soon as the time lost has reached the time that compiling takes."""
        return self.lost >= self.expected.compiling

    @property
    def is_compiled(self) -> bool:
        """True if steps are compiled now."""
        return self.compiling is not None and not self.trouble

    @property
    def is_watched(self) -> bool:
        """True while the first compiled steps are timed."""
        return self.is_compiled and self.compiled_steps < WATCHED

    def _take_eager(self, *arguments: Any) -> None:
        if self.pays:
            self._go_over(*arguments)
            self.take(*arguments)
            return
        begin = self.clock()
        self.eager(*arguments)
        seconds = self.clock() - begin
        self.lost += max(0.0, seconds - self.expected.step)
        self.eager_steps += 1
        self.eager_step = min(self.eager_step, seconds)

    def _go_over(self, *arguments: Any) -> None:
        begin = self.clock()
        try:
            self.step = self.build(*arguments)
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            self._stay(f"compiling failed: {type(error).__name__}: {reason}")
            return
        self.compiling = self.clock() - begin
        self.take = self._take_watched

    def _take_watched(self, *arguments: Any) -> None:
        begin = self.clock()
        self.step(*arguments)
        self.compiled_step = min(self.compiled_step, self.clock() - begin)
        self.compiled_steps += 1
        if not self.is_watched:
            self.take = self.step
            self.note(Expected(self.compiling or 0.0, self.compiled_step))
            if self.compiled_step > self.eager_step:
                self._stay(f"compiled ones take {seconds_of(self.compiled_step)}")

    def _stay(self, trouble: str) -> None:
        """Stay eager, or go back to it, for good."""
        self.trouble = trouble
        self.take = self.eager

    def how(self) -> str:
        """Which way steps go, and why."""
        if self.trouble:
            quickest = f", an eager one {seconds_of(self.eager_step)}" if self.compiling else ""
            return f"eager, for {self.trouble}{quickest}"
        if self.compiling is not None:
            text = (
                f"compiled, after {self.eager_steps} eager steps of {seconds_of(self.eager_step)} "
                f"and more; compiling took {seconds_of(self.compiling)}"
            )
            if self.compiled_steps:
                text += f", a compiled step takes {seconds_of(self.compiled_step)}"
            return text
        return (
            f"eager so far: compiling is expected to take {seconds_of(self.expected.compiling)}, "
            f"of which {seconds_of(self.lost)} have been lost by not doing it"
        )


class Notes:
    """What compiling took before: small files in a folder, which may be lost at any time.

    ``folder`` is that of one kind of rule; it is made when something is noted. What cannot be read
    or written is passed over.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def expected(self, key: str, is_first: bool) -> Expected:
        """For the set of tensors and rules called ``key``, in a process that ``is_first`` or not
        to compile for the first time.
        """
        own = self._read(key)
        case = _case(is_first, bool(own))
        compiling = own.get(case) or self._read("latest").get(case) or SECONDS[case]
        return Expected(compiling, own.get("step", 0.0))

    def add(self, key: str, is_first: bool, measured: Expected) -> None:
        """Note what was measured."""
        own = self._read(key)
        case = _case(is_first, bool(own))
        # With a cold cache it takes long but once: next time the cache is warm.
        seconds = {} if case.endswith("cold") else {case: measured.compiling}
        self._write(key, {**own, **seconds, "step": measured.step})
        self._write("latest", {**self._read("latest"), case: measured.compiling})

    def _read(self, key: str) -> dict[str, float]:
        try:
            content = json.loads((self.folder / f"{key}.json").read_text())
        except (OSError, ValueError):
            return {}
        if not isinstance(content, dict):
            return {}
        return {name: value for name, value in content.items() if _is_time(value)}

    def _write(self, key: str, content: dict[str, float]) -> None:
        path = self.folder / f"{key}.json"
        mine = path.with_suffix(f".{os.getpid()}")
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            mine.write_text(json.dumps(content))
            mine.replace(path)


def is_switched_off() -> bool:
    """True if the environment says that nothing is to be compiled that was not asked for."""
    return os.environ.get(VARIABLE) == "0"


def digest(*parts: Any) -> str:
    """A short name for all of them, the same in every process."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def seconds_of(seconds: float) -> str:
    """The time with two digits and a unit."""
    for unit, size in {"s": 1.0, "ms": 1e-3}.items():
        if seconds >= size:
            return f"{float(f'{seconds / size:.2g}'):g} {unit}"
    return f"{float(f'{seconds / 1e-6:.2g}'):g} us"


def _case(is_first: bool, is_warm: bool) -> str:
    return f"{'first' if is_first else 'later'} {'warm' if is_warm else 'cold'}"


def _is_time(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value) and value >= 0


_FORKED: list[int] = []  # of a process that was forked from one with this module: its number
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _FORKED.append(os.getpid()))


def is_forked() -> bool:
    """True in a process that was forked from one that has loaded this module."""
    return bool(_FORKED)
