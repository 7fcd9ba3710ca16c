"""Any rule as a ``keras.optimizers.Optimizer``."""

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from samestep import reference
from samestep.reference import Rule
from samestep.reference.checks import require_rule
from samestep.reference.former_names import present_names
from samestep.reference.views import COUPLED, View, views_from

from . import coefficients, exclusions, guarded, namespace
from .frames import chosen_views, from_frame, to_frame
from .options import check_options
from .orientation import warn_of_orientation
from .state import (
    CONTENTS,
    Signature,
    checked_hyperparameters,
    checked_values,
    contents_of,
    refusal_of_native_config,
)

# Options of Keras' with which it steps, or averages, under a condition.
CONDITIONAL = ("gradient_accumulation_steps", "ema_overwrite_frequency")
RULES = {rule.__name__: rule for rule in reference.RULES}


@keras.saving.register_keras_serializable(package="samestep")
class Optimizer(keras.optimizers.Optimizer):
    """Moves a model's variables by ``rule``: ``model.compile(optimizer=Optimizer(Adam(lr=1e-3)))``.

    ``learning_rate``, a number or a schedule, takes the place of the rule's own; so does one
    assigned later. A fixed learning rate is a variable in double precision. Each variable has its
    own step number, which advances only when it has a gradient. float16 and bfloat16 are computed
    in float32 and rounded once a step, variables and state alike. ``IndexedSlices`` are made
    dense, duplicates summed. ``keras_options`` are the keyword arguments of Keras' optimizers
    (``clipnorm``, ``use_ema``, ``gradient_accumulation_steps``, ...) and are left to Keras. Works
    eagerly, in graphs and under XLA, with the same bits.

    ``views`` maps paths of variables to the frames in which LAMB, Adafactor and Muon see them, as
    ``samestep.frameworks.tensorflow.views(model)`` gives them for PyTorch's steps. Other rules go
    element by element and need none. Configs and files keep them. ``views={}``: as stored, without
    a warning.

    Raises ValueError for complex variables, and for ``weight_decay``, which is the rule's.
    """

    def __init__(
        self,
        rule: Any = None,
        learning_rate: Any = None,
        name: str = "samestep",
        views: Mapping[str, Any] | None = None,
        **keras_options: Any,
    ) -> None:
        require_rule(rule)
        check_options(learning_rate, keras_options)
        if keras_options.get("weight_decay") is not None:
            raise ValueError(
                "weight_decay must be set on the rule, which says how it acts; "
                "got it as an argument"
            )
        if learning_rate is None:
            learning_rate = rule.lr
        fixed = not callable(learning_rate)
        # Keras would make a float32 variable of a number, and so change the digits of
        # bias-corrected steps. It makes none of a function; the variable is added afterwards.
        # (Removing Keras' variable instead would break tf.train.Checkpoint.)
        given = (lambda: learning_rate) if fixed else learning_rate
        super().__init__(learning_rate=given, name=name, **keras_options)
        if fixed:
            self._learning_rate = self.add_variable(
                (), _constant(float(learning_rate)), "float64", name="learning_rate"
            )
        self.rule = rule
        given = None if views is None else views_from(views)
        # A dict or list that TensorFlow tracked could not be saved.
        self.__dict__["_views"] = given
        self.__dict__["_frames"] = None  # the view of each variable that the rule sees by one
        # During evaluation, variables with copies of what they were. A list that TensorFlow
        # tracked could not be saved.
        self.__dict__["_points"] = []
        self._unbuilt = len(self.variables)
        self._signature = Signature(self)
        self._exclusions = exclusions.Exclusions()

    def build(self, variables: list[Any]) -> None:
        """Create the step numbers, one vector for all, and each variable's state."""
        if self.built:
            return
        for variable in variables:
            dtype = tf.as_dtype(variable.dtype)
            if dtype.is_complex:
                raise ValueError(f"variables must be real, got {dtype.name} in {variable.name}")
        frames = chosen_views(self._views, variables)
        self.__dict__["_frames"] = frames if isinstance(self.rule, COUPLED) else None
        super().build(variables)
        self._steps = self.add_variable((len(variables),), dtype="int64", name="steps")
        numbers = functools.cache(functools.partial(self._numbers, len(variables)))
        self._states = [
            self._begin(index, variable, numbers) for index, variable in enumerate(variables)
        ]
        self._signature.check_pending()
        exclusions.warn_of_nothing(self.excluded_from_weight_decay(), variables)
        if self._views is None:
            warn_of_orientation(self.rule, variables)

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        """As in Keras, but what excludes no variable is warned of, and a config keeps it."""
        super().exclude_from_weight_decay(var_list, var_names)
        paths = tuple(exclusions.path_of(variable) for variable in var_list or ())
        self._exclusions = exclusions.Exclusions(tuple(var_names or ()), paths)
        if self.built:
            trained = self._trainable_variables
            exclusions.warn_of_nothing(self.excluded_from_weight_decay(), trained)

    def excluded_from_weight_decay(self) -> dict[str, list[str]]:
        """The paths of the variables that do not decay, by what excluded them.

        A key is a pattern of ``exclude_from_weight_decay(var_names=...)``, or the path of a
        variable in its ``var_list``. Lists are empty before the optimizer is built.
        """
        trained = self._trainable_variables
        keys = getattr(self, "_exclude_from_weight_decay", ())
        listed = [variable for variable in trained if self._var_key(variable) in keys]
        return self._exclusions.by_cause(trained, listed)

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """As in Keras; ValueError for what Keras cannot do on several replicas."""
        if not tf.__internal__.distribute.strategy_supports_no_merge_call():
            for option in CONDITIONAL:
                if getattr(self, option):
                    strategy = type(self._distribution_strategy).__name__
                    raise ValueError(
                        f"{option} must be None under {strategy}, got {getattr(self, option)}: "
                        "Keras steps under a condition then, in which replicas cannot meet; use "
                        "larger batches, or one replica"
                    )
        super().apply(grads, trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One step of one variable.

        It is called by a Keras that does not know ``_distributed_tf_update_step``.
        """

        def update(updated: Any, function: Callable[..., Any], args: Any = ()) -> None:
            function(updated, *args)

        self._take([(gradient, variable)], learning_rate, update)

    def _distributed_tf_update_step(
        self, distribution: Any, pairs: list[tuple[Any, Any]], learning_rate: Any
    ) -> None:
        """One step of all variables; Keras' own method goes from one to the next.

        ``pairs`` are of a gradient and its variable. Each replica has computed the rate of a
        schedule, and it is the same.
        """
        if isinstance(learning_rate, tf.types.experimental.distributed.PerReplica):
            learning_rate = distribution.experimental_local_results(learning_rate)[0]
        update = functools.partial(distribution.extended.update, group=False)
        self._take(pairs, learning_rate, update)

    def _take(
        self, pairs: list[tuple[Any, Any]], learning_rate: Any, update: Callable[..., Any]
    ) -> None:
        """One step, by ``update(variable, function, args)``.

        The coefficients of all variables are computed together, before.
        """
        self._check_training("a step")
        moved = [self._get_variable_index(variable) for _, variable in pairs]
        counted = np.isin(np.arange(len(self._states)), moved).astype(np.int64)
        update(self._steps.value, lambda steps: steps.assign_add(counted))
        kind = coefficients.numbers if tf.executing_eagerly() else coefficients.tensors
        coefficients_of = kind(self._steps, learning_rate)
        for index, (gradient, variable) in zip(moved, pairs, strict=True):
            rule = self._rule_for(variable)
            c = coefficients_of(rule, compute_dtype(variable.dtype), index)
            move = functools.partial(self._move, rule, c, self._slots(index))
            update(variable, move, args=(gradient,))

    def _move(self, rule: Rule, c: Any, slots: "_Slots", variable: Any, gradient: Any) -> None:
        """One step of one variable and its state."""
        wide, view = compute_dtype(variable.dtype), slots.view
        theta = to_frame(tf.cast(variable, wide), view)
        gradient = to_frame(tf.cast(dense(gradient), wide), view)
        state = {name: tf.cast(slot.value, wide) for name, slot in slots.states.items()}
        update = _update_eagerly if tf.executing_eagerly() else _update_in_graph
        theta, new = update(rule, c, theta, gradient, state)
        for name, value in new.items():
            self.assign(slots.states[name], value)
        self.assign(variable, from_frame(theta, view, variable.shape))

    def _slots(self, index: int) -> "_Slots":
        """The state of a variable, and the view under which it stands."""
        return _Slots(self._states[index], self._frames[index] if self._frames else None)

    def eval(self) -> None:
        """Put the averages that ScheduleFree and ASGD keep into the variables, for evaluation.

        Eager code only, such as a callback. Under a rule without an average, and for a variable
        that has not moved, nothing changes. Until ``train()`` do not train; eager steps, and
        saving the optimizer, raise ValueError.
        """
        if self._points or not self.built or type(self.rule).average is Rule.average:
            return
        steps = self._steps.numpy()
        for index, variable in enumerate(self._trainable_variables):
            if steps[index]:
                wide = compute_dtype(tf.as_dtype(variable.dtype))
                state = {name: tf.cast(x.value, wide) for name, x in self._states[index].items()}
                point = tf.identity(tf.convert_to_tensor(variable))
                theta = tf.cast(point, wide)
                self._points.append((variable, point))
                variable.assign(tf.cast(self.rule.average(theta, state), variable.dtype))

    def train(self) -> None:
        """Put the variables back, bit for bit, where ``eval()`` found them."""
        for variable, point in self._points:
            variable.assign(point)
        self._points.clear()

    def save_own_variables(self, store: Any) -> None:
        """As in Keras, and whose variables they are.

        ValueError after ``eval()``, when the variables are averages.
        """
        self._check_training("the optimizer is saved")
        super().save_own_variables(store)
        store[CONTENTS] = contents_of(self).to_array()

    def _check_training(self, what: str) -> None:
        if self._points:
            raise ValueError(f"train() must be called before {what}: the variables are averages")

    def load_own_variables(self, store: Any) -> None:
        """Load all variables of a file, or change none.

        ValueError if the file is of another rule or of a native, lacks something or has too much,
        for a wrong shape or count, if a variable's dtype cannot hold its numbers, if the same
        variables stand in another order, and if the optimizer is not built.
        """
        if not store.keys():
            return super().load_own_variables(store)  # a file of weights alone: Keras warns
        self._assign_all(checked_values(self, store, self._unbuilt))
        return None

    def set_weights(self, weights: list[Any]) -> None:
        """As in Keras, but all of the variables or none; ValueError as ``load_own_variables``."""
        if not self.built or len(weights) != len(self.variables):
            raise ValueError(
                f"weights must be {len(self.variables)} arrays, one for each variable of a built "
                f"optimizer, got {len(weights)}; call optimizer.build(model.trainable_variables)"
            )
        store = {str(place): weight for place, weight in enumerate(weights)}
        self._assign_all(checked_values(self, store, self._unbuilt))

    def _assign_all(self, values: list[Any]) -> None:
        """Assign to the first variables, which are all unless nothing was trained."""
        for variable, value in zip(self.variables, values, strict=False):
            variable.assign(value)

    def get_config(self) -> dict[str, Any]:
        """The rule as a name and numbers, and the present learning rate or its schedule."""
        config = super().get_config()
        del config["weight_decay"]  # the rule's
        if self._views is not None:
            config["views"] = {path: view.to_plain() for path, view in self._views.items()}
        if patterns := self._exclusions.as_patterns():
            config["excluded_from_weight_decay"] = patterns
        return {**config, "rule": type(self.rule).__name__, "hyperparameters": self.rule.to_dict()}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "Optimizer":
        """The inverse of ``get_config``; hyperparameters saved under former names are renamed.

        ValueError if it is another optimizer's config, or lacks a hyperparameter.
        """
        config = dict(config)
        if not {"rule", "hyperparameters"} <= set(config):
            raise ValueError(refusal_of_native_config(config))
        name = config.pop("rule")
        if name not in RULES:
            raise ValueError(f"the saved rule must be one of {', '.join(RULES)}, got {name!r}")
        saved = present_names(name, config.pop("hyperparameters"))
        config["rule"] = RULES[name](**checked_hyperparameters(RULES[name], saved))
        patterns = config.pop("excluded_from_weight_decay", None)
        optimizer = super().from_config(config, custom_objects=custom_objects)
        if patterns:
            optimizer.exclude_from_weight_decay(var_names=patterns)
        return optimizer

    def _begin(self, index: int, variable: Any, numbers: Callable[..., Any]) -> dict[str, Any]:
        """A variable's first state; ``numbers`` makes the vector of a number of each variable.

        Starting values are initializers, since ``model.fit`` loses what build() assigns.
        """

        view = self._frames[index] if self._frames else None

        def slot(name: str, value: np.ndarray) -> Any:
            if view is None and value.shape == tuple(variable.shape):
                return self.add_variable_from_reference(variable, name, _constant(value))
            if not value.shape:
                return _Element(numbers(name, variable.dtype, float(value)), index)
            full_name = f"{variable.name}_{name}"
            return self.add_variable(value.shape, _constant(value), variable.dtype, name=full_name)

        wide = compute_dtype(tf.as_dtype(variable.dtype)).as_numpy_dtype
        shape = view.shape_of(variable.shape) if view else variable.shape
        start = self.rule.start(np.zeros(shape, wide), np)
        return {name: slot(name, value) for name, value in start.items()}

    def _numbers(self, count: int, name: str, dtype: str, start: float) -> Any:
        """One number of state for each of ``count`` variables, as a vector.

        A variable for each would cost time at every step.
        """
        return self.add_variable((count,), _constant(start), dtype, name=name)

    def _rule_for(self, variable: Any) -> Rule:
        """The rule; without any decay for a variable that ``exclude_from_weight_decay`` names."""
        if self._use_weight_decay(variable):
            return self.rule
        decays = [name for name in self.rule.names() if name.endswith("weight_decay")]
        return self.rule.replace(**dict.fromkeys(decays, 0.0))


class _Slots(NamedTuple):
    """Of one variable: the variables of its state, by name, and the frame in which they stand."""

    states: dict[str, Any]
    view: View | None


class _Element(NamedTuple):
    """One element of a vector variable, with the methods of a variable that are used here."""

    vector: Any
    place: int

    @property
    def dtype(self) -> Any:
        """The vector's dtype."""
        return self.vector.dtype

    @property
    def value(self) -> Any:
        """The element as a 0-d tensor."""
        return self.vector.value[self.place]

    def assign(self, number: Any) -> None:
        """Write the element."""
        self.value.assign(number)

    def numpy(self) -> Any:
        """The element as a NumPy number."""
        return self.vector.numpy()[self.place]


def _constant(value: Any) -> Any:
    """An initializer with the one number in ``value``, all digits of it.

    Keras' own initializer goes through float32.
    """
    number = np.ravel(value)[:1].sum()  # an empty array has none
    return lambda shape, dtype: tf.fill(shape, tf.constant(number, dtype))


def compute_dtype(dtype: tf.DType) -> tf.DType:
    """The dtype that the step of a variable of ``dtype`` is computed in."""
    return tf.float32 if dtype.size == 2 else dtype


def _update_eagerly(rule: Rule, c: Any, theta: Any, gradient: Any, state: Any) -> Any:
    """Theta and state after the step; coefficients are plain numbers."""
    return rule.update(theta, gradient, state, c, namespace)


def _update_in_graph(rule: Rule, c: Any, theta: Any, gradient: Any, state: Any) -> Any:
    """Theta and state after the step, by tensors whose products no compiler joins to sums."""
    wrap = c[0].wrap
    guarded_state = {name: wrap(value) for name, value in state.items()}
    theta, new = rule.update(wrap(theta), wrap(gradient), guarded_state, c, guarded)
    return theta.tensor, {name: value.tensor for name, value in new.items()}


def dense(gradient: Any) -> Any:
    """The gradient as a dense tensor; duplicate indices are summed, and a warning is given once."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    _warn_sparse()
    return tf.convert_to_tensor(gradient)


@functools.cache  # once a process
def _warn_sparse() -> None:
    warnings.warn("IndexedSlices gradients are made dense, duplicate indices summed", stacklevel=2)
