"""Rung 2: views. A rule in which elements act on each other takes the same step of a kernel in
PyTorch and in Keras, though it lies otherwise in each.

The layers are the libraries' own, so that the tables of frames are held to them.
"""

import pickle
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, tf, torch

from samestep.frameworks import pytorch, tensorflow
from samestep.parity.tests.support.products import supply_products
from samestep.parity.tests.support.require import compiler
from samestep.reference import LAMB, Adafactor, Adam, Rule, dialects
from samestep.reference.views import View

pytestmark = pytest.mark.rung(2)

STEPS = 4


class Twins(NamedTuple):
    """A layer of Keras and its twin in torch; ``carry`` makes Keras' kernel of torch's weight."""

    keras_layer: Callable[[], Any]
    batch: tuple[int, ...]
    torch_module: Callable[[], Any]
    weight: str
    carry: Callable[[np.ndarray], np.ndarray]


def permuted(*axes: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda array: array.transpose(axes)


LAYERS = keras.layers
TWINS = {
    "dense": Twins(
        lambda: LAYERS.Dense(16), (1, 6), lambda: torch.nn.Linear(6, 16), "weight", permuted(1, 0)
    ),
    "conv1d": Twins(
        lambda: LAYERS.Conv1D(5, 3), (1, 6, 4), lambda: torch.nn.Conv1d(4, 5, 3), "weight",
        permuted(2, 1, 0),
    ),
    "conv2d": Twins(
        lambda: LAYERS.Conv2D(8, (3, 2)), (1, 6, 6, 4), lambda: torch.nn.Conv2d(4, 8, (3, 2)),
        "weight", permuted(2, 3, 1, 0),
    ),
    "grouped": Twins(
        lambda: LAYERS.Conv2D(8, 3, groups=2), (1, 6, 6, 4),
        lambda: torch.nn.Conv2d(4, 8, 3, groups=2), "weight", permuted(2, 3, 1, 0),
    ),
    "conv3d": Twins(
        lambda: LAYERS.Conv3D(3, 2), (1, 4, 4, 4, 2), lambda: torch.nn.Conv3d(2, 3, 2), "weight",
        permuted(2, 3, 4, 1, 0),
    ),
    "transposed": Twins(
        lambda: LAYERS.Conv2DTranspose(5, 3), (1, 6, 6, 2),
        lambda: torch.nn.ConvTranspose2d(2, 5, 3), "weight", permuted(2, 3, 1, 0),
    ),
    "depthwise": Twins(
        lambda: LAYERS.DepthwiseConv2D((3, 2), depth_multiplier=2), (1, 6, 6, 4),
        lambda: torch.nn.Conv2d(4, 8, (3, 2), groups=4), "weight",
        lambda w: w.reshape(4, 2, 3, 2).transpose(2, 3, 0, 1),
    ),
    "recurrent": Twins(
        lambda: LAYERS.LSTM(3), (1, 5, 4), lambda: torch.nn.LSTM(4, 3), "weight_ih_l0",
        permuted(1, 0),
    ),
    "heads": Twins(
        lambda: LAYERS.EinsumDense("abc,cde->abde", output_shape=(None, 3, 5)), (1, 2, 4),
        lambda: torch.nn.Linear(4, 15), "weight", lambda w: w.T.reshape(4, 3, 5),
    ),
}  # fmt: skip
ATTENTION = "heads"  # torch's Linear does not know of heads

RULES = {
    "pytorch:Adafactor": dialects.pytorch.read("Adafactor", weight_decay=0.1),
    "keras:Adafactor": dialects.keras.read("Adafactor", learning_rate=0.05),
    "LAMB": LAMB(lr=0.01),
}
MATRIX_RULES = {
    "pytorch:Muon": dialects.pytorch.read("Muon", lr=0.01),
    "keras:Muon": dialects.keras.read("Muon", learning_rate=0.01),
}


def built(twins: Twins) -> tuple[Any, Any]:
    """The model of Keras with one layer, and torch's module."""
    layer = twins.keras_layer()
    model = keras.Sequential([keras.Input(twins.batch[1:]), layer])
    return model, twins.torch_module()


def kernel_of(model: Any) -> Any:
    return next(v for v in model.trainable_variables if v.path.endswith("kernel"))


def drawn(shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """A start and gradients whose rows and columns are of very different sizes."""
    generator = np.random.default_rng(3)
    for _ in range(STEPS + 1):
        array = generator.normal(size=shape)
        for axis, size in enumerate(shape):
            across = [1] * len(shape)
            across[axis] = size
            array *= np.exp(generator.normal(size=size)).reshape(across)
        yield array.astype(np.float32)


def keras_steps(kernel: Any, optimizer: Any, arrays: list[np.ndarray], mode: str) -> np.ndarray:
    """The kernel after a step along each gradient; the first array is its start."""
    kernel.assign(arrays[0])
    optimizer.build([kernel])

    def apply(gradient: Any) -> None:
        optimizer.apply([gradient], [kernel])

    graph = tf.function(apply, jit_compile=mode == "xla")
    step: Callable[[Any], None] = apply if mode == "eager" else graph
    for gradient in arrays[1:]:
        step(tf.constant(gradient))
    return np.asarray(kernel)


def torch_steps(
    module: Any, name: str, arrays: list[np.ndarray], make: Callable[[Any], Any]
) -> np.ndarray:
    """The weight after a step along each gradient; the first array is its start."""
    weight = module.get_parameter(name)
    with torch.no_grad():
        weight.copy_(torch.from_numpy(arrays[0]))
    optimizer = make([(name, weight)])
    for gradient in arrays[1:]:
        weight.grad = torch.from_numpy(gradient.copy())
        optimizer.step()
    return weight.detach().numpy().copy()


def steps_of_both(
    twins: Twins, rule: Rule, frame: str, modes: tuple[str, bool] = ("eager", False)
) -> tuple[np.ndarray, np.ndarray]:
    """Keras' kernel and torch's weight carried to it, with views in the framework whose frame it
    is not.
    """
    model, module = built(twins)
    kernel, mode, compiled = kernel_of(model), *modes
    arrays = list(drawn(tuple(module.get_parameter(twins.weight).shape)))
    there = tensorflow.views(model) if frame == "pytorch" else {}
    here = pytorch.views(module) if frame == "keras" else {}
    chosen = {path: view for path, view in there.items() if path == kernel.path}
    ours = keras_steps(
        kernel,
        tensorflow.Optimizer(rule, views=chosen),
        [np.ascontiguousarray(twins.carry(array)) for array in arrays],
        mode,
    )
    chosen = {name: view for name, view in here.items() if name == twins.weight}
    theirs = torch_steps(
        module,
        twins.weight,
        arrays,
        lambda named: pytorch.Optimizer(named, rule, compiled=compiled, views=chosen),
    )
    return ours, twins.carry(theirs)


@pytest.mark.parametrize("frame", ["pytorch", "keras"])
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("layer", TWINS)
def test_steps_of_a_kernel_have_the_same_bits_in_both(layer: str, rule: Rule, frame: str) -> None:
    """In either framework's frame, by the views that the library finds."""
    if layer == ATTENTION and frame == "keras":
        pytest.skip("torch's Linear does not know the number of heads")
    ours, theirs = steps_of_both(TWINS[layer], rule, frame)
    assert np.array_equal(ours, theirs)


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Supplies every framework with matrix products whose sums have one order."""
    supply_products(monkeypatch)


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize("frame", ["pytorch", "keras"])
@pytest.mark.parametrize("rule", MATRIX_RULES.values(), ids=MATRIX_RULES)
@pytest.mark.parametrize("layer", ["dense", "recurrent"])
def test_muons_steps_have_the_same_bits_where_products_have(
    layer: str, rule: Rule, frame: str
) -> None:
    """The libraries' own products are summed in orders of their own."""
    ours, theirs = steps_of_both(TWINS[layer], rule, frame)
    assert np.array_equal(ours, theirs)


@pytest.mark.usefixtures("products")
def test_muon_sees_the_heads_of_attention_as_one_matrix() -> None:
    """PyTorch's Muon refuses a kernel of three axes as it is stored."""
    rule = MATRIX_RULES["pytorch:Muon"]
    ours, theirs = steps_of_both(TWINS[ATTENTION], rule, "pytorch")
    assert np.array_equal(ours, theirs)
    with pytest.raises(ValueError, match="Muon moves matrices"):
        tensorflow.Optimizer(rule).build([kernel_of(built(TWINS[ATTENTION])[0])])


@pytest.mark.parametrize("mode", ["graph", "xla"])
@pytest.mark.parametrize("layer", ["dense", "conv2d", "depthwise"])
def test_modes_of_keras_have_the_same_bits_under_views(layer: str, mode: str) -> None:
    rule = RULES["pytorch:Adafactor"]
    ours, theirs = steps_of_both(TWINS[layer], rule, "pytorch", (mode, False))
    assert np.array_equal(ours, theirs)


@pytest.mark.compiled
@pytest.mark.skipif(compiler() is None, reason="compiled steps need a C++ compiler; none was found")
@pytest.mark.parametrize("layer", ["conv2d", "depthwise"])
def test_compiled_steps_have_the_same_bits_under_views(layer: str) -> None:
    ours, theirs = steps_of_both(TWINS[layer], RULES["keras:Adafactor"], "keras", ("eager", True))
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("layer", ["dense", "conv2d", "depthwise"])
def test_without_views_the_steps_differ(layer: str) -> None:
    """Else the tests above would show nothing."""
    rule = MATRIX_RULES["pytorch:Muon"] if layer == "dense" else RULES["pytorch:Adafactor"]
    ours, theirs = steps_of_both(TWINS[layer], rule, "stored")
    shape = tuple(TWINS[layer].torch_module().get_parameter("weight").shape)
    path = np.linalg.norm(theirs - TWINS[layer].carry(next(drawn(shape))))
    assert np.linalg.norm(ours - theirs) > path / 100


def said_by(action: Callable[[], Any]) -> list[str]:
    """What is warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action()
    return [str(warning.message) for warning in caught]


def test_views_are_kept_in_keras_config_and_file(tmp_path: Path) -> None:
    """And a loaded model goes on as the saved one; its state stands in the views' frames."""
    model, _ = built(TWINS["conv2d"])
    rule = RULES["pytorch:Adafactor"]
    model.compile(tensorflow.Optimizer(rule, views=tensorflow.views(model)), "mse")
    inputs = np.ones((1, 6, 6, 4), np.float32)
    outputs = np.ones((1, 4, 5, 8), np.float32)
    model.fit(inputs, outputs, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for network in (model, loaded):
        network.fit(inputs, outputs, verbose=0)
    for value, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        assert np.array_equal(value, other)
    shapes = [tuple(variable.shape) for variable in loaded.optimizer.variables]
    assert (8, 4, 3, 1) in shapes


def test_keras_state_of_other_views_is_refused() -> None:
    model, _ = built(TWINS["dense"])
    rule = MATRIX_RULES["keras:Muon"]
    kernel = kernel_of(model)
    seen = tensorflow.Optimizer(rule, views={kernel.path: (1, 0)})
    plain = tensorflow.Optimizer(rule, views={})
    store: dict[str, Any] = {}
    for optimizer in (seen, plain):
        optimizer.build([kernel])
    seen.save_own_variables(store)
    with pytest.raises(ValueError, match="must be of the same views as the optimizer's, none, got"):
        plain.load_own_variables(store)


def torch_pair(views: Any, rule: Rule = RULES["keras:Adafactor"]) -> tuple[Any, Any]:
    """A convolution and its optimizer, after one step."""
    torch.manual_seed(0)
    module = torch.nn.Conv2d(4, 8, 3)
    optimizer = pytorch.Optimizer(module.named_parameters(), rule, views=views)
    for parameter in module.parameters():
        parameter.grad = torch.linspace(-1, 1, parameter.numel()).reshape(parameter.shape)
    optimizer.step()
    return module, optimizer


def test_views_are_kept_in_torchs_state_dict_and_pickles(tmp_path: Path) -> None:
    """An optimizer without views takes those of the file, and goes on alike."""
    module, optimizer = torch_pair({"weight": (2, 3, 1, 0)})
    torch.save(optimizer.state_dict(), tmp_path / "state.pt")
    saved = torch.load(tmp_path / "state.pt", weights_only=True)
    weights = {name: value.clone() for name, value in module.state_dict().items()}
    optimizer.step()
    expected = module.weight.detach().clone()
    for views in (None, {"weight": (2, 3, 1, 0)}):
        fresh = torch.nn.Conv2d(4, 8, 3)
        fresh.load_state_dict(weights)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one of them has no views before it loads them
            loaded = pytorch.Optimizer(
                fresh.named_parameters(), RULES["keras:Adafactor"], views=views
            )
        loaded.load_state_dict(saved)
        for parameter, other in zip(fresh.parameters(), module.parameters(), strict=True):
            parameter.grad = other.grad.clone()
        loaded.step()
        assert torch.equal(fresh.weight, expected)
    assert pickle.loads(pickle.dumps(optimizer)).param_groups[0]["views"] == [
        {"axes": [2, 3, 1, 0]}, None
    ]  # fmt: skip


def test_torch_state_of_other_views_is_refused() -> None:
    _, optimizer = torch_pair({"weight": (2, 3, 1, 0)})
    _, plain = torch_pair({})
    with pytest.raises(ValueError, match="must be of the same views as the optimizer's"):
        plain.load_state_dict(optimizer.state_dict())
    with pytest.raises(ValueError, match="must be of the same views as the optimizer's"):
        optimizer.load_state_dict(plain.state_dict())


def test_a_group_may_have_views_of_its_own() -> None:
    """By the names of its parameters, which it must have."""
    _, optimizer = torch_pair({})
    further = torch.nn.Linear(3, 2)
    optimizer.add_param_group(
        {"params": [("further.weight", further.weight)], "views": {"further.weight": (1, 0)}}
    )
    assert optimizer.param_groups[1]["views"] == [{"axes": [1, 0]}]
    with pytest.raises(ValueError, match="params must be model"):
        pytorch.Optimizer(further.parameters(), LAMB(), views={"weight": (1, 0)})


def test_elementwise_rules_keep_their_states_as_stored() -> None:
    """Views change nothing for them."""
    _, optimizer = torch_pair({"weight": (2, 3, 1, 0)}, Adam())
    state = optimizer.state[optimizer.param_groups[0]["params"][0]]
    assert state["m"].shape == (8, 4, 3, 3)
    model, _ = built(TWINS["conv2d"])
    adam = tensorflow.Optimizer(Adam(), views=tensorflow.views(model))
    adam.build(model.trainable_variables)
    assert {tuple(v.shape) for v in adam.variables} >= {(3, 2, 4, 8)}
    assert (8, 4, 3, 2) not in {tuple(v.shape) for v in adam.variables}


def test_kerass_kind_of_adafactor_warns_in_torch_without_views() -> None:
    """With both shapes, and not after views were given, nor for PyTorch's kind or for matrices."""
    rule = RULES["keras:Adafactor"]
    (text,) = said_by(lambda: pytorch.Optimizer([torch.zeros(8, 4, 3, 3)], rule))
    assert "is 32 matrices of 3 x 3 here, and 9 matrices of 4 x 8 in Keras" in text
    for given, shape, views in (
        (rule, (8, 4, 3, 3), {}),
        (rule, (8, 4), None),
        (RULES["pytorch:Adafactor"], (8, 4, 3, 3), None),
        (Adam(), (8, 4, 3, 3), None),
    ):
        tensors = [("w", torch.zeros(shape))]
        assert said_by(lambda: pytorch.Optimizer(tensors, given, views=views)) == []  # noqa: B023


def test_views_for_nothing_are_warned_of() -> None:
    model, module = built(TWINS["dense"])
    optimizer = tensorflow.Optimizer(Adafactor(), views={"desne/kernel": (1, 0)})
    (text,) = said_by(lambda: optimizer.build(model.trainable_variables))
    assert "'desne/kernel' is none of" in text
    (text,) = said_by(
        lambda: pytorch.Optimizer(module.named_parameters(), LAMB(), views={"wieght": (1, 0)})
    )
    assert "'wieght' is none of weight, bias" in text


def test_layers_that_are_not_known_are_named() -> None:
    """In both frameworks, with what to do; known ones that lie alike are not."""

    class Own(keras.layers.Layer):
        def build(self, _: Any) -> None:
            self.table = self.add_weight(shape=(3, 4), name="table")

        def call(self, x: Any) -> Any:
            return x @ self.table

    model = keras.Sequential([keras.Input((3,)), Own(name="own"), LAYERS.LayerNormalization()])
    (text,) = said_by(lambda: tensorflow.views(model))
    assert "/own/table, whose layers are not known" in text
    module = torch.nn.ModuleDict(
        {"attention": torch.nn.MultiheadAttention(4, 2), "table": torch.nn.Embedding(3, 4)}
    )
    (text,) = said_by(lambda: pytorch.views(module))
    assert "no view is known for attention.in_proj_weight, whose modules" in text


@pytest.mark.parametrize(
    ("views", "text"),
    [
        ([(1, 0)], "views must map names"),
        ({"w": "10"}, "must be whole numbers"),
        ({"w": (0, 0)}, "must be a permutation"),
        ({"w": {"axis": [1, 0]}}, "a view must have 'axes'"),
        ({"w": (2, 1, 0)}, "permutes 3 axes"),
        ({"w": View((0, 1), split=(2, 2))}, "must fit its tensor"),
        ({"w": View((1, 0), joined=(7,))}, "must fit its tensor"),
    ],
)
def test_wrong_views_are_refused(views: Any, text: str) -> None:
    """Each with what must hold and what came."""
    with pytest.raises(ValueError, match=text):
        pytorch.Optimizer([("w", torch.zeros(2, 3))], Adafactor(), views=views)
    variable = keras.Variable(np.zeros((2, 3)), name="w")
    with pytest.raises(ValueError, match=text):
        tensorflow.Optimizer(Adafactor(), views=views).build([variable])


def test_a_frame_of_other_memory_is_refused_in_torch() -> None:
    """torch's parameters are changed where they lie."""
    with pytest.raises(ValueError, match="must fit its parameter's memory"):
        pytorch.Optimizer(
            [("w", torch.zeros(2, 3))], LAMB(), views={"w": View((1, 0), joined=(6,))}
        )


def test_a_model_without_variables_is_refused() -> None:
    with pytest.raises(ValueError, match="must be built before its variables have views"):
        tensorflow.views(keras.Sequential([LAYERS.Dense(2)]))
