"""Corners: facts about single functions that no trajectory shows, with values worked out by hand.

Thresholds, refusals, state that no step shows, sums of no or many elements, orders of operations.
A corner is a function of a ``Reference``, so that the same facts are asked of the right modules
(rung 1) and of modules with a mistake planted in them (rung 4).
"""

import dataclasses
import functools
import importlib
import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from samestep.frameworks.numpy import namespace
from samestep.parity.measure import bounded, cases, limits, streams
from samestep.reference import Adam, Rule, dialects

from . import facts
from .digits import mpfr, sqrt


class Reference:
    """The modules of ``samestep.reference``, loaded by ``load(name)``: the right ones, or ones with
    a mistake.
    """

    def __init__(self, load: Callable[[str], ModuleType]) -> None:
        self.module = load

    def rule(self, name: str) -> Any:
        """The rule class of that name; which fields it has depends on the name."""
        return getattr(self.module(name.lower()), name)


RIGHT = Reference(lambda name: importlib.import_module(f"samestep.reference.{name}"))


class Fact(NamedTuple):
    """What is asked, the value that it must have, and the value that it has."""

    question: str
    expected: Any
    actual: Any

    @property
    def holds(self) -> bool:
        """True if the actual value is the expected one."""
        return bool(self.expected == self.actual)

    def __str__(self) -> str:
        return f"{self.question}: expected {self.expected!r}, got {self.actual!r}"


Corner = Callable[[Reference], Iterator[Fact]]


def refusal(function: Callable[[], Any]) -> str:
    """The message of the ValueError that the function raises; empty if it raises none."""
    try:
        function()
    except ValueError as error:
        return str(error)
    return ""


@functools.cache
def rules_of_calls(name: str) -> list[Rule]:
    """The rules of that name which the calls of ``measure.cases`` mean."""
    read = [dialects.read(call) for call in cases.CALLS]
    return [rule for rule in read if type(rule).__name__ == name]


# Every rule


def hyperparameters(reference: Reference, name: str) -> Iterator[Fact]:
    """The defaults of a rule, the intervals of its numbers, and which field needs which."""
    kind = reference.rule(name)
    yield Fact(f"defaults of {name}", facts.default_values(name), kind().to_dict())
    for field in dataclasses.fields(kind):
        label = f"{name}.{field.name}"
        needs = tuple(field.metadata.get("matters_with", ()))
        yield Fact(f"what {label} needs", facts.needs_of(name, field.name), needs)
        if "interval" in field.metadata:
            yield Fact(
                f"interval of {label}",
                facts.interval_of(name, field.name),
                field.metadata["interval"],
            )
            yield from _ends(kind, name, field.name)


def _ends(kind: Any, name: str, field_name: str) -> Iterator[Fact]:
    """A closed end of an interval is accepted; an open end, numbers beyond and not-a-number are
    refused.
    """
    interval = facts.interval_of(name, field_name)
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    accepted = {low} if interval[0] == "[" else set()
    accepted |= {high} if interval[-1] == "]" else set()
    if f"{name}.{field_name}" in facts.WHOLE_NUMBERS:
        outside = {low - 1, high + 1}
    else:
        outside = {math.nextafter(low, -math.inf), math.nextafter(high, math.inf)}
    for value in (*accepted, *({low, high, math.nan} | outside) - accepted):
        message = refusal(functools.partial(kind, **{field_name: value}))
        expected = (
            "" if value in accepted else f"{field_name} must lie in {interval}, got {value!r}"
        )
        yield Fact(f"{name}({field_name}={value!r})", expected, message)


