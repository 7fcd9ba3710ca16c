"""README.md and the pages in docs/: examples run, links lead somewhere, tables are up to date."""

import ast
import configparser
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_blocks import ROOT, Block, blocks, matches, project

from docs import generate

typer = pytest.importorskip("typer", reason="the command line is the extra 'report'")

from samestep.report.cli import app  # noqa: E402  needs typer

COMMANDS = typer.main.get_command(app).commands
PAGES = generate.pages()
README_LINES = 120  # the first screen and three examples; everything else is a page in docs/
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow", "COLUMNS": "120"}


def name(page: Path) -> str:
    """A page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


def all_blocks() -> Iterator[tuple[Path, Block]]:
    """Every block of every page."""
    for page in PAGES:
        for block in blocks(page):
            yield page, block


def all_text() -> str:
    """The text of all pages."""
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def run_in_blocks(program: str) -> list[str]:
    """Every command of a ``sh`` block that starts the program, run or not."""
    lines = [
        line for _, block in all_blocks() if block.language == "sh" for line in block.commands()
    ]
    return [line for line in lines if line.split()[0] == program]


def mentioned(program: str) -> list[str]:
    """Every command in a line of prose that starts the program; it may lack arguments."""
    return re.findall(rf"`({program} [^`]*)`", all_text())


def require_frameworks(page: Path) -> None:
    """Skip a page whose examples need a framework that is not installed; in CI that is an error."""
    code = page.read_text(encoding="utf-8")
    for framework in ("torch", "keras"):
        if (
            re.search(rf"^import {framework}$", code, re.MULTILINE)
            and importlib.util.find_spec(framework) is None
        ):
            assert not os.environ.get("CI"), f"{framework} must be installed in CI"
            pytest.skip(f"{framework} is not installed")


@pytest.mark.parametrize("page", [page for page in PAGES if any(blocks(page))], ids=name)
def test_examples_of_a_page_print_what_it_shows(page: Path, tmp_path: Path) -> None:
    """All blocks of the page, in order, in one child process."""
    require_frameworks(page)
    ended = subprocess.run(
        [sys.executable, ROOT / "tests" / "markdown_blocks.py", page],
        cwd=tmp_path, env={**os.environ, **QUIET, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    shown = {block.line: block.output for block in blocks(page)}
    for result in json.loads(ended.stdout):
        place = f"{name(page)}, line {result['line']}"
        assert not result["error"], f"{place}: {result['error']}"
        expected = shown[result["line"]]
        if expected is not None:
            message = f"{place} must print\n{expected}\nbut prints\n{result['printed']}"
            assert matches(expected, result["printed"]), message


def test_python_blocks_that_are_not_run_can_be_parsed() -> None:
    for page, block in all_blocks():
        if block.language == "python":
            ast.parse(block.code, f"{name(page)}, line {block.line}")


def test_a_block_that_is_not_run_says_why() -> None:
    assert not [
        f"{name(page)}, line {b.line}"
        for page, b in all_blocks()
        if b.not_run and len(b.not_run.split()) < 3
    ]


def test_commands_can_be_parsed() -> None:
    """Commands, options and arguments, by the command line's own parser; nothing is run."""
    for line in run_in_blocks("samestep"):
        command, *arguments = shlex.split(line)[1:]
        COMMANDS[command].make_context(command, arguments)


def test_commands_in_prose_exist() -> None:
    for line in mentioned("samestep"):
        command, *arguments = line.split()[1:]
        if command.isalpha() and command.islower():
            options = [
                option for parameter in COMMANDS[command].params for option in parameter.opts
            ]
            assert {argument for argument in arguments if argument.startswith("--")} <= {
                *options,
                "--help",
            }, line


def test_every_command_is_described() -> None:
    """In docs/reference/commands.md, and no other."""
    text = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    described = re.findall(r"^\| `samestep (\w+)", text, re.MULTILINE)
    assert sorted(described) == sorted(COMMANDS)


def test_environments_of_tox_exist() -> None:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    known = {section.removeprefix("testenv:") for section in tox.sections()}
    names = set(re.findall(r"tox -e ([\w-]+)", all_text()))
    assert names
    assert names <= known


def test_extras_exist() -> None:
    extras: set[str] = set()
    for names in re.findall(r'pip install "\.\[([\w,]+)\]"', all_text()):
        extras.update(names.split(","))
    assert extras
    assert extras <= set(project()["optional-dependencies"])


def test_links_lead_to_files_and_headings() -> None:
    broken = []
    for page in [*PAGES, ROOT / "CHANGELOG.md"]:
        text = re.sub(
            r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
        )
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, heading = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if "://" in link:
                continue
            if not target.exists() or (heading and heading not in anchors(target)):
                broken.append(f"{name(page)}: {link}")
    assert not broken


def anchors(page: Path) -> list[str]:
    """The names that GitHub gives to the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]


def test_every_page_is_linked_from_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    text = index.read_text(encoding="utf-8")
    pages = {
        page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")
    } - {"index.md"}
    assert not [page for page in sorted(pages) if f"({page})" not in text]


def test_names_in_prose_exist() -> None:
    """``samestep.parity.Recorder`` and so on: the module has a file, and the name is in it."""
    missing = []
    for page in PAGES:
        for dotted in re.findall(r"`(samestep\.[\w.]+)", page.read_text(encoding="utf-8")):
            *folders, last = dotted.rstrip(".").split(".")[1:]
            module = ROOT.joinpath(*folders)
            files = [module / "__init__.py", module.with_suffix(".py")]
            source = "".join(
                file.read_text(encoding="utf-8") for file in files if folders and file.exists()
            )
            is_module = (module / last).is_dir() or (module / f"{last}.py").exists()
            if not is_module and not re.search(rf"\b{last}\b", source):
                missing.append(f"{name(page)}: {dotted}")
    assert not missing


@pytest.mark.parametrize(
    "page", [page for page in PAGES if generate.SECTION.search(page.read_text())], ids=name
)
def test_generated_sections_are_up_to_date(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert generate.up_to_date(text) == text, "run: python -m docs.generate"


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= README_LINES


@pytest.mark.parametrize(
    ("shown", "printed", "expected"),
    [
        ("a\n", "a\n", True),
        ("a\n", "a\nb\n", False),
        ("a\n...\n", "a\nb\nc\n", True),
        ("a\n...\nd\n", "a\nb\nc\n", False),
        ("a ... c\n", "a b c\n", True),
        ("a ... c\n", "a b\nc\n", False),
    ],
)
def test_shown_output_is_compared_word_for_word(shown: str, printed: str, expected: bool) -> None:
    assert matches(shown, printed) is expected
