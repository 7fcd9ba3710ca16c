"""Assert in a test that two models take the same training step."""

from typing import Any

from .pair.program import Program
from .pair.recording import record_pytorch

ENTRIES = ("loss", "optimizers", "clip", "convert", "map")


def same_training_step(
    torch_model: Any, keras_model: Any, batch: Any, *, steps: int = 3, **entries: Any
) -> Any:
    """AssertionError unless a PyTorch and a Keras model take the same training steps.

    ``torch_model`` and ``keras_model`` are functions that return the models, ``batch`` one that
    returns inputs and targets in PyTorch's layout. Models made in float32 are accepted, too; then
    less can be told. Further entries are those of a file of ``samestep pair``: loss, optimizers,
    clip, convert, map. Returns the comparison. ValueError if the two cannot be compared.

    The message has the first stage and layer that differ, and the cause where one is known.
    """
    from .pair.compare import compare
    from .pair.text import lines

    unknown = [name for name in entries if name not in ENTRIES]
    if unknown:
        raise ValueError(f"entries must be some of {', '.join(ENTRIES)}, got {unknown[0]!r}")
    values = {"torch_model": torch_model, "keras_model": keras_model, "batch": batch, **entries}
    program = Program(values, "the test")
    comparison = compare(record_pytorch(program, steps), program)
    if not comparison.same:
        raise AssertionError("\n".join(lines(comparison)))
    return comparison
