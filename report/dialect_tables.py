"""What each framework means by each rule, and how its call is written in other dialects."""

import dataclasses
import enum
import inspect
from typing import Any, NamedTuple

from samestep import reference
from samestep.reference import Rule, dialects

from .content import Cell, DialectTable, HyperparameterRow, Spelling

PREFIXES = {
    "pytorch": "torch.optim.",
    "keras": "keras.optimizers.",
    "tf_keras": "tf_keras.optimizers.legacy.",
    "tensorflow1": "tf.compat.v1.train.",
    "optax": "optax.",
    "onnx": "ai.onnx.preview.training.",
    "paper": "the paper's ",
    "article": "the article's ",
}
COLUMNS = ("pytorch", "keras", "article")  # of the page's table
PAIRED = {
    ("pytorch", "beta1"): "betas[0]",
    ("pytorch", "beta2"): "betas[1]",
}  # an argument that holds two
TARGETS = ("pytorch", "keras")
SHARED = ("weight_decay", "decay", "maximize")  # shown last: every rule has them


class Native(NamedTuple):
    """An optimizer that a dialect names."""

    dialect: str
    name: str

    @property
    def title(self) -> str:
        """The optimizer's full name."""
        return PREFIXES[self.dialect] + self.name

    @property
    def default(self) -> Rule:
        """The rule that a call with default arguments means."""
        rule: Rule = dialects.find(self.dialect).read(self.name)
        return rule

    @property
    def entry(self) -> dialects.Native:
        """The native's entry in its dialect."""
        entry: dialects.Native = dialects.find(self.dialect).natives[self.name]
        return entry


def table(name: str) -> DialectTable:
    """Return everything about one rule in all dialects that the page shows."""
    rule = _find(name)
    natives = _natives(rule)
    sentence, equation = explained(rule)
    fields = sorted(dataclasses.fields(rule), key=lambda field: field.name in SHARED)
    spellings: list[Spelling] = []
    for native in natives:
        targets = [target for target in TARGETS if target != native.dialect]
        spellings += [_spelling(native, target) for target in targets]
    return DialectTable(
        rule=name,
        sentence=sentence,
        equation=equation,
        columns=[native.title for native in natives],
        rows=[_row(field, natives) for field in fields],
        spellings=spellings,
    )


def explained(rule: type[Rule]) -> tuple[str, str]:
    """Return the first sentence of a rule's docstring, and its equation."""
    sentence, _, rest = inspect.cleandoc(rule.__doc__ or "").partition("\n\n::\n\n")
    block = rest.partition("\n\n")[0]
    return " ".join(sentence.split()), inspect.cleandoc("\n" + block)


def defaults_differ(rules: tuple[str, ...]) -> list[str]:
    """Return the names whose calls with default arguments mean two rules in PyTorch and Keras.

    A name that one of the two does not have, such as LAMB, is none of them.
    """
    pytorch, keras = dialects.pytorch, dialects.keras
    both = [name for name in rules if name in pytorch.natives and name in keras.natives]
    return [name for name in both if repr(pytorch.read(name)) != repr(keras.read(name))]


def _find(name: str) -> type[Rule]:
    return next(rule for rule in reference.RULES if rule.__name__ == name)


def _natives(rule: type[Rule]) -> list[Native]:
    natives: list[Native] = []
    for dialect in COLUMNS:
        entries = dialects.find(dialect).natives
        natives += [Native(dialect, name) for name in entries if entries[name].rule is rule]
    return natives


def _row(field: "dataclasses.Field[Any]", natives: list[Native]) -> HyperparameterRow:
    """Return one hyperparameter in each dialect: an argument with its default, or a fixed value."""
    values = {getattr(native.default, field.name) for native in natives}
    is_inactive = not any(native.default.is_active(field.name) for native in natives)
    return HyperparameterRow(
        field=field.name,
        matters_with=list(field.metadata.get("matters_with", ())) if is_inactive else [],
        cells=[_cell(field.name, native) for native in natives],
        differ=len(values) > 1,
    )


def _cell(field: str, native: Native) -> Cell:
    value = getattr(native.default, field)
    for argument, argument_field in native.entry.arguments.items():
        if argument_field == field:
            return Cell(True, f"{PAIRED.get((native.dialect, argument), argument)} = {value!r}")
    if not isinstance(value, enum.Enum):
        return Cell(False, f"always {value!r}")
    if native.default.is_active(field) or _can_become_active(field, native.entry):
        return Cell(False, str(value.value))
    return Cell(False, "never matters")


def _can_become_active(field: str, entry: dialects.Native) -> bool:
    """Return True if some argument of the native can make the hyperparameter matter."""
    metadata = {each.name: each.metadata for each in dataclasses.fields(entry.rule)}
    return set(metadata[field]["matters_with"]) <= set(entry.arguments.values())


def _spelling(native: Native, target: str) -> Spelling:
    """Write the native's call with its defaults in another dialect, or say why that cannot be."""
    call = f"{native.title}()"
    into = PREFIXES[target].rstrip(".")
    try:
        spelled = dialects.find(target).spell(native.default)
    except dialects.Inexpressible as refusal:
        return Spelling(call, into, False, refusal.why, refusal.size, refusal.instead)
    return Spelling(call, into, True, f"{PREFIXES[target]}{spelled}")


class RelationCell(NamedTuple):
    """How a call is written in one dialect; ``note`` is the number of a note, counted from 1."""

    kind: dialects.Kind
    note: int | None


class RelationRow(NamedTuple):
    """One call of one dialect in all other dialects that have its rule."""

    dialect: str
    call: str
    cells: dict[str, RelationCell]


class RelationMatrix(NamedTuple):
    """All calls of one rule in all dialects that have it."""

    rule: str
    columns: list[str]
    rows: list[RelationRow]
    notes: list[str]


def matrix(name: str) -> RelationMatrix:
    """Return how every call of one rule is written in every dialect that has the rule."""
    rule = _find(name)
    columns = []
    for dialect_name, dialect in dialects.DIALECTS.items():
        if any(entry.rule is rule for entry in dialect.natives.values()):
            columns.append(dialect_name)
    rows: list[RelationRow] = []
    numbers: dict[str, int] = {}  # of the notes
    for source in columns:
        for call, call_rule in dialects.relation.calls(dialects.find(source), rule):
            targets = [target for target in columns if target != source]
            cells = {target: _relation(call_rule, target, numbers) for target in targets}
            rows.append(RelationRow(source, call, cells))
    return RelationMatrix(name, columns, rows, list(numbers))


def _relation(rule: Rule, target: str, numbers: dict[str, int]) -> RelationCell:
    relation = dialects.relate(rule, dialects.find(target))
    number = numbers.setdefault(relation.note, len(numbers) + 1) if relation.note else None
    return RelationCell(relation.kind, number)
