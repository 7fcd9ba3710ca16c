"""``samestep identify``: what is known is named with its numbers, what is not is called none."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from parity import mutants
from parity.compare import contestants, in_numpy, worker
from parity.compare.contestants import Contestant
from parity.compare.feed import Feed
from parity.compare.worker import Ran
from parity.conftest import LEFT_OUT
from parity.identify import court
from parity.identify.answer import Identity, identify
from parity.require import require
from reference import ASGD, RULES, SGD, Adagrad, Adam, Epsilon, Lion, Muon, Rprop, Rule, dialects

torch = require("torch")
keras = require("keras")
require("tensorflow")


def here(contestant: Contestant, trials: Sequence[tuple[Feed, str]]) -> list[Ran]:
    """Run a contestant in this process; what it raises is told as its own process would."""
    if contestant.kind == "rule":
        return worker.ran_on(contestant, trials)
    try:
        return [worker.execute(contestant, feed, dtype) for feed, dtype in trials]
    except Exception as error:
        raise ValueError(str(error)) from error


def named(text: str, long: bool = False) -> Identity:
    """What the contestant of that text is."""
    return identify(contestants.read(text), here, long)


def blind(rule: Rule) -> Callable[[Contestant, Sequence[tuple[Feed, str]]], list[Ran]]:
    """Runs every contestant as this rule, which nothing but its steps tells."""

    def run(contestant: Contestant, trials: Sequence[tuple[Feed, str]]) -> list[Ran]:
        return [Ran(in_numpy.run(rule, feed, dtype), "numpy", None) for feed, dtype in trials]

    return run


BOX = Contestant("box", "factory", "")


def assert_is(found: Identity, rule: Rule) -> None:
    """The rule is the one that was found, or one of those that cannot be told from it."""
    assert found.rule, (found.nearest, found.held)
    told = {repr(known) for known in (found.rule, *found.alike)}
    assert repr(rule) in told, told


DAILY = ("pytorch:SGD()", "pytorch:Rprop()", "pytorch:AdamW()", "keras:RMSprop()", "pytorch:Muon()")
NATIVES = [
    f"{name}:{native}()" for name in ("pytorch", "keras") for native in dialects.find(name).NATIVES
    if native not in getattr(dialects.find(name), "READ_ONLY", ())
]  # fmt: skip


@pytest.mark.parametrize("call", NATIVES)
def test_a_native_at_its_defaults_is_named(call: str, full: bool) -> None:
    """Its rule, its numbers, and its call in its own dialect, with equal bits."""
    if not full and call not in DAILY:
        pytest.skip(LEFT_OUT)
    found = named(f"native:{call}", long=full)
    assert_is(found, dialects.read(call))
    assert found.native.partition("(")[0] == f"native:{call}".partition("(")[0]


CHOICES = {  # by interval: numbers as somebody might choose them
    "lr": (0.001, 0.05), "weight_decay": (0.01, 0.2), "epsilon": (1e-9, 1e-3), "initial_accumulator": (0.01, 1.0),
    "initial_mean_square": (0.01, 1.0), "lr_decay": (0.001, 0.1), "momentum_decay": (0.004, 1.0),
    "warmup": (3.0, 20.0), "lambd": (0.01, 0.5), "alpha": (0.5, 1.0), "l1": (0.001, 0.01), "l2": (0.1, 1.0),
    "shrinkage": (0.1, 1.0), "beta": (0.1, 1.0), "clip": (0.5, 1.5), "epsilon1": (1e-7, 1e-4), "epsilon2": (0.001, 0.1),
    "rho": (0.7, 0.99), "momentum": (0.5, 0.95), "dampening": (0.1, 0.9), "beta1": (0.7, 0.95), "beta2": (0.8, 0.999),
    "fall": (0.3, 0.7), "rise": (1.1, 1.5), "smallest": (1e-6, 1e-5), "largest": (1.0, 50.0), "lr_power": (-0.7, -0.3),
    "beta2_decay": (-0.9, -0.5),
}  # fmt: skip


def drawn(kind: type[Rule], seed: int) -> Rule:
    """A rule with numbers of three digits, each at random its default or drawn, and flags at random."""
    words = iter(np.random.Philox(key=seed).random_raw(100) >> np.uint64(11))
    told: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        odd, share = int(next(words)) & 1, float(next(words)) * 2.0**-53
        choices = field.metadata.get("choices", ())
        if choices and odd and (kind, field.name) != (Lion, "decay"):  # no native couples it
            told[field.name] = choices[int(share * len(choices))]
        elif (kind, field.name) == (Rprop, "weight_decay"):
            continue  # no native has it, and identify does not look for it
        elif field.name in CHOICES and (odd or field.name == "lr"):
            low, high = CHOICES[field.name]
            told[field.name] = float(f"{low + share * (high - low):.3g}")
    try:
        return kind(**told)
    except ValueError:  # nesterov without momentum, or with dampening
        return kind(**{**told, "nesterov": False})


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", [kind for kind in RULES if kind is not Muon], ids=lambda kind: kind.__name__)
def test_numbers_drawn_at_random_are_found(kind: type[Rule], seed: int, full: bool) -> None:
    """Of every rule, from its steps alone."""
    if not full and (seed or kind not in RULES[::2]):
        pytest.skip(LEFT_OUT)
    rule = drawn(kind, 100 * RULES.index(kind) + seed)
    found = identify(BOX, blind(rule), long=False, kinds=(kind,))
    assert_is(found, rule)


RANDOM = [call for call in NATIVES if "Muon" not in call]  # torch's rounds to bfloat16 inside: too coarse a view
RANDOM_DAILY = ("pytorch:Adam()", "keras:SGD()")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("call", RANDOM)
def test_a_native_with_numbers_drawn_at_random_is_named(call: str, seed: int, full: bool) -> None:
    """What its arguments can say, the rest as the framework has it."""
    if not full and (seed or call not in RANDOM_DAILY):
        pytest.skip(LEFT_OUT)
    dialect, name, _ = dialects.parse(call)
    native = dialects.find(dialect).NATIVES[name]
    told = drawn(native.rule, 1000 * RANDOM.index(call) + seed)
    spoken = {field: getattr(told, field) for field in native.arguments.values()}
    if spoken.get("nesterov") and (not spoken["momentum"] or spoken.get("dampening")):
        spoken["nesterov"] = False
    rule = native.rule(**{**native.fixed, **spoken})
    said = dialects.find(dialect).spell(rule)
    found = named(f"native:{dialect}:{dataclasses.replace(said, condition='', each_step='')}")
    assert_is(found, rule)


def custom(step: Callable[..., Any], **defaults: float) -> Callable[[list[Any]], Any]:
    """A torch optimizer with ``step(p, g, s, t, h)``: parameter, gradient, state, count, and what ``h`` names."""

    class Custom(torch.optim.Optimizer):
        @torch.no_grad()
        def step(self, closure: Any = None) -> None:
            for group in self.param_groups:
                for p in group["params"]:
                    if not self.state[p]:
                        self.state[p].update(m=torch.zeros_like(p), v=torch.zeros_like(p), t=0)
                    self.state[p]["t"] += 1
                    p -= group["lr"] * step(p, p.grad, self.state[p], self.state[p]["t"])

    return lambda parameters: Custom(parameters, {"lr": 0.01, **defaults})


def means(g: Any, s: Any, beta1: float = 0.9, beta2: float = 0.999) -> tuple[Any, Any]:
    """Adam's two means, kept."""
    s["m"].mul_(beta1).add_(g, alpha=1 - beta1)
    s["v"].mul_(beta2).add_(g * g, alpha=1 - beta2)
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


