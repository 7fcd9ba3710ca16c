"""What Keras' adapter says once: exclusions from weight decay that exclude nothing, and kernels
that a rule sees otherwise than in PyTorch.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, tf

import samestep.frameworks.numpy
from samestep.frameworks.tensorflow import Optimizer
from samestep.frameworks.tensorflow.orientation import difference, torch_shape
from samestep.reference import LAMB, SGD, Adafactor, Adam, Muon, Rule, ShapeScale, dialects

pytestmark = pytest.mark.rung(2)

RULE = SGD(lr=0.5, weight_decay=0.5)


def model() -> Any:
    """Two kernels, two biases, and the two vectors of a normalization with a name."""
    return keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(2, name="first"),
            keras.layers.LayerNormalization(name="norm"),
            keras.layers.Dense(1, name="last"),
        ],
        name="model",
    )


def said_by(action: Any) -> list[str]:
    """What is warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action()
    return [str(warning.message) for warning in caught]


def decayed(optimizer: Any, variables: list[Any]) -> list[bool]:
    """Of each variable, whether a step with a gradient of zero moves it."""
    for variable in variables:
        variable.assign(np.ones(variable.shape))
    optimizer.apply([tf.zeros(variable.shape) for variable in variables])
    return [bool(np.any(variable.numpy() != 1)) for variable in variables]


def test_pattern_that_excludes_nothing_is_warned_of_once() -> None:
    """With the pattern, and with the names that there are."""
    variables, optimizer = model().trainable_variables, Optimizer(RULE)
    optimizer.exclude_from_weight_decay(var_names=["LayerNorm", "bias"])
    assert said_by(lambda: optimizer.build(variables)) == [
        "exclude_from_weight_decay must name variables of the optimizer; 'LayerNorm' excludes none "
        "of model/first/kernel, model/first/bias, model/norm/gamma, model/norm/beta, "
        "model/last/kernel, model/last/bias, so weight decay acts on all of them. Give a part of a "
        "variable's path; optimizer.excluded_from_weight_decay() lists the rest"
    ]
    assert said_by(lambda: optimizer.apply([tf.zeros(v.shape) for v in variables])) == []


def test_variable_that_is_not_the_optimizers_is_warned_of() -> None:
    first, second = model(), keras.Variable(np.ones(2), name="strange")
    optimizer = Optimizer(RULE)
    optimizer.build(first.trainable_variables)
    (text,) = said_by(lambda: optimizer.exclude_from_weight_decay(var_list=[second]))
    assert "'strange' excludes none of model/first/kernel" in text


def test_what_is_excluded_is_listed() -> None:
    """And just that does not decay."""
    variables, optimizer = model().trainable_variables, Optimizer(RULE)
    optimizer.exclude_from_weight_decay(var_list=[variables[0]], var_names=["norm", "bias"])
    assert said_by(lambda: optimizer.build(variables)) == []
    listed = optimizer.excluded_from_weight_decay()
    assert listed == {
        "norm": ["model/norm/gamma", "model/norm/beta"],
        "bias": ["model/first/bias", "model/last/bias"],
        "model/first/kernel": ["model/first/kernel"],
    }
    excluded = [path for paths in listed.values() for path in paths]
    assert decayed(optimizer, variables) == [v.path not in excluded for v in variables]


def test_variables_of_tensorflow_are_excluded_by_name() -> None:
    """They have no path, but a name."""
    variables = [tf.Variable(np.ones(2), name=name) for name in ("scale", "shift")]
    optimizer = Optimizer(RULE)
    optimizer.exclude_from_weight_decay(var_names=["scale"])
    optimizer.build(variables)
    assert optimizer.excluded_from_weight_decay() == {"scale": ["scale"]}
    assert decayed(optimizer, variables) == [False, True]


def test_exclusions_come_back_with_a_saved_model(tmp_path: Path) -> None:
    """Keras' own config forgets them, and weight decay acts on all variables."""
    saved = model()
    optimizer = Optimizer(RULE)
    optimizer.exclude_from_weight_decay(var_list=[saved.trainable_variables[0]], var_names=["norm"])
    saved.compile(optimizer=optimizer, loss="mse")
    saved.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    decays = [False, True, False, False, True, True]
    for whole in (saved, loaded):
        whole.optimizer.build(whole.trainable_variables)
        assert decayed(whole.optimizer, whole.trainable_variables) == decays


