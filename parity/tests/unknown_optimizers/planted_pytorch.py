"""Optimizers in PyTorch with one planted cause each; ``EXPECTED`` has what they should follow."""

from collections.abc import Callable
from typing import Any

from samestep.parity.tests.support.frameworks import torch

LR = 0.01
ADAM = "Adam(lr=0.01)"
ADAMW = "Adam(lr=0.01, weight_decay=0.5, decay=Decay.DECOUPLED)"
SGD = "SGD(lr=0.01)"
DECAY = 0.5

Take = Callable[[Any, Any, Any, float], None]  # of state, parameter, gradient, learning rate
TakeAll = Callable[[Any, list[Any], float], None]  # of optimizer, parameters, learning rate


def together(take: TakeAll) -> Callable[[list[Any]], Any]:
    """A factory of an optimizer that moves all its parameters by one function."""

    class Planted(torch.optim.Optimizer):
        @torch.no_grad()
        def step(self, closure: Any = None) -> None:
            for group in self.param_groups:
                take(self, group["params"], group["lr"])

    return lambda parameters: Planted(parameters, {"lr": LR})


def each(take: Take) -> Callable[[list[Any]], Any]:
    """A factory of an optimizer that moves each parameter by a function."""

    def take_all(optimizer: Any, parameters: list[Any], lr: float) -> None:
        for p in parameters:
            take(optimizer.state[p], p, p.grad, lr)

    return together(take_all)


def adam(s: Any, p: Any, g: Any, lr: float, **options: Any) -> None:
    """A step of Adam; ``options`` are its numbers, the step ``t``, and what it corrects."""
    beta2 = options.get("beta2", 0.999)
    if "m" not in s:
        s.update(m=torch.zeros_like(p), v=torch.zeros_like(p), t=0)
    s["t"] += 1
    t = options.get("t", s["t"])
    s["m"].mul_(0.9).add_(g, alpha=1 - 0.9)
    s["v"].mul_(beta2).add_(g * g, alpha=1 - beta2)
    corrected = options.get("corrected", "mv")
    m = s["m"] / (1 - 0.9**t) if "m" in corrected else s["m"]
    v = s["v"] / (1 - beta2**t) if "v" in corrected else s["v"]
    p -= lr * m / (v.sqrt() + options.get("epsilon", 1e-8))


def clip_norm(g: Any, limit: float) -> Any:
    return g * min(1.0, limit / float(g.norm()))


def lost_count(s: Any, p: Any, g: Any, lr: float) -> None:
    t = s.get("t", 0) + 1
    adam(s, p, g, lr, t=t if t <= 7 else t - 7)


def lost_state(s: Any, p: Any, g: Any, lr: float) -> None:
    if s.get("t", 0) == 7:
        s.clear()
    adam(s, p, g, lr)


def lost_v(s: Any, p: Any, g: Any, lr: float) -> None:
    if s.get("t", 0) == 7:
        s["v"].zero_()
    adam(s, p, g, lr)


def decay_after(s: Any, p: Any, g: Any, lr: float) -> None:
    adam(s, p, g, lr)
    p -= lr * DECAY * p


def decay_twice(s: Any, p: Any, g: Any, lr: float) -> None:
    p -= lr * DECAY * p
    p -= lr * DECAY * p
    adam(s, p, g, lr)


def decay_without_rate(s: Any, p: Any, g: Any, lr: float) -> None:
    p -= DECAY * p
    adam(s, p, g, lr)


def decay_of_matrices(s: Any, p: Any, g: Any, lr: float) -> None:
    if p.ndim > 1:
        p -= lr * DECAY * p
    adam(s, p, g, lr)


def global_clipping(optimizer: Any, parameters: list[Any], lr: float) -> None:
    norm = torch.sqrt(sum((p.grad**2).sum() for p in parameters))
    factor = min(1.0, float(2.0 / norm))
    for p in parameters:
        adam(optimizer.state[p], p, p.grad * factor, lr)


def leaking(optimizer: Any, parameters: list[Any], lr: float) -> None:
    for p in parameters:
        s = optimizer.state[p]
        lr = lr / (1 - 0.9 ** (s.get("t", 0) + 1))
        adam(s, p, p.grad, lr, corrected="v")


def shared_state(optimizer: Any, parameters: list[Any], lr: float) -> None:
    for p in parameters:
        adam(optimizer.state.setdefault("all", {}), p, p.grad, lr)


