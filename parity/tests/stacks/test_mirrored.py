"""tf.distribute.MirroredStrategy on two logical CPUs, with our optimizer."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samestep import SEARCH_PATH
from samestep.parity.tests.support.replay import History, Step, assert_same
from samestep.parity.tests.support.require import require
from samestep.reference import Adam, Decay

require("tensorflow")

SCRIPT = Path(__file__).with_name("mirrored_run.py")
RULE = Adam(lr=1e-3, weight_decay=1e-2, decay=Decay.DECOUPLED)
STEPS = 16


def run(out: Path, options: dict[str, Any]) -> Any:
    """The script's process, which has ended."""
    command = [sys.executable, str(SCRIPT), str(out), json.dumps(RULE.to_dict())]
    return subprocess.run(
        [*command, json.dumps(options)],
        cwd=SEARCH_PATH,
        env={**os.environ, "PYTHONPATH": str(SEARCH_PATH)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def arrays(out: Path, options: dict[str, Any]) -> dict[str, np.ndarray]:
    """The arrays that the script wrote."""
    ended = run(out, options)
    assert ended.returncode == 0, ended.stderr
    with np.load(out) as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mixed_float16": True},
        {"schedule": "ours"},
        {"schedule": "keras"},
        {"run_eagerly": True},
        {"run_eagerly": True, "schedule": "ours"},
    ],
    ids=str,
)
def test_both_replicas_take_the_rules_step(options: dict[str, Any], tmp_path: Path) -> None:
    """On the sum of their gradients, in which Keras has divided each by the number of replicas."""
    seen = arrays(tmp_path / "seen.npz", options)
    tensors = sum(name.startswith("start/") for name in seen)
    assert tensors == 4
    for index in range(tensors):
        steps = []
        for step in range(STEPS):
            first, second = (seen[f"gradient/{replica}/{step}/{index}"] for replica in (0, 1))
            assert not np.array_equal(first, second)
            steps.append(Step(first + second, RULE, float(seen[f"rate/0/{step}"])))
        expected = History(seen[f"start/{index}"], steps).end()
        assert len({step.lr for step in steps}) == (STEPS if "schedule" in options else 1)
        for replica in (0, 1):
            assert_same([expected], [seen[f"end/{replica}/{index}"]])
    assert f"rate/0/{STEPS}" not in seen


@pytest.mark.parametrize(
    "options",
    [
        {"gradient_accumulation_steps": 2},
        {"use_ema": True, "ema_overwrite_frequency": 4},
    ],
    ids=str,
)
def test_what_keras_cannot_do_on_replicas_is_refused(
    options: dict[str, Any], tmp_path: Path
) -> None:
    ended = run(tmp_path / "seen.npz", options)
    name = list(options)[-1]
    assert f"{name} must be None under MirroredStrategy, got {options[name]}" in ended.stderr
    assert "use larger batches, or one replica" in ended.stderr
