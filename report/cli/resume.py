"""``samestep resume``."""

import dataclasses
import importlib
import json
import os
import sys
from typing import Annotated, Any

import typer

from .common import AsJson, mistakes, silence_tensorflow


def resume(
    build: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:FUNCTION",
            help='a function that gives a dict of the run\'s parts, with a function "step"',
        ),
    ],
    at: Annotated[int, typer.Option(min=1, help="steps before the run is saved")] = 50,
    steps: Annotated[int, typer.Option(min=1, help="steps that are compared after it")] = 20,
    save: Annotated[
        str, typer.Option(metavar="FUNCTION", help="your function (run, folder) that saves")
    ] = "",
    load: Annotated[
        str, typer.Option(metavar="FUNCTION", help="your function (run, folder) that loads")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Is a saved and loaded run the unbroken run? If not: what was lost, and what cures it."""
    silence_tensorflow()
    with mistakes():
        program = _program(build, save, load)
        from samestep.migrate.port import resume as auditing

        result = auditing.audit(program, at, steps)
    if as_json:
        answer = {**dataclasses.asdict(result), "same": result.same}
        answer["losses"] = [loss._asdict() for loss in result.losses]
        typer.echo(json.dumps(answer, indent=1))
    else:
        for line in auditing.lines(result):
            typer.echo(line)
    raise typer.Exit(0 if result.same else 1)


def _program(build: str, save: str, load: str) -> Any:
    """The functions that the command names; ValueError, in one line, if there are none."""
    from samestep.migrate.port.resume import Program

    module_name, _, name = build.removesuffix(".py").replace(".py:", ":").partition(":")
    if not name or bool(save) != bool(load):
        raise ValueError(
            "resume must be given MODULE:FUNCTION, and --save and --load both or neither, got "
            f"{build!r}"
        )
    sys.path.insert(0, os.getcwd())
    try:
        module: Any = importlib.import_module(module_name)
    except ImportError as error:
        raise ValueError(
            f"{module_name} must be a module, in this folder or installed: {error}"
        ) from error
    functions = []
    for each in (name, *([save, load] if save else [])):
        function = getattr(module, each, None)
        if not callable(function):
            raise ValueError(f"{module_name} must have a function {each!r}, got {function!r}")
        functions.append(function)
    return Program(*functions)
