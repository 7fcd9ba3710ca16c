"""Eager steps of PyTorch whose operations were recorded: what is recorded, where it writes, and the
square root. That they have NumPy's bits is tested in test_adapters.py.
"""

import itertools
import math
import threading
import warnings
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import torch

from samestep.frameworks.pytorch import Optimizer, namespace, recorded
from samestep.frameworks.pytorch.recorded import Program
from samestep.parity.measure import cases
from samestep.parity.tests.support import bits
from samestep.reference import LAMB, SGD, Adafactor, Adam, Lion, Muon, NAdam, Rule, dialects

pytestmark = pytest.mark.rung(2)


def taken(rule: Rule, *tensors: Any, steps: int = 2) -> Optimizer:
    """An eager optimizer that has taken steps of these tensors."""
    optimizer = Optimizer(tensors, rule, compiled=False)
    for tensor in tensors:
        tensor.grad = torch.full_like(tensor, 0.5)
    for _ in range(steps):
        optimizer.step()
    return optimizer


def programs(optimizer: Optimizer) -> list[Program | None]:
    """Those that took the last step, one a tensor."""
    return optimizer._eager.chosen


@pytest.mark.parametrize("call", bits.CALLS + bits.POWERS)
def test_every_rule_without_coupled_elements_and_powers_is_recorded(call: str) -> None:
    """For a matrix and for a single number."""
    rule = dialects.read(call)
    chosen = programs(taken(rule, torch.ones(3, 2), torch.ones(())))
    left_out = isinstance(rule, LAMB | Adafactor | Muon) or call in bits.POWERS
    assert [program is None for program in chosen] == [left_out] * 2


def test_a_large_tensor_is_cut_into_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number of its state is not, and a smaller tensor is not."""
    monkeypatch.setattr(recorded, "LARGEST_PIECE", 4)
    sizes, take = [], Program._take_piece

    def watched(program: Program, arrays: Any) -> None:
        sizes.append([x.numel() for x in arrays])
        take(program, arrays)

    monkeypatch.setattr(Program, "_take_piece", watched)
    taken(NAdam(), torch.ones(2, 3), torch.ones(4), steps=1)
    assert sizes == [[4] * 4, [2] * 4, [4] * 4]


def test_a_piece_fits_into_the_cache() -> None:
    """With all arrays of the step, as a power of two, within bounds."""
    cache = recorded.second_cache()
    for size in (4, 24, 64):
        piece = recorded.piece_size(size)
        assert recorded.SMALLEST_PIECE <= piece <= recorded.LARGEST_PIECE
        assert piece * size <= cache or piece == recorded.SMALLEST_PIECE
        assert piece & (piece - 1) == 0


@pytest.mark.parametrize("change", [torch.t, lambda x: x[:, ::2]], ids=["turned", "strided"])
def test_other_layouts_are_not_recorded(change: Any) -> None:
    """The elements of state and gradient may lie in another order."""
    tensor = change(torch.ones(4, 6))
    assert programs(taken(SGD(), tensor)) == [None]
    assert (
        tensor.tolist()
        == taken(SGD(), tensor.new_ones(tensor.shape)).param_groups[0]["params"][0].tolist()
    )


@pytest.mark.parametrize("rule", [SGD(momentum=0.9), Adam(), Lion(), NAdam()], ids=repr)
def test_a_warm_step_takes_no_new_memory(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    """By torch's own trajectory."""
    tensors = torch.ones(64, 96), torch.ones(500)
    optimizer = taken(rule, *tensors)
    assert allocations(optimizer) == []
    monkeypatch.setattr(optimizer._eager, "chosen", [None, None])
    assert allocations(optimizer), "the trajectory must see what other steps take"


