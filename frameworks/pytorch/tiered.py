"""The steps of one optimizer that compiles by itself when that pays."""

import functools
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from samestep.reference import Rule

from . import inductor
from .inductor import Tensors
from .stepper import Stepper, Way, share_memory
from .tiers import VARIABLE, Expected, Notes, Tier, digest, is_forked, is_switched_off
from .trace import PLAIN, Apply, Move, tensors_of, trace_key

MOST_TIERS = 64  # sets of tensors whose lost time is counted in one optimizer
PLAIN_TYPES = frozenset(PLAIN)


class TieredStepper(Stepper):
    """Takes steps by ``eager`` until compiling ``apply`` for their tensors pays.

    Each set of tensors that has gradients together has a decision of its own. Where steps cannot be
    compiled they stay eager, without a warning; ``how`` says why.
    """

    def __init__(self, apply: Apply, alone: tuple[type[Rule], ...], eager: Way) -> None:
        super().__init__(apply, alone)
        self.eager = eager
        self.tiers: dict[Any, Tier] = {}
        self.is_first = True  # nothing had been compiled in this process when times were expected
        self.tier: Tier | None = None  # of the last step
        self.reason = "no step has been taken"  # why steps are eager where no tier decides

    def take(self, moves: Sequence[Move]) -> None:
        """Take one step of each tensor."""
        if reason := self.ban or (is_forked() and "a forked process does not compile"):
            self._eagerly(reason)
        elif {type(x.theta) for x in moves} | {type(x.gradient) for x in moves} <= PLAIN_TYPES:
            if self.is_first and inductor.is_loaded():
                self._expect_less()
            return super().take(moves)
        else:
            self._eagerly("some tensors are of a class of their own")
        self.setting = None
        self.eager(moves, tensors_of(moves))

    def each(self, moves: Sequence[Move], tensors: Any = None) -> None:
        """Take one step, tensor by tensor, eagerly."""
        self.eager(moves, tensors)

    def how(self) -> str:
        """Which way the last step went, and why."""
        return self.tier.how() if self.tier else f"eager, for {self.reason}"

    def _choose_way(self, moves: Sequence[Move], tensors: Tensors) -> Way:
        """How to take the steps of these tensors."""
        if reason := self._obstacle(moves, tensors):
            return self._eagerly(reason)
        key = trace_key(moves)
        if key not in self.tiers:
            if len(self.tiers) == MOST_TIERS:
                del self.tiers[next(iter(self.tiers))]
            self.tiers[key] = self._new_tier(key)
        tier = self.tier = self.tiers[key]
        return lambda moves, tensors: tier.take(moves, tensors)

    def _eagerly(self, reason: str) -> Way:
        self.reason, self.tier = reason, None
        return self.eager

    @functools.cached_property
    def ban(self) -> str:
        """Why nothing is compiled in this process, or nothing."""
        if is_switched_off():
            return f"the environment variable {VARIABLE} is 0"
        if not inductor.tested():
            return f"compiled steps are not tested with torch {torch.__version__}"
        if not inductor.compiler():
            return "there is no C++ compiler: neither $CXX nor g++ nor clang++"
        return ""

    def _obstacle(self, moves: Sequence[Move], tensors: Tensors) -> str:
        """Why the steps of these tensors are not compiled, or nothing."""
        if any(x.device.type != "cpu" for x in tensors):
            return "some tensors are not on the CPU"
        if any(type(x) not in PLAIN_TYPES for x in tensors):
            return "some tensors are of a class of their own"
        if share_memory(tensors[: -len(moves)]):
            return "some tensors share memory"
        return ""

    def _expect_less(self) -> None:
        """The compiler has been loaded meanwhile, perhaps by another optimizer."""
        self.is_first = False
        for key, tier in self.tiers.items():
            notes, name = _notes_of(key)
            tier.expected = notes.expected(name, self.is_first)

    def _new_tier(self, key: Any) -> Tier:
        notes, name = _notes_of(key)
        is_first = self.is_first

        def build(moves: Sequence[Move], _: Tensors) -> Way:
            nonlocal is_first
            is_first = not inductor.is_loaded()
            # torch warns about itself; where warnings are errors, loading the compiler would fail.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self._compiled(moves)

        def note(measured: Expected) -> None:
            notes.add(name, is_first, measured)

        return Tier(self.each, build, notes.expected(name, is_first), note)


def _notes_of(key: Any) -> tuple[Notes, str]:
    """Where it is noted what compiling took for a trace of that key, and the name there.

    Some rules take ten times as long to compile as others, so each has a folder.
    """
    _, forms, *_ = key
    kind = forms[0][0].__name__
    folder = Path(inductor.cache_folder()) / "samestep" / kind
    return Notes(folder), digest(torch.__version__, key)