def shared_count(optimizer: Any, parameters: list[Any], lr: float) -> None:
    for p in parameters:
        optimizer.count = getattr(optimizer, "count", 0) + 1
        adam(optimizer.state[p], p, p.grad, lr, t=optimizer.count)


def late_rate(optimizer: Any, parameters: list[Any], lr: float) -> None:
    late = getattr(optimizer, "rate", lr)
    optimizer.rate = lr
    for p in parameters:
        adam(optimizer.state[p], p, p.grad, late)


def vectors_by_descent(s: Any, p: Any, g: Any, lr: float) -> None:
    if p.ndim < 2:
        p -= lr * g
    else:
        adam(s, p, g, lr)


# by name: the optimizer, what it should follow, and what must be named of it
PLANTED: dict[str, tuple[Callable[[list[Any]], Any], str, str]] = {
    "other_beta": (each(lambda s, p, g, lr: adam(s, p, g, lr, beta2=0.98)), ADAM,
                   "beta2=0.98 where 0.999 is expected"),
    "other_epsilon": (each(lambda s, p, g, lr: adam(s, p, g, lr, epsilon=3e-5)), ADAM,
                      "epsilon=3e-05 where 1e-08 is expected"),
    "from_two": (each(lambda s, p, g, lr: adam(s, p, g, lr, t=s.get("t", 0) + 2)), ADAM,
                 "counts steps from 2"),
    "uncorrected": (each(lambda s, p, g, lr: adam(s, p, g, lr, corrected="")), ADAM,
                    "bias_correction=False|no bias correction$"),
    "mean_uncorrected": (each(lambda s, p, g, lr: adam(s, p, g, lr, corrected="v")), ADAM,
                         "no bias correction of the mean of gradients"),
    "square_uncorrected": (each(lambda s, p, g, lr: adam(s, p, g, lr, corrected="m")), ADAM,
                           "no bias correction of the mean of squares"),
    "loss_scale": (each(lambda s, p, g, lr: adam(s, p, g * 1024, lr)), ADAM,
                   "multiplies every gradient by 1024"),
    "summed": (each(lambda s, p, g, lr: p.sub_(g * 24, alpha=lr)), SGD,
               "multiplies every gradient by 24"),
    "clipped": (each(lambda s, p, g, lr: adam(s, p, clip_norm(g, 1.0), lr)), ADAM,
                "clips the norm of each gradient to 1$"),
    "clipped_scaled": (each(lambda s, p, g, lr: adam(s, p, clip_norm(g * 65536, 1) / 65536, lr)),
                       ADAM, "clipping to 1 before a loss scale of 65536 is divided out"),
    "clipped_by_value": (each(lambda s, p, g, lr: adam(s, p, g.clamp(-0.5, 0.5), lr)), ADAM,
                         "clips every element of a gradient to 0.5"),
    "clipped_together": (together(global_clipping), ADAM,
                         "clips the common norm of all gradients to 2"),
    "leaking": (together(leaking), ADAM, "step size leaks from tensor to tensor"),
    "shared_state": (together(shared_state), ADAM, "state, and the count of steps, are shared"),
    "shared_count": (together(shared_count), ADAM, "the count of steps is shared"),
    "lost_count": (each(lost_count), ADAM, "begins step 8 with its state, but counts steps from 1"),
    "lost_state": (each(lost_state), ADAM, "with new state, its count as well"),
    "lost_v": (each(lost_v), ADAM, "begins step 8 with a new v"),
    "decay_after": (each(decay_after), ADAMW, "decay=Decay.AFTER where Decay.DECOUPLED is"),
    "decay_coupled": (each(lambda s, p, g, lr: adam(s, p, g + DECAY * p, lr)), ADAMW,
                      "decay=Decay.COUPLED where Decay.DECOUPLED is expected"),
    "decay_twice": (each(decay_twice), ADAMW, "applies weight decay twice"),
    "decay_without_rate": (each(decay_without_rate), ADAMW, "not multiplied by the learning rate"),
    "decay_of_matrices": (each(decay_of_matrices), ADAMW, "exempts vectors and 0-d tensors"),
    "late_rate": (together(late_rate), ADAM, "takes each learning rate one step late"),
    "vectors_by_descent": (each(vectors_by_descent), ADAM, r"on vectors of SGD\(lr=0.01\)"),
}  # fmt: skip
globals().update({name: planted[0] for name, planted in PLANTED.items()})
