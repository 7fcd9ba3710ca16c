"""Models that transformers 4.57 has for PyTorch and TensorFlow take the same training step, or the
difference is one that is explained here.
"""

import os
import warnings

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
pytest.importorskip("transformers", reason="tox -e twins has it")

from samestep.migrate.pair.compare import compare
from samestep.migrate.pair.limits import Verdict
from samestep.migrate.pair.program import Program
from samestep.migrate.pair.recording import record_pytorch
from samestep.migrate.tests.support.twins import TWINS, Twin, values

FIXED_POSITIONS = "backward", "embed_positions"  # held in PyTorch, trained in TensorFlow
SEPARABLE = "map", "key_conv_attn_layer"  # a class of its own in PyTorch: the map needs a line
EXPLAINED = {  # name: the stage and the place of the first difference
    "ConvBertModel": SEPARABLE,
    "RoFormerModel": FIXED_POSITIONS,
    "PegasusModel": FIXED_POSITIONS,
    "MarianModel": FIXED_POSITIONS,
    "OpenAIGPTModel": ("forward", "mlp.c_proj"),  # "gelu" is the tanh form in PyTorch alone
    "GPTJModel": ("backward", "attn.k_proj"),  # TensorFlow casts both to float32
    "DistilBertModel": ("backward", "attention.q_lin"),  # TensorFlow casts it to float32
}


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.name)
def test_twins_take_the_same_step(twin: Twin) -> None:
    program = Program(values(twin), "twin")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        comparison = compare(record_pytorch(program, 1), program)
    first = comparison.judgement.first
    if twin.name in EXPLAINED:
        stage, place = EXPLAINED[twin.name]
        assert first is not None
        assert (first.stage, place in first.place) == (stage, True)
    else:
        assert first is None, first
        assert comparison.judgement.verdict is not Verdict.DIFFERENT
