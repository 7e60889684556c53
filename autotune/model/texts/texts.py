"""Files of texts that a study names: what is read of them, and a digest of what a model sees."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotune.model.digests import digest_file
from autotune.model.texts.picking import (
    KNOWN_KEYS,
    Picked,
    lacking,
    pick_keys,
    refuse_packed,
    refuse_plain,
    texts_under,
)
from autotune.model.texts.records import Record, Records, read_records

if TYPE_CHECKING:
    from autotune.spec.named_file import FileFormat, TextsFile

TOKENIZER_FILE = "tokenizer.json"
"""The one form of a tokenizer that needs no code of its own. Source: the library tokenizers."""

MAX_CHARACTERS = 2**20
"""Of one text. Models read at most 131,072 tokens, of some eight characters."""

TextOrPair = str | tuple[str, str]
"""A text, or two that a model reads as one sequence."""


@dataclass(frozen=True)
class Reading:
    """How a file was read.

    Attributes:
        format: of the file; with `in_words` for people.
        keys: what was read of every object or row, as a study would state it; none of plain lines.
        left_out: records without text.
    """

    format: FileFormat
    in_words: str
    keys: tuple[str, ...] = ()
    left_out: int = 0

    @property
    def how(self) -> str:
        """What decides, beside the file's content, what is read of it; empty for plain lines."""
        return "" if self.format == "text" else json.dumps([self.format, *self.keys])


@dataclass(frozen=True)
class Texts:
    """The texts of a file, in its order; at least one."""

    texts: tuple[TextOrPair, ...]
    reading: Reading


def read_texts(file: Path, place: str, stated: TextsFile | None = None) -> Texts:
    """Read the texts of a file: plain lines, JSON, or a table; see `autotune.model.texts.records`.

    Args:
        place: of the file's name in the study.
        stated: what the study says of it; by default nothing.

    Raises:
        StudyFileError: it cannot be read, holds no text, or nobody can tell what its texts are.
    """
    format, key, pair = (None, None, None) if stated is None else (stated.format, stated.key, stated.pair)
    columns = {name.lower() for name in (key, pair) if name is not None}
    records = read_records(file, place, stated=format, known=KNOWN_KEYS | columns)
    if records.format == "text" or _are_texts(records):
        refuse_plain(records, (name for name in (key, pair) if name is not None), place)
        picked = None
    else:
        picked = pick_keys(records, place) if key is None else Picked(key, pair or "")
    texts = [text for record in records.records for text in _of(records, record, picked, place)]
    _refuse_unreadable(records, texts, place)
    kept = tuple(text for text in texts if _has_text(text))
    if not kept:
        raise records.source.wrong("has nothing but blank texts", "give at least one that is not")
    keys = () if picked is None else tuple(filter(None, (picked.key, picked.pair)))
    return Texts(kept, Reading(records.format, records.format_in_words, keys, len(texts) - len(kept)))


def _are_texts(records: Records) -> bool:
    return all(isinstance(record.value, str) for record in records.records)


def _of(records: Records, record: Record, picked: Picked | None, place: str) -> Iterator[TextOrPair]:
    """The texts of one record; of one that has null in their place a blank one.

    Raises:
        StudyFileError: it has something else there.
    """
    if picked is None:
        yield record.value
        return
    texts = _found(records, record, picked.key, place)
    if not picked.pair:
        yield from texts
        return
    others = _found(records, record, picked.pair, place)
    if len(texts) == 1:
        texts *= len(others)
    if len(texts) != len(others):
        raise records.source.wrong(
            f"{len(texts)} texts under {picked.key!r} and {len(others)} under {picked.pair!r}",
            "give one of the first to all of the second, or as many",
            record.place,
        )
    yield from zip(texts, others, strict=True)


def _found(records: Records, record: Record, key: str, place: str) -> list[str]:
    texts = texts_under(record.value, key)
    if texts is None and isinstance(record.value, dict) and key in record.value:
        texts = [""] if record.value[key] in (None, []) else None
    if texts is None:
        raise lacking(records, record, key, place)
    return texts


def _has_text(text: TextOrPair) -> bool:
    return bool(text.strip()) if isinstance(text, str) else all(part.strip() for part in text)


def _refuse_unreadable(records: Records, texts: list[TextOrPair], place: str) -> None:
    parts = [part for text in texts for part in ((text,) if isinstance(text, str) else text)]
    refuse_odd(records, parts)
    if records.format != "text":
        refuse_packed(records, parts, place)


def refuse_odd(records: Records, texts: list[str]) -> None:
    """Refuse what no tokenizer takes, or what nobody would send as one text.

    Raises:
        StudyFileError: a text is too long, or has half of a character.
    """
    for number, text in enumerate(texts, start=1):
        if len(text) > MAX_CHARACTERS:
            raise records.source.wrong(
                f"text {number} has {len(text)} characters: more than {MAX_CHARACTERS}",
                "give texts one by one: lines, objects or rows of their own",
            )
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise records.source.wrong(
                f"text {number} has half of a character: {text[error.start]!r}",
                r"mend it: an escape such as \ud83d needs its second half",
            ) from error


def texts_digest(file: Path, tokenizer: Path, how: str = "") -> str:
    """Hex SHA-256 of the texts and of the tokenizer that cuts them up; where they lie does not count.

    Args:
        how: the file is read, as `Reading` says.

    Raises:
        OSError: one cannot be read.
    """
    parts: list[Any] = [digest_file(file), digest_file(tokenizer), *([how] if how else [])]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def content_digest(file: Path, how: str) -> str:
    """Hex SHA-256 of what is read of a file, without a tokenizer; of plain lines that of the file.

    Raises:
        OSError: it cannot be read.
    """
    digest = digest_file(file)
    return hashlib.sha256(f"{digest}\n{how}".encode()).hexdigest() if how else digest
