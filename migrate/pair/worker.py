"""Record the PyTorch side in a process of its own.

``python -m samestep.migrate.pair.worker FILE.py --out a.npz --steps 3``. A mistake of the user ends
with exit code 2, and ``a.npz.json`` says which.
"""

import argparse
import contextlib
import json
import sys
import traceback
from pathlib import Path

from . import program, recording
from .absent import absent
from .shared import PairError, UserError

OTHER_SIDE = ("tensorflow", "keras", "tf_keras")


def main(arguments: list[str] | None = None) -> int:
    """Record, and write the record; the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3)
    options = parser.parse_args(arguments)
    with contextlib.redirect_stdout(sys.stderr):
        try:
            record(options.file, options.steps, options.out)
        except PairError as error:
            mistake = {"message": str(error), "traceback": users_traceback(error)}
            Path(f"{options.out}.json").write_text(json.dumps(mistake))
            return 2
    return 0


def record(file: str, steps: int, out: Path) -> None:
    """Record without Keras if the file allows that, else with it."""
    import torch

    torch.set_num_threads(1)
    try:
        with absent(*OTHER_SIDE):
            recording.record_pytorch(program.read(file), steps).save(out)
    except Exception:
        forget(file)
        recording.record_pytorch(program.read(file), steps).save(out)


def forget(file: str) -> None:
    """Let the user's file be imported anew."""
    sys.modules.pop(Path(file).stem, None)


def users_traceback(error: BaseException) -> str:
    """The traceback of the user's own exception, without the frames of this package; may be ''."""
    cause = error.__cause__
    if not isinstance(error, UserError) or cause is None:
        return ""
    frames = traceback.extract_tb(cause.__traceback__)
    own = [frame for frame in frames if "/migrate/pair/" not in frame.filename]
    lines = ["Traceback of your code:\n", *traceback.format_list(own)]
    return "".join([*lines, *traceback.format_exception_only(cause)])


if __name__ == "__main__":
    sys.exit(main())
