"""The format of a file of texts, known by its content, and what stands in it one after the other.

What is structured is never taken for plain text: where it is broken, or where nobody can tell what it is, it
is refused, and a study states its format.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotune.errors import StudyFileError
from autotune.model.texts.file_text import FileText, read_file_text
from autotune.model.texts.line_shapes import (
    ForeignShape,
    are_labelled,
    foreign_shape,
    labelled_line,
    loose_cells,
)
from autotune.model.texts.tables import DELIMITERS, TAB, CsvTable, TableError, read_table

if TYPE_CHECKING:
    from autotune.spec.named_file import FileFormat

TEXTS = "one text (or one JSON object) to a line"
"""What the lines of most files hold."""
PLAIN = "format: text"
OTHERWISE = f"; or, if its lines are texts as they are, write `{PLAIN}`"
"""What a study states of lines that look like something else, and are texts."""

FORMATS = {
    "text": "plain text",
    "jsonl": "JSON Lines",
    "json": "JSON",
    "csv": "CSV",
    "tsv": "TSV",
    "fasttext": "fastText",
}
"""Names of the formats for people."""

_TABLES = (".csv", ".tsv", ".tab")
_JSON = (".json", ".jsonl", ".ndjson")
_OTHERS = {
    **{".yaml": "YAML", ".yml": "YAML", ".toml": "TOML", ".xml": "XML", ".html": "HTML", ".htm": "HTML"},
    **{".md": "Markdown", ".markdown": "Markdown", ".rst": "reStructuredText"},
}
"""Formats that are known by names alone, and not read."""

_LIKE_JSON = re.compile(r"""\s*(\[\s*\[?\s*["'{]|\{\s*["'}])""")
"""How JSON begins, and what Python prints, but hardly a sentence."""
_MAY_BE_JSON = re.compile(r"""\s*[\[{"0-9tfnNI-]""")
_BLANK = re.compile(r"\s*")
_FEWEST_ROWS = 2
"""Rows below the first, from which on a file may be a table though neither name nor header say so."""


@dataclass(frozen=True)
class Record:
    """One of the things that stand in a file.

    Attributes:
        place: where, as in `line 3`.
        value: a text, or what JSON gives; of a table's row a dictionary of texts.
    """

    place: str
    value: Any


@dataclass(frozen=True)
class Records:
    """Everything in a file, in its order; at least one.

    Attributes:
        format: of the file; a table with other delimiters than tabs is `csv`.
    """

    source: FileText
    format: FileFormat
    records: tuple[Record, ...]

    @property
    def is_table(self) -> bool:
        """Whether its records are rows of cells."""
        return self.format in ("csv", "tsv")

    @property
    def format_in_words(self) -> str:
        """The format for people, as in `CSV, gzipped`."""
        return FORMATS[self.format] + (", gzipped" if self.source.is_gzip else "")


def read_records(
    file: Path,
    place: str,
    *,
    stated: FileFormat | None = None,
    known: Collection[str] = (),
    form: str = TEXTS,
) -> Records:
    """Read a file, whatever its format is.

    Args:
        place: of the file's name in the study.
        stated: the format, where the study says it.
        known: keys and columns, in lower case, of which one is probably there.
        form: what its lines should hold, for who gets it wrong.

    Raises:
        StudyFileError: it cannot be read, has nothing in it, is broken, or its format cannot be told.
    """
    source = read_file_text(file, place, form)
    if not source.text.strip():
        raise source.wrong("has nothing but blank lines", f"give a file of UTF-8 text, {form}")
    if stated is not None:
        return _as_stated(source, stated, known)
    if source.suffix in _OTHERS:
        raise source.wrong(
            f"is {_OTHERS[source.suffix]}, by its name", f"write it as JSON Lines{_otherwise(source)}"
        )
    is_table = source.suffix in _TABLES
    structured = _whole_document(source)
    if structured is None:
        source.refuse_many(source.line_count, "lines")
    if structured is None and (not is_table or _LIKE_JSON.match(source.text)):
        structured = _json_lines(source)
    if structured is not None:
        return structured
    if is_table and labelled_line(next(_lines(source.text))[1]) is None:
        return _table_records(source, _named_table(source, known, DELIMITERS))
    return _line_records(source, known)


def _line_records(source: FileText, known: Collection[str]) -> Records:
    """Lines that are no JSON: of fastText, a table by its content, or plain text.

    Raises:
        StudyFileError: they are no texts as they are, and nobody can tell what to read of them.
    """
    lines = list(_lines(source.text))
    if are_labelled(lines):
        return _labelled_records(source)
    table = _table_by_content(source, known)
    if table is not None and _is_told(table, known):
        return _table_records(source, table)
    _refuse_shape(source, foreign_shape(lines, known))
    if table is not None:
        _refuse_unnamed_table(source, table)
    _refuse_shape(source, loose_cells(lines))
    return _plain_records(source)


def _as_stated(source: FileText, stated: FileFormat, known: Collection[str]) -> Records:
    found = _whole_document(source) if stated == "json" else None
    if found is not None:
        return found
    source.refuse_many(source.line_count, "lines")
    if stated == "text":
        return _plain_records(source)
    if stated == "fasttext":
        return _labelled_records(source)
    if stated in ("csv", "tsv"):
        return _table_records(source, _named_table(source, known, (TAB,) if stated == "tsv" else DELIMITERS))
    found = _json_lines(source, is_certain=True)
    assert found is not None
    return found


def _plain_records(source: FileText) -> Records:
    return Records(source, "text", tuple(Record(f"line {line}", text) for line, text in _lines(source.text)))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, from 1, by line feeds alone: other separators may stand within a text."""
    ends = "\n" if "\n" in text else "\r"
    for number, line in enumerate(text.split(ends), start=1):
        if line.strip():
            yield number, line.rstrip("\r")


_KINDS = {dict: "objects", list: "lists", str: "texts", int: "numbers", float: "numbers"}
"""What JSON's values are called."""


def _whole_document(source: FileText) -> Records | None:
    """The elements of a JSON array, or one object over several lines; None where the file is neither."""
    beginning = source.text.lstrip()[:1]
    if beginning not in ("[", "{"):
        return None
    try:
        value = json.loads(source.text)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict):
        is_line = "\n" not in source.text.strip()
        records = (Record("line 1", value),)
        return Records(source, "jsonl" if is_line else "json", records)
    if not value:
        raise source.wrong("is an empty list", "give the texts, as in a list of them")
    source.refuse_many(len(value), "items")
    kinds = {_KINDS.get(type(element), "something else") for element in value}
    if len(kinds) > 1:
        fault = f"is a list that mixes {' and '.join(sorted(kinds))}"
        raise source.wrong(fault, "give objects alone, or texts alone")
    return Records(source, "json", tuple(Record(f"item {n}", part) for n, part in enumerate(value, start=1)))


def _json_lines(source: FileText, *, is_certain: bool = False) -> Records | None:
    """JSON values, each on its line or over several; None where the file looks like something else.

    Args:
        is_certain: they are what the study says that they are.

    Raises:
        StudyFileError: some of the file is JSON, or all of it looks like it, and it is broken.
    """
    lines = list(_lines(source.text))
    values = [(line, _parsed(text)) for line, text in lines]
    good = [Record(f"line {line}", value) for line, value in values if value is not _BROKEN]
    if len(good) == len(values):
        if _are_of_one_kind(good):
            return Records(source, "jsonl", tuple(good))
        if all(type(record.value) in (int, float) for record in good):
            return Records(source, "jsonl", tuple(good)) if is_certain else None
    objects = [record for record in good if isinstance(record.value, dict) and record.value]
    looks_like_it = _LIKE_JSON.match(source.text) is not None
    if not (is_certain or objects or looks_like_it or source.suffix in _JSON):
        return None
    if (spread := _spread_values(source)) is not None:
        return spread
    if not objects and (source.suffix == ".json" or source.text.lstrip().startswith("[")):
        raise _broken_document(source)
    raise _broken_line(source, values, dict(lines))


_BROKEN = object()
"""In the place of what is no JSON."""


def _parsed(text: str) -> Any:
    if not _MAY_BE_JSON.match(text):
        return _BROKEN
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _BROKEN


def _are_of_one_kind(records: list[Record]) -> bool:
    """Whether all values are objects, texts or lists; lines of numbers are lines like any others."""
    kinds = {type(record.value) for record in records}
    return len(kinds) == 1 and kinds <= {dict, str, list} and any(record.value for record in records)


def _spread_values(source: FileText) -> Records | None:
    """Objects one after the other, each over several lines, as `jq` prints them; None where it is not so."""
    text, at, line, found = source.text.rstrip(), 0, 1, []
    decoder = json.JSONDecoder()
    while at < len(text):
        begin = next(_BLANK.finditer(text, at)).end()
        line += text.count("\n", at, begin)
        try:
            value, at = decoder.raw_decode(text, begin)
        except (ValueError, RecursionError):
            return None
        found.append(Record(f"line {line}", value))
        line += text.count("\n", begin, at)
    return Records(source, "jsonl", tuple(found)) if _are_of_one_kind(found) else None


def _broken_document(source: FileText) -> StudyFileError:
    try:
        json.loads(source.text)
        return source.wrong("is JSON and holds no texts", "give objects, texts, or a list of them")
    except json.JSONDecodeError as error:
        where, fault = f"line {error.lineno}", f"not JSON: {error.msg}"
    except (ValueError, RecursionError):
        where, fault = "line 1", "not JSON: it is nested too deeply, or has a number that is too large"
    return source.wrong(fault, f"mend the file{_otherwise(source)}", where)


def _broken_line(source: FileText, values: list[tuple[int, Any]], lines: Mapping[int, str]) -> StudyFileError:
    """The error of the first line that is not like the others, which are objects."""
    wrong = [(line, value) for line, value in values if not isinstance(value, dict)]
    right = [line for line, value in values if isinstance(value, dict)]
    if not wrong:
        return _broken_document(source)
    line, value = wrong[0]
    fault = "not JSON" if value is _BROKEN else "not a JSON object"
    if right:
        fault += f", as line {right[0]} is"
    elif _LIKE_JSON.match(lines[line]) and "'" in lines[line]:
        fault += " (Python prints single quotes; json.dumps writes JSON)"
    return source.wrong(fault, f"write {source.form}{_otherwise(source)}", f"line {line}")


def _otherwise(source: FileText) -> str:
    """How a study says that lines are texts, where they may be."""
    return OTHERWISE if source.form == TEXTS else ""


def _refuse_shape(source: FileText, found: ForeignShape | None) -> None:
    """Refuse lines that are no texts as they are: they would be measured on their syntax.

    Raises:
        StudyFileError: they have such a shape.
    """
    if found is not None:
        raise source.wrong(found.fault, f"{found.remedy}{_otherwise(source)}", f"line {found.line}")


def _labelled_records(source: FileText) -> Records:
    """Lines of fastText's as objects with `label` and `text`.

    Raises:
        StudyFileError: a line has no label.
    """
    records = []
    for line, text in _lines(source.text):
        value = labelled_line(text)
        if value is None:
            raise source.wrong(
                "it has no word that begins with __label__, as fastText has them",
                f"mend it, or take it out{_otherwise(source)}",
                f"line {line}",
            )
        records.append(Record(f"line {line}", value))
    return Records(source, "fasttext", tuple(records))


def _named_table(source: FileText, known: Collection[str], delimiters: tuple[str, ...]) -> CsvTable:
    """The table that the file is by its name, or by what the study says."""
    try:
        return read_table(source.text, known, delimiters)
    except TableError as error:
        raise source.wrong(
            str(error),
            "write a header, a row to each text, and quotes around cells that hold line breaks, delimiters or"
            f" quotes{_otherwise(source)}",
            f"line {error.line}",
        ) from error


def _table_by_content(source: FileText, known: Collection[str]) -> CsvTable | None:
    """The table that a file may be by its content, whatever its name is; None where it is none."""
    _, first = next(_lines(source.text))
    delimiters = tuple(delimiter for delimiter in DELIMITERS if delimiter in first)
    if not delimiters:
        return None
    try:
        return read_table(source.text, known, delimiters)
    except TableError:
        return None


def _is_told(table: CsvTable, known: Collection[str]) -> bool:
    """Whether the header tells what to read, so that this is a table for certain."""
    return table.names(known) and table.has_names and len(table.header) > 1


def _refuse_unnamed_table(source: FileText, table: CsvTable) -> None:
    """Refuse what has the structure of a table, of which nobody says what its columns are.

    Raises:
        StudyFileError: it has.
    """
    has_shape = len(table.header) > 1 and len(table.rows) >= _FEWEST_ROWS and not table.is_indented
    if has_shape and (table.delimiter == TAB or table.has_numbers or table.has_bare_names):
        columns = ", ".join(table.header)
        raise source.wrong(
            f"looks like a table of {len(table.header)} columns, and none of its first row is known to be a"
            f" text: {columns:.120}",
            "write a header in its first row, and which column to read, as in {path: FILE, key: COLUMN}"
            f"{_otherwise(source)}",
        )


def _table_records(source: FileText, table: CsvTable) -> Records:
    twice = [name for name in table.header if name and table.header.count(name) > 1]
    if twice:
        raise source.wrong(
            f"has two columns that are called {twice[0]!r}", "give each a name of its own", "line 1"
        )
    rows = (Record(f"line {line}", dict(zip(table.header, cells, strict=True))) for line, cells in table.rows)
    is_tabbed = table.delimiter == TAB and (len(table.header) > 1 or source.suffix != ".csv")
    return Records(source, "tsv" if is_tabbed else "csv", tuple(rows))