def biases_alone(p: Any, g: Any, s: Any, t: int) -> Any:
    return adam(p, g, s, t) if p.ndim == 1 else g


WRONG = {
    step.__name__: custom(step)
    for step in (
        epsilon_twice, epsilon_under_root, mean_uncorrected, square_uncorrected, count_from_two, clipped_by_value,
        clipped_by_norm, signed_momentum, warming_up, cooling_down, looking_ahead, belief, yogi, magnitudes, cube_root,
        soft, centralized, cautious, two_momenta, late, decays_of_its_own, switches, biases_alone,
    )
}  # fmt: skip
RIGHT = custom(adam)
KIN = (SGD, Adagrad, Adam)  # what is thought of by day


globals().update({f"wrong_{name}": make for name, make in WRONG.items()})


def test_a_stranger_that_is_right_is_named() -> None:
    """The same arithmetic as the wrong ones have, in a class that says nothing."""
    found = identify(contestants.read("parity.test_identify:RIGHT"), here, long=False, kinds=KIN)
    assert_is(found, Adam(lr=0.01))
    assert not found.deviations


@pytest.mark.parametrize("name", WRONG)
def test_what_is_custom_is_none(name: str, full: bool) -> None:
    """And the nearest is told, with the place where it leaves; twenty-three of them."""
    if not full and name not in list(WRONG)[::3]:
        pytest.skip(LEFT_OUT)
    found = identify(
        contestants.read(f"parity.test_identify:wrong_{name}"), here, long=full, kinds=RULES if full else KIN
    )
    assert found.rule is None, found
    worst = max(found.held, key=lambda held: held.excess)
    assert not worst.verdict.holds
    assert worst.excess > 1


