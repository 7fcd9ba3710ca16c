"""Records are read back as they were, and limits and layouts do what they say."""

from pathlib import Path

import numpy as np
import pytest

from samestep.migrate.pair import layouts, limits, named_losses, record
from samestep.migrate.pair.limits import Verdict
from samestep.migrate.pair.record import Call, Record, Step, Update

A = np.linspace(0.5, 2, 12).reshape(3, 4)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    """With every kind of value, and equal arrays stored once."""
    call = Call(0, "fc", "fc", "linear", "", [A], {"weight": "fc.weight"}, {"eps": None}, "a.py:3")
    call.output, call.gradient = A + 1, A
    step = Step([call], "one tensor", [A], [None], 2.5, 0.0, {"fc.weight": A}, {"fc.weight": A})
    step.responses = {"loss": 1e-12, "outputs": [0.5]}
    step.update = Update({"fc.weight": A}, {"fc.weight": A - 1}, {"m": {"fc.weight": A}})
    written = Record("pytorch", "float64", {"x": A, "y": [A]}, A, None, ["fc.weight"], [], [step])
    written.facts = {"loss": "mse", "parameters": 12}
    again = record.load(written.save(tmp_path / "a.npz"))
    assert again.facts == written.facts
    assert list(again.inputs) == ["x", "y"]
    (read,) = again.steps
    assert (read.loss, read.structure, read.responses) == (2.5, "one tensor", step.responses)
    (same,) = read.calls
    assert (same.name, same.parameters, same.settings) == (
        call.name,
        call.parameters,
        {"eps": None},
    )
    assert same.gradient is not None
    assert np.array_equal(same.gradient, A)
    assert same.output.dtype == A.dtype
    assert read.update is not None
    assert np.array_equal(read.update.state["m"]["fc.weight"], A)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert len(file.files) == 4  # three different arrays, and the text


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, a=A)
    with pytest.raises(ValueError, match=r"a.npz must be a record of samestep"):
        record.load(path)


@pytest.mark.parametrize(
    ("share", "verdict"),
    [(0.0, Verdict.SAME), (2.0**-40, Verdict.SAME), (2.0**-38, Verdict.BELOW),
     (2.0**-25, Verdict.BELOW), (2.0**-23, Verdict.DIFFERENT), (1.0, Verdict.DIFFERENT)],
)  # fmt: skip
def test_the_verdict_follows_the_distance(share: float, verdict: Verdict) -> None:
    """2^14.5 roundings of float64 are 2^-38.5 of a value, one of float32 is 2^-24."""
    assert limits.measure(A, A + 2 * share, 0.0).verdict is verdict


def test_the_response_widens_the_limit() -> None:
    """A value that moves by its own size under a nudge may differ 2^36 times as far."""
    zero, noise = np.zeros(3), np.full(3, 1e-15)
    assert limits.measure(zero, noise, 0.0).verdict is Verdict.DIFFERENT
    assert limits.measure(zero, noise, limits.NUDGE).verdict is Verdict.SAME


def test_not_a_number_and_infinity_are_equal_only_to_themselves() -> None:
    holes = np.array([1.0, np.nan, -np.inf])
    assert limits.measure(holes, holes, 0.0).verdict is Verdict.SAME
    for other in ([1.0, 2.0, -np.inf], [1.0, np.nan, np.inf], [np.nan, np.nan, -np.inf]):
        assert limits.measure(holes, np.array(other), 0.0).verdict is Verdict.DIFFERENT


def test_layouts_are_told_apart_by_values() -> None:
    image = np.arange(1.0, 25).reshape(1, 2, 3, 4)
    last = image.transpose(0, 2, 3, 1)
    assert layouts.find(image, last)[1]
    layout, equal = layouts.find(image.reshape(1, 24), last.reshape(1, 24), [(2, 3, 4)])
    assert equal
    assert layout is not None
    assert layout.name == "flattened 2 x 3 x 4"
    assert not layouts.find(image, last + 1)[1]
    assert layouts.find(image, np.zeros((1, 5))) == (None, False)


def test_losses_are_known_by_their_number() -> None:
    random = np.random.default_rng(0)
    labels, output = random.integers(0, 4, 6), random.standard_normal((6, 4))
    names = set()
    for formula in named_losses.formulas(labels, output):
        found_name = named_losses.name_of(formula.of(labels, output), labels, output)
        assert found_name is not None
        names.add(found_name.name)
    assert len(names) == 10  # five formulas; here the mean is the sum over the batch
    assert named_losses.name_of(123.0, labels, output) is None


def test_equal_copies_are_one_in_the_other_layout() -> None:
    """Positions that PyTorch embeds for each sample, and Keras once: gradients are added."""
    once = np.arange(1.0, 7).reshape(2, 3)
    copies = np.broadcast_to(once, (4, 2, 3))
    layout, equal = layouts.find(copies, once)
    assert equal
    assert layout is not None
    assert layout.name == "one of equal copies"
    assert np.array_equal(layout.carry_gradient(copies), 4 * once)
    unequal = np.array(copies)
    unequal[1] += 1
    other, _ = layouts.find(unequal, once)
    assert other is None or not other.adds