def states(reference: Reference, name: str) -> Iterator[Fact]:
    """The state begins as it should; every step gives the same entries in the same shapes, and each
    entry changes.
    """
    kind = reference.rule(name)
    for rule in rules_of_calls(name):
        start = streams.suit(rule, streams.start(8))
        gradients = streams.suit(rule, streams.gradients("spread", 8, np.logspace(-10, 1, 8)))
        suspect = kind(**rule.to_dict())
        begin = suspect.start(start, namespace)
        for entry, array in begin.items():
            value = facts.first_state(rule, entry)
            yield Fact(
                f"{entry} of {rule!r} at first", np.full_like(array, value).tolist(), array.tolist()
            )
        later = [
            state
            for _, state in reference.module("rule").follow(suspect, start, gradients, namespace)
        ]
        shapes = {entry: array.shape for entry, array in begin.items()}
        for state in later:
            shapes_now = {entry: array.shape for entry, array in state.items()}
            yield Fact(f"shapes of the state of {rule!r}", shapes, shapes_now)
        for entry, array in begin.items():
            changes = any(not np.array_equal(state[entry], array) for state in later)
            yield Fact(f"{entry} of {rule!r} changes", True, changes)


# What all rules stand on: rule.py


def base_class_refuses(reference: Reference) -> Iterator[Fact]:
    """A rule must bring its own start, coefficients and update."""
    rule = reference.module("rule").Rule()
    parts: dict[str, Callable[[], Any]] = {
        "start": lambda: rule.start(0.0, np),
        "coefficients": lambda: rule.coefficients(1, 0.1),
        "update": lambda: rule.update(0.0, 0.0, {}, None, np),
    }
    for name, function in parts.items():
        try:
            outcome = repr(function())
        except NotImplementedError:
            outcome = "NotImplementedError"
        yield Fact(f"Rule.{name}", "NotImplementedError", outcome)


def flags_are_off(reference: Reference) -> Iterator[Fact]:
    """A flag is off unless it is declared to be on."""
    flag = reference.module("rule").flag
    yield Fact("flag().default", False, flag().default)
    yield Fact("flag(True).default", True, flag(True).default)


def values_are_checked(reference: Reference) -> Iterator[Fact]:
    """Numbers may come as 0-d arrays; other types, words that are no choice and fractions of a
    count are refused.
    """
    adam, muon = reference.rule("Adam"), reference.rule("Muon")
    yield Fact("lr as a 0-d array", 0.5, adam(lr=np.array(0.5)).lr)
    yield Fact("type of lr", float, type(adam(lr=1).lr))
    yield Fact("ns_steps=3.0", "3", repr(muon(ns_steps=3.0).ns_steps))
    choices = "Epsilon.OUTSIDE or Epsilon.HAT"
    real = "lr must be a real number in [0, inf)"
    refusals: dict[str, tuple[dict[str, Any], str]] = {  # arguments of Adam, and the message
        "lr=True": ({"lr": True}, f"{real}, got True"),
        "lr='0.1'": ({"lr": "0.1"}, f"{real}, got '0.1'"),
        "lr=1j": ({"lr": 1j}, f"{real}, got 1j"),
        "lr=[0.1]": ({"lr": np.array([0.1])}, f"{real}, got array([0.1])"),
        "epsilon_at='NEAR'": ({"epsilon_at": "NEAR"}, f"epsilon_at must be {choices}, got 'NEAR'"),
    }
    for text, (arguments, message) in refusals.items():
        yield Fact(f"Adam({text})", message, refusal(functools.partial(adam, **arguments)))
    fraction = refusal(lambda: muon(ns_steps=2.5))
    yield Fact(
        "Muon(ns_steps=2.5)", "ns_steps must be a whole number in [0, 100), got 2.5", fraction
    )
    yield Fact("epsilon_at='HAT'", "Epsilon.HAT", repr(adam(epsilon_at="HAT").epsilon_at))


def labels_name_what_matters(reference: Reference) -> Iterator[Fact]:
    """A label shows lr and each field that is active and not at its default."""
    sgd, adam = reference.rule("SGD"), reference.rule("Adam")
    labels = {
        "SGD(lr=0.01)": sgd(),
        "SGD(lr=0.5, momentum=0.25, dampening=0.5)": sgd(lr=0.5, momentum=0.25, dampening=0.5),
        "SGD(lr=0.25, weight_decay=0.5)": sgd(lr=0.25, dampening=0.5, weight_decay=0.5),
        "Adam(lr=0.001, epsilon=0.0, amsgrad=True)": adam(
            epsilon=0.0, epsilon_at="HAT", amsgrad=True
        ),
    }
    for expected, rule in labels.items():
        yield Fact("label", expected, repr(rule))
    for momentum, weight_decay in ((0.0, 0.5), (0.5, 0.0), (0.5, 0.5)):
        rule = sgd(momentum=momentum, weight_decay=weight_decay)
        yield Fact(
            f"decay of {rule!r} is active", bool(momentum and weight_decay), rule.is_active("decay")
        )
        yield Fact(f"dampening of {rule!r} is active", bool(momentum), rule.is_active("dampening"))


