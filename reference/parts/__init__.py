"""The parts around a rule, each written once.

No part depends on a rule, and no rule on a part. A schedule gives the learning rate of a step, and
a plateau lowers it. Clipping, accumulation and loss scaling give the step's gradient, and an
average reads the parameters after it.

>>> from samestep.reference.parts import Cosine, WarmUp
>>> schedule = WarmUp(steps=4, then=Cosine(lr=0.1, steps=100))
>>> [schedule.rate(step) for step in (1, 3, 5, 105)]
[0.0, 0.05, 0.1, 0.0]
"""

from .accumulation import Accumulating, Accumulation, Total
from .average import Average, Averaging, EqualAverage, MovingAverage, Start
from .clipping import ClipGlobalNorm, ClipNorm, Clipping, ClipValue, Infinite, global_norm
from .combined import Product, Stages
from .cycles import CosineRestarts, Cyclic, OneCycle, Shape
from .loss_scale import LossScale, LossScaleState, LossScaling, Skip
from .part import Part, restore, saved_part
from .plateau import Mode, Plateau, PlateauState, PlateauWatch, ThresholdMode
from .schedules import (
    After,
    Constant,
    Cosine,
    Exponential,
    InverseTime,
    Piecewise,
    Polynomial,
    Schedule,
    Switch,
    WarmUp,
)

SCHEDULES: tuple[type[Schedule], ...] = (
    Constant,
    Piecewise,
    Exponential,
    Polynomial,
    Cosine,
    InverseTime,
    CosineRestarts,
    Cyclic,
    OneCycle,
    WarmUp,
    Stages,
    Product,
)
CLIPPINGS: tuple[type[Clipping], ...] = (ClipValue, ClipNorm, ClipGlobalNorm)

__all__ = [
    "CLIPPINGS", "SCHEDULES", "Accumulating", "Accumulation", "After", "Average", "Averaging",
    "ClipGlobalNorm", "ClipNorm", "ClipValue", "Clipping", "Constant", "Cosine", "CosineRestarts",
    "Cyclic", "EqualAverage", "Exponential", "Infinite", "InverseTime", "LossScale",
    "LossScaleState", "LossScaling", "Mode", "MovingAverage", "OneCycle", "Part", "Piecewise",
    "Plateau", "PlateauState", "PlateauWatch", "Polynomial", "Product", "Schedule", "Shape", "Skip",
    "Stages", "Start", "Switch", "ThresholdMode", "Total", "WarmUp", "global_norm", "restore",
    "saved_part",
]  # fmt: skip
