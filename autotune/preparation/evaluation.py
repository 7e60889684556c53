"""Labelled texts as requests, and the metric of what is answered to them. Runs in a child process."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from autotune.backends.reference import CONFIG_FILE
from autotune.errors import ModelError, StudyFileError
from autotune.model.calibration import write_requests
from autotune.model.inputs import make_inputs, nearest_shape, read_inputs
from autotune.model.texts.labelled import PLACE, EvaluationSource, LabelledRow, read_labelled
from autotune.preparation.calibration import reference_answers
from autotune.preparation.tokenization import TextPair, tokenized
from autotune.spec.quality import Metric

EVALUATION_FILE = "evaluation.json"

METRIC_PACKAGES = ("scikit-learn", "scipy")
"""Distributions that compute metrics."""

BY_SCIKIT_LEARN: tuple[Metric, ...] = ("f1",)
"""Metrics that scikit-learn computes, which autotune can do without; the others need nothing more."""

CLASS_HEADS = ("ForSequenceClassification", "ForNextSentencePrediction")
"""Endings of transformers classes that answer with `(batch, classes)`."""
TOKEN_HEADS = ("ForTokenClassification", "ForMaskedLM", "ForQuestionAnswering")
"""Endings of those whose first output has classes along its last axis, for every token or for all of them."""

HeadKind = Literal["classes", "number", "embedding"]
"""What a sequence is answered with: a number for each class, one number, or vectors that place it."""

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation artifact holds beside its requests, which are one for each text.

    Attributes:
        head: of an `embedding`, two requests that follow each other are a pair.
        truths: labels or scores, by row.
        reference: what the fp32 reference's answers give.
    """

    metric: Metric
    head: HeadKind
    truths: tuple[float, ...]
    reference: float


def require_metric(metric: Metric | None, installed: Container[str]) -> None:
    """Refuse a metric that cannot be computed here.

    Args:
        installed: those of `METRIC_PACKAGES` that are there.

    Raises:
        StudyFileError: the library that computes it is not installed.
    """
    if metric in BY_SCIKIT_LEARN and "scikit-learn" not in installed:
        raise StudyFileError(
            f"{metric} is computed by scikit-learn, which is not installed here",
            path="quality.metric",
            remedy="install it: pip install scikit-learn",
        )


def write_evaluation(reference: Path, source: EvaluationSource, directory: Path) -> None:
    """Write requests, truths and the reference's metric into the empty `directory`.

    Args:
        reference: a finished reference artifact.

    Raises:
        ModelError: the model's answers are not what the metric is computed of.
        StudyFileError: the data are wrong, or have changed since they were checked.
    """
    assert source.tokenizer is not None
    labelled = read_labelled(source.data, source.metric, source.stated)
    rows, (head, classes) = labelled.rows, _head(reference, source.metric)
    texts, truths = _texts(rows, head, source), _truths(rows, _class_names(reference, classes), source)
    requests = list(
        tokenized(
            reference,
            source.tokenizer,
            texts,
            source.tokens,
            file=source.data,
            digest=source.digest_of_both,
            how=labelled.how,
            is_stated=source.is_stated,
        )
    )
    answers = list(reference_answers(reference, requests))
    if source.metric == "spearman":
        refuse_no_order(head, answers)
    value = score_answers(source.metric, head, truths, answers)
    write_requests(directory, requests)
    described = asdict(Evaluation(source.metric, head, truths, value))
    (directory / EVALUATION_FILE).write_text(json.dumps(described))


def read_evaluation(directory: Path) -> Evaluation:
    """What `write_evaluation` wrote, but for the requests."""
    described = json.loads((directory / EVALUATION_FILE).read_bytes())
    return Evaluation(**{**described, "truths": tuple(described["truths"])})


def has_classes(reference: Path) -> bool:
    """Whether the last axis of the model's answers is one number for each class, by its class's name."""
    return _class_name(reference).endswith((*CLASS_HEADS, *TOKEN_HEADS))


def score_answers(metric: Metric, head: HeadKind, truths: Sequence[float], answers: Iterable[Array]) -> float:
    """The metric of answers to the requests of an evaluation, in their order; first axis = batch, of 1."""
    if metric == "spearman":
        return _spearman(truths, _numbers(head, answers))
    predicted = [int(_reduced(answer, head).argmax()) for answer in answers]
    if metric == "accuracy":
        return float(np.mean(np.array(predicted) == np.array(truths)))
    from sklearn.metrics import f1_score

    return float(f1_score([int(truth) for truth in truths], predicted, average="macro", zero_division=0))


def refuse_no_order(head: HeadKind, answers: Iterable[Array]) -> None:
    """Refuse a reference that puts texts in no order: whatever an engine answers would be as good.

    Raises:
        ModelError: all of its numbers are the same, or one is none.
    """
    numbers = np.array(_numbers(head, answers))
    if not np.isfinite(numbers).all() or numbers.min() == numbers.max():
        raise ModelError(
            "quality.metric: spearman compares orders, and the model puts the texts in none: it says"
            f" {numbers[0]:g} of each, even at fp32",
            remedy="choose another metric, or labelled texts that the model tells apart",
        )


