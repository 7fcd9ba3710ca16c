"""torch's compiler, called without the checks that ``torch.compile`` makes at every call.

``torch.compile`` walks through a function's surroundings at each call to see whether its trace
still holds. Here the layouts of the tensors are compared, on which alone the arithmetic depends.
The private parts of torch are used in this file and in ``hooks``, under the releases they were
tested with, and in ``namespace`` to recognize a compiler's stand-in. Under other releases the
function is compiled by torch's public functions, ahead of time and without those checks, and takes
longer to call.
"""

import functools
import os
import shutil
import sys
import warnings
from collections.abc import Callable
from typing import Any

import torch

TESTED = ("2.13",)  # releases of torch; a further one needs its number here, and the tests run

Tensors = list[torch.Tensor]
Function = Callable[..., tuple[()]]  # writes to its arguments and gives nothing


def tested() -> bool:
    """True if this release of torch is one of those whose private parts are known here."""
    return torch.__version__.startswith(tuple(f"{release}." for release in TESTED))


def compiler() -> str | None:
    """The path of the C++ compiler that Inductor would use, or None."""
    return shutil.which(os.environ.get("CXX") or "g++") or shutil.which("clang++")


def is_loaded() -> bool:
    """True if this process has loaded Inductor already, which takes seconds."""
    return "torch._inductor.compile_fx" in sys.modules


def cache_folder() -> str:
    """The folder of Inductor's disk cache, under a tested release; it need not exist."""
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    return os.environ.get("TORCHINDUCTOR_CACHE_DIR") or default_cache_dir()


def compile_unchecked(
    function: Function, arguments: Tensors, rereads: bool
) -> Callable[[Tensors], Any]:
    """Compile ``function`` for arguments of these layouts.

    The result takes a list of tensors and may empty it. ``rereads`` must be true if the function
    reads what it has written, which Inductor was seen to miss (torch 2.13) unless writes come last.
    """
    if tested():
        return _compile(function, arguments, rereads)
    return _compile_publicly(function, arguments)


def _compile(function: Function, arguments: Tensors, rereads: bool) -> Callable[[Tensors], Any]:
    """By torch's private functions."""
    from torch._guards import TracingContext, tracing
    from torch._inductor import compile_fx, config, decomposition
    from torch._subclasses import FakeTensorMode
    from torch.fx.experimental.proxy_tensor import make_fx
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    fake = FakeTensorMode(shape_env=ShapeEnv())  # without one, Inductor's disk cache is not used
    settings = {"cpp.threads": torch.get_num_threads(), "size_asserts": False}
    with torch.no_grad(), config.patch(settings), tracing(TracingContext(fake)):
        examples = [fake.from_tensor(x.detach(), static_shapes=True) for x in arguments]
        with fake:
            graph = make_fx(function, decomposition.select_decomp_table())(*examples)
            if rereads:
                functional = torch.func.functionalize(graph, remove="mutations")
                graph = make_fx(functional)(*examples)
        return compile_fx.compile_fx_inner(graph, examples).current_callable


def _compile_publicly(function: Function, arguments: Tensors) -> Callable[[Tensors], Any]:
    """By torch's public functions, without checks as well; the result leaves the list as it is."""
    from torch.fx.experimental.proxy_tensor import make_fx

    warn_once(
        "compiled steps go by public functions: the faster way is not tested with torch "
        f"{torch.__version__}"
    )
    unchecked = {"guard_filter_fn": torch.compiler.skip_all_guards_unsafe}
    with torch.no_grad():
        examples = tuple(torch.empty_strided(x.shape, x.stride(), dtype=x.dtype) for x in arguments)
        graph = make_fx(function, tracing_mode="fake")(*examples)
        compiled: Any = torch.compile(
            lambda *x: graph(*x), fullgraph=True, dynamic=False, options=unchecked
        )
        run = compiled.aot_compile((examples, {}))
    run.disable_guard_check()
    return torch.no_grad()(lambda arguments: run(*arguments))


def layouts(*tensors: torch.Tensor) -> tuple[Any, ...]:
    """Shape, strides and dtype of each tensor."""
    return tuple([(x.shape, x.stride(), x.dtype) for x in tensors])


def layout_guard(tensors: Tensors) -> Callable[..., bool]:
    """A check whether other tensors have the layouts of these.

    It is dynamo's own, which is quick; under an untested release the layouts are compared.
    """
    if not tested():
        expected = layouts(*tensors)
        return lambda *others: layouts(*others) == expected
    sizes = [[*x.shape] for x in tensors]  # None in a list would stand for any size
    strides = [[*x.stride()] for x in tensors]
    guards = torch._C._dynamo.guards.TensorGuards(
        *tensors, dynamic_dims_sizes=sizes, dynamic_dims_strides=strides
    )
    return guards.check


@functools.cache
def warn_once(message: str) -> None:
    """Warn; the same message once a process."""
    warnings.warn(message, stacklevel=2)
