"""Any rule as a ``keras.optimizers.Optimizer``."""

import functools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from samestep import reference
from samestep.reference import Rule

from . import coefficients, guarded, namespace

RULES = {rule.__name__: rule for rule in reference.RULES}


@keras.saving.register_keras_serializable(package="samestep")
class Optimizer(keras.optimizers.Optimizer):
    """Moves a model's variables by ``rule``: ``model.compile(optimizer=Optimizer(Adam(lr=1e-3)), ...)``.

    ``learning_rate``, a number or a schedule, wins over the rule's own; so does one assigned later. A fixed learning
    rate is held in double precision. Each variable keeps its own step number, which advances only when it has a
    gradient. float16 and bfloat16 are computed in float32 and rounded once a step, variables and state alike.
    ``IndexedSlices`` are made dense, duplicates summed. What Keras does around a rule (``clipnorm``, ``use_ema``,
    ``gradient_accumulation_steps``, ...) is taken as keyword arguments and left to Keras. Works eagerly, in graphs
    and under XLA, with the same bits.
    """

    def __init__(
        self, rule: Rule, learning_rate: Any = None, name: str = "samestep", **around: Any
    ) -> None:
        if not isinstance(rule, Rule):
            raise ValueError(f"rule must be a rule such as reference.Adam(lr=1e-3), got {rule!r}")
        if around.get("weight_decay") is not None:
            raise ValueError(
                "weight_decay must be set on the rule, which says how it acts; got it as an argument"
            )
        if learning_rate is None:
            learning_rate = rule.lr
        fixed = not callable(learning_rate)
        # Keras would make a float32 variable of a number, and so change the digits of
        # bias-corrected steps. It makes none of a function; the variable is added afterwards.
        # (Removing Keras' variable instead would break tf.train.Checkpoint.)
        given = (lambda: learning_rate) if fixed else learning_rate
        super().__init__(learning_rate=given, name=name, **around)
        if fixed:
            self._learning_rate = self.add_variable(
                (), _constant(float(learning_rate)), "float64", name="learning_rate"
            )
        self.rule = rule

    def build(self, variables: list[Any]) -> None:
        """Create the step numbers, one vector, and each variable's state."""
        if self.built:
            return
        for variable in variables:
            if (dtype := tf.as_dtype(variable.dtype)).is_complex:
                raise ValueError(f"variables must be real, got {dtype.name} in {variable.name}")
        super().build(variables)
        self._steps = self.add_variable((len(variables),), dtype="int64", name="steps")
        numbers = functools.cache(functools.partial(self._numbers, len(variables)))
        self._states = [
            self._begin(index, variable, numbers) for index, variable in enumerate(variables)
        ]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One step of one variable: what Keras takes that does not know ``_distributed_tf_update_step``."""
        self._take(
            [(gradient, variable)], learning_rate, lambda moved, move, args=(): move(moved, *args)
        )

    def _distributed_tf_update_step(
        self, distribution: Any, pairs: list[tuple[Any, Any]], learning_rate: Any
    ) -> None:
        """One step of all variables in ``pairs`` of gradient and variable; Keras' own goes from one to the next."""
        self._take(
            pairs, learning_rate, functools.partial(distribution.extended.update, group=False)
        )

    def _take(
        self, pairs: list[tuple[Any, Any]], learning_rate: Any, update: Callable[..., Any]
    ) -> None:
        """One step, by ``update(variable, function, args)``. The coefficients of all are computed together, before."""
        moved = [self._get_variable_index(variable) for _, variable in pairs]
        counted = np.isin(np.arange(len(self._states)), moved).astype(np.int64)
        update(self._steps.value, lambda steps: steps.assign_add(counted))
        known = (coefficients.numbers if tf.executing_eagerly() else coefficients.tensors)(
            self._steps, learning_rate
        )
        for index, (gradient, variable) in zip(moved, pairs, strict=True):
            rule = self._rule_for(variable)
            c = known(rule, _wide(variable.dtype), index)
            update(
                variable,
                functools.partial(self._move, rule, c, self._states[index]),
                args=(gradient,),
            )

    def _move(
        self, rule: Rule, c: Any, slots: dict[str, Any], variable: Any, gradient: Any
    ) -> None:
        """One step of one variable and its state."""
        wide = _wide(variable.dtype)
        theta, gradient = tf.cast(variable, wide), tf.cast(_dense(gradient), wide)
        state = {name: tf.cast(slot.value, wide) for name, slot in slots.items()}
        update = _eagerly if tf.executing_eagerly() else _in_a_graph
        theta, new = update(rule, c, theta, gradient, state)
        for name, value in new.items():
            self.assign(slots[name], value)
        self.assign(variable, theta)

    def get_config(self) -> dict[str, Any]:
        """The rule as a name and numbers, and the learning rate or its schedule as it stands now."""
        config = super().get_config()
        del config["weight_decay"]  # the rule's
        return {**config, "rule": type(self.rule).__name__, "hyperparameters": self.rule.to_dict()}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "Optimizer":
        """The inverse of ``get_config``."""
        config = dict(config)
        name = config.pop("rule")
        if name not in RULES:
            raise ValueError(f"the saved rule must be one of {', '.join(RULES)}, got {name!r}")
        config["rule"] = RULES[name](**config.pop("hyperparameters"))
        return super().from_config(config, custom_objects=custom_objects)

    def _begin(self, index: int, variable: Any, numbers: Callable[..., Any]) -> dict[str, Any]:
        """A variable's state. Starting values go in as initializers: ``model.fit`` loses what build() assigns."""

        def slot(name: str, value: np.ndarray) -> Any:
            if value.shape == tuple(variable.shape):
                return self.add_variable_from_reference(variable, name, _constant(value))
            if not value.shape:
                return _Element(numbers(name, variable.dtype, float(value)), index)
            return self.add_variable(
                value.shape, _constant(value), variable.dtype, name=f"{variable.name}_{name}"
            )

        start = self.rule.start(
            np.zeros(variable.shape, _wide(tf.as_dtype(variable.dtype)).as_numpy_dtype), np
        )
        return {name: slot(name, value) for name, value in start.items()}

    def _numbers(self, count: int, name: str, dtype: str, start: float) -> Any:
        """The state that is one number for each of ``count`` variables, as a vector: each variable costs time."""
        return self.add_variable((count,), _constant(start), dtype, name=name)

    def _rule_for(self, variable: Any) -> Rule:
        """The rule, without any decay where ``exclude_from_weight_decay`` said so."""
        decays = dict.fromkeys(
            [name for name in self.rule.names() if name.endswith("weight_decay")], 0.0
        )
        return self.rule if self._use_weight_decay(variable) else self.rule.replace(**decays)