MUTANTS = [
    (kind, mutant.name) for kind in RULES if kind is not Muon for mutant in mutants.RULES
    if mutant.file == f"reference/{kind.__name__.lower()}.py"
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), MUTANTS, ids=str)
def test_a_mutant_is_none_or_what_it_is_called(kind: type[Rule], name: str, full: bool) -> None:
    """Some are right rules with other numbers; those go their way on fresh gradients as well."""
    if not full and name not in BY_DAY:
        pytest.skip(LEFT_OUT)
    wrong = mutants.wrong_rules(kind.__name__)[name](**drawn(kind, 7).plain())
    found = identify(BOX, blind(wrong), long=False, kinds=(kind,))
    if found.rule:
        fresh = court.long(flat=True)
        trial = court.Trial(fresh, "float64", in_numpy.run(wrong, fresh, "float64"))
        assert court.judge(found.rule, "", [trial]).holds


BY_DAY = ("adam: amsgrad is ignored", "sgd: first step is dampened")


def test_a_long_run_tells_what_a_short_one_cannot(full: bool) -> None:
    """Bias correction that ends after a thousand steps is none of ours, and looks like Adam before."""
    if not full:
        pytest.skip(LEFT_OUT)
    rule = Adam(lr=0.01)
    wrong = mutants.wrong_rules("Adam")["adam: bias correction ends after a thousand steps"](**rule.plain())
    short, long = (identify(BOX, blind(wrong), long=long, kinds=(Adam,)) for long in (False, True))
    assert_is(short, rule)
    assert long.rule is None


def test_what_cannot_be_told_is_told_as_a_set() -> None:
    """Epsilon under Adagrad's root is part of what the sum starts at; ASGD's t0 moves nothing that is seen."""
    found = identify(BOX, blind(Adagrad(lr=0.01, epsilon=0.0, initial_accumulator=0.25)), long=False, kinds=(Adagrad,))
    assert {getattr(rule, "epsilon_at", None) for rule in (found.rule, *found.alike) if rule} == {
        Epsilon.OUTSIDE,
        Epsilon.INSIDE,
    }
    found = identify(BOX, blind(ASGD(lr=0.01, lambd=0.1)), long=False, kinds=(ASGD,))
    assert len({getattr(rule, "t0", None) for rule in (found.rule, *found.alike) if rule}) > 1


def test_what_cannot_run_is_a_mistake() -> None:
    """In one line, not a verdict."""
    with pytest.raises(ValueError, match="must return a torch"):
        named("builtins:len")