def first_step(rule: Rule, gradient: np.ndarray) -> np.ndarray:
    theta = np.zeros_like(gradient)
    samestep.frameworks.numpy.Optimizer([theta], rule).step([gradient])
    return theta


def built_with(rule: Rule, *shapes: tuple[int, ...]) -> list[str]:
    """What is said when an optimizer is built of kernels of these shapes."""
    kernels = [keras.Variable(np.zeros(shape), name="kernel") for shape in shapes]
    return said_by(lambda: Optimizer(rule).build(kernels))


@pytest.mark.parametrize(("outputs", "inputs"), [(64, 16), (16, 64), (10, 1), (3, 5)])
def test_muon_says_how_long_its_step_of_a_dense_kernel_is(outputs: int, inputs: int) -> None:
    """Against PyTorch's: both factors and their ratio, which is that of the steps."""
    rule = dialects.pytorch.read("Muon", lr=0.01)
    (text,) = built_with(rule, (inputs, outputs))
    generator = np.random.default_rng(0)
    gradient = generator.normal(size=(inputs, outputs))
    here, there = first_step(rule, gradient), first_step(rule, np.ascontiguousarray(gradient.T))
    ratio = float(np.linalg.norm(here) / np.linalg.norm(there))
    assert f"is {inputs} x {outputs} here and {outputs} x {inputs} in PyTorch" in text
    assert f"a step is {ratio:.4g} times PyTorch's" in text


def test_adafactor_says_what_it_takes_means_of() -> None:
    """And the steps do differ, for a convolution; for a dense kernel nothing is to be said."""
    rule = dialects.pytorch.read("Adafactor")
    (text,) = built_with(rule, (3, 3, 4, 8), (16, 64))
    assert "These are 9 matrices of 4 x 8 here and 32 matrices of 3 x 3 in PyTorch" in text
    gradient = np.random.default_rng(0).normal(size=(3, 3, 4, 8))
    there = first_step(rule, np.ascontiguousarray(gradient.transpose(3, 2, 0, 1)))
    here = first_step(rule, gradient)
    share = np.linalg.norm(here - there.transpose(2, 3, 1, 0)) / np.linalg.norm(here)
    assert share > np.sqrt(np.finfo(gradient.dtype).eps)  # far more than rounding
    matrix = gradient.reshape(36, 8)
    transposed = first_step(rule, np.ascontiguousarray(matrix.T)).T
    assert np.array_equal(first_step(rule, matrix), transposed)
    assert built_with(rule, (36, 8)) == []


@pytest.mark.parametrize(
    ("rule", "shape"),
    [
        (Muon(), (16, 16)),
        (Muon(shape_scale=ShapeScale.LONGER_SIDE), (16, 64)),
        (Muon(shape_scale=ShapeScale.ONE), (16, 64)),
        (Muon(), (3, 3, 4, 8)),
        (Adafactor(), (16, 64)),
        (LAMB(), (3, 3, 4, 8)),
        (Adam(), (3, 3, 4, 8)),
    ],
    ids=repr,
)
def test_nothing_is_said_where_orientation_does_not_matter(
    rule: Rule, shape: tuple[int, ...]
) -> None:
    assert built_with(rule, shape) == []


def test_one_warning_speaks_of_all_kernels() -> None:
    """Of the first, with the number of the others; embeddings are no kernels."""
    (text,) = built_with(Muon(), (2, 8), (8, 2), (4, 4), (1, 9))
    assert text.endswith("here. The same holds for 2 more kernels.")
    table = keras.Variable(np.zeros((2, 8)), name="embeddings")
    assert said_by(lambda: Optimizer(Muon()).build([table])) == []


def test_shapes_of_kernels_in_pytorch() -> None:
    """A dense kernel, and convolutions of one and of three dimensions."""
    assert torch_shape((3, 2)) == (2, 3)
    assert torch_shape((5, 3, 2)) == (2, 3, 5)
    assert torch_shape((7, 6, 5, 3, 2)) == (2, 3, 7, 6, 5)
    assert "5 matrices of 3 x 2 here and 2 matrices of 3 x 5" in difference(Adafactor(), (5, 3, 2))
