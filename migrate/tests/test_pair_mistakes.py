"""What cannot be compared ends with a message that says what must hold, what came, what to do."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, tf, torch

# isort: split
from samestep.migrate import same_training_step
from samestep.migrate.pair import in_keras, program
from samestep.migrate.pair.compare import compare
from samestep.migrate.pair.recording import record_keras, record_pytorch
from samestep.migrate.pair.shared import PairError, UserError
from samestep.migrate.pair.worker import users_traceback
from samestep.reference.parts import Cosine

layers, nn = keras.layers, torch.nn


def batch() -> Any:
    random = np.random.default_rng(0)
    return random.standard_normal((5, 4)).astype("float32"), random.integers(0, 3, 5)


def in_torch() -> Any:
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))


def in_keras_model(units: int = 3) -> Any:
    return keras.Sequential(
        [layers.Input((4,)), layers.Dense(6, activation="relu"), layers.Dense(units)]
    )


def refused(message: str, **changes: Any) -> PairError:
    """The error of a pair of which something is changed."""
    keras.backend.clear_session()
    pair = {"torch_model": in_torch, "keras_model": in_keras_model, "batch": batch, **changes}
    with pytest.raises(PairError, match=message) as caught:
        same_training_step(**pair, steps=1)
    return caught.value


class Changed(torch.nn.Module):
    """A network whose forward pass is a given function of itself and the input."""

    def __init__(self, run: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 3)
        self.run = run
        self.count = 0

    def forward(self, x: Any) -> Any:
        return self.run(self, x)


def test_the_right_pair_is_accepted() -> None:
    keras.backend.clear_session()
    assert same_training_step(in_torch, in_keras_model, batch).same


def test_a_forward_pass_that_fails_is_the_users() -> None:
    """With the traceback of the user's own lines."""

    def fail(model: Any, x: Any) -> Any:
        return model.missing_layer(x)

    error = refused(
        "the PyTorch model's forward pass failed: AttributeError",
        torch_model=lambda: Changed(fail),
    )
    assert isinstance(error, UserError)
    shown = users_traceback(error)
    assert "missing_layer" in shown
    assert "/migrate/pair/" not in shown


def test_a_failing_keras_model_is_the_users() -> None:
    refused(r"the Keras model's forward pass failed", keras_model=lambda: keras.Sequential(
        [layers.Input((9,)), layers.Dense(3)]
    ))  # fmt: skip


def test_a_batch_of_the_wrong_shape_is_the_users() -> None:
    wrong = np.zeros((5, 7), np.float32), np.zeros(5, np.int64)
    refused("the PyTorch model's forward pass failed: RuntimeError", batch=lambda: wrong)


def test_a_batch_without_targets_is_refused() -> None:
    refused(r"batch\(\) must return \(inputs, targets\)", batch=lambda: np.zeros((5, 4)))


def test_a_batch_of_text_is_refused() -> None:
    refused("must return arrays of numbers", batch=lambda: (np.array(["a"]), np.zeros(1)))


def test_a_model_without_trained_parameters_is_refused() -> None:
    refused(
        "PyTorch model must have at least one parameter that is trained",
        torch_model=lambda: in_torch().requires_grad_(False),
    )

    def frozen() -> Any:
        model = in_keras_model()
        model.trainable = False
        return model

    refused("Keras model must have at least one variable that is trained", keras_model=frozen)


def test_a_factory_that_returns_something_else_is_refused() -> None:
    refused(r"torch_model\(\) of the test must return a torch.nn.Module", torch_model=lambda: 3)
    refused(r"keras_model\(\) of the test must return a keras.Model", keras_model=in_torch)


def test_nan_is_traced_to_the_first_layer() -> None:
    def divide(model: Any, x: Any) -> Any:
        return model.last(torch.relu(model.first(x)).log())

    refused(r"but last \(linear\) of the PyTorch model", torch_model=lambda: Changed(divide))

    def overflow() -> Any:
        model = in_torch()
        nn.init.constant_(model[0].weight, float("nan"))
        return model

    refused(r"but 0 \(linear\) of the PyTorch model is the first", torch_model=overflow)


