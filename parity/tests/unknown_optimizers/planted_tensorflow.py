"""Optimizers in Keras with one planted cause each; ``PLANTED`` has what they should follow."""

from collections.abc import Callable
from typing import Any

from samestep.parity.tests.support.frameworks import keras, tf

ADAM = "Adam(lr=0.01, epsilon=1e-07)"
ADAMW = "Adam(lr=0.01, weight_decay=0.5, decay=Decay.DECOUPLED, epsilon=1e-07)"
NATIVE = "keras:Adam(learning_rate=0.01)"
SGD = "SGD(lr=0.01)"
DECAY = 0.5

# of the optimizer, the number of the variable, the variable, its gradient, the learning rate
Take = Callable[[Any, int, Any, Any, Any], None]


def custom(take: Take) -> Callable[[], Any]:
    """A factory of an optimizer with three states: m, v, and the rate of the step before."""

    class Planted(keras.optimizers.Optimizer):
        def build(self, variables: Any) -> None:
            super().build(variables)
            names = ["m", "v", "rate"]
            self.m, self.v, self.rates = self.add_optimizer_variables(variables, names)

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            index = self._get_variable_index(variable)
            take(self, index, variable, gradient, tf.cast(learning_rate, variable.dtype))

    return lambda: Planted(learning_rate=0.01)


def adam(o: Any, index: int, p: Any, g: Any, lr: Any, **options: Any) -> None:
    """A step of Adam; ``options`` are its numbers, the step ``t``, and what it corrects."""
    beta2 = options.get("beta2", 0.999)
    m, v = (slots[options.get("slot", index)] for slots in (o.m, o.v))
    t = tf.cast(options.get("t", o.iterations.value + 1), tf.float64)

    def exact(x: float) -> Any:
        return tf.constant(x, p.dtype)

    m.assign(exact(0.9) * m + exact(1 - 0.9) * g)
    v.assign(exact(beta2) * v + exact(1 - beta2) * g * g)
    one = tf.constant(1.0, tf.float64)
    corrected = options.get("corrected", "mv")
    first = one - tf.constant(0.9, tf.float64) ** t if "m" in corrected else one
    second = one - tf.constant(beta2, tf.float64) ** t if "v" in corrected else one
    mean, square = m / tf.cast(first, p.dtype), v / tf.cast(second, p.dtype)
    p.assign(p - lr * mean / (tf.sqrt(square) + exact(options.get("epsilon", 1e-7))))


def shrink(p: Any, by: Any) -> None:
    p.assign(p - by * tf.constant(DECAY, p.dtype) * p)


def from_two(o: Any, index: int, p: Any, g: Any, lr: Any) -> None:
    adam(o, index, p, g, lr, t=o.iterations.value + 2)


def lost_count(o: Any, index: int, p: Any, g: Any, lr: Any) -> None:
    t = o.iterations.value + 1
    adam(o, index, p, g, lr, t=tf.where(t > 7, t - 7, t))


def lost_state(o: Any, index: int, p: Any, g: Any, lr: Any) -> None:
    t = o.iterations.value + 1
    for slots in (o.m, o.v):
        slots[index].assign(slots[index] * tf.cast(t != 8, p.dtype))
    adam(o, index, p, g, lr, t=tf.where(t > 7, t - 7, t))


def lost_v(o: Any, index: int, p: Any, g: Any, lr: Any) -> None:
    o.v[index].assign(o.v[index] * tf.cast(o.iterations.value != 7, p.dtype))
    adam(o, index, p, g, lr)


def shared_count(o: Any, index: int, p: Any, g: Any, lr: Any) -> None:
    adam(o, index, p, g, lr, t=o.iterations.value * len(o.m) + index + 1)


def leaking(o: Any, index: int, p: Any, g: Any, lr: Any) -> None:
    """Each variable divides the learning rate by the correction, and leaves it so for the next."""
    t = tf.cast(o.iterations.value + 1, tf.float64)
    correction = 1 - tf.constant(0.9, tf.float64) ** t
    left = tf.cast(correction ** (index + 1.0), p.dtype)
    adam(o, index, p, g, lr / left, corrected="v")


def late_rate(o: Any, index: int, p: Any, g: Any, lr: Any) -> None:
    late = tf.where(o.iterations.value > 0, o.rates[index], tf.ones_like(p) * lr)
    o.rates[index].assign(tf.ones_like(p) * lr)
    adam(o, index, p, g, late)


def decay_of_matrices(o: Any, index: int, p: Any, g: Any, lr: Any) -> None:
    if len(p.shape) > 1:
        shrink(p, lr)
    adam(o, index, p, g, lr)


def decay_coupled(o: Any, index: int, p: Any, g: Any, lr: Any) -> None:
    adam(o, index, p, g + tf.constant(DECAY, p.dtype) * p, lr)


def summed(o: Any, index: int, p: Any, g: Any, lr: Any) -> None:
    p.assign(p - lr * (g * 24.0))


def decay_after(o: Any, index: int, p: Any, g: Any, lr: Any) -> None:
    adam(o, index, p, g, lr)
    shrink(p, lr)


