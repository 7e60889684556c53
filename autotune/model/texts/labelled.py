"""Labelled texts, on which a metric of the fp32 reference and of an engine's answers is compared."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from autotune.errors import StudyFileError
from autotune.model.texts.picking import KNOWN_KEYS, PAIR_KEYS, TEXT_KEYS, Picked, text_paths, under
from autotune.model.texts.records import Record, Records, read_records
from autotune.model.texts.texts import Reading, refuse_odd
from autotune.spec.named_file import DataFile
from autotune.spec.quality import Metric

PLACE = "quality.data"
MIN_ROWS = 2
"""Fewer say nothing of a metric; of one row there is no order, either."""

EXAMPLES = {
    "accuracy": '{"text": "...", "label": 1}',
    "f1": '{"text": "...", "label": 1}',
    "spearman": '{"text": "...", "text_pair": "...", "score": 0.8}',
}

DOCUMENTED = ("text", "text_pair")
"""Keys of texts that come before all others; a row need not have the second."""
LABELS = ("label", "labels", "target", "class", "category")
SCORES = ("score", "similarity_score", "similarity", "relatedness_score", "label", "labels", "target")
"""Keys of labels and scores, of which the first comes before all others."""


@dataclass(frozen=True)
class EvaluationSource:
    """What a metric is computed on.

    Attributes:
        data: a file for `read_labelled`.
        tokenizer: the model's `tokenizer.json`; None where the model is not here.
        digest_of_both: hex SHA-256, as `autotune.model.texts.texts.texts_digest` gives it.
        tokens: of the longest sequence; a model that takes fewer gets as many as it takes.
        is_stated: whether the study says how many; else texts are cut where the model's folder says so.
        stated: what the study says of the file; the digest has what comes of it.
    """

    data: Path
    tokenizer: Path | None
    digest_of_both: str
    metric: Metric
    tokens: int
    stated: DataFile | None = None
    is_stated: bool = False

    @property
    def digest(self) -> str:
        """Hex SHA-256 of all that decides the metric of given answers; where the files lie does not."""
        elsewhere = ("data", "tokenizer", "stated")
        names = (field.name for field in fields(self) if field.name not in elsewhere)
        content = {name: getattr(self, name) for name in names}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class LabelledRow:
    """One line, object or row.

    Attributes:
        place: where it stands, as in `line 3`.
        text_pair: the second text; None where there is none.
        label: of the metrics accuracy and f1: a class's number, or its name; else None.
        score: of the metric spearman: larger = more alike, or whatever the model's number says; else None.
    """

    place: str
    text: str
    text_pair: str | None
    label: int | str | None
    score: float | None


@dataclass(frozen=True)
class Labelled:
    """The labelled texts of a file, in its order."""

    rows: tuple[LabelledRow, ...]
    reading: Reading

    @property
    def how(self) -> str:
        """What decides, beside the file's content, what is read of it; empty as it is documented."""
        format, keys = self.reading.format, self.reading.keys
        is_documented = {*keys} <= {*DOCUMENTED, LABELS[0], SCORES[0]}
        return "" if format == "jsonl" and is_documented else self.reading.how


@dataclass(frozen=True)
class _Keys:
    """What is read of every row; `picked.pair` is empty where there are no pairs."""

    picked: Picked
    target: str
    may_lack_pair: bool


def read_labelled(file: Path, metric: Metric, stated: DataFile | None = None) -> Labelled:
    """The rows of a file of labelled texts that this metric can be computed on.

    Args:
        stated: what the study says of the file; by default nothing.

    Raises:
        StudyFileError: it cannot be read, nobody can tell what its texts and labels are, or a row is wrong;
            with its place.
    """
    asked = stated or DataFile(path=str(file))
    named = [key for key in (asked.key, asked.pair, asked.label) if key is not None]
    known = KNOWN_KEYS | {*LABELS, *SCORES} | {key.lower() for key in named}
    form = f"one JSON object to a line, for {metric} such as {EXAMPLES[metric]}"
    records = read_records(file, PLACE, stated=asked.format, known=known, form=form)
    if not all(isinstance(record.value, dict | list) for record in records.records):
        raise _wrong(records, records.records[0], _no_object(records))
    keys = _keys(records, metric, asked)
    rows = tuple(_row(records, record, keys, metric) for record in records.records)
    refuse_odd(records, [text for row in rows for text in (row.text, row.text_pair) if text is not None])
    _refuse_few(records, rows, metric)
    used = (keys.picked.key, keys.picked.pair, keys.target)
    return Labelled(rows, Reading(records.format, records.format_in_words, tuple(filter(None, used))))