def _numbers(head: HeadKind, answers: Iterable[Array]) -> list[float]:
    """What is said of each text, or of each pair of texts that follow each other."""
    reduced = [_reduced(answer, head) for answer in answers]
    return _alikeness(reduced) if head == "embedding" else [float(one[0]) for one in reduced]


def _reduced(answer: Array, head: HeadKind) -> Array:
    """One sequence's answer as one vector; vectors of tokens, none of which is padding, are averaged."""
    one: Array = answer[0].astype(np.float64)
    if head == "embedding" and one.ndim == 2:
        one = one.mean(axis=0)
    return one.ravel()


def _alikeness(vectors: Sequence[Array]) -> list[float]:
    """Cosine of each pair."""
    pairs = zip(vectors[::2], vectors[1::2], strict=True)
    return [float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-300)) for a, b in pairs]


def _spearman(truths: Sequence[float], values: Sequence[float]) -> float:
    """Rank correlation; 0 where all values are the same, which have no order."""
    from scipy.stats import spearmanr

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = float(spearmanr(truths, values).statistic)
    return found if math.isfinite(found) else 0.0


def _head(reference: Path, metric: Metric) -> tuple[HeadKind, int]:
    """What the model answers one sequence with, and how many numbers.

    Raises:
        ModelError: the metric cannot be computed of it.
    """
    shape = nearest_shape(read_inputs(reference), 1, 4)
    (answer,) = reference_answers(reference, [make_inputs(reference, *shape, seed=0)])
    named = _class_name(reference)
    head: HeadKind = "embedding"
    if answer.shape[1:] in ((), (1,)):
        head = "number"
    elif named.endswith(CLASS_HEADS) and answer.ndim == 2:
        head = "classes"
    if not _suits(metric, head, named):
        asked = "one number or a vector" if metric == "spearman" else "a number for each class"
        raise ModelError(
            f"quality.metric: {metric} needs a model that answers a text with {asked}; {named or 'this one'}"
            f" answers one of {shape[1]} tokens with {answer.shape[1:]} numbers",
            remedy="choose another metric, or a model with another head; beside an ONNX file, put the model's"
            " config.json, whose `architectures` tells",
        )
    return head, answer.size // len(answer)


def _suits(metric: Metric, head: HeadKind, named: str) -> bool:
    if metric != "spearman":
        return head == "classes"
    return head == "number" or (head == "embedding" and not named.endswith(TOKEN_HEADS))


def _class_name(reference: Path) -> str:
    """The transformers class of a reference; empty where it is of another kind."""
    named = _configuration(reference).get("architectures")
    return str(named[0]) if isinstance(named, list) and named else ""


def _configuration(reference: Path) -> dict[str, Any]:
    """Of the model; of an ONNX file what lay beside it, which may be nothing."""
    file = reference / CONFIG_FILE
    configuration: dict[str, Any] = json.loads(file.read_bytes()) if file.is_file() else {}
    return configuration


def _texts(rows: Sequence[LabelledRow], head: HeadKind, source: EvaluationSource) -> Iterator[TextPair]:
    for row in rows:
        if head != "embedding":
            yield row.text, row.text_pair
        elif row.text_pair is None:
            raise _wrong(source, row, "it has no 'text_pair' whose embedding could be compared")
        else:
            yield from ((row.text, None), (row.text_pair, None))


def _truths(
    rows: Sequence[LabelledRow], names: Mapping[str, int], source: EvaluationSource
) -> tuple[float, ...]:
    """Labels as numbers of classes, or scores.

    Args:
        names: the number of each class by its name.
    """
    if source.metric == "spearman":
        return tuple(row.score for row in rows if row.score is not None)
    numbers: dict[int | str, int] = {number: number for number in names.values()}
    numbers.update(names)
    # A table writes numbers as text; what a class is called comes first.
    numbers.update({str(number): number for number in names.values() if str(number) not in names})
    for row in rows:
        if row.label not in numbers:
            raise _wrong(source, row, f"{row.label!r} is not a class of the model: {', '.join(names)}")
    return tuple(numbers[row.label] for row in rows if row.label is not None)


def _class_names(reference: Path, classes: int) -> Mapping[str, int]:
    """The number of each class by its name; as transformers calls them where the configuration does not."""
    named = _configuration(reference).get("id2label")
    if isinstance(named, dict) and len(named) == classes:
        return {str(name): int(number) for number, name in named.items()}
    return {f"LABEL_{number}": number for number in range(classes)}


def _wrong(source: EvaluationSource, row: LabelledRow, fault: str) -> StudyFileError:
    return StudyFileError(
        f"{source.data}, {row.place}: {fault}", path=PLACE, remedy="mend it, or take it out"
    )
