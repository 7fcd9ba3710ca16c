"""How the calls of one rule are written in every dialect, as a table in the terminal."""

from rich.table import Column, Table
from rich.text import Text

from samestep.reference.dialects import Kind
from samestep.report.dialect_tables import RelationCell, RelationMatrix

LABELS = {  # a relation of two calls: its name in the table, and its colour
    Kind.SAME: ("same", "green"),
    Kind.OTHER: ("other", "green"),
    Kind.CONSTANT: ("constant", "yellow"),
    Kind.EACH_STEP: ("each step", "yellow"),
    Kind.IMPOSSIBLE: ("no", "red"),
}


def legend() -> list[Text]:
    """Return what the names in the table mean."""
    return [
        Text(f"{name:>10}  {kind.value}", style=colour) for kind, (name, colour) in LABELS.items()
    ]


def relations(matrix: RelationMatrix) -> list[Table | Text]:
    """Return a table with a row for each call and a column for each dialect, and its notes."""
    columns = [Column(name, overflow="fold") for name in matrix.columns]
    first = Column(matrix.rule, overflow="fold")
    table = Table(first, *columns, box=None, pad_edge=False, title_justify="left")
    above = ""
    for row in matrix.rows:
        table.add_section()
        cells = [_cell(row.cells.get(name)) for name in matrix.columns]
        title = "" if row.dialect == above else f"{row.dialect}\n"
        above = row.dialect
        table.add_row(Text(title, style="bold").append(f"  {row.call}", style="not bold"), *cells)
    notes = [
        Text(f"{number:>4}  {note}", style="dim")
        for number, note in enumerate(matrix.notes, start=1)
    ]
    return [table, *notes]


def _cell(cell: RelationCell | None) -> Text:
    if cell is None:
        return Text("")
    name, colour = LABELS[cell.kind]
    return Text(f"{name} {cell.note}" if cell.note else name, style=colour)
