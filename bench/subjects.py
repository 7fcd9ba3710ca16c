"""What is timed: the calls of every rule, and the bytes that their steps move. Needs no pytest."""

from collections.abc import Iterator

import numpy as np

from samestep.bench import sizes
from samestep.parity.measure import cases
from samestep.reference import Rule, dialects

AXPY_BYTES = 12  # a float32 parameter's part of y <- y + x / 2: two read, one written
# The steps of these rules are shares of the weights, which would outgrow float32 at usual rates.
RELATIVE = ("LAMB", "Adafactor")
RATE = 1e-6  # at which they do not


def calls() -> Iterator[str]:
    """The plain calls of every rule, at rates with which weights stay finite for any step count."""
    for rule, plain_calls in {**cases.PLAIN, **cases.MATRIX}.items():
        for call in plain_calls:
            dialect, name, arguments = dialects.parse(call)
            if rule in RELATIVE:
                given_rates = arguments.keys() & {"lr", "learning_rate"}
                arguments = arguments | dict.fromkeys(given_rates, RATE)
            yield f"{dialect}:{dialects.Call(name, arguments)}"


def bytes_moved(rule: Rule, size: str) -> float:
    """Bytes that a step must move for each parameter.

    The parameter and its state are read and written, the gradient is read.
    """
    states = [rule.start(weight, np) for weight in sizes.weights(size)]
    state = sum(sum(array.nbytes for array in each.values()) for each in states)
    return 3 * 4 + 2 * state / sizes.parameters(size)