def allocations(optimizer: Optimizer) -> list[int]:
    """Bytes of each tensor of more than one number that a step makes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the profiler's own, about itself
        with torch.profiler.profile(profile_memory=True) as profile, torch.no_grad():
            optimizer.step()
    events = profile.profiler.kineto_results.events()
    sizes = [event.nbytes() for event in events if event.name() == "[memory]"]
    return [size for size in sizes if size > 8]


@pytest.mark.parametrize("call", cases.SHARE)
def test_a_gradient_may_be_the_tensor_itself(call: str) -> None:
    """Its memory: all of it is read before the tensor is written."""
    rule = dialects.read(call)
    ends = []
    for own in (True, False):
        tensor = torch.linspace(1, 2, 12).reshape(3, 4)
        optimizer = Optimizer([tensor], rule, compiled=False)
        for _ in range(3):
            tensor.grad = tensor.detach() if own else tensor.clone()
            optimizer.step()
        states = [x for x in optimizer.state[tensor].values() if torch.is_tensor(x)]
        ends.append([x.tolist() for x in (tensor, *states)])
    assert ends[0] == ends[1]


def test_autograd_sees_that_a_step_has_written() -> None:
    """A graph from before the step cannot be used after it."""
    tensor = torch.nn.Parameter(torch.ones(3))
    loss = (tensor**2).sum()
    loss.backward(retain_graph=True)
    Optimizer([tensor], SGD(), compiled=False).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_another_update_is_recorded_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that was replaced does not step as before."""
    tensor = torch.ones(2)
    optimizer = taken(SGD(lr=0.5), tensor)
    monkeypatch.setattr(SGD, "update", lambda self, theta, g, state, c, xp: (theta + g, state))
    optimizer._eager.rules = []
    optimizer.step()
    assert tensor.tolist() == [1.0] * 2


def test_optimizers_in_two_threads_do_not_disturb_each_other() -> None:
    """Each has its own buffers."""
    tensors = [torch.linspace(1, 2, 20_000) for _ in range(3)]
    threads = [
        threading.Thread(target=taken, args=(Adam(), tensor), kwargs={"steps": 50})
        for tensor in tensors[:2]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken(Adam(), tensors[2], steps=50)
    assert [torch.equal(tensor, tensors[2]) for tensor in tensors[:2]] == [True, True]


def patterns(dtype: Any) -> np.ndarray:
    """Many bit patterns of numbers that are not negative, of every exponent, also subnormal."""
    integer, last, step = {
        np.float32: (np.uint32, 0x7F800000, 1009),
        np.float64: (np.uint64, 0x7FF0000000000000, 0x7FF0000000000000 // 1_000_003),
    }[dtype]
    return np.arange(0, last, step, dtype=integer).view(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_square_root_is_correctly_rounded(dtype: Any) -> None:
    """By the definition, in whole numbers: no number of that kind lies nearer to the root."""
    x = patterns(dtype)
    root = torch.empty(len(x), dtype=torch.from_numpy(x[:0]).dtype)
    recorded.square_root(torch.from_numpy(x), out=root)
    assert np.array_equal(root.numpy(), namespace.sqrt(torch.from_numpy(x)).numpy())
    chosen = [*range(1, 64), *range(64, len(x), len(x) // 5_000)]
    wrong = [
        float(x[index]) for index in chosen if not is_nearest(float(x[index]), root.numpy()[index])
    ]
    assert wrong == []
    if dtype is np.float32:
        # A double has more than twice the digits, so its root, rounded again, is the nearest, too.
        assert np.array_equal(root.numpy(), np.sqrt(x.astype(np.float64)).astype(np.float32))


def is_nearest(x: float, root: Any) -> bool:
    """Whether the root lies between the squares of the two midpoints to its neighbours."""
    kind = type(root)
    below, above = (np.nextafter(root, kind(end)) for end in (0, math.inf))
    (n, d), (r, s) = x.as_integer_ratio(), float(root).as_integer_ratio()
    for neighbour, sign in ((below, 1), (above, -1)):
        a, b = float(neighbour).as_integer_ratio()
        middle, under = r * b + a * s, 2 * s * b
        if sign * (n * under**2 - d * middle**2) < 0:
            return False
    return True


def test_the_check_of_roots_sees_a_neighbour() -> None:
    """One unit in the last place off, either way."""
    for x, away in itertools.product((2.0, 3e-5, 7e30), (0.0, math.inf)):
        root = np.sqrt(np.float32(x))
        assert is_nearest(float(np.float32(x)), root)
        assert not is_nearest(float(np.float32(x)), np.nextafter(root, np.float32(away)))
