"""The code blocks of a Markdown page: found, run in order, and what they printed.

``python markdown_blocks.py PAGE`` runs the blocks of a page in the current folder and prints a JSON
list of results. The Python blocks of a page share their variables.

A ``python`` or ``sh`` block is run; a ``text`` block directly below it is what it must print. A
comment above a block changes that: ``<!-- file: NAME -->`` writes the block to a file, and
``<!-- not run: REASON -->`` leaves it alone.
"""

import contextlib
import dataclasses
import io
import json
import re
import shlex
import subprocess
import sys
import tomllib
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(
    r"(?:^<!-- (?P<directive>file|not run): (?P<value>.*?) -->\n)?"
    r"^```(?P<language>python|sh)\n(?P<code>.*?)^```$"
    r"(?:\n+^```text\n(?P<output>.*?)^```$)?",
    re.DOTALL | re.MULTILINE,
)
SECONDS = 120  # the longest that one command may take
INSTALLERS = (
    "pip",
    "python3",
    "tox",
)  # these make environments; the tests only check that the names exist


@dataclasses.dataclass(frozen=True)
class Block:
    """A ``python`` or ``sh`` block of a page. ``output`` is None where the page shows none."""

    language: str
    code: str
    line: int
    output: str | None
    file: str = ""
    not_run: str = ""

    def commands(self) -> list[str]:
        """The commands of a ``sh`` block; one line each."""
        return [line for line in self.code.replace("\\\n", " ").splitlines() if line.strip()]


def blocks(page: Path) -> Iterator[Block]:
    """Every ``python`` and ``sh`` block of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        directives = {match["directive"]: match["value"]} if match["directive"] else {}
        yield Block(
            match["language"],
            match["code"],
            line=text.count("\n", 0, match.start("code")),
            output=match["output"],
            file=directives.get("file", ""),
            not_run=directives.get("not run", ""),
        )


def matches(shown: str, printed: str) -> bool:
    """True if the page shows what was printed.

    A line ``...`` stands for any lines, and ``...`` in a line for any text.
    """
    lines = [_pattern(line) for line in shown.splitlines()]
    printed_lines = "".join(f"{line}\n" for line in printed.splitlines())
    return bool(re.fullmatch("".join(lines), printed_lines))


def _pattern(line: str) -> str:
    return (
        r"(?:.*\n)*" if line == "..." else rf"{re.escape(line).replace(re.escape('...'), '.*')}\n"
    )


def run(page: Path) -> list[dict[str, Any]]:
    """Run the blocks of a page in the current folder.

    Each result has the block's ``line``, what it ``printed``, and its ``error``, often empty.
    """
    variables: dict[str, Any] = {"__name__": "page"}
    results = []
    for block in blocks(page):
        if block.not_run:
            continue
        if block.file:
            Path(block.file).write_text(block.code, encoding="utf-8")
            continue
        printed, error = _python(block, variables) if block.language == "python" else _shell(block)
        results.append({"line": block.line, "printed": printed, "error": error})
    return results


def _python(block: Block, variables: dict[str, Any]) -> tuple[str, str]:
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(block.code, f"line {block.line}", "exec"), variables)
    except Exception:
        return printed.getvalue(), traceback.format_exc()
    return printed.getvalue(), ""


def _shell(block: Block) -> tuple[str, str]:
    """Run the commands of a block that do not install anything; exit codes 0 and 1 are answers."""
    printed = ""
    for command in block.commands():
        program, *arguments = shlex.split(command)
        if program in INSTALLERS:
            continue
        ended = subprocess.run(
            [*_start(program), *arguments],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        printed += ended.stdout or (ended.stderr if ended.returncode == 1 else "")
        if ended.returncode not in (0, 1) or "Traceback (most recent call last)" in ended.stderr:
            return printed, f"{command} ended with {ended.returncode}: {ended.stderr}"
    return printed, ""


def _start(program: str) -> list[str]:
    """The start of the command for a program that a page names; ValueError for an unknown one."""
    if program == "samestep":
        module, _, function = project()["scripts"]["samestep"].partition(":")
        return [sys.executable, "-c", f"import {module}; {module}.{function}()"]
    if program == "pytest":
        plugins = ["-p", "no:samestep", "-p", "samestep.plugin", "-p", "no:cacheprovider"]
        return [sys.executable, "-m", "pytest", *plugins]
    if program == "python":
        return [sys.executable]
    raise ValueError(
        f"a command must start with samestep, pytest, python or {', '.join(INSTALLERS)}, "
        f"got {program!r}"
    )


def project() -> dict[str, Any]:
    """The table ``project`` of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(Path(sys.argv[1]))))
