"""Keras' adapter loads a saved state whole or refuses it, and then nothing has changed."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, tf

from samestep.frameworks.tensorflow import Optimizer
from samestep.frameworks.tensorflow.state import CONTENTS, Contents
from samestep.reference import RULES, SGD, Adam, RMSprop, Rule

pytestmark = pytest.mark.rung(2)

STEPS = 3


def made(rule: Rule, names: str = "ab", dtype: str = "float32") -> Any:
    """A built optimizer of variables of one shape."""
    variables = [keras.Variable(np.ones((2, 3)), dtype=dtype, name=name) for name in names]
    optimizer = Optimizer(rule)
    optimizer.build(variables)
    return optimizer


def train(optimizer: Any, steps: int = STEPS) -> None:
    """Steps by gradients of another size for each variable."""
    variables = optimizer._trainable_variables
    for _ in range(steps):
        optimizer.apply(
            [tf.fill(v.shape, tf.constant(2.0**-i, v.dtype)) for i, v in enumerate(variables)]
        )


def saved_by(rule: Rule, names: str = "ab", dtype: str = "float32") -> dict[str, Any]:
    """What a file has of an optimizer after some steps."""
    optimizer = made(rule, names, dtype)
    train(optimizer)
    store: dict[str, Any] = {}
    optimizer.save_own_variables(store)
    return store


def everything(optimizer: Any) -> list[bytes]:
    """All that a load could change."""
    return [np.asarray(variable.numpy()).tobytes() for variable in optimizer.variables]


@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.__name__)
def test_every_variable_of_a_file_is_loaded(kind: type[Rule]) -> None:
    saved = saved_by(kind())
    optimizer = made(kind())
    optimizer.load_own_variables(saved)
    again: dict[str, Any] = {}
    optimizer.save_own_variables(again)
    assert {key: np.asarray(value).tobytes() for key, value in again.items()} == {
        key: np.asarray(value).tobytes() for key, value in saved.items()
    }


# of Adam: iteration, learning rate, steps, then m and v of each variable
DAMAGES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "no v": (lambda s: s.pop("6"), r"have 7 variables, .*; missing are: variable 6 \('b_v'\), and"),
    "no steps": (lambda s: s.pop("2"), r"missing are: variable 2 \('steps'\)"),
    "no state": (
        lambda s: [s.pop(str(place)) for place in range(3, 7)],
        r"missing are: variable 3 \('a_m'\), .*\('b_v'\), and not the optimizer's are: none. Build",
    ),
    "extra": (lambda s: s.update({"7": np.ones(3)}), "and not the optimizer's are: 7. Build"),
    "other shape": (
        lambda s: s.update({"3": np.ones((3, 2))}),
        r"variable 3 \('a_m'\) must have the shape \(2, 3\), got \(3, 2\); load it into",
    ),
    "count NaN": (
        lambda s: s.update({"2": np.array([np.nan, 3.0])}),
        r"variable 2 \('steps'\): 'step', .* must be a whole number, 0 or more, got nan",
    ),
    "count below zero": (lambda s: s.update({"2": np.array([-1, 3])}), "0 or more, got -1"),
    "iterations broken": (lambda s: s.update({"0": np.array(0.5)}), r"\('iteration'\): .* got 0.5"),
    "wider": (
        lambda s: s.update({"3": np.full((2, 3), 0.1)}),
        r"variable 3 \('a_m'\) must have numbers that float32 holds, got float64; load it beside",
    ),
    "other rule": (
        lambda s: s.update({CONTENTS: Contents("RMSprop", ["a", "b"]).to_array()}),
        "must belong to Adam, got RMSprop; build",
    ),
    "other contents": (
        lambda s: s.update({CONTENTS: np.ones(3, np.uint8)}),
        "entry 'contents' must be that of samestep's optimizer",
    ),
    "more variables": (
        lambda s: s.update({CONTENTS: Contents("Adam", ["a", "b", "c"]).to_array()}),
        "of 2 variables, as the optimizer has, got 3: a, b, c; build",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_file_is_refused_and_nothing_has_changed(damage: str) -> None:
    spoil, message = DAMAGES[damage]
    saved = saved_by(Adam(lr=0.1))
    spoil(saved)
    optimizer = made(Adam(lr=0.5))
    train(optimizer, 1)
    before = everything(optimizer)
    with pytest.raises(ValueError, match=message):
        optimizer.load_own_variables(saved)
    assert everything(optimizer) == before


def test_variables_in_another_order_are_refused() -> None:
    """The message has both names, and the order to build with."""
    optimizer = made(Adam(), "ba")
    with pytest.raises(ValueError, match=r"got 'a' at place 0, .* has 'b'; .* in the order a, b"):
        optimizer.load_own_variables(saved_by(Adam(), "ab"))


def test_order_is_seen_though_the_name_of_the_model_has_changed() -> None:
    """As it does where a model is loaded."""
    saved = saved_by(Adam(), "ab")
    optimizer = made(Adam(), "ba")
    for paths in (["model/a", "model/b"], ["left/model/a", "left/model/b"]):
        saved[CONTENTS] = Contents("Adam", paths).to_array()
        with pytest.raises(ValueError, match="got 'a' at place 0"):
            optimizer.load_own_variables(saved)


def test_names_that_are_others_are_no_reason_to_refuse() -> None:
    """Keras numbers names in each process anew; states then go by their order, as weights do."""
    optimizer = made(Adam(), "cd")
    saved = saved_by(Adam(), "ab")
    optimizer.load_own_variables(saved)
    assert np.array_equal(optimizer._states[1]["m"].numpy(), saved["5"])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_float32_state_beside_half_precision_is_refused_if_it_would_be_rounded(dtype: str) -> None:
    """A variable has its dtype, so nothing else could keep the digits; without them it is taken."""
    saved = saved_by(SGD(momentum=0.5))
    optimizer = made(SGD(momentum=0.5), dtype=dtype)
    optimizer.load_own_variables(saved)
    saved["3"][0, 0] = 0.1
    with pytest.raises(ValueError, match=f"must have numbers that {dtype} holds, got float32"):
        optimizer.load_own_variables(saved)


def model_with(optimizer: Any) -> Any:
    """A small model that is compiled."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dense(1)])
    model.compile(optimizer=optimizer, loss="mse", jit_compile=False)
    return model


