"""No right pair is accused, and its map is found without help."""

import warnings
from typing import Any

import pytest

from samestep.parity.tests.support.frameworks import keras

# isort: split
from samestep.migrate.pair.compare import Comparison, compare
from samestep.migrate.pair.limits import Verdict
from samestep.migrate.pair.program import Program
from samestep.migrate.pair.recording import record_pytorch
from samestep.migrate.tests.support.families import FAMILIES
from samestep.parity.tests.support.require import LEFT_OUT

SEEDS = 16  # in the full run: more than 200 pairs
BELOW = ("mlp", "transformer")  # TensorFlow's GELU and LeakyReLU have constants in float32


def judged(values: dict[str, Any], steps: int = 3) -> Comparison:
    """The comparison of a user's file."""
    keras.backend.clear_session()
    program = Program(values, "mine.py")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return compare(record_pytorch(program, steps), program)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("name", FAMILIES)
def test_a_right_pair_is_the_same_at_every_stage(name: str, seed: int, full: bool) -> None:
    """Every variable of Keras has its link, and nothing is left out."""
    if seed and not full:
        pytest.skip(LEFT_OUT)
    comparison = judged(FAMILIES[name].values(seed))
    assert [each.place for each in comparison.judgement.different] == []
    assert comparison.judgement.verdict is (Verdict.BELOW if name in BELOW else Verdict.SAME)
    assert comparison.judgement.not_compared == []
    assert comparison.causes == []


def test_a_right_pair_has_findings_in_every_stage() -> None:
    """A verdict without comparisons would prove nothing."""
    stages = {each.stage for each in judged(FAMILIES["cnn"].values()).judgement.findings}
    assert stages == {
        "forward", "loss", "gradient of the output", "backward", "parameter gradients", "clip",
        "weights after", "optimizer state", "buffers after",
    }  # fmt: skip


def test_a_map_that_is_given_is_used() -> None:
    """Pieces that the shapes need are added; a wrong line is reported where it shows."""
    names = {"sequential/dense/kernel": "0.weight", "sequential/dense_1/kernel": "2.weight"}
    right = judged({**FAMILIES["mlp"].values(), "map": names})
    assert right.same
    for name, parameter in names.items():
        assert right.links[name].parameters == (parameter,)
        assert str(right.links[name].pieces[0]) == "permute 1 0"
    wrong = judged({**FAMILIES["mlp"].values(), "map": {"sequential/dense/bias": "2.bias"}})
    first = wrong.judgement.first
    assert first is not None
    assert (first.stage, first.a) == ("map", "0.bias")


def test_a_wrong_map_is_disproved_by_its_consumers() -> None:
    """Equal layers in another order need guesses; the links come out right by values."""
    comparison = judged(FAMILIES["hand attention"].values())
    links = {link.variable: link.parameters[0] for link in comparison.links.values()}
    assert comparison.facts["tries"] > 1
    pairs = {"dense_4": "v", "dense_5": "k", "dense_6": "q"}
    kernels = {v.split("/")[1]: p for v, p in links.items() if v.endswith("kernel")}
    assert {kernels[layer] for layer in pairs} == {f"{name}.weight" for name in pairs.values()}