class _Element(NamedTuple):
    """A number of a vector, where a variable is asked for."""

    vector: Any
    place: int

    @property
    def dtype(self) -> Any:
        return self.vector.dtype

    @property
    def value(self) -> Any:
        return self.vector.value[self.place]

    def assign(self, number: Any) -> None:
        self.value.assign(number)

    def numpy(self) -> Any:
        return self.vector.numpy()[self.place]


def _constant(value: Any) -> Any:
    """An initializer with the one number that ``value`` holds, in all its digits; Keras' own goes through float32."""
    number = np.ravel(value)[:1].sum()  # an empty array holds none
    return lambda shape, dtype: tf.fill(shape, tf.constant(number, dtype))


def _wide(dtype: tf.DType) -> tf.DType:
    return tf.float32 if dtype.size == 2 else dtype


def _eagerly(rule: Rule, c: Any, theta: Any, gradient: Any, state: Any) -> Any:
    """Theta and state after the step; coefficients are plain numbers."""
    return rule.update(theta, gradient, state, c, namespace)


def _in_a_graph(rule: Rule, c: Any, theta: Any, gradient: Any, state: Any) -> Any:
    """The same on tensors whose products no compiler joins to sums."""
    guard = c[0].made
    state = {name: guard(value) for name, value in state.items()}
    theta, new = rule.update(guard(theta), guard(gradient), state, c, guarded)
    return theta.tensor, {name: value.tensor for name, value in new.items()}


def _dense(gradient: Any) -> Any:
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    _warn_sparse()
    return tf.convert_to_tensor(gradient)


@functools.cache  # once a process
def _warn_sparse() -> None:
    warnings.warn("IndexedSlices gradients are made dense, duplicate indices summed", stacklevel=2)