def follow_counts_steps_from_one(reference: Reference) -> Iterator[Fact]:
    """b = 1, then 1/2 + 1/2: dampening spares the first step alone, and each step starts where the
    last one ended.
    """
    rule = reference.rule("SGD")(lr=1.0, momentum=0.5, dampening=0.5)
    followed = reference.module("rule").follow(rule, np.zeros(1), [np.ones(1)] * 2, namespace)
    thetas = [theta.tolist() for theta, _ in followed]
    yield Fact("theta after two steps", [[-1.0], [-2.0]], thetas)


# What all rules stand on: scalars.py


def powers_are_exact(reference: Reference) -> Iterator[Fact]:
    """Powers of 2 and 1/2 are exact; there are as many squares as a step number has bits."""
    scalars = reference.module("scalars")
    for exponent in (*range(1, 300), 1023):
        yield Fact(f"2**{exponent}", 2.0**exponent, scalars.integer_power(2.0, exponent))
    yield Fact("0.5**0", 1.0, scalars.integer_power(0.5, 0))
    yield Fact("number of squares", 32, len(scalars.squares(0.5)))
    yield Fact("part / whole", 0.375, scalars.ratio(3, 8))
    yield Fact(
        "choices", [1.0, 2.0], [scalars.where(True, 1.0, 2.0), scalars.where(False, 1.0, 2.0)]
    )


def late_powers_are_near_the_truth(reference: Reference) -> Iterator[Fact]:
    """Powers of 0.999 are as near to 50 digits as rounding allows, at every width of exponents."""
    power = reference.module("scalars").integer_power
    for exponent in (255, 256, 2000, 2**16 - 1, 2**16, 10**5):
        limit = limits.SAFETY * float(
            bounded.namespace("float64").integer_power(0.999, exponent).error
        )
        gap = abs(power(0.999, exponent) - mpfr(0.999) ** exponent)
        yield Fact(f"0.999**{exponent} is within rounding of the truth", True, bool(gap <= limit))


def powers_of_quarters_are_square_roots(reference: Reference) -> Iterator[Fact]:
    """Square roots are exactly specified; of nine quarters and of other exponents the power is the
    platform's.
    """
    scalars = reference.module("scalars")
    for base in np.linspace(0.01, 3, 33).tolist():
        root, quarter = math.sqrt(base), math.sqrt(math.sqrt(base))
        roots = [
            1.0,
            quarter,
            root,
            root * quarter,
            base,
            base * quarter,
            base * root,
            base * root * quarter,
        ]
        powers = [scalars.power(base, count / 4) for count in range(9)]
        yield Fact(f"{base} to the power of 0, 1/4, ... 2", [*roots, base * base], powers)
    others = [scalars.quarters(2.0, exponent, math.sqrt) for exponent in (2.25, -0.25, 0.3)]
    yield Fact("powers that are no few quarters", [None] * 3, others)
    yield Fact("2**0.3", 2.0**0.3, scalars.power(2.0, 0.3))


def powers_keep_their_arithmetic(reference: Reference) -> Iterator[Fact]:
    """Only powers of Python floats are cached, so an equal number of another type is computed in
    its own arithmetic.
    """
    scalars = reference.module("scalars")
    for number in (0.5, mpfr(0.5), np.float64(0.5), 0.5):
        cube = scalars.integer_power(number, 3)
        yield Fact(f"{number!r}**3", (type(number), 0.125), (type(cube), float(cube)))


# What all rules stand on: sums.py and matrices.py