def test_a_model_that_changes_its_input_is_refused() -> None:
    def change(model: Any, x: Any) -> Any:
        x.mul_(2.0)
        return model.last(torch.relu(model.first(x)))

    refused("changes its input in place", torch_model=lambda: Changed(change))


def test_control_flow_that_depends_on_data_is_refused() -> None:
    def branch(model: Any, x: Any) -> Any:
        model.count += 1
        h = torch.relu(model.first(x))
        return model.last(torch.tanh(h) if model.count > 1 else h)

    refused("must make the same calls each time", torch_model=lambda: Changed(branch))


@pytest.mark.parametrize(
    "layer", [layers.GaussianNoise(0.1), layers.SpatialDropout1D(0.1), layers.RandomFlip()]
)
def test_other_random_layers_of_keras_are_refused_by_name(layer: Any) -> None:
    model = keras.Sequential([layer])
    with pytest.raises(PairError, match=f"{type(layer).__name__}.*same random numbers"):
        in_keras.refuse_random(model)


def test_dropout_inside_attention_is_refused() -> None:
    refused(
        "dropout inside the attention of 0",
        torch_model=lambda: nn.Sequential(nn.MultiheadAttention(4, 2, dropout=0.1)),
    )


def test_outputs_of_another_structure_are_a_finding() -> None:
    def two_outputs() -> Any:
        inputs = layers.Input((4,))
        h = layers.Dense(6, activation="relu")(inputs)
        return keras.Model(inputs, {"logits": layers.Dense(3)(h), "hidden": h})

    keras.backend.clear_session()
    loss = (
        nn.functional.cross_entropy,
        lambda y, o: keras.losses.sparse_categorical_crossentropy(y, o["logits"], from_logits=True),
    )
    with pytest.raises(AssertionError, match="PyTorch returns one tensor, Keras tensors"):
        same_training_step(in_torch, two_outputs, batch, loss=loss, steps=1)


def test_a_named_loss_needs_one_tensor() -> None:
    refused(
        "the loss 'cross_entropy' must be given one tensor",
        torch_model=lambda: Changed(lambda model, x: {"a": model.first(x)}),
    )


def test_an_unknown_loss_is_refused() -> None:
    refused("loss must be one of cross_entropy", loss="focal")


def test_an_unknown_entry_is_refused() -> None:
    with pytest.raises(ValueError, match="entries must be some of loss"):
        same_training_step(in_torch, in_keras_model, batch, optimiser="adam")


def test_an_optimizer_of_one_side_alone_is_refused() -> None:
    refused(
        "both sides or for none, but Keras has none",
        optimizers={"pytorch": "pytorch:Adam(lr=0.001)"},
    )


def test_an_optimizer_that_is_none_is_refused() -> None:
    refused("optimizers must be, for each side", optimizers=(3, 3))
    refused("optimizers must be, for each side", optimizers=("pytorch:Adm()", "pytorch:Adm()"))


def test_a_clipping_that_is_none_is_refused() -> None:
    refused("clip must be a number", clip="norm of 1", optimizers=("pytorch:Adam()",) * 2)


def test_a_map_with_unknown_names_is_refused() -> None:
    refused("the map must name parameters", map={"nothing": ["0.weight"]})


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(PairError, match=r"nothing.py must be a Python file"):
        program.read("nothing.py")


def test_a_file_that_fails_is_the_users(tmp_path: Any) -> None:
    file = tmp_path / "mine_fails.py"
    file.write_text("import no_such_module\n")
    with pytest.raises(UserError, match=r"the import of mine_fails.py failed: ModuleNotFound"):
        program.read(str(file))


def test_a_keras_model_with_explicit_float32_is_judged_in_float32() -> None:
    def cast() -> Any:
        inputs = layers.Input((4,))
        h = layers.Dense(6, activation="relu", dtype="float32")(inputs)
        return keras.Model(inputs, layers.Dense(3, dtype="float32")(h))

    keras.backend.clear_session()
    comparison = same_training_step(in_torch, cast, batch)
    assert comparison.facts["dtype"] == "float32"
    assert "judged in float32" in comparison.judgement.not_compared[-1]
    wrong = {"torch_model": lambda: nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))}
    with pytest.raises(AssertionError, match="forward, step 1"):
        same_training_step(keras_model=cast, batch=batch, **wrong)


