"""The user's own optimizer: a function that builds it, given as an object or as the text
``module:name``.
"""

import importlib
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from samestep.parity.measure.trial import Trial
from samestep.reference import Rule

from .result import RunOptions, RunResult

FORMS = (
    "a function of the parameters (PyTorch: lambda params: MyAdam(params, lr=1e-3)), a "
    "function of nothing (Keras: "
    "lambda: MyAdam(1e-3)), or a Keras optimizer"
)
TITLES = {"pytorch": "PyTorch", "keras": "Keras"}


class OptimizerFactory(NamedTuple):
    """A function that builds a user's optimizer again and again, and the library it is of.

    ``make`` takes a list of parameters for the library "pytorch", nothing for "keras".
    """

    name: str
    library: str
    make: Callable[..., Any]

    @property
    def title(self) -> str:
        """The name of the library as text shows it."""
        return TITLES[self.library]

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes in which steps are run: eager, and for Keras in a graph, too."""
        return tuple(_runner(self.library).MODES)

    def run(self, trial: Trial, dtype: str, options: RunOptions) -> RunResult:
        """Build the optimizer and run it over the trial."""
        result: RunResult = _runner(self.library).run(self.make, trial, dtype, options)
        return result

    def first_rate(self) -> float | None:
        """The learning rate that the optimizer starts with; None if it has none that can be set
        from outside.
        """
        rate: float | None = _runner(self.library).first_rate(self.make)
        return rate


def _runner(library: str) -> Any:
    return importlib.import_module(f"samestep.parity.runners.{library}")


def from_object(optimizer: Any) -> OptimizerFactory:
    """The factory that ``optimizer`` is, in one of ``FORMS``; ValueError if it is none of them."""
    if isinstance(optimizer, Rule | str):
        raise ValueError(f"optimizer must be {FORMS}; {optimizer!r} can only be what is expected")
    if sys.modules.get("keras") and _runner("keras").is_optimizer(optimizer):
        return _from_keras_optimizer(optimizer)
    if sys.modules.get("torch") and _runner("pytorch").is_optimizer(optimizer):
        raise ValueError(
            "optimizer must be made anew for every trial, got a "
            f"{type(optimizer).__name__} that holds its parameters; "
            "give a function of them: lambda params: MyAdam(params, lr=1e-3)"
        )
    if not callable(optimizer):
        raise ValueError(f"optimizer must be {FORMS}, got {optimizer!r}")
    name = getattr(optimizer, "__name__", type(optimizer).__name__)
    library = library_of(optimizer, name)
    built = _build(library, optimizer)
    if not _runner(library).is_optimizer(built):
        raise ValueError(f"optimizer must be {FORMS}; the function gave a {type(built).__name__}")
    return OptimizerFactory(type(built).__name__, library, optimizer)


def _from_keras_optimizer(optimizer: Any) -> OptimizerFactory:
    """A factory that builds a Keras optimizer anew from its config."""
    kind = type(optimizer)
    try:
        config: dict[str, Any] = optimizer.get_config()
        kind.from_config(dict(config))
    except Exception as error:
        raise ValueError(
            f"{kind.__name__} must be made anew for every trial, but its get_config does "
            "not say how "
            f"({error}); give a function: lambda: {kind.__name__}(...)"
        ) from error
    return OptimizerFactory(kind.__name__, "keras", lambda: kind.from_config(dict(config)))


def _build(library: str, make: Callable[..., Any]) -> Any:
    """One optimizer, of a small tensor where it needs parameters."""
    if library == "keras":
        return make()
    import torch

    try:
        return make([torch.nn.Parameter(torch.zeros(1))])
    except ValueError:  # some move matrices alone
        return make([torch.nn.Parameter(torch.zeros(1, 1))])


def library_of(make: Callable[..., Any], name: str) -> str:
    """The library of a function that builds an optimizer: "pytorch" if it needs one argument,
    "keras" if none.

    ValueError if it needs more, or if its signature cannot be read.
    """
    try:
        parameters = inspect.signature(make).parameters.values()
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"optimizer must be {FORMS}; the signature of {make!r} cannot be read"
        ) from error
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p.name for p in parameters if p.kind in positional and p.default is p.empty]
    if len(needed) > 1:
        raise ValueError(f"optimizer must be {FORMS}; {name} asks for {', '.join(needed)}")
    return "pytorch" if needed else "keras"


def from_text(text: str) -> OptimizerFactory:
    """The factory called ``module:name``; the module lies in the current folder or is installed.

    ValueError, in one line, if it cannot be imported; so do the mistakes of the function when it is
    called.
    """
    module_name, _, name = text.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        factory: Any = importlib.import_module(module_name)
        for part in name.split("."):
            factory = getattr(factory, part)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"{text} must be a module, in this folder or installed, and a name in it: {error}"
        ) from error
    except Exception as error:
        raise ValueError(
            f"{text}: importing {module_name} failed: {type(error).__name__}: {error}"
        ) from error
    if not callable(factory):
        raise ValueError(f"{text} must be callable, got {factory!r}")
    library = library_of(factory, text)
    return OptimizerFactory(text, library, _checked(text, library, factory))


def _checked(text: str, library: str, factory: Callable[..., Any]) -> Callable[..., Any]:
    """The factory, its failures and its wrong results turned into a ValueError of one line."""

    def make(*parameters: Any) -> Any:
        try:
            built = factory(*parameters)
        except Exception as error:
            raise ValueError(
                f"{text} failed when called: {type(error).__name__}: {error}"
            ) from error
        base = importlib.import_module(
            "torch.optim" if library == "pytorch" else "keras.optimizers"
        ).Optimizer
        if not isinstance(built, base):
            raise ValueError(
                f"{text} must return a torch.optim.Optimizer, given a list of parameters, or a "
                "keras.optimizers.Optimizer, given nothing; it was given "
                f"{'parameters' if parameters else 'nothing'} "
                f"and returned {type(built).__module__}.{type(built).__name__}"
            )
        return built

    return make
