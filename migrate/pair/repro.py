"""A script that shows a difference at one layer by itself: without samestep and the models."""

from pathlib import Path
from typing import Any

import numpy as np

from .findings import SAME_INPUT, Finding
from .judge import Judge
from .record import Call
from .shared import PairError

SCRIPT = '''"""{place}: the same input, other outputs.

Keras' layer runs here on its input in the pair. PyTorch's output is the recorded one, in Keras'
layout. PyTorch's layer: {kind} with {settings}.
"""

import keras
import numpy as np

keras.config.set_floatx("{dtype}")
keras.config.set_dtype_policy("{dtype}")
arrays = np.load("{file}")
x = keras.ops.convert_to_tensor(arrays["x"])
{layer}
in_keras = np.asarray({call})
in_pytorch = arrays["in_pytorch"]
print("PyTorch", in_pytorch.ravel()[:5])
print("Keras  ", in_keras.ravel()[:5])
print("largest distance", np.max(np.abs(in_keras - in_pytorch)))
'''
LAYER = """layer = keras.layers.{kind}.from_config({config})
layer.build(x.shape)
layer.set_weights([arrays[f"weight{{n}}"] for n in range({count})])"""
ACTIVATION = 'layer = keras.activations.get("{name}")'


def write(judge: Judge, finding: Finding, path: Path) -> Path:
    """Write a script and, beside it, its arrays (.npz).

    PairError if the finding is not at a single layer of Keras with one input.
    """
    call, layer = _at_one_layer(judge, finding)
    twin = judge.record.steps[0].calls[judge.alignment.twin[call.index]]
    expected = judge.alignment.layout[call.index].carry(twin.output)
    arrays = {"x": call.inputs[0], "in_pytorch": expected}
    file = path.with_suffix(".npz")
    if call.owner.endswith(".activation"):
        made, run = ACTIVATION.format(name=call.detail), "layer(x)"
    else:
        weights = layer.get_weights()
        arrays |= {f"weight{number}": array for number, array in enumerate(weights)}
        config = _without_activation(layer.get_config(), call)
        kind = type(layer).__name__
        made = LAYER.format(kind=kind, config=config, count=len(weights))
        run = "layer(x, training=True)" if call.kind == "bn" else "layer(x)"
    np.savez(file, allow_pickle=False, **arrays)
    text = SCRIPT.format(
        place=finding.place,
        kind=twin.kind,
        settings=twin.settings,
        dtype=judge.dtype,
        file=file.name,
        layer=made,
        call=run,
    )
    path.write_text(text, encoding="utf-8")
    return path


def _at_one_layer(judge: Judge, finding: Finding) -> tuple[Call, Any]:
    if judge.direction.reference == "keras":
        raise PairError(
            "no script was written: scripts show a layer of Keras, so PyTorch must be the "
            "reference; leave --reference out"
        )
    fits = finding.stage == "forward" and finding.kind == SAME_INPUT and finding.call is not None
    if fits:
        assert finding.call is not None
        call = judge.last.calls[finding.call]
        layer = judge.layer_of(call)
        of_keras = layer is not None and type(layer).__module__.startswith("keras.")
        if of_keras and len(call.inputs) == 1 and not call.owner.endswith(("wise",)):
            return call, layer
    raise PairError(
        "no script was written: it would be for a layer of Keras with one input that differs on "
        f"the same input, but the first difference is {finding.kind!r} in stage "
        f"{finding.stage!r}, at {finding.place}"
    )


def _without_activation(config: dict[str, Any], call: Call) -> dict[str, Any]:
    """A layer's config; its activation is a call of its own in the comparison."""
    plain = {key: value for key, value in config.items() if key != "dtype"}
    if call.kind in ("linear", "conv", "convt") and "activation" in plain:
        plain["activation"] = None
    return plain