def sums_take_each_element_once(reference: Reference) -> Iterator[Fact]:
    """Of whole numbers every sum is exact, whatever the size, the shape and the axis."""
    sums = reference.module("sums")
    for size in (1, 2, 3, 5, 97, 1023, 4097, 2**16 + 1):
        numbers = np.arange(1.0, size + 1)
        yield Fact(
            f"sum of 1 ... {size}", [size * (size + 1) / 2], sums.total(numbers, namespace).tolist()
        )
        yield Fact(
            f"mean of 1 ... {size}", [(size + 1) / 2], sums.mean(numbers, np).round(6).tolist()
        )
        squares = size * (size + 1) * (2 * size + 1) / 6
        yield Fact(
            f"squares of 1 ... {size}", squares, sums.total_square(numbers, namespace).item()
        )
    for shape in ((1, 1), (3, 1), (97, 1), (8, 5), (3, 1, 7), (2, 3, 5)):
        drawn = np.random.Philox(key=3).random_raw(math.prod(shape)) // 2**32
        array = drawn.astype(np.float64).reshape(shape)
        for axis in (-1, -2):
            expected = array.sum(axis=axis, keepdims=True).tolist()
            total = sums.total(array, np, axis).tolist()
            yield Fact(f"sum of {shape} along {axis}", expected, total)
    powers_of_two = np.arange(1.0, 17.0).reshape(2, 8)
    yield Fact("means of rows", [[4.5], [12.5]], sums.mean(powers_of_two, np).tolist())
    columns = powers_of_two.sum(axis=0, keepdims=True) / 2
    yield Fact("means of columns", columns.tolist(), sums.mean(powers_of_two, np, -2).tolist())


def sums_of_nothing_are_zero(reference: Reference) -> Iterator[Fact]:
    """They have the shape of other sums."""
    sums = reference.module("sums")
    for shape, axis, expected in (((0,), -1, (1,)), ((0, 3), -2, (1, 3)), ((2, 0), -1, (2, 1))):
        total = sums.total(np.ones(shape), np, axis)
        yield Fact(f"sum of {shape} along {axis}", np.zeros(expected).tolist(), total.tolist())
        yield Fact(
            f"mean of {shape} along {axis}", expected, sums.mean(np.ones(shape), np, axis).shape
        )


def sums_are_left_to_a_namespace_that_has_one(reference: Reference) -> Iterator[Fact]:
    """Error analysis, which allows for any order, brings its own."""
    xp = SimpleNamespace(
        total=lambda x, axis: (x, axis), orthogonalized=lambda *arguments: arguments
    )
    yield Fact("total of a namespace", ("x", -2), reference.module("sums").total("x", xp, -2))
    orthogonalized = reference.module("matrices").orthogonalized
    yield Fact(
        "orthogonalized of a namespace",
        ("x", (1, 2, 3), 4),
        orthogonalized("x", (1, 2, 3), 4, xp),
    )


def norms_of_transposes_have_equal_bits(reference: Reference) -> Iterator[Fact]:
    """Frameworks keep the kernel of one layer as each other's transpose."""
    norm = reference.module("sums").norm
    for shape in ((7, 5), (33, 17), (1, 9), (4, 3, 2)):
        drawn = streams.gradients("spread", 1, np.logspace(-3, 3, math.prod(shape)))
        x = drawn.astype(np.float32).reshape(shape)
        yield Fact(
            f"norm of {shape}", norm(x, np), norm(np.ascontiguousarray(np.swapaxes(x, -1, -2)), np)
        )


