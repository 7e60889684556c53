"""Which keys of a file's objects hold its texts, and what is under them: stated keys, or well-known ones."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from autotune.errors import StudyFileError
from autotune.model.texts.records import OTHERWISE, PLAIN, Record, Records

TEXT_KEYS = (
    *("text", "sentence", "query", "input", "inputs", "content", "prompt"),
    *("question", "passage", "document", "utterance", "review", "texts", "sentences"),
)
"""Under which texts are found.

Source: the datasets of GLUE, BEIR and MS MARCO, and the requests of text-embeddings-inference, OpenAI and
TorchServe.
"""
PAIR_KEYS = (
    ("text", "text_pair"),
    *(("query", other) for other in ("passage", "passages", "document", "documents", "texts")),
    *(("question", other) for other in ("context", "passage", "sentence", "answer")),
    *(("premise", "hypothesis"), ("question1", "question2"), ("sentence1", "sentence2")),
    *(("sentence_1", "sentence_2"), ("sentence_a", "sentence_b"), ("text1", "text2")),
    *(("text_1", "text_2"), ("text_a", "text_b")),
)
"""Under which pairs are found that a model reads as one sequence; likewise."""
KNOWN_KEYS = frozenset((*TEXT_KEYS, *(key for pair in PAIR_KEYS for key in pair)))

_NAMED = 8
"""Keys that an error names."""
_DEPTH = 4
"""Levels of objects in which an error looks for texts."""


@dataclass(frozen=True)
class Picked:
    """What is read of every object: a key, or a path of keys such as `body.text`.

    Attributes:
        pair: of the second text; empty where there are no pairs.
    """

    key: str
    pair: str = ""

    def __str__(self) -> str:
        return f"{self.key} and {self.pair}" if self.pair else self.key


def under(value: Any, path: str) -> list[Any]:
    """What is under a path of keys: one value, or several where a list is on the way.

    A key that has dots itself, as those of flattened logs, is found too.
    """
    if isinstance(value, list):
        if path.isdigit():
            return _elements(value[int(path)]) if int(path) < len(value) else []
        return [found for element in value for found in under(element, path)]
    if not isinstance(value, dict):
        return []
    if path in value:
        return _elements(value[path])
    for place, letter in enumerate(path):
        if (
            letter == "."
            and path[:place] in value
            and (found := under(value[path[:place]], path[place + 1 :]))
        ):
            return found
    return []


def _elements(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def texts_under(value: Any, path: str) -> list[str] | None:
    """The texts under a path, blank ones too; None where there is none, or something else."""
    found = under(value, path)
    return found if found and all(isinstance(text, str) for text in found) else None


def pick_keys(records: Records, place: str) -> Picked:
    """The well-known keys that hold the texts.

    Args:
        place: of the file's name in the study.

    Raises:
        StudyFileError: there are none, or several, so that nobody knows which is meant; says what to write.
    """
    everywhere = _known_in_all(records.records)
    pairs = [pair for pair in PAIR_KEYS if {*pair} <= everywhere.keys()]
    if len(pairs) == 1 and everywhere.keys() & {*TEXT_KEYS} <= {*pairs[0]}:
        return Picked(*(everywhere[key] for key in pairs[0]))
    alone = [everywhere[key] for key in TEXT_KEYS if key in everywhere]
    if len(alone) == 1 and not pairs:
        return Picked(alone[0])
    if pairs or alone:
        halves = [everywhere[key] for pair in pairs for key in pair]
        raise _ambiguous(records, place, [*dict.fromkeys((*halves, *alone))])
    raise _unknown(records, place)


def _known_in_all(records: Sequence[Record]) -> dict[str, str]:
    """The well-known keys under which every object has texts, as these are written, by their lower case."""
    found: dict[str, str] | None = None
    for record in records:
        own = _known_in(record.value)
        found = own if found is None else {key: name for key, name in found.items() if key in own}
    return found or {}


def _known_in(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    named = {key.strip().lower(): key for key in value}
    return {
        key: name
        for key, name in named.items()
        if key in KNOWN_KEYS and (value[name] in (None, []) or texts_under(value, name))
    }


def _ambiguous(records: Records, place: str, keys: Sequence[str]) -> StudyFileError:
    return records.source.wrong(
        f"has texts under {' and '.join(keys)}: which of them are the requests?",
        f"{how_to_state(records, place, keys[0])}, or with `pair: NAME` beside it where a model reads two"
        " texts as one sequence",
    )


def _unknown(records: Records, place: str) -> StudyFileError:
    """None of the keys of the first object is known; or it is, and another object lacks it."""
    first = records.records[0]
    for key, name in _known_in(first.value).items():
        for record in records.records:
            if key not in _known_in(record.value):
                return lacking(records, record, name, place)
    if not isinstance(first.value, dict | list):
        return records.source.wrong("not a text", "give objects with texts, or texts alone", first.place)
    there = list(text_paths(first.value))
    shown = ", ".join(there[:_NAMED]) if there else "no texts at all"
    likely = max(there, key=lambda path: len(str(under(first.value, path))), default="NAME")
    header = "write a header above the first row if it is none, or " if records.is_table else ""
    return records.source.wrong(
        f"none of its {'columns' if records.is_table else 'keys'} is known to hold the texts; it has {shown}",
        f"{header}say which: {how_to_state(records, place, likely)}{OTHERWISE if records.is_table else ''}",
        "" if records.is_table else first.place,
    )


def lacking(records: Records, record: Record, key: str, place: str) -> StudyFileError:
    """The error of a record that has no text under a key."""
    if not isinstance(record.value, dict | list):
        return records.source.wrong("not a JSON object", "give objects alone, or texts alone", record.place)
    is_there = bool(under(record.value, key))
    fault = f"{key!r} is no text" if is_there else f"it has no {key!r}"
    there = [path for path in text_paths(record.value) if path != key]
    shown = f", but {', '.join(there[:_NAMED])}" if there else ""
    remedy = f"mend it, take it out, or say which key holds the texts: {how_to_state(records, place, 'NAME')}"
    return records.source.wrong(fault + shown, remedy, record.place)


def how_to_state(records: Records, place: str, key: str) -> str:
    """What to write in the study for a key of this file."""
    name = place.rpartition(".")[2]
    return f"`{name}: {{path: {records.source.file.name}, key: {key}}}`"


def text_paths(value: Any, before: str = "", depth: int = _DEPTH) -> Iterator[str]:
    """Paths under which there are texts that are not blank, in order."""
    if isinstance(value, str):
        if before and value.strip():
            yield before
    elif isinstance(value, dict) and depth:
        for key, inner in value.items():
            yield from text_paths(inner, f"{before}.{key}" if before else key, depth - 1)
    elif isinstance(value, list) and depth and value:
        # Of objects their keys, of lists the places in them.
        inside = value[0]
        if isinstance(inside, dict) or before:
            yield from text_paths(inside, before, depth if isinstance(inside, dict) else depth - 1)
        else:
            yield from (str(index) for index, text in enumerate(value) if isinstance(text, str))


def refuse_plain(records: Records, keys: Iterable[str], place: str) -> None:
    """Refuse keys that a study states of lines that have none.

    Raises:
        StudyFileError: there are some.
    """
    for key in keys:
        raise records.source.wrong(
            f"is plain text, and has no {key!r}",
            f"leave out the key of {place}, or name a file of JSON or a table",
        )


def refuse_packed(records: Records, texts: Sequence[str], place: str) -> None:
    """Refuse texts that are JSON objects themselves: they would be measured on its syntax.

    Raises:
        StudyFileError: all of the first ones are.
    """

    def is_object(text: str) -> bool:
        try:
            return text.lstrip().startswith("{") and isinstance(json.loads(text), dict)
        except (ValueError, RecursionError):
            return False

    if texts and all(map(is_object, texts[:10])):
        raise records.source.wrong(
            f"what it holds as texts are JSON objects themselves: {texts[0]:.60}",
            f"unpack them; or, if they are what {place} means, give them one to a line, with `{PLAIN}`",
        )
