"""Unknown optimizers in PyTorch: a table of steps, and a few that wrap one of torch's own.

A step is a function of the parameter, its gradient, its state and the step number. It returns what
is multiplied by the learning rate and subtracted.
"""

from collections.abc import Callable
from typing import Any

from samestep.parity.tests.support.frameworks import torch

Step = Callable[[Any, Any, Any, int], Any]


def custom(step: Step) -> Callable[[list[Any]], Any]:
    """A factory of an optimizer that takes such steps, with a learning rate of 0.01."""

    class Custom(torch.optim.Optimizer):
        @torch.no_grad()
        def step(self, closure: Any = None) -> None:
            for group in self.param_groups:
                for p in group["params"]:
                    if not self.state[p]:
                        self.state[p].update(m=torch.zeros_like(p), v=torch.zeros_like(p), t=0)
                    self.state[p]["t"] += 1
                    p -= group["lr"] * step(p, p.grad, self.state[p], self.state[p]["t"])

    return lambda parameters: Custom(parameters, {"lr": 0.01})


def means(g: Any, s: Any) -> tuple[Any, Any]:
    """Update and return Adam's two means."""
    s["m"].mul_(0.9).add_(g, alpha=1 - 0.9)
    s["v"].mul_(0.999).add_(g * g, alpha=1 - 0.999)
    return s["m"], s["v"]


def adam(p: Any, g: Any, s: Any, t: int) -> Any:
    m, v = means(g, s)
    return m / (1 - 0.9**t) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)


def epsilon_twice(p: Any, g: Any, s: Any, t: int) -> Any:
    m, v = means(g, s)
    return m / (1 - 0.9**t) / ((v / (1 - 0.999**t) + 1e-6).sqrt() + 1e-4)


def epsilon_under_root(p: Any, g: Any, s: Any, t: int) -> Any:
    m, v = means(g, s)
    return m / (1 - 0.9**t) / (v / (1 - 0.999**t) + 1e-6).sqrt()


def mean_uncorrected(p: Any, g: Any, s: Any, t: int) -> Any:
    m, v = means(g, s)
    return m / ((v / (1 - 0.999**t)).sqrt() + 1e-8)


def square_uncorrected(p: Any, g: Any, s: Any, t: int) -> Any:
    m, v = means(g, s)
    return m / (1 - 0.9**t) / (v.sqrt() + 1e-8)


def count_from_two(p: Any, g: Any, s: Any, t: int) -> Any:
    m, v = means(g, s)
    return m / (1 - 0.9 ** (t + 1)) / ((v / (1 - 0.999 ** (t + 1))).sqrt() + 1e-8)


def clipped_by_value(p: Any, g: Any, s: Any, t: int) -> Any:
    return adam(p, g.clamp(-1, 1), s, t)


def clipped_by_norm(p: Any, g: Any, s: Any, t: int) -> Any:
    return g / max(1.0, float(g.norm()))


def signed_momentum(p: Any, g: Any, s: Any, t: int) -> Any:
    return s["m"].mul_(0.9).add_(g.sign())


def warming_up(p: Any, g: Any, s: Any, t: int) -> Any:
    return min(1.0, t / 10) * adam(p, g, s, t)


def cooling_down(p: Any, g: Any, s: Any, t: int) -> Any:
    return adam(p, g, s, t) / t**0.5


def looking_ahead(p: Any, g: Any, s: Any, t: int) -> Any:
    slow, step = s.setdefault("slow", p.clone()), 0.01 * adam(p, g, s, t)
    if t % 5:
        return step / 0.01
    moved = slow + 0.5 * (p - step - slow)
    s["slow"] = moved.clone()
    return (p - moved) / 0.01


def belief(p: Any, g: Any, s: Any, t: int) -> Any:
    s["m"].mul_(0.9).add_(g, alpha=0.1)
    s["v"].mul_(0.999).add_((g - s["m"]) ** 2, alpha=0.001)
    return s["m"] / (1 - 0.9**t) / ((s["v"] / (1 - 0.999**t)).sqrt() + 1e-8)


def yogi(p: Any, g: Any, s: Any, t: int) -> Any:
    s["m"].mul_(0.9).add_(g, alpha=0.1)
    s["v"].sub_((s["v"] - g * g).sign() * g * g, alpha=0.001)
    return s["m"] / (1 - 0.9**t) / ((s["v"] / (1 - 0.999**t)).sqrt() + 1e-8)


def magnitudes(p: Any, g: Any, s: Any, t: int) -> Any:
    return g / (s["v"].add_(g.abs()).sqrt() + 1e-10)


def cube_root(p: Any, g: Any, s: Any, t: int) -> Any:
    return g / (s["v"].add_(g * g) ** (1 / 3) + 1e-8)


def soft(p: Any, g: Any, s: Any, t: int) -> Any:
    return g.tanh()


def centralized(p: Any, g: Any, s: Any, t: int) -> Any:
    return adam(p, g - g.mean(), s, t)


def cautious(p: Any, g: Any, s: Any, t: int) -> Any:
    step = adam(p, g, s, t)
    return step * (step * g > 0)


def two_momenta(p: Any, g: Any, s: Any, t: int) -> Any:
    n = s.setdefault("n", torch.zeros_like(p))
    return s["m"].mul_(0.9).add_(g) + 0.5 * n.mul_(0.5).add_(g)


def late(p: Any, g: Any, s: Any, t: int) -> Any:
    before, s["before"] = s.get("before", torch.zeros_like(g)), g.clone()
    return before


def decays_of_its_own(p: Any, g: Any, s: Any, t: int) -> Any:
    return adam(p, g, s, t) + 0.01 * p.sign()


def switches(p: Any, g: Any, s: Any, t: int) -> Any:
    return adam(p, g, s, t) if t <= 30 else g


def strays_late(p: Any, g: Any, s: Any, t: int) -> Any:
    return adam(p, g, s, t) * (1.0 if t < 150 else 1.01)


def biases_alone(p: Any, g: Any, s: Any, t: int) -> Any:
    return adam(p, g, s, t) if p.ndim == 1 else g


def quasi_hyperbolic(p: Any, g: Any, s: Any, t: int) -> Any:
    return 0.3 * g + 0.7 * s["m"].mul_(0.9).add_(g, alpha=0.1)


def signs(p: Any, g: Any, s: Any, t: int) -> Any:
    return g.sign()


def squares_alone(p: Any, g: Any, s: Any, t: int) -> Any:
    return g / (s["v"].add_(g * g).sqrt() + 1e-30)


class Stubborn(torch.optim.Adam):
    """Adam that ignores the learning rate of its group."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            group["lr"] = 0.01
        return super().step(closure)


STEPS: tuple[Step, ...] = (
    epsilon_twice, epsilon_under_root, mean_uncorrected, square_uncorrected, count_from_two,
    clipped_by_value, clipped_by_norm, signed_momentum, warming_up, cooling_down, looking_ahead,
    belief, yogi, magnitudes, cube_root, soft, centralized, cautious, two_momenta, late,
    decays_of_its_own, switches, biases_alone, quasi_hyperbolic, strays_late,
)  # fmt: skip
WRONG = {f"wrong_{step.__name__}": custom(step) for step in STEPS}
right, right_signs, right_squares = custom(adam), custom(signs), custom(squares_alone)
stubborn = Stubborn
globals().update(WRONG)
