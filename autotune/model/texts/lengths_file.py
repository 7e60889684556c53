"""Files of lengths that a study names: one number to a line, or numbers in JSON or in a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotune.model.texts.picking import how_to_state, refuse_plain, under
from autotune.model.texts.records import Record, Records, read_records
from autotune.model.texts.texts import Reading
from autotune.spec.problem import MAX_LENGTH

if TYPE_CHECKING:
    from autotune.spec.named_file import NamedFile

PLACE = "problem.lengths.file"
FORM = f"one whole number from 1 to {MAX_LENGTH} to a line"

LENGTH_KEYS = (
    *("length", "lengths", "tokens", "num_tokens", "n_tokens", "token_count", "input_length"),
    *("input_tokens", "prompt_tokens", "sequence_length"),
)
"""Under which lengths are found."""

_WHOLE = re.compile(r"[0-9]{1,10}([.]0{1,9})?")
"""A length; programs that know floating-point numbers alone write a point behind it."""


@dataclass(frozen=True)
class LengthsOfFile:
    """The lengths of a file, in tokens, in its order."""

    lengths: tuple[int, ...]
    reading: Reading


def read_lengths(file: Path, stated: NamedFile | None = None) -> LengthsOfFile:
    """The lengths of a file, in tokens, in its order.

    Args:
        stated: what the study says of the file; by default nothing.

    Raises:
        StudyFileError: it cannot be read, has none, or something is no length; with its place.
    """
    format, key = (None, None) if stated is None else (stated.format, stated.key)
    known = {*LENGTH_KEYS, *([key.lower()] if key else [])}
    records = read_records(file, PLACE, stated=format, known=known, form=FORM)
    if format is None and _has_no_header(records):
        records = read_records(file, PLACE, stated="text", form=FORM)
    if all(not isinstance(record.value, dict | list) for record in records.records):
        refuse_plain(records, [key] if key else [], PLACE)
        key = None
    elif key is None:
        key = _known_key(records)
    lengths = tuple(length for record in records.records for length in _of(records, record, key))
    keys = () if key is None else (key,)
    return LengthsOfFile(lengths, Reading(records.format, records.format_in_words, keys))


def _has_no_header(records: Records) -> bool:
    """Whether it is called a table, and is one number to a line from the first on."""
    columns = list(records.records[0].value) if records.is_table else []
    return len(columns) == 1 and _WHOLE.fullmatch(columns[0]) is not None


def _known_key(records: Records) -> str:
    """The well-known key of lengths.

    Raises:
        StudyFileError: there is none, or several.
    """
    first = records.records[0]
    keys: list[str] = [*first.value] if isinstance(first.value, dict) else []
    named = {key.strip().lower(): key for key in keys}
    found = [named[key] for key in LENGTH_KEYS if key in named]
    if len(found) != 1:
        there = f"; it has {', '.join(named.values())}" if named else ""
        raise records.source.wrong(
            f"has lengths under {' and '.join(found)}" if found else f"has no key of lengths{there}",
            f"say which: {how_to_state(records, PLACE, found[0] if found else 'NAME')}; "
            "texts are named by problem.texts",
            first.place,
        )
    return found[0]


def _of(records: Records, record: Record, key: str | None) -> Iterator[int]:
    values = [record.value] if key is None else under(record.value, key)
    if not values:
        raise records.source.wrong(
            f"it has no {key!r}", f"mend it, or take it out; write {FORM}", record.place
        )
    for value in values:
        yield _length(records, record, value)


def _length(records: Records, record: Record, value: Any) -> int:
    text = value.strip() if isinstance(value, str) else str(value)
    if isinstance(value, bool) or not _WHOLE.fullmatch(text) or not 1 <= float(text) <= MAX_LENGTH:
        raise records.source.wrong(f"{text[:40]!r} is not a length", f"write {FORM}", record.place)
    return int(float(text))