def in_half_precision(model: Any, x: Any) -> Any:
    return model.last(torch.relu(model.first(x).bfloat16()).to(x.dtype))


@pytest.mark.parametrize("reference", ["pytorch", "keras"])
def test_a_pytorch_model_that_leaves_float64_is_judged_in_float32(reference: str) -> None:
    """The rounding to bfloat16 is a true difference; without the cast the pair is the same."""
    values = {"torch_model": lambda: Changed(in_half_precision), "keras_model": in_keras_model,
              "batch": batch}  # fmt: skip
    keras.backend.clear_session()
    written = program.Program(values, "mine.py")
    record = {"pytorch": record_pytorch, "keras": record_keras}[reference](written, 1)
    assert ("why float32" in record.facts) == (reference == "pytorch")
    comparison = compare(record, written)
    assert comparison.facts["dtype"] == "float32"
    reason = comparison.judgement.not_compared[-1]
    assert "must run in float64 for the comparison, but relu()" in reason
    first = comparison.judgement.first
    assert first is not None
    assert (first.stage, first.a) == ("forward", "relu()")


def in_ieee_half(model: Any, x: Any) -> Any:
    """As a product in float16 that both sides round alike: here it changes nothing."""
    scale = torch.relu(torch.ones(1, dtype=torch.float16))
    return model.last(torch.relu(model.first(x))) * scale.to(x.dtype)


def test_what_float32_can_tell_is_still_the_same() -> None:
    keras.backend.clear_session()
    comparison = same_training_step(lambda: Changed(in_ieee_half), in_keras_model, batch)
    assert comparison.facts["dtype"] == "float32"
    assert "judged in float32" in comparison.judgement.not_compared[-1]


def test_a_schedule_goes_with_a_rule_and_not_with_a_live_optimizer() -> None:
    live = lambda params: torch.optim.Adam(params)  # noqa: E731  a factory of a user
    schedule = Cosine(lr=0.1, steps=5)
    refused(
        "a schedule of samestep.reference.parts must go with", optimizers=((live, schedule),) * 2
    )


def test_schedules_are_compared_step_by_step() -> None:
    """Equal ones are the same; one that falls faster is named, with its first rates."""

    def both(steps: int) -> Any:
        call = "pytorch:SGD(lr=0.1)"
        return (call, Cosine(lr=0.1, steps=5)), (call, Cosine(lr=0.1, steps=steps))

    keras.backend.clear_session()
    assert same_training_step(in_torch, in_keras_model, batch, optimizers=both(5)).same
    keras.backend.clear_session()
    with pytest.raises(AssertionError, match="weights after, step 2") as caught:
        same_training_step(in_torch, in_keras_model, batch, optimizers=both(4))
    assert "the schedule is Cosine(lr=0.1, steps=4" in str(caught.value)


def test_weights_of_samples_reach_both_losses() -> None:
    """As ``fit(x, y, sample_weight)``; left out in Keras' loss, the loss differs."""

    def weighted() -> Any:
        x, y = batch()
        return x, y, np.linspace(0.5, 2, len(x)).astype("float32")

    keras.backend.clear_session()
    assert same_training_step(in_torch, in_keras_model, weighted).same
    losses = (
        lambda output, targets, weights: (
            nn.functional.cross_entropy(output, targets, reduction="none") * weights
        ).mean(),
        lambda targets, output, weights: tf.reduce_mean(
            keras.losses.sparse_categorical_crossentropy(targets, output, from_logits=True)
        ),
    )
    keras.backend.clear_session()
    with pytest.raises(AssertionError, match="DIFFERENT: loss, step 1"):
        same_training_step(in_torch, in_keras_model, weighted, loss=losses)


def test_tensorflow_is_there() -> None:
    assert tf.__version__
