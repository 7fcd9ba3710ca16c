"""Write the generated sections of README.md and of the pages in docs/.

``python -m docs.generate``, from the root of the repository, rewrites every section between the
comments ``<!-- generated: NAME -->`` and ``<!-- end of NAME -->``. ``tests/test_docs.py`` fails
while a section is out of date.
"""

import dataclasses
import enum
import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from samestep.parity.measure.cases import EVERYDAY, PLAIN
from samestep.parity.natives.reproductions import REPRODUCTIONS
from samestep.reference import RULES, Rule, dialects, parts
from samestep.reference.conventions import CONVENTIONS

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "parity" / "lockstep" / "golden.json"
SECTION = re.compile(
    r"<!-- generated: (?P<name>[\w-]+) -->\n(?P<text>.*?)<!-- end of (?P=name) -->", re.DOTALL
)
PARTS = (
    *parts.SCHEDULES,
    parts.Plateau,
    *parts.CLIPPINGS,
    parts.Accumulation,
    parts.MovingAverage,
    parts.EqualAverage,
    parts.LossScale,
)
SHORT = 12  # digits of a digest that the README shows


def pages() -> list[Path]:
    """Every Markdown page that users and contributors read."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def up_to_date(text: str) -> str:
    """The text of a page with each generated section written anew."""
    return SECTION.sub(_section, text)


def _section(match: re.Match[str]) -> str:
    name = match["name"]
    body = "\n".join(SECTIONS[name]())
    return f"<!-- generated: {name} -->\n\n{body.strip()}\n\n<!-- end of {name} -->"


def five_rules() -> Iterator[str]:
    """The README's table: are the weights equal, and are the defaults?"""
    golden = _golden()
    yield from _head("rule", "are the weights equal?", "are the defaults equal? (PyTorch / Keras)")
    for name in EVERYDAY:
        digests = golden[PLAIN[name][0]]["digests"]
        yield _row(name, f"yes, `{digests[-1][:SHORT]}...`", _defaults(name))


def _defaults(name: str) -> str:
    """The hyperparameters with an effect whose defaults differ between PyTorch and Keras."""
    pytorch, keras = dialects.pytorch.read(name), dialects.keras.read(name)
    differences = []
    for field in pytorch.names():
        values = getattr(pytorch, field), getattr(keras, field)
        if values[0] != values[1] and pytorch.is_active(field) and keras.is_active(field):
            differences.append(f"{field} {' / '.join(_short(value) for value in values)}")
    return f"no: {', '.join(differences)}" if differences else "yes"


def digests() -> Iterator[str]:
    """The digest of every trained call after the last epoch."""
    yield from _head("call", "SHA-256 of all weights after five epochs", "test accuracy")
    for call, case in _golden().items():
        yield _row(f"`{call}`", f"`{case['digests'][-1]}`", f"{case['accuracy'][-1]:.4f}")


def rules() -> Iterator[str]:
    """Each rule: what it does, its equation, its hyperparameters, its source and its names."""
    for rule in RULES:
        yield f"## {rule.__name__}\n"
        yield f"{_markdown(inspect.getdoc(rule))}\n"
        yield from _head("hyperparameter", "default", "allowed values")
        for field in dataclasses.fields(rule):
            yield _row(f"`{field.name}`", f"`{_value(field.default)}`", _allowed(field))
        yield f"\nIn PyTorch: {_names(rule, 'pytorch')}. In Keras: {_names(rule, 'keras')}.\n"
        source = inspect.getdoc(inspect.getmodule(rule)).partition("\n\n")[2]
        yield f"Source: {_markdown(source)}\n"


def all_parts() -> Iterator[str]:
    """Each part: what it does, and its fields."""
    for kind in PARTS:
        yield f"## {kind.__name__}\n"
        yield f"{_markdown(inspect.getdoc(kind))}\n"
        fields = dataclasses.fields(kind)
        if not fields:
            continue
        yield from _head("field", "default", "allowed values")
        for field in fields:
            missing = field.default is dataclasses.MISSING
            default = "must be given" if missing else f"`{_value(field.default)}`"
            yield _row(f"`{field.name}`", default, _allowed_in_part(field))
        yield ""


