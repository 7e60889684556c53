"""Labelled texts, on which a metric of the fp32 reference and of an engine's answers is compared."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autotune.errors import StudyFileError
from autotune.model.texts import read_lines
from autotune.spec.quality import Metric

PLACE = "quality.data"
MIN_ROWS = 2
"""Fewer say nothing of a metric; of one row there is no order, either."""

EXAMPLES = {
    "accuracy": '{"text": "...", "label": 1}',
    "f1": '{"text": "...", "label": 1}',
    "spearman": '{"text": "...", "text_pair": "...", "score": 0.8}',
}


@dataclass(frozen=True)
class EvaluationSource:
    """What a metric is computed on.

    Attributes:
        data: a file for `read_labelled`.
        tokenizer: the model's `tokenizer.json`; None where the model is not here.
        digest_of_both: hex SHA-256, as `autotune.model.texts.texts_digest` gives it.
        tokens: of the longest sequence; a model that takes fewer gets as many as it takes.
    """

    data: Path
    tokenizer: Path | None
    digest_of_both: str
    metric: Metric
    tokens: int

    @property
    def digest(self) -> str:
        """Hex SHA-256 of all that decides the metric of given answers; where the files lie does not."""
        content = {name: value for name, value in asdict(self).items() if name not in ("data", "tokenizer")}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class LabelledRow:
    """One line.

    Attributes:
        line: its number, from 1.
        text_pair: the second text; None where there is none.
        label: of the metrics accuracy and f1: a class's number, or its name; else None.
        score: of the metric spearman: larger = more alike, or whatever the model's number says; else None.
    """

    line: int
    text: str
    text_pair: str | None
    label: int | str | None
    score: float | None


def read_labelled(file: Path, metric: Metric) -> tuple[LabelledRow, ...]:
    """The rows of a file of labelled texts that this metric can be computed on.

    Raises:
        StudyFileError: it cannot be read, or a line is wrong; with its number.
    """
    rows = tuple(_rows(file, metric))
    if len(rows) < MIN_ROWS:
        raise _wrong(file, rows[-1].line, "one row alone", metric)
    if metric == "spearman" and len({row.score for row in rows}) == 1:
        raise _wrong(file, rows[-1].line, "every score is the same, so there is no order to compare", metric)
    return rows


def _rows(file: Path, metric: Metric) -> Iterator[LabelledRow]:
    for line, text in read_lines(file, PLACE):
        try:
            yield _row(line, json.loads(text), metric)
        except (ValueError, RecursionError) as error:
            fault = "not JSON" if isinstance(error, json.JSONDecodeError | RecursionError) else str(error)
            raise _wrong(file, line, fault, metric) from error


def _wrong(file: Path, line: int, fault: str, metric: Metric) -> StudyFileError:
    return StudyFileError(
        f"{file}, line {line}: {fault}",
        path=PLACE,
        remedy=f"write one JSON object to a line, for {metric} such as {EXAMPLES[metric]}",
    )


def _row(line: int, value: Any, metric: Metric) -> LabelledRow:
    """One row; whatever else the object holds is of no interest.

    Raises:
        ValueError: it lacks something, or has it in another type; in words.
    """
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    text, pair = _text(value, "text"), value.get("text_pair")
    return LabelledRow(
        line=line,
        text=text,
        text_pair=None if pair is None else _text(value, "text_pair"),
        label=None if metric == "spearman" else _label(value),
        score=_score(value) if metric == "spearman" else None,
    )


def _text(value: dict[str, Any], key: str) -> str:
    text = value.get(key)
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{key!r} is no text" if key in value else f"it has no {key!r}")
    return text


def _label(value: dict[str, Any]) -> int | str:
    label = value.get("label")
    if isinstance(label, bool) or not isinstance(label, int | str):
        wrong = "'label' is neither a class's number nor its name"
        raise ValueError(wrong if "label" in value else "it has no 'label'")
    return label


def _score(value: dict[str, Any]) -> float:
    score = value.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
        raise ValueError("'score' is not a number" if "score" in value else "it has no 'score'")
    return float(score)
