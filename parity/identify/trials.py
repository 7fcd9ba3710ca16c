"""What a proposal is tried on: the designed streams of ``samestep compare`` with matrices beside them, and a long run.

The probes, which proposed it, are tried beside these.
"""

import dataclasses

import numpy as np

from samestep.parity.measure import streams
from samestep.parity.measure import trial as trials
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial

LONG = 1200  # steps: more than a thousand, after which 0.999^t is no longer near 1
SEED = 43
MATRICES: dict[str, tuple[int, ...]] = {"square": (5, 5), "tall": (8, 3)}


@dataclasses.dataclass(frozen=True, eq=False)
class Observation:
    """What the box was given, in which dtype, and where it went. Each is itself alone, so that bounds can be kept."""

    trial: Trial
    dtype: str
    trajectory: Trajectory


def fresh(flat: bool) -> Trial:
    """The designed streams, and matrices of common sizes; without ``flat`` the matrices alone."""
    given = trials.designed(())
    if not flat:
        given = given._replace(start={}, gradients={}, present={})
    for i, (name, shape) in enumerate(MATRICES.items()):
        given.start[name] = streams.normal(shape, SEED + i)
        given.gradients[name] = streams.normal((given.steps, *shape), SEED + 10 + i)
        given.present[name] = np.ones(given.steps, bool)
    return given


def long_run(flat: bool) -> Trial:
    """A small tensor for many steps: gradients of a size that swells and fades, a rate that goes up and down."""
    time = np.arange(LONG)
    shape = (12,) if flat else (4, 3)
    swell = 10 ** np.sin(2 * np.pi * time / 400)
    gradients = streams.normal((LONG, *shape), SEED + 20) * swell.reshape(-1, *[1] * len(shape))
    gradients[500:600].reshape(100, -1)[:, ::2] = 0
    shares = np.array([1.0, 0.5, 2.0, 0.25, 4.0, 1.0])[time * 6 // LONG]
    start = {"long": streams.normal(shape, SEED + 21)}
    return Trial(start, {"long": gradients}, {"long": np.ones(LONG, bool)}, shares)
