"""The TensorFlow adapter is a true ``keras.optimizers.Optimizer``."""

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, tf

import samestep.frameworks.numpy
from samestep.frameworks.tensorflow import Optimizer, native
from samestep.frameworks.tensorflow import optimizer as module
from samestep.parity.measure import cases, streams
from samestep.reference import SGD, Adagrad, Adam, NAdam, RMSprop, Rule, dialects

pytestmark = pytest.mark.rung(2)

STEPS, SIZE = 12, 17
RULES = [
    SGD(lr=0.1, momentum=0.9),
    Adagrad(initial_accumulator=0.1, epsilon_at="INSIDE"),
    RMSprop(centered=True, momentum=0.5, epsilon_at="INSIDE", buffer="STEPS"),
    Adam(epsilon_at="HAT", weight_decay=0.01, decay="DECOUPLED"),
    NAdam(),  # it keeps one number a tensor
]


@keras.saving.register_keras_serializable(package="parity")
class Inner(keras.layers.Layer):
    """The inner product with one vector of weights: its gradient is the input itself, in any
    arithmetic.
    """

    def build(self, shape: Any) -> None:
        self.w = self.add_weight(shape=(shape[-1],), initializer="zeros", name="w")

    def call(self, x: Any) -> Any:
        return tf.reduce_sum(x * self.w, axis=-1, keepdims=True)


@keras.saving.register_keras_serializable(package="parity")
def output(labels: Any, predicted: Any) -> Any:
    """The loss: the model's output."""
    return predicted[:, 0]


def fitted(
    optimizer: Any, xs: np.ndarray, jit: bool = False, model: Any = None, **options: Any
) -> Any:
    """A model of ``Inner`` after ``model.fit`` on batches of one."""
    if model is None:
        model = keras.Sequential([keras.Input((SIZE,)), Inner()])
        model.compile(optimizer=optimizer, loss=output, jit_compile=jit, **options)
    model.fit(xs, np.zeros(len(xs)), batch_size=1, shuffle=False, verbose=0)
    return model


def inputs(steps: int = STEPS) -> np.ndarray:
    """Inputs, which are the gradients."""
    return streams.gradients("spread", steps, np.logspace(-4, 1, SIZE)).astype(np.float32)


def in_numpy(rule: Rule, gradients: np.ndarray, rates: list[float] | None = None) -> np.ndarray:
    """The same steps from zero in NumPy."""
    theta = np.zeros(SIZE, np.float32)
    optimizer = samestep.frameworks.numpy.Optimizer([theta], rule)
    for gradient, optimizer.lr in zip(gradients, rates or [rule.lr] * len(gradients), strict=True):
        optimizer.step([gradient])
    return theta


def weights(model: Any) -> np.ndarray:
    return model.get_weights()[0]


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_fitted_model_has_the_bits_of_numpy(rule: Rule) -> None:
    """``model.fit`` without XLA, no global option changed, ends where NumPy ends."""
    assert np.array_equal(weights(fitted(Optimizer(rule), inputs())), in_numpy(rule, inputs()))


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_fitted_model_runs_eagerly_with_the_same_bits(rule: Rule) -> None:
    """``run_eagerly=True`` ends there too."""
    assert np.array_equal(
        weights(fitted(Optimizer(rule), inputs(), run_eagerly=True)), in_numpy(rule, inputs())
    )


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_fitted_model_under_xla_has_the_bits_of_numpy(rule: Rule) -> None:
    """``jit_compile=True`` ends there too."""
    assert np.array_equal(
        weights(fitted(Optimizer(rule), inputs(), jit=True)), in_numpy(rule, inputs())
    )