def _no_object(records: Records) -> str:
    return "not JSON" if records.format == "text" else "not a JSON object"


def _refuse_few(records: Records, rows: Sequence[LabelledRow], metric: Metric) -> None:
    """Refuse rows that no metric can be computed on.

    Raises:
        StudyFileError: there is one alone, or all scores are the same.
    """
    last = records.records[-1]
    if len(rows) < MIN_ROWS:
        raise _wrong(records, last, "one row alone")
    if metric == "spearman" and len({row.score for row in rows}) == 1:
        raise _wrong(records, last, "every score is the same, so there is no order to compare")


def _wrong(records: Records, record: Record, fault: str) -> StudyFileError:
    state = f"`data: {{path: {records.source.file.name}, key: NAME, label: NAME}}`"
    remedy = f"write {records.source.form}, or a table with such a header; or say what its keys are called"
    return records.source.wrong(fault, f"{remedy}: {state}", record.place)


def _keys(records: Records, metric: Metric, asked: DataFile) -> _Keys:
    """What the study states; else the documented keys where a row has them, else the only known ones."""
    there = _keys_of(records)
    targets = SCORES if metric == "spearman" else LABELS
    target = asked.label or _only(records, [there[key] for key in targets if key in there], targets[0])
    if asked.key is not None:
        return _Keys(Picked(asked.key, asked.pair or ""), target, may_lack_pair=False)
    text, pair = DOCUMENTED
    if text in there:
        return _Keys(Picked(there[text], there.get(pair, "")), target, may_lack_pair=True)
    pairs = [pair for pair in PAIR_KEYS if {*pair} <= there.keys()]
    if len(pairs) == 1:
        return _Keys(Picked(*(there[key] for key in pairs[0])), target, may_lack_pair=False)
    texts = [there[key] for key in TEXT_KEYS if key in there]
    return _Keys(Picked(_only(records, texts, text)), target, may_lack_pair=False)


def _keys_of(records: Records) -> dict[str, str]:
    """The keys of all objects as they are written, by their lower case."""
    return {
        key.strip().lower(): key
        for record in records.records
        if isinstance(record.value, dict)
        for key in record.value
    }


def _only(records: Records, found: Sequence[str], documented: str) -> str:
    """The documented key, or the only one there is of its kind; the documented one where there is none.

    Raises:
        StudyFileError: there are several.
    """
    if documented in (key.strip().lower() for key in found):
        return next(key for key in found if key.strip().lower() == documented)
    if len(found) > 1:
        fault = f"it has {' and '.join(found)}: which of them is meant by {documented!r}?"
        raise _wrong(records, records.records[0], fault)
    return found[0] if found else documented


def _row(records: Records, record: Record, keys: _Keys, metric: Metric) -> LabelledRow:
    """One row; whatever else the object holds is of no interest.

    Raises:
        StudyFileError: it lacks something, or has it in another type; in words.
    """
    value, picked = record.value, keys.picked
    try:
        return LabelledRow(
            place=record.place,
            text=_text(value, picked.key),
            text_pair=_pair(value, keys, is_table=records.is_table),
            label=None if metric == "spearman" else _label(value, keys.target),
            score=_score(value, keys.target) if metric == "spearman" else None,
        )
    except ValueError as error:
        raise _wrong(records, record, str(error)) from error


def _one(value: Any, key: str) -> Any:
    """What is under a key.

    Raises:
        ValueError: nothing, or several values.
    """
    found = under(value, key)
    if not found:
        there = ", ".join(list(text_paths(value))[:8])
        raise ValueError(f"it has no {key!r}" + (f", but {there}" if there else ""))
    if len(found) > 1:
        raise ValueError(f"{key!r} holds {len(found)} values, and one is needed")
    return found[0]


def _text(value: Any, key: str) -> str:
    text = _one(value, key)
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{key!r} is no text")
    return text


def _pair(value: Any, keys: _Keys, *, is_table: bool) -> str | None:
    pair = keys.picked.pair
    if not pair:
        return None
    found = under(value, pair)
    if keys.may_lack_pair and (found in ([], [None]) or (is_table and found == [""])):
        return None
    return _text(value, pair)


def _label(value: Any, key: str) -> int | str:
    label = _one(value, key)
    if isinstance(label, bool) or not isinstance(label, int | str):
        raise ValueError(f"{key!r} is neither a class's number nor its name")
    return label


def _score(value: Any, key: str) -> float:
    """A number; in tables it is written as text."""
    score = _one(value, key)
    if isinstance(score, bool) or not isinstance(score, int | float | str):
        raise ValueError(f"{key!r} is not a number")
    try:
        number = float(score)
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{key!r} is not a number")
    return number