def _allowed_in_part(field: "dataclasses.Field[object]") -> str:
    """As ``_allowed``, for the kinds of fields that only parts have."""
    if "least" in field.metadata:
        return f"whole numbers from {field.metadata['least']} on"
    if "each" in field.metadata:
        return f"a list of numbers in {field.metadata['each']}"
    if "parts" in field.metadata:
        return f"a list of parts such as `{field.metadata['example']}`"
    return _allowed(field) if field.metadata else "a schedule"


def left_out() -> Iterator[str]:
    """The optimizers of PyTorch and Keras that are no rules here, with the reason."""
    yield from _head("optimizer", "why it is left out")
    for name in ("pytorch", "keras"):
        for optimizer, reason in dialects.find(name).left_out.items():
            yield _row(f"{name} `{optimizer}`", reason)


def names() -> Iterator[str]:
    """The name of every rule in every dialect."""
    yield from _head("rule", *dialects.DIALECTS)
    for rule in RULES:
        yield _row(rule.__name__, *(_names(rule, dialect) for dialect in dialects.DIALECTS))


def deviations() -> Iterator[str]:
    """The recorded deviations of the frameworks' own optimizers."""
    yield from _head("optimizer", "cause", "size", "script")
    for item in REPRODUCTIONS:
        script = f"[{item.name}](../../parity/natives/reproductions/{item.script.name})"
        cause = f"{item.cause} ([upstream]({item.link}))" if item.link else item.cause
        size = f"{item.measure}: {item.got} instead of {item.expected}"
        yield _row(f"{item.native} ({item.versions})", cause, size, script)


def conventions() -> Iterator[str]:
    """What differs between Keras and PyTorch: a table for each layer or part of training."""
    for topic in dict.fromkeys(row.topic for row in CONVENTIONS):
        yield f"## {topic}\n"
        yield from _head("matter", "Keras", "PyTorch", "what follows")
        for row in CONVENTIONS:
            if row.topic == topic:
                yield _row(row.matter, row.keras, row.pytorch, row.effect)
        yield ""


def _golden() -> dict[str, dict[str, list[str]]]:
    return json.loads(GOLDEN.read_text())["cases"]


def _names(rule: type[Rule], dialect: str) -> str:
    """What a dialect calls the rule; a dash if it has no such optimizer."""
    natives = dialects.find(dialect).natives
    quoted = [f"`{name}`" for name, native in natives.items() if native.rule is rule]
    return ", ".join(quoted) or "-"


def _short(value: object) -> str:
    return value.name if isinstance(value, enum.Enum) else repr(value)


def _value(value: object) -> str:
    return str(value) if isinstance(value, enum.Enum) else repr(value)


def _allowed(field: "dataclasses.Field[object]") -> str:
    """The interval or the choices of a hyperparameter, and what it needs to have an effect."""
    if "choices" in field.metadata:
        allowed = ", ".join(f"`{_value(choice)}`" for choice in field.metadata["choices"])
    else:
        allowed = (
            f"{field.metadata['interval']}{', whole numbers' if 'whole' in field.metadata else ''}"
        )
    needs = " and ".join(f"`{name}`" for name in field.metadata.get("matters_with", ()))
    return f"{allowed}; has an effect only with {needs}" if needs else allowed


def _markdown(docstring: str | None) -> str:
    """A docstring as Markdown: its literal blocks are fenced."""
    fenced = re.sub(r"::\n\n((?:    .*\n|\n)+?)(?=\S|\Z)", _fenced, f"{docstring}\n")
    return fenced.replace("``", "`").replace("~fence~", "```").strip()


def _fenced(match: re.Match[str]) -> str:
    return f"~fence~text\n{inspect.cleandoc(match[1])}\n~fence~\n\n"


def _head(*titles: str) -> Iterator[str]:
    yield _row(*titles)
    yield f"|{'---|' * len(titles)}"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


SECTIONS: dict[str, Callable[[], Iterable[str]]] = {
    "five-rules": five_rules,
    "digests": digests,
    "rules": rules,
    "parts": all_parts,
    "left-out": left_out,
    "names": names,
    "deviations": deviations,
    "conventions": conventions,
}


def main() -> None:
    """Rewrite the pages whose generated sections are out of date."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        page.write_text(up_to_date(text), encoding="utf-8")


if __name__ == "__main__":
    main()