def decay_twice(o: Any, index: int, p: Any, g: Any, lr: Any) -> None:
    shrink(p, lr)
    shrink(p, lr)
    adam(o, index, p, g, lr)


def decay_without_rate(o: Any, index: int, p: Any, g: Any, lr: Any) -> None:
    shrink(p, tf.constant(1.0, p.dtype))
    adam(o, index, p, g, lr)


def clipped_scaled(o: Any, index: int, p: Any, g: Any, lr: Any) -> None:
    adam(o, index, p, tf.clip_by_norm(g * 4096.0, 1.0) / 4096.0, lr)


def vectors_by_descent(o: Any, index: int, p: Any, g: Any, lr: Any) -> None:
    if len(p.shape) < 2:
        p.assign(p - lr * g)
    else:
        adam(o, index, p, g, lr)


class Clipping(keras.optimizers.Adam):
    """Keras' own, with every element of a gradient clipped to 1."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        super().update_step(tf.clip_by_value(gradient, -1.0, 1.0), variable, learning_rate)


# by name: the optimizer, what it should follow, and what must be named of it
PLANTED: dict[str, tuple[Callable[[], Any], str, str]] = {
    "other_beta": (custom(lambda o, i, p, g, lr: adam(o, i, p, g, lr, beta2=0.98)), ADAM,
                   "beta2=0.98 where 0.999 is expected"),
    "other_epsilon": (custom(lambda o, i, p, g, lr: adam(o, i, p, g, lr, epsilon=3e-5)), ADAM,
                      "epsilon=3e-05 where 1e-07 is expected"),
    "from_two": (custom(from_two), ADAM, "counts steps from 2"),
    "uncorrected": (custom(lambda o, i, p, g, lr: adam(o, i, p, g, lr, corrected="")), ADAM,
                    "bias_correction=False|no bias correction$"),
    "mean_uncorrected": (custom(lambda o, i, p, g, lr: adam(o, i, p, g, lr, corrected="v")), ADAM,
                         "no bias correction of the mean of gradients"),
    "square_uncorrected": (custom(lambda o, i, p, g, lr: adam(o, i, p, g, lr, corrected="m")),
                           ADAM, "no bias correction of the mean of squares"),
    "loss_scale": (custom(lambda o, i, p, g, lr: adam(o, i, p, g * 1024.0, lr)), ADAM,
                   "multiplies every gradient by 1024"),
    "clipped": (custom(lambda o, i, p, g, lr: adam(o, i, p, tf.clip_by_norm(g, 1.0), lr)), ADAM,
                "clips the norm of each gradient to 1$"),
    "clipped_scaled": (custom(clipped_scaled), ADAM,
                       "clipping to 1 before a loss scale of 4096 is divided out"),
    "clipped_by_value": (lambda: Clipping(0.01), NATIVE, "clips every element of a gradient to 1"),
    "clipped_by_keras": (lambda: keras.optimizers.Adam(0.01, clipnorm=1.0), NATIVE,
                         "clips the norm of each gradient to 1"),
    "clipped_together": (lambda: keras.optimizers.Adam(0.01, global_clipnorm=2.0), NATIVE,
                         "clips the common norm of all gradients to 2"),
    "collected": (lambda: keras.optimizers.SGD(0.01, gradient_accumulation_steps=2),
                  "keras:SGD(learning_rate=0.01)", "after every 2 gradients, on a mean"),
    "shared_state": (custom(lambda o, i, p, g, lr: adam(o, i, p, g, lr, slot=0)), ADAM,
                     "state is shared between tensors"),
    "shared_count": (custom(shared_count), ADAM, "the count of steps is shared"),
    "leaking": (custom(leaking), ADAM, "step size leaks from tensor to tensor"),
    "summed": (custom(summed), SGD, "multiplies every gradient by 24"),
    "late_rate": (custom(late_rate), ADAM, "takes each learning rate one step late"),
    "lost_count": (custom(lost_count), ADAM,
                   "begins step 8 with its state, but counts steps from 1"),
    "lost_state": (custom(lost_state), ADAM, "with new state, its count as well"),
    "lost_v": (custom(lost_v), ADAM, "begins step 8 with a new v"),
    "decay_coupled": (custom(decay_coupled), ADAMW,
                      "decay=Decay.COUPLED where Decay.DECOUPLED is expected"),
    "decay_of_matrices": (custom(decay_of_matrices), ADAMW, "exempts vectors and 0-d tensors"),
    "decay_after": (custom(decay_after), ADAMW, "decay=Decay.AFTER where Decay.DECOUPLED is"),
    "decay_twice": (custom(decay_twice), ADAMW, "applies weight decay twice"),
    "decay_without_rate": (custom(decay_without_rate), ADAMW,
                           "not multiplied by the learning rate"),
    "vectors_by_descent": (custom(vectors_by_descent), ADAM, r"on vectors of SGD\(lr=0.01\)"),
}  # fmt: skip
globals().update({name: planted[0] for name, planted in PLANTED.items()})