@pytest.mark.parametrize("mode", native.MODES)
def test_variables_one_by_one_take_the_same_steps(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keras' own way through them, for releases that do not know ours."""
    ends = []
    for own in (False, True):
        if own:
            monkeypatch.delattr(Optimizer, "_distributed_tf_update_step")
        variables = [keras.Variable(np.ones(size), dtype="float32") for size in (3, 4)]
        optimizer = Optimizer(NAdam())
        optimizer.build(variables)
        step = native.in_mode(optimizer, mode)
        for gradient in inputs(3):
            step([tf.constant(gradient[:3]), tf.constant(gradient[3:7])])
        ends.append([x.numpy() for x in (*variables, *optimizer.variables)])
    np.testing.assert_equal(*ends)


def test_fixed_learning_rate_keeps_every_digit() -> None:
    """Keras would round it to float32; assigned or given, ours stays a double."""
    optimizer = Optimizer(Adam(lr=0.001))
    assert float(optimizer.learning_rate) == 0.001
    optimizer.learning_rate = 0.1
    assert float(optimizer.learning_rate) == 0.1
    assert float(Optimizer(Adam(), learning_rate=0.3).learning_rate) == 0.3


def test_learning_rate_is_held_once() -> None:
    """What Keras would save of it is the variable in double precision alone."""
    optimizer = Optimizer(Adam(lr=0.1))
    held = [variable.dtype for variable in optimizer.variables if variable.name == "learning_rate"]
    assert [str(dtype) for dtype in held] == ["float64"]


def test_building_again_forgets_nothing() -> None:
    """Keras builds before the first step what may have been built by hand."""
    variable, optimizer = keras.Variable(np.ones(2)), Optimizer(Adam())
    optimizer.build([variable])
    optimizer.apply_gradients([(tf.ones(2), variable)])
    before = [value.numpy() for value in optimizer.variables]
    optimizer.build([variable])
    np.testing.assert_equal([value.numpy() for value in optimizer.variables], before)


def test_state_of_half_precision_is_rounded_from_float32() -> None:
    """As in NumPy: this number is a tie between two of float16 only after float32 has rounded
    it.
    """
    variable = keras.Variable(np.ones(1), dtype="float16")
    optimizer = Optimizer(Adagrad(initial_accumulator=1 + 2.0**-11 + 2.0**-30))
    optimizer.build([variable])
    assert optimizer._states[0]["G"].numpy().tolist() == [1.0]


def test_a_number_of_each_variable_is_held_in_one_vector() -> None:
    """One for each dtype; a variable that takes no step keeps its own as it was."""
    dtypes = ["float32", "float64", "float32"]
    variables, optimizer = (
        [keras.Variable(np.ones(2), dtype=dtype) for dtype in dtypes],
        Optimizer(NAdam()),
    )
    optimizer.build(variables)
    optimizer.apply_gradients([(tf.ones(2), variables[2])])
    held = [slot for slot in optimizer.variables if slot.name == "P"]
    assert [(slot.dtype, tuple(slot.shape)) for slot in held] == [
        ("float32", (3,)),
        ("float64", (3,)),
    ]
    taken = np.float32(NAdam().coefficients(1, NAdam().lr).mu)
    assert [state["P"].numpy() for state in optimizer._states] == [1, 1, taken]


def test_assigned_learning_rate_steps_like_a_rule_with_that_rate() -> None:
    """A rate set between steps has the same bits as the rule's own."""
    optimizer, rule = Optimizer(Adam(lr=0.5)), Adam(lr=0.01)
    model = keras.Sequential([keras.Input((SIZE,)), Inner()])
    model.compile(optimizer=optimizer, loss=output, jit_compile=False)
    optimizer.learning_rate = 0.01
    assert np.array_equal(weights(fitted(None, inputs(), model=model)), in_numpy(rule, inputs()))


def test_schedule_wins_over_the_rule() -> None:
    """Step t is taken at the schedule's value for t - 1, as Keras counts."""
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([3, 7], [0.5, 0.25, 0.125])
    rates = [float(schedule(t)) for t in range(STEPS)]
    assert rates[0] == 0.5
    assert rates[-1] == 0.125
    trained = weights(fitted(Optimizer(SGD(lr=9.0), learning_rate=schedule), inputs()))
    assert np.array_equal(trained, in_numpy(SGD(), inputs(), rates))


def test_config_carries_the_rule() -> None:
    """What ``from_config`` builds has the same rule and the learning rate of the moment."""
    for rule in map(dialects.read, cases.CALLS):
        optimizer = Optimizer(rule, clipnorm=2.0)
        optimizer.learning_rate = 0.1
        twin = Optimizer.from_config(optimizer.get_config())
        assert (twin.rule, float(twin.learning_rate), twin.clipnorm) == (rule, 0.1, 2.0)


def test_config_is_read_and_left_as_it_is() -> None:
    """Keras may hand the same one out again; decay is the rule's, so it is not said twice."""
    config = Optimizer(Adam(weight_decay=0.25)).get_config()
    before = dict(config)
    Optimizer.from_config(config)
    assert config == before
    assert "weight_decay" not in config


def test_config_carries_a_schedule() -> None:
    """A schedule comes back as a schedule."""
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    twin = Optimizer.from_config(Optimizer(Adam(), learning_rate=schedule).get_config())
    assert float(twin.learning_rate) == float(schedule(0))


def test_config_of_an_unknown_rule_is_refused() -> None:
    """The error lists the rules there are."""
    config = {**Optimizer(Adam()).get_config(), "rule": "Sophia"}
    with pytest.raises(ValueError, match=r"must be one of SGD, .*, got 'Sophia'"):
        Optimizer.from_config(config)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_training_goes_on_after_saving_the_model(rule: Rule, tmp_path: Path) -> None:
    """Saved and loaded in the middle, the model ends with the same bits."""
    xs = inputs()
    fitted(Optimizer(rule), xs[:5]).save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert np.array_equal(weights(fitted(None, xs[5:], model=loaded)), in_numpy(rule, xs))


def variables(*values: np.ndarray) -> list[Any]:
    return [keras.Variable(value, dtype=value.dtype.name) for value in values]


@pytest.mark.parametrize("resting", [0, 1])
@pytest.mark.parametrize("mode", native.MODES)
def test_variable_without_a_gradient_rests_and_its_step_does_not_advance(
    mode: str, resting: int
) -> None:
    """A late variable takes its first step as a first step; Keras' own counts one step for all."""
    rule, gradients = Adam(lr=0.1), inputs(3)
    both = variables(np.zeros(SIZE, np.float32), np.zeros(SIZE, np.float32))
    early, late = both[1 - resting], both[resting]
    optimizer = Optimizer(rule)
    optimizer.build(both)
    for gradient in map(tf.constant, gradients[:2]):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras' own word about the missing gradient
            native.in_mode(optimizer, mode)(
                [None if variable is late else gradient for variable in both]
            )
    assert (late.numpy() == 0).all()
    native.in_mode(optimizer, mode)([tf.constant(gradients[2])] * 2)
    assert optimizer._steps.numpy().tolist() == ([1, 3] if late is both[0] else [3, 1])
    assert np.array_equal(early.numpy(), in_numpy(rule, gradients))
    assert np.array_equal(late.numpy(), in_numpy(rule, gradients[2:]))


@pytest.mark.parametrize("mode", native.MODES)
def test_zeros_keep_their_signs_while_the_first_variable_rests(mode: str) -> None:
    """Its step number, 0, is what the barrier is made of."""
    resting, moving = variables(np.zeros(2, np.float32), np.array([-0.0, 0.0], np.float32))
    optimizer = Optimizer(SGD(lr=0.5))
    optimizer.build([resting, moving])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras' own word about the missing gradient
        native.in_mode(optimizer, mode)([None, tf.constant([-0.0, 0.0])])
    theta = np.array([-0.0, 0.0], np.float32)
    samestep.frameworks.numpy.Optimizer([theta], SGD(lr=0.5)).step(
        [np.array([-0.0, 0.0], np.float32)]
    )
    assert np.signbit(moving.numpy()).tolist() == np.signbit(theta).tolist()


@pytest.mark.parametrize("mode", ["eager", "graph"])
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_rows_without_a_gradient_move_on(rule: Rule, mode: str) -> None:
    """Named rows change from step to step, and every row steps as with the dense sum."""
    sparse, dense = variables(np.zeros((3, 2), np.float32), np.zeros((3, 2), np.float32))
    ours, twin = Optimizer(rule), Optimizer(rule)
    ours.build([sparse])
    twin.build([dense])
    values = tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that they are made dense
        for rows in ([0, 0, 2], [1, 1, 2], [0, 1, 0]):
            slices = tf.IndexedSlices(values, tf.constant(rows), tf.constant([3, 2]))
            native.in_mode(ours, mode)([slices])
            native.in_mode(twin, mode)([tf.convert_to_tensor(slices)])
    assert np.array_equal(sparse.numpy(), dense.numpy())


def test_accumulated_gradients_are_one_step() -> None:
    """Two micro-steps of Keras' are one step at the mean gradient and the same rate."""
    (a,), (b,) = variables(np.ones(3)), variables(np.ones(3))
    ours, twin = Optimizer(Adam(lr=0.1), gradient_accumulation_steps=2), Optimizer(Adam(lr=0.1))
    ours.build([a])
    twin.build([b])
    for value in (1.0, 3.0):
        ours.apply([tf.constant([value] * 3, tf.float64)])
    twin.apply([tf.constant([2.0] * 3, tf.float64)])
    assert a.numpy().tolist() == b.numpy().tolist()


@pytest.mark.parametrize("mode", ["eager", "graph"])
def test_variables_may_differ_in_dtype(mode: str) -> None:
    """Each is computed in its own precision."""
    arrays: list[np.ndarray] = [np.ones(3, np.float32), np.ones(3), np.ones(3, np.float16)]
    ours, twins = variables(*arrays), [array.copy() for array in arrays]
    optimizer, other = (
        Optimizer(Adam(lr=0.1)),
        samestep.frameworks.numpy.Optimizer(twins, Adam(lr=0.1)),
    )
    optimizer.build(ours)
    apply = native.in_mode(optimizer, mode)
    for _ in range(3):
        gradients = [array / array.dtype.type(3) for array in arrays]
        apply([tf.constant(gradient) for gradient in gradients])
        other.step(gradients)
    assert [variable.numpy().tolist() for variable in ours] == [twin.tolist() for twin in twins]


@pytest.mark.parametrize("mode", ["eager", "graph"])
def test_schedule_keeps_its_digits(mode: str) -> None:
    """A schedule's float32 value is taken as it is."""
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    (variable,) = variables(np.zeros(3, np.float32))
    optimizer, theta = Optimizer(Adam(), learning_rate=schedule), np.zeros(3, np.float32)
    optimizer.build([variable])
    other, apply = (
        samestep.frameworks.numpy.Optimizer([theta], Adam()),
        native.in_mode(optimizer, mode),
    )
    for t in range(4):
        apply([tf.ones(3)])
        other.lr = float(schedule(t))
        other.step([np.ones(3, np.float32)])
    assert variable.numpy().tolist() == theta.tolist()


def test_indexed_slices_sum_their_duplicates_and_warn_once() -> None:
    """The step is that of the dense sum; Keras' own squares each slice by itself."""
    module._warn_sparse.cache_clear()
    sparse, dense = variables(np.zeros((3, 2), np.float32), np.zeros((3, 2), np.float32))
    values = tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    ours, twin = Optimizer(Adam()), Optimizer(Adam())
    ours.build([sparse])
    twin.build([dense])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            ours.apply([tf.IndexedSlices(values, tf.constant([0, 0, 2]), tf.constant([3, 2]))])
            twin.apply([tf.constant([[4.0, 6.0], [0.0, 0.0], [5.0, 6.0]])])
    assert np.array_equal(sparse.numpy(), dense.numpy())
    assert [str(w.message) for w in caught if "summed" in str(w.message)] == [
        "IndexedSlices gradients are made dense, duplicate indices summed"
    ]


@pytest.mark.parametrize("mode", native.MODES)
def test_excluded_variables_do_not_decay(mode: str) -> None:
    """``exclude_from_weight_decay`` acts on the rule's decay."""
    rule = SGD(lr=0.5, weight_decay=0.5)
    kept, excluded = variables(np.ones(3, np.float32), np.ones(3, np.float32))
    optimizer = Optimizer(rule)
    optimizer.exclude_from_weight_decay(var_list=[excluded])
    optimizer.build([kept, excluded])
    native.in_mode(optimizer, mode)([tf.zeros(3), tf.zeros(3)])
    assert kept.numpy().tolist() == [0.75] * 3
    assert excluded.numpy().tolist() == [1.0] * 3


def test_clipping_acts_before_the_rule() -> None:
    """What Keras does around a rule it does around ours."""
    (clipped,) = variables(np.zeros(2, np.float32))
    optimizer = Optimizer(SGD(lr=1.0), clipvalue=0.5)
    optimizer.build([clipped])
    optimizer.apply([tf.constant([3.0, -0.25])])
    assert clipped.numpy().tolist() == [-0.5, 0.25]


def test_complex_variables_are_refused() -> None:
    """By name."""
    optimizer, variable = Optimizer(SGD()), tf.Variable([1j, 2j])
    with pytest.raises(ValueError, match="must be real, got complex128"):
        optimizer.apply([tf.constant([1j, 1j])], [variable])


def test_weight_decay_belongs_to_the_rule() -> None:
    """As an argument it is refused with the place where it belongs."""
    with pytest.raises(ValueError, match="weight_decay must be set on the rule"):
        Optimizer(Adam(), weight_decay=0.1)


def test_rule_must_be_a_rule() -> None:
    """A number in its place is refused by name."""
    with pytest.raises(ValueError, match=r"must be a rule such as .*, got 0.1"):
        Optimizer(0.1)


def test_another_backend_of_keras_is_refused() -> None:
    """With KERAS_BACKEND=torch the import fails and says what to set."""
    done = subprocess.run(
        [sys.executable, "-c", "import samestep.frameworks.tensorflow"],
        env={**os.environ, "KERAS_BACKEND": "torch"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode
    assert "got 'torch'; set the environment variable KERAS_BACKEND=tensorflow" in done.stderr


def test_floatx_float64_is_followed() -> None:
    """A float64 model is stepped in float64."""
    rule = dialects.keras.read("Adam")
    (variable,) = variables(np.ones(3))
    optimizer = Optimizer(rule)
    optimizer.build([variable])
    optimizer.apply([tf.ones(3, tf.float64)])
    theta = np.ones(3)
    samestep.frameworks.numpy.Optimizer([theta], rule).step([np.ones(3)])
    assert variable.numpy().tolist() == theta.tolist()
