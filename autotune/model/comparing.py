"""Compares an artifact's answers with the fp32 reference's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from autotune.model.agreement import sequence_cosines
from autotune.model.assessment import Assessment, Inputs

Array = np.ndarray[Any, Any]


def compare_answers(
    references: Sequence[Array], answers: Sequence[Array], *, inputs: Inputs, has_classes: bool
) -> Assessment:
    """Compare answers `(batch, ...)` with the reference's, request by request.

    Args:
        has_classes: whether the last axis of an answer is one number for each class.
    """
    sequences = sum(len(reference) for reference in references)
    if fault := next(_faults(references, answers), ""):
        return Assessment(inputs, sequences, fault=fault)
    cosines = np.concatenate([sequence_cosines(*pair) for pair in zip(references, answers, strict=True)])
    mean = float(cosines.mean())
    return Assessment(
        inputs,
        sequences,
        cosine=_overall_cosine(references, answers) if references[0].ndim == 2 else mean,
        least_cosine=float(cosines.min()),
        max_difference=_max_difference(references, answers),
        top1=_top1(references, answers) if has_classes and references[0].shape[-1] > 1 else None,
    )


def _faults(references: Sequence[Array], answers: Sequence[Array]) -> Iterator[str]:
    for reference, answer in zip(references, answers, strict=True):
        if answer.shape != reference.shape:
            yield f"an answer has the shape {answer.shape}, not {reference.shape}"
        elif not np.isfinite(answer).all():
            yield "an answer has numbers that are not finite"


def _overall_cosine(references: Sequence[Array], answers: Sequence[Array]) -> float:
    whole = (np.concatenate([one.ravel() for one in side])[np.newaxis] for side in (references, answers))
    return float(sequence_cosines(*whole)[0])


def _max_difference(references: Sequence[Array], answers: Sequence[Array]) -> float:
    greatest = max(float(np.abs(reference).max()) for reference in references)
    pairs = zip(references, answers, strict=True)
    difference = max(float(np.abs(reference - answer).max()) for reference, answer in pairs)
    return difference / max(greatest, float(np.finfo(np.float32).tiny))


def _top1(references: Sequence[Array], answers: Sequence[Array]) -> float:
    pairs = zip(references, answers, strict=True)
    same = [(one.argmax(axis=-1) == other.argmax(axis=-1)).ravel() for one, other in pairs]
    return float(np.concatenate(same).mean())