def shapes_are_flattened_whole(reference: Reference) -> Iterator[Fact]:
    """Other libraries than NumPy take no length of -2 for the one that is to be found."""
    shapes = []

    def reshape(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        shapes.append(shape)
        return x.reshape(-1)

    xp = SimpleNamespace(square=np.square, concat=np.concatenate, reshape=reshape)
    total = reference.module("sums").total_square(np.full((2, 2), 2.0), xp)
    yield Fact("sum of four squares", (16.0, [(-1,)]), (total, shapes))


def the_smaller_of_both_products_is_taken(reference: Reference) -> Iterator[Fact]:
    """A tall matrix is turned first: its columns are multiplied with each other, not its rows."""
    sizes: list[tuple[int, ...]] = []

    def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        sizes.append((a @ b).shape)
        return a @ b

    xp = SimpleNamespace(matmul=matmul, transpose=np.transpose)
    for shape in ((5, 2), (2, 5), (2, 2)):
        result = reference.module("matrices").orthogonalized(
            np.ones(shape), (2.0, -1.5, 0.5), 1, xp
        )
        yield Fact(f"shape of {shape} made orthogonal", shape, result.shape)
    yield Fact("sizes of products", [(2, 2), (2, 2), (2, 5)] * 2 + [(2, 2)] * 3, sizes)


# Single rules


def sgd_refuses_nesterov_with_dampening(reference: Reference) -> Iterator[Fact]:
    """Without momentum there is no nesterov, and with dampening it has no meaning."""
    kind = reference.rule("SGD")
    yield Fact("nesterov without momentum", False, kind(nesterov=True).to_dict()["nesterov"])
    yield Fact(
        "nesterov with momentum", True, kind(nesterov=True, momentum=0.5).to_dict()["nesterov"]
    )
    message = refusal(lambda: kind(momentum=0.5, nesterov=True, dampening=0.25))
    yield Fact("refusal", "nesterov must come with dampening 0, got dampening=0.25", message)


def sgd_without_momentum_has_two_kinds_of_decay(reference: Reference) -> Iterator[Fact]:
    """COUPLED and DECOUPLED take one step, AFTER takes another."""
    kind = reference.rule("SGD")
    for decay, weight_decay, expected in (
        ("COUPLED", 0.5, False),
        ("DECOUPLED", 0.5, False),
        ("AFTER", 0.5, True),
        ("AFTER", 0.0, False),
    ):
        rule = kind(weight_decay=weight_decay, decay=decay)
        yield Fact(f"decay of {decay} is active", expected, rule.is_active("decay"))
    yield Fact("momentum is active", True, kind(decay="AFTER").is_active("momentum"))


def average_of_asgd_is_the_mean_of_its_places(reference: Reference) -> Iterator[Fact]:
    """From step t0 + 2 on, and until then theta itself; in whole numbers of eighths, which nothing
    rounds.
    """
    rule = reference.rule("ASGD")(lr=0.125, lambd=0.0, t0=2.0)
    theta = np.array([4.0, -2.0, 2.0**-60])  # the last is lost beside one
    state = rule.start(theta, np)
    thetas, averages = [], []
    for t in range(1, 9):
        c = rule.coefficients(t, rule.lr)
        theta, state = rule.update(theta, np.array([1.0, 1.0, 0.0]), state, c, np)
        thetas.append(theta)
        averages.append(state["a"].tolist())
    for t in (1, 2, 3, 4):
        yield Fact(f"average after step {t}", thetas[t - 1].tolist(), averages[t - 1])
    for t in (4, 5, 7):  # of 1, 2, 4 places: the mean of 2^k of them is exact
        yield Fact(
            f"average after step {t}", np.mean(thetas[3:t], axis=0).tolist(), averages[t - 1]
        )
    yield Fact("average for evaluation", state["a"].tolist(), rule.average(theta, state).tolist())


def rules_without_an_average_evaluate_theta(reference: Reference) -> Iterator[Fact]:
    """The base class gives the parameters themselves."""
    base = reference.module("rule").Rule()
    yield Fact("average", [1.0, 2.0], base.average(np.array([1.0, 2.0]), {}).tolist())


def average_of_schedule_free_is_the_mean_of_its_fast_points(
    reference: Reference,
) -> Iterator[Fact]:
    """z goes down by 1 a step; its mean falls by a half. In halves and quarters, unrounded."""
    rule = reference.rule("ScheduleFree")(lr=1.0, beta1=0.5, beta2=0.0, epsilon=0.0)
    theta = np.array([8.0, -4.0])
    state = rule.start(theta, np)
    for t, average in ((1, [7.0, -5.0]), (2, [6.5, -5.5])):
        theta, state = rule.update(theta, np.ones(2), state, rule.coefficients(t, rule.lr), np)
        yield Fact(f"average after step {t}", average, rule.average(theta, state).tolist())


def ftrl_cannot_stand_still(reference: Reference) -> Iterator[Fact]:
    """FTRL divides by the rate, so a schedule must not end at zero."""
    message = refusal(lambda: reference.rule("FTRL")().coefficients(5, 0.0))
    yield Fact("refusal", "lr must lie in (0, inf) at every step of FTRL, got 0.0", message)


def ftrl_takes_square_roots(reference: Reference) -> Iterator[Fact]:
    """A power of 1/2 is a square root, which is exactly specified, for both accumulators."""
    rooted = []

    def square_root(x: np.ndarray) -> np.ndarray:
        rooted.append(x.tolist())
        return np.sqrt(x)

    xp = SimpleNamespace(
        **{name: getattr(np, name) for name in ("abs", "sign", "square", "maximum", "zeros_like")}
    )
    xp.sqrt = square_root
    rule = reference.rule("FTRL")(initial_accumulator=4.0)
    theta, state = np.zeros(1), rule.start(np.zeros(1), xp)
    rule.update(theta, np.ones(1), state, rule.coefficients(1, 0.5), xp)
    yield Fact("arguments of square roots", [[4.0], [5.0]], rooted)


def centred_mean_has_the_gradients_sign(reference: Reference) -> Iterator[Fact]:
    """Its square, which is all that a step shows, would be that of the opposite mean, too."""
    rule = reference.rule("RMSprop")(rho=0.5, centered=True)
    gradients, theta = (4.0, -8.0, 16.0), np.ones(1)
    state = rule.start(theta, np)
    for t, gradient in enumerate(gradients, start=1):
        theta, state = rule.update(
            theta, np.full(1, gradient), state, rule.coefficients(t, rule.lr), np
        )
    shares = (Fraction(1, 8), Fraction(1, 4), Fraction(1, 2))
    mean = sum(share * int(gradient) for share, gradient in zip(shares, gradients, strict=True))
    yield Fact("mean of 4, -8, 16", [float(mean)], state["m"].tolist())


def root_of_a_negative_variance_is_not_a_number(reference: Reference) -> Iterator[Fact]:
    """As in the natives, nothing hides that rounding has made a variance negative."""
    rule = reference.rule("RMSprop")(centered=True, rho=0.5)
    state = {"v": np.zeros(1), "m": np.ones(1)}
    with np.errstate(invalid="ignore"):
        theta, _ = rule.update(np.ones(1), np.full(1, 1e-9), state, rule.coefficients(2, 0.1), np)
    yield Fact("theta is not a number", [True], np.isnan(theta).tolist())


def adam_corrects_late_steps(reference: Reference) -> Iterator[Fact]:
    """At late steps the bias corrections are as near to 50 digits as rounding allows."""
    for t in (1, 100, 2000, 10**6):
        first, second = (1 - mpfr(beta) ** t for beta in (0.9, 0.999))
        truth = {"step": mpfr(0.1) / first, "stretch": 1 / sqrt(second)}
        doubles = reference.rule("Adam")(lr=0.1).coefficients(t, 0.1)
        analysed = Adam(lr=0.1).coefficients(t, bounded.Bounded(0.1), bounded.namespace("float64"))
        for name, expected in truth.items():
            gap, limit = (
                abs(getattr(doubles, name) - expected),
                limits.SAFETY * float(getattr(analysed, name).error),
            )
            yield Fact(
                f"{name} at step {t} is within rounding of the truth", True, bool(gap <= limit)
            )


def adams_epsilon_has_one_place_without_bias_correction(reference: Reference) -> Iterator[Fact]:
    """There is no factor between sqrt(v) and its corrected value."""
    kind = reference.rule("Adam")
    for epsilon, corrects, expected in ((0.5, True, True), (0.5, False, False), (0.0, True, False)):
        rule = kind(epsilon=epsilon, epsilon_at="HAT", bias_correction=corrects)
        yield Fact(f"epsilon_at of {rule!r} is active", expected, rule.is_active("epsilon_at"))
    yield Fact("label", "Adam(lr=0.001, bias_correction=False)", repr(kind(bias_correction=False)))


def length_of_five_is_not_enough_for_radam(reference: Reference) -> Iterator[Fact]:
    """Of 0.75 with 0.75^t taken for a half at t = 1, which makes it five exactly: 2 / 0.25 - 1 - 2
    (1/2) / (1/2).
    """
    xp = SimpleNamespace(
        integer_power=lambda base, t: 0.5,
        sqrt=np.sqrt,
        where=lambda condition, yes, no: yes if condition else no,
    )
    kind = reference.rule("RAdam")
    stretches = [
        kind(beta2=beta2).coefficients(1, 0.5, xp).stretch > 0 for beta2 in (0.75, 0.78125)
    ]
    yield Fact("whether lengths of 5 and more than 5 adapt the rate", [False, True], stretches)


def warm_up_ends_at_the_rate_itself(reference: Reference) -> Iterator[Fact]:
    """49 times the inverse of 49 is not one."""
    rule = reference.rule("ScheduleFree")(warmup=49.0)
    yield Fact("rate at step 49", 0.1, rule.coefficients(49, 0.1).lr)
    yield Fact("rate at step 48 is lower", True, rule.coefficients(48, 0.1).lr < 0.1)


def length_of_zero_is_no_ratio(reference: Reference) -> Iterator[Fact]:
    """LAMB's step is then Adam's: 1/2 * 3 / (3 + 1) in each of two elements."""
    rule = reference.rule("LAMB")(lr=0.5, beta1=0.5, beta2=0.0, epsilon=1.0)
    for theta, gradient, distance in ((0.0, 3.0, 0.375), (1.0, 0.0, 0.0), (0.0, 0.0, 0.0)):
        start = np.full(2, theta)
        state = rule.start(start, np)
        moved, _ = rule.update(start, np.full(2, gradient), state, rule.coefficients(1, 0.5), np)
        yield Fact(f"theta {theta}, gradient {gradient}", [theta - distance] * 2, moved.tolist())


def adafactor_takes_a_share_of_one_element(reference: Reference) -> Iterator[Fact]:
    """Its size and its direction have length 1, so it moves by half; no elements do not move."""
    rule = reference.rule("Adafactor")(lr=0.5, relative_step=False)
    starts: tuple[np.ndarray, ...] = (np.ones(1), np.ones(()))
    for start in starts:
        state = rule.start(start, np)
        yield Fact(
            f"state before a step, shape {start.shape}",
            {"v": (start * 0.0).tolist()},
            _lists(state),
        )
        moved, _ = rule.update(start, start * 4.0, state, rule.coefficients(1, 0.5), namespace)
        yield Fact(
            f"theta after a step, shape {start.shape}", (start * 0.5).tolist(), moved.tolist()
        )
    nothing: np.ndarray = np.ones((0,))
    moved, _ = rule.update(
        nothing, nothing, rule.start(nothing, np), rule.coefficients(1, 0.5), namespace
    )
    yield Fact("theta of no elements", (0,), moved.shape)


def _lists(state: dict[str, Any]) -> dict[str, Any]:
    return {entry: array.tolist() for entry, array in state.items()}


def only_decoupled_decay_changes_what_adafactor_measures(reference: Reference) -> Iterator[Fact]:
    """Before and after are one time, unless theta shrinks in between."""
    kind = reference.rule("Adafactor")
    for decay, expected in (("DECOUPLED", True), ("COUPLED", False), ("AFTER", False)):
        rule = kind(weight_decay=0.5, decay=decay)
        yield Fact(f"size_measured_at with {decay}", expected, rule.is_active("size_measured_at"))
        yield Fact(f"clip with {decay} is active", True, rule.is_active("clip"))


def floor_lies_under_the_mean_of_the_factors(reference: Reference) -> Iterator[Fact]:
    """1/256 < 1/64, so V = (1/256)^2 64 = (1/32)^2, U = 2: twice a step of half of theta's size."""
    kind = reference.rule("Adafactor")
    rule = kind(lr=0.5, epsilon1=1 / 64, epsilon1_at="FLOOR", clip=4.0)
    start, gradient = np.ones((2, 2)), np.full((2, 2), 1 / 16)
    state = rule.start(start, np)
    moved, _ = rule.update(start, gradient, state, rule.coefficients(1, 0.5), namespace)
    yield Fact("theta after a step", np.zeros((2, 2)).tolist(), moved.round(12).tolist())


def muons_adam_has_a_share_of_its_rate(reference: Reference) -> Iterator[Fact]:
    """It is a rule that can be used by itself; without it Muon refuses what is no matrix."""
    kind = reference.rule("Muon")
    yield Fact("lr of Muon's Adam", 0.125, kind(lr=0.5, adam_lr_scale=0.25).fallback.lr)
    message = refusal(lambda: kind(adam=False).start(np.zeros((2, 2, 2)), np))
    expected = "Muon moves matrices, got shape (2, 2, 2); set adam, or use another rule"
    yield Fact("refusal of three dimensions", expected, message)


def muons_adam_has_a_decay_of_its_own(reference: Reference) -> Iterator[Fact]:
    """The kind of decay has an effect where either weight decay is above 0."""
    kind = reference.rule("Muon")
    for weight_decay, of_adam, adam, expected in (
        (0.0, 0.0, True, False),
        (0.5, 0.0, False, True),
        (0.0, 0.5, True, True),
        (0.0, 0.5, False, False),
    ):
        rule = kind(weight_decay=weight_decay, adam_weight_decay=of_adam, adam=adam)
        yield Fact(f"decay of {rule!r} is active", expected, rule.is_active("decay"))
    yield Fact(
        "epsilon_at", False, kind(epsilon=0.0, adam_weight_decay=0.5).is_active("epsilon_at")
    )


CORNERS: dict[str, tuple[Corner, ...]] = {  # by module, or by rule
    "rule": (
        base_class_refuses,
        flags_are_off,
        values_are_checked,
        rules_without_an_average_evaluate_theta,
        labels_name_what_matters,
        follow_counts_steps_from_one,
    ),
    "scalars": (
        powers_are_exact,
        late_powers_are_near_the_truth,
        powers_of_quarters_are_square_roots,
        powers_keep_their_arithmetic,
    ),
    "sums": (
        sums_take_each_element_once,
        sums_of_nothing_are_zero,
        sums_are_left_to_a_namespace_that_has_one,
        norms_of_transposes_have_equal_bits,
        shapes_are_flattened_whole,
    ),
    "matrices": (sums_are_left_to_a_namespace_that_has_one, the_smaller_of_both_products_is_taken),
    "SGD": (
        sgd_refuses_nesterov_with_dampening,
        sgd_without_momentum_has_two_kinds_of_decay,
    ),
    "ASGD": (average_of_asgd_is_the_mean_of_its_places,),
    "FTRL": (ftrl_cannot_stand_still, ftrl_takes_square_roots),
    "RMSprop": (centred_mean_has_the_gradients_sign, root_of_a_negative_variance_is_not_a_number),
    "Adam": (adam_corrects_late_steps, adams_epsilon_has_one_place_without_bias_correction),
    "RAdam": (length_of_five_is_not_enough_for_radam,),
    "ScheduleFree": (
        warm_up_ends_at_the_rate_itself,
        average_of_schedule_free_is_the_mean_of_its_fast_points,
    ),
    "LAMB": (length_of_zero_is_no_ratio,),
    "Adafactor": (
        adafactor_takes_a_share_of_one_element,
        floor_lies_under_the_mean_of_the_factors,
        only_decoupled_decay_changes_what_adafactor_measures,
    ),
    "Muon": (muons_adam_has_a_share_of_its_rate, muons_adam_has_a_decay_of_its_own),
}
CORNERS_OF_EVERY_RULE = (hyperparameters, states)
