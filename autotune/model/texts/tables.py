"""Tables as text: cells between commas, semicolons, tabs or strokes, with a header in the first row."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from autotune.model.texts.file_text import MAX_BYTES

TAB = "\t"
DELIMITERS = (",", TAB, ";", "|")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,60}")
"""What a column is called, where nobody says that it is a header."""
_NUMBER = re.compile(r"[-+]?[0-9]+([.][0-9]+)?")


CsvRow = tuple[int, tuple[str, ...]]
"""The line that it begins on, from 1, and its cells."""


class TableError(ValueError):
    """A text is no table: says why, and where.

    Attributes:
        line: counted from 1.
        columns: that its header has.
    """

    def __init__(self, fault: str, line: int, columns: int = 0) -> None:
        super().__init__(fault)
        self.line = line
        self.columns = columns


@dataclass(frozen=True)
class CsvTable:
    """A header and its rows, all with as many cells.

    Attributes:
        written: the header's cells as they are written; `header` has them without blanks around them.
    """

    delimiter: str
    written: tuple[str, ...]
    rows: tuple[CsvRow, ...]

    @property
    def header(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(name.strip() for name in self.written)

    def names(self, columns: Collection[str]) -> bool:
        """Whether one of the columns is among these, which are in lower case."""
        return any(name.lower() in columns for name in self.header)

    @property
    def has_names(self) -> bool:
        """Whether the header's cells are different words, as names of columns are."""
        return _are_names(self.header)

    @property
    def has_bare_names(self) -> bool:
        """Whether they are without a blank around them, as they would have in a sentence."""
        return _are_names(self.written)

    @property
    def is_indented(self) -> bool:
        """Whether all but one of its columns are blank, as those before an indented text."""
        columns = zip(self.header, *(cells for _, cells in self.rows), strict=True)
        return sum(any(cell.strip() for cell in column) for column in columns) < 2

    @property
    def has_numbers(self) -> bool:
        """Whether a column holds nothing but numbers, from its first row or its second on."""
        columns = zip(*(cells for _, cells in self.rows), strict=True)
        return any(all(map(_NUMBER.fullmatch, column)) for column in columns)


def _are_names(cells: Sequence[str]) -> bool:
    return len({*cells}) == len(cells) and all(map(_NAME.fullmatch, cells))


def read_table(text: str, known: Collection[str], delimiters: Sequence[str] = DELIMITERS) -> CsvTable:
    """Read a table with the delimiter that fits best.

    Args:
        known: columns, in lower case, of which one is probably there.

    Raises:
        TableError: there is no row below the header, a row has more or fewer cells, or quotes do not end.
    """
    found: list[CsvTable] = []
    faults: list[TableError] = []
    for delimiter in delimiters:
        try:
            found.append(_table(text, delimiter))
        except TableError as error:
            faults.append(error)
    widest = max(faults, key=lambda fault: fault.columns, default=None)
    best = max(found, key=lambda table: (table.names(known), len(table.header)), default=None)
    if widest is not None and (best is None or len(best.header) == 1 < widest.columns):
        raise widest
    assert best is not None
    return best


def _table(text: str, delimiter: str) -> CsvTable:
    try:
        rows = _rows(text, delimiter)
    except TableError:
        if delimiter != TAB:
            raise
        rows = _rows(text, delimiter, quoting=csv.QUOTE_NONE)  # as most programs write tabs
    if not rows:
        raise TableError("nothing but blank lines", 1)
    (_, header), *below = rows
    if not below:
        raise TableError("a table needs a header and a row below it", 1, len(header))
    for line, cells in below:
        if len(cells) != len(header):
            raise TableError(f"{len(cells)} cells, where the header has {len(header)}", line, len(header))
    return CsvTable(delimiter, header, tuple(below))


def _rows(text: str, delimiter: str, quoting: Literal[0, 3] = csv.QUOTE_MINIMAL) -> list[CsvRow]:
    """Rows that are not blank."""
    rows: list[CsvRow] = []
    line = 1
    lines = io.StringIO(text, newline="")
    with _cells_of_any_size():
        reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
        try:
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    rows.append((line, tuple(cells)))
                line = reader.line_num + 1
        except csv.Error as error:
            columns = len(rows[0][1]) if rows else 0
            raise TableError(f"not a table: {error}", line, columns) from error
    return rows


@contextmanager
def _cells_of_any_size() -> Iterator[None]:
    before = csv.field_size_limit(MAX_BYTES)
    try:
        yield
    finally:
        csv.field_size_limit(before)
