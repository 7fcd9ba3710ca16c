"""Record one side in a process of its own.

``python -m samestep.migrate.pair.worker FILE.py --out a.npz --side pytorch``. A mistake of the user
ends with exit code 2, and ``a.npz.json`` says which.
"""

import argparse
import contextlib
import json
import os
import sys
import traceback
from pathlib import Path

from samestep.frameworks.experiment.process import without_chatter

from . import program, recording, shared
from .absent import absent
from .record import Record
from .shared import PairError, UserError

OF_SIDE = {"pytorch": ("torch",), "keras": ("tensorflow", "keras", "tf_keras")}


def main(arguments: list[str] | None = None) -> int:
    """Record, and write the record; the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--side", choices=list(OF_SIDE), default="pytorch")
    parser.add_argument("--whole", action="store_true", help="with both frameworks")
    options = parser.parse_args(arguments)
    with contextlib.redirect_stdout(sys.stderr):
        try:
            record(options)
        except PairError as error:
            mistake = {"message": str(error), "traceback": users_traceback(error)}
            Path(f"{options.out}.json").write_text(json.dumps(mistake))
            return 2
    return 0


def record(options: argparse.Namespace) -> None:
    """Record without the other framework; if that fails for any reason, start again with both."""
    made_by = {"pytorch": _in_pytorch, "keras": _in_keras}[options.side]
    if options.whole:
        made_by(options).save(options.out)
        return
    other = next(packages for side, packages in OF_SIDE.items() if side != options.side)
    try:
        with absent(*other):
            made = made_by(options)
    except Exception:
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:], "--whole"])
    made.save(options.out)


def _in_pytorch(options: argparse.Namespace) -> Record:
    import torch

    torch.set_num_threads(1)
    return recording.record_pytorch(program.read(options.file), options.steps)


def _in_keras(options: argparse.Namespace) -> Record:
    if options.whole:
        import torch  # noqa: F401  before TensorFlow
    with without_chatter():
        import keras

    shared.require_tensorflow(keras)
    from .libraries import keras_dtype

    with keras_dtype(recording.DTYPE):
        own = program.read(options.file)
    return recording.record_keras(own, options.steps)


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
