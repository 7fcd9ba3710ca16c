"""Steps of PyTorch's default before and after they are compiled, against torch's own default.

``python -m samestep.bench.switch [Adam SGD ...]`` in a checkout, one thread. For each rule: the
ratio of an eager step and of a compiled one to a step of torch's default implementation, the
seconds until the switch, and what ``how()`` says. Where there is no switch within a minute of
steps, both ratios are of eager steps. The first line bounds what eager steps of SGD can reach: they
round the product and the difference, and torch's default rounds once.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from samestep.bench import clock, pairs, sizes
from samestep.bench.frameworks import pytorch as home
from samestep.bench.subjects import calls
from samestep.frameworks.pytorch import Optimizer, model
from samestep.reference import dialects

SECONDS = 0.3  # of a comparison
PATIENCE = 60.0  # seconds of steps without a switch
ELEMENTS = 784 * 128
WARM = 20  # compiled steps before the comparison, among them those that the optimizer times


def main(names: Sequence[str]) -> None:
    """Print a line a rule; of those names alone, if there are any."""
    torch.set_num_threads(1)
    print(f"instructions: {torch.backends.cpu.get_cpu_capability()}; {bound()}", flush=True)
    for call in calls():
        dialect, name, _ = dialects.parse(call)
        if dialect == "pytorch" and (not names or name in names):
            print(f"{name:10}", *measured(call), sep="  ", flush=True)


@torch.no_grad()
def bound() -> str:
    """SGD's two operations against torch's one, on the experiment's largest tensor."""
    theta, gradient, rate = torch.ones(ELEMENTS), torch.full((ELEMENTS,), 1e-9), torch.tensor(0.01)
    buffer = torch.empty(ELEMENTS)

    def two() -> None:
        torch.mul(gradient, rate, out=buffer)
        torch.sub(theta, buffer, out=theta)

    ratio = pairs.compare(two, lambda: theta.add_(gradient, alpha=-0.01), SECONDS)
    gigabytes = 4 * 5 * ELEMENTS / ratio.a / 1e9  # read, write; read twice, write
    return (
        f"two operations against one {ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}], "
        f"at {gigabytes:.0f} GB/s"
    )


def measured(call: str) -> Iterator[Any]:
    """The columns after the name."""
    _, name, arguments = dialects.parse(call)
    rule = dialects.read(call)
    size = next(iter(sizes.of(type(rule).__name__)))
    parameters = model.parameters(sizes.weights(size), "cpu")
    gradients = model.parameters(sizes.gradients(size), "cpu")
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient.detach()
    optimizer = Optimizer(parameters, rule)
    usual = home.usual(name, "cpu")
    with (
        home.stepper(dialects.Call(name, arguments), usual, "cpu", size) as native,
        home.stepper(rule, "eager", "cpu", size) as eager,
    ):
        for stepper in (native, eager):
            clock.warm_up(stepper)
        before = pairs.compare(eager.step, native.step, SECONDS)
        yield f"before {before.value:.2f} [{before.low:.2f}, {before.high:.2f}]"
        begin = time.perf_counter()
        while "compiled, after" not in optimizer.how() and time.perf_counter() < begin + PATIENCE:
            optimizer.step()
        yield f"switch after {time.perf_counter() - begin:.1f} s"
        for _ in range(WARM):
            optimizer.step()
        after = pairs.compare(optimizer.step, native.step, SECONDS)
        yield f"after {after.value:.2f} [{after.low:.2f}, {after.high:.2f}]"
    yield optimizer.how()


if __name__ == "__main__":
    main(sys.argv[1:])
