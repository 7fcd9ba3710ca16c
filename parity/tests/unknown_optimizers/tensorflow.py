"""Unknown optimizers in Keras: twisted natives, and some written from nothing."""

from collections.abc import Callable
from typing import Any

from samestep.parity.tests.support.frameworks import keras

ops = keras.ops

Twist = Callable[[Any, Any, Any, Any], tuple[Any, Any]]


def twisted(twist: Twist, kind: Any, **arguments: Any) -> Callable[[], Any]:
    """A factory of a native optimizer with a twist.

    ``twist(gradient, parameter, learning rate, step)`` returns the gradient and the rate to use.
    """

    class Twisted(kind):
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            count = ops.cast(self.iterations + 1, variable.dtype)
            rate = ops.cast(learning_rate, variable.dtype)
            new_gradient, new_rate = twist(gradient, variable, rate, count)
            super().update_step(new_gradient, variable, new_rate)

    return lambda: Twisted(0.01, **arguments)


def clipped_by_value(g: Any, p: Any, lr: Any, t: Any) -> tuple[Any, Any]:
    return ops.clip(g, -1.0, 1.0), lr


def warming_up(g: Any, p: Any, lr: Any, t: Any) -> tuple[Any, Any]:
    return g, lr * ops.minimum(t / 10, 1.0)


def cooling_down(g: Any, p: Any, lr: Any, t: Any) -> tuple[Any, Any]:
    return g, lr / ops.sqrt(t)


def centralized(g: Any, p: Any, lr: Any, t: Any) -> tuple[Any, Any]:
    return g - ops.mean(g), lr


def squeezed(g: Any, p: Any, lr: Any, t: Any) -> tuple[Any, Any]:
    return ops.sign(g) * ops.log1p(ops.abs(g)), lr


def pulled_to_signs(g: Any, p: Any, lr: Any, t: Any) -> tuple[Any, Any]:
    return g + 0.01 * ops.sign(p), lr


def rate_by_norm(g: Any, p: Any, lr: Any, t: Any) -> tuple[Any, Any]:
    return g, lr * ops.sqrt(ops.sum(ops.square(p))) / (ops.sqrt(ops.sum(ops.square(g))) + 1e-6)


def strays_late(g: Any, p: Any, lr: Any, t: Any) -> tuple[Any, Any]:
    return g, lr * ops.where(t < 150, 1.0, 1.01)


def matrices_slower(g: Any, p: Any, lr: Any, t: Any) -> tuple[Any, Any]:
    return g, lr * (0.1 if len(p.shape) > 1 else 1.0)


def custom(step: Callable[[Any, Any, Any, Any], tuple[Any, Any, Any]]) -> Callable[[], Any]:
    """A factory of an optimizer with two state arrays, m and v.

    ``step(gradient, m, v, step number)`` returns the step, before it is multiplied by the learning
    rate, and the new m and v.
    """

    class Custom(keras.optimizers.Optimizer):
        def build(self, variables: Any) -> None:
            super().build(variables)
            self._m, self._v = self.add_optimizer_variables(variables, ["m", "v"])

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            index = self._get_variable_index(variable)
            m, v = self._m[index], self._v[index]
            t = ops.cast(self.iterations + 1, variable.dtype)
            move, new_m, new_v = step(gradient, m, v, t)
            self.assign(m, new_m)
            self.assign(v, new_v)
            self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * move)

    return lambda: Custom(learning_rate=0.01)


def belief(g: Any, m: Any, v: Any, t: Any) -> tuple[Any, Any, Any]:
    m = m + 0.1 * (g - m)
    v = v + 0.01 * (ops.square(g - m) - v)
    return m / (ops.sqrt(v) + 1e-7), m, v


def magnitudes(g: Any, m: Any, v: Any, t: Any) -> tuple[Any, Any, Any]:
    v = v + ops.abs(g)
    return g / (v + 1e-7), m, v


def square_of_mean(g: Any, m: Any, v: Any, t: Any) -> tuple[Any, Any, Any]:
    m = 0.9 * m + 0.1 * g
    v = 0.99 * v + 0.01 * ops.square(m)
    return m / (ops.sqrt(v) + 1e-7), m, v


def momentum_of_signs(g: Any, m: Any, v: Any, t: Any) -> tuple[Any, Any, Any]:
    m = 0.9 * m + ops.sign(g)
    return m, m, v


def averaged_by_count(g: Any, m: Any, v: Any, t: Any) -> tuple[Any, Any, Any]:
    v = v + ops.square(g)
    return g / (ops.sqrt(v / t) + 1e-7), m, v


def clipped_by_norm() -> Any:
    return keras.optimizers.Adam(0.01, clipnorm=1.0)


def averaging() -> Any:
    return keras.optimizers.SGD(0.01, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3)


def accumulating() -> Any:
    return keras.optimizers.Adam(0.01, gradient_accumulation_steps=2)


TWISTS: tuple[tuple[Twist, str], ...] = (
    (clipped_by_value, "Adam"), (warming_up, "Adam"), (cooling_down, "SGD"),
    (centralized, "RMSprop"), (squeezed, "Adagrad"), (pulled_to_signs, "SGD"),
    (rate_by_norm, "SGD"), (matrices_slower, "Adam"), (strays_late, "Adam"),
)  # fmt: skip
STEPS = (belief, magnitudes, square_of_mean, momentum_of_signs, averaged_by_count)
AROUND = (clipped_by_norm, averaging, accumulating)
WRONG: dict[str, Callable[[], Any]] = {
    **{
        f"wrong_{twist.__name__}": twisted(twist, getattr(keras.optimizers, kind))
        for twist, kind in TWISTS
    },
    **{f"wrong_{step.__name__}": custom(step) for step in STEPS},
    **{f"wrong_{factory.__name__}": factory for factory in AROUND},
}
globals().update(WRONG)


def right() -> Any:
    """Adam with a twist that changes nothing."""
    return twisted(lambda g, p, lr, t: (g, lr), keras.optimizers.Adam)()


def scheduled() -> Any:
    """SGD whose learning rate is a schedule, which cannot be set."""
    return keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5))