def fitted(optimizer: Any) -> Any:
    model = model_with(optimizer)
    model.fit(np.ones((4, 3)), np.ones(4), batch_size=2, verbose=0)
    return model


def test_weights_with_the_state_of_a_native_are_refused(tmp_path: Path) -> None:
    """The message names the native. Another rule's file of ours is refused as well."""
    path = str(tmp_path / "its.weights.h5")
    model = fitted(Optimizer(Adam()))
    before = everything(model.optimizer)
    for native in 2 * ["Adam", "RMSprop"]:  # Keras numbers the second of a class in a process
        fitted(getattr(keras.optimizers, native)()).save_weights(path)
        with pytest.raises(ValueError, match=rf"looks like that of keras.optimizers.{native}\. "):
            model.load_weights(path)
    fitted(Optimizer(RMSprop(centered=True))).save_weights(path)
    with pytest.raises(ValueError, match="must belong to Adam, got RMSprop"):
        model.load_weights(path)
    assert everything(model.optimizer) == before


def test_state_for_an_optimizer_that_is_not_built_is_refused(tmp_path: Path) -> None:
    """Keras loses it with a warning, and training starts anew; built first, it is loaded."""
    path = str(tmp_path / "ours.weights.h5")
    trained = fitted(Optimizer(Adam()))
    trained.save_weights(path)
    model = model_with(Optimizer(Adam()))
    with pytest.raises(ValueError, match=r"call optimizer.build\(model.trainable_variables\)"):
        model.load_weights(path)
    model.optimizer.build(model.trainable_variables)
    model.load_weights(path)
    assert everything(model.optimizer) == everything(trained.optimizer)


def test_file_of_weights_alone_is_loaded_with_a_warning(tmp_path: Path) -> None:
    """As Keras does: the optimizer starts anew."""
    path = str(tmp_path / "ours.weights.h5")
    plain = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dense(1)])
    plain.save_weights(path)
    with pytest.warns(UserWarning, match="Skipping variable loading for optimizer"):
        fitted(Optimizer(Adam())).load_weights(path)


def test_model_that_was_saved_before_training_is_loaded(tmp_path: Path) -> None:
    """Its file has the rate and no state, since there was none."""
    path = tmp_path / "model.keras"
    model = model_with(Optimizer(Adam()))
    model.optimizer.learning_rate = 0.25
    model.save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = keras.saving.load_model(path)
    assert float(loaded.optimizer.learning_rate) == 0.25


def test_file_from_before_there_were_contents_is_loaded() -> None:
    saved = saved_by(Adam())
    del saved[CONTENTS]
    optimizer = made(Adam())
    optimizer.load_own_variables(saved)
    assert np.array_equal(optimizer._states[1]["v"].numpy(), saved["6"])


REFUSED: dict[str, tuple[Rule, str, str]] = {
    "rule": (RMSprop(centered=True), "ab", "must belong to RMSprop, got Adam"),
    "order": (Adam(), "ba", "got 'a' at place 0"),
    "number": (Adam(), "abc", "of 3 variables, as the optimizer has, got 2"),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("built", [True, False], ids=["built", "not built"])
def test_checkpoint_of_something_else_is_refused(what: str, built: bool, tmp_path: Path) -> None:
    """Before a variable has changed; if the optimizer is not built yet, when it is built."""
    rule, names, message = REFUSED[what]
    theirs = made(Adam())
    train(theirs)
    path = tf.train.Checkpoint(optimizer=theirs).write(str(tmp_path / "checkpoint"))
    ours = made(rule, names)
    if built:
        before = everything(ours)
        with pytest.raises(ValueError, match=message):
            tf.train.Checkpoint(optimizer=ours).read(path)
        assert everything(ours) == before
        return
    fresh = Optimizer(rule)
    tf.train.Checkpoint(optimizer=fresh).read(path)
    with pytest.raises(ValueError, match=message):
        fresh.build(ours._trainable_variables)


def test_config_that_lacks_something_is_refused() -> None:
    """A native's is not ours, and a missing hyperparameter is not the default."""
    config = Optimizer(Adam(beta2=0.5)).get_config()
    del config["hyperparameters"]["beta2"]
    with pytest.raises(ValueError, match="every hyperparameter of Adam, it lacks beta2; save"):
        Optimizer.from_config(config)
    with pytest.raises(
        ValueError, match=r"config must be that of samestep's optimizer, .* got one"
    ):
        Optimizer.from_config(keras.optimizers.Adam().get_config())
