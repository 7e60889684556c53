"""Compares an artifact's answers with the fp32 reference's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from autotune.model.agreement import sequence_cosines
from autotune.model.assessment import Assessment, Inputs

Array = np.ndarray[Any, Any]


Pairs = Sequence[tuple[Array, Array]]
"""What the reference answered to requests, and an artifact, both `(batch, ...)`."""


def compare_answers(
    references: Sequence[Array],
    answers: Sequence[Array],
    *,
    inputs: Inputs,
    has_classes: bool,
    are_embeddings: bool = False,
    together: Pairs = (),
) -> Assessment:
    """Compare answers `(batch, ...)` with the reference's, request by request.

    Args:
        has_classes: whether the last axis of an answer is one number for each class.
        are_embeddings: whether an answer is one vector that places its sequence.
        together: likewise for some of the sequences, answered as one batch, as `row_by_row` gives them; the
            cosine is that of these or of the others, whichever is less.
    """
    sequences = sum(len(reference) for reference in references)
    alone = list(zip(references, answers, strict=True))
    pairs = [*alone, *together]
    if fault := next(_faults(pairs), ""):
        return Assessment(inputs, sequences, fault=fault)
    return Assessment(
        inputs,
        sequences,
        cosine=min(_cosine(part, are_embeddings) for part in (alone, together) if part),
        least_cosine=float(_cosines(pairs).min()),
        max_difference=_max_difference(pairs),
        top1=_top1(pairs) if has_classes and references[0].shape[-1] > 1 else None,
    )


def row_by_row(batch: Array, alone: Sequence[Array]) -> list[Array]:
    """The answers to a batch as the answers to its sequences one by one, without those to what only fills.

    Args:
        batch: `(sequences, ...)`.
        alone: what the reference answered to each of the sequences alone, in order: their shapes.
    """
    return [
        batch[index : index + 1][(slice(None), *map(slice, one.shape[1:]))] for index, one in enumerate(alone)
    ]


def _faults(pairs: Pairs) -> Iterator[str]:
    for reference, answer in pairs:
        if answer.shape != reference.shape:
            yield f"an answer has the shape {answer.shape}, not {reference.shape}"
        elif not np.isfinite(answer).all():
            yield "an answer has numbers that are not finite"


def _cosine(pairs: Pairs, are_embeddings: bool) -> float:
    """The mean over sequences; of numbers for each class that of all answers as one vector."""
    if are_embeddings or pairs[0][0].ndim > 2:
        return float(_cosines(pairs).mean())
    whole = (np.concatenate([one.ravel() for one in side])[np.newaxis] for side in zip(*pairs, strict=True))
    return float(sequence_cosines(*whole)[0])


def _cosines(pairs: Pairs) -> Array:
    """Of each sequence's answers."""
    return np.concatenate([sequence_cosines(*pair) for pair in pairs])


def _max_difference(pairs: Pairs) -> float:
    greatest = max(float(np.abs(reference).max()) for reference, _ in pairs)
    difference = max(float(np.abs(reference - answer).max()) for reference, answer in pairs)
    return difference / max(greatest, float(np.finfo(np.float32).tiny))


def _top1(pairs: Pairs) -> float:
    same = [(one.argmax(axis=-1) == other.argmax(axis=-1)).ravel() for one, other in pairs]
    return float(np.concatenate(same).mean())
