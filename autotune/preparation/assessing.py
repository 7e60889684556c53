"""Loads an artifact as a worker would, and compares its answers. Runs in a child process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from autotune.backends.loading import load_session
from autotune.backends.protocol import Session
from autotune.backends.registry import get_backend
from autotune.backends.sentence_model import has_modules
from autotune.errors import UnsupportedError
from autotune.model.assessment import Assessment, LabelledScore, write_assessment
from autotune.model.calibration import Request, read_requests
from autotune.model.comparing import Pairs, compare_answers, row_by_row
from autotune.model.exported import only_shapes
from autotune.model.inputs import make_inputs, read_inputs
from autotune.preparation.calibration import filled_together, read_answers, reference_answers
from autotune.preparation.evaluation import has_classes, read_evaluation, score_answers
from autotune.preparation.requests import Assess
from autotune.spec.knobs import parse_knobs

Array = np.ndarray[Any, Any]

ALONE_SEQUENCES = 32
"""At least so many random sequences are compared of what holds for some shapes of request alone."""


def assess(asked: Assess, directory: Path) -> None:
    """Write what is found into the empty `directory`."""
    backend, knobs = get_backend(asked.backend), parse_knobs(asked.knobs)
    session = load_session(backend, asked.artifact, asked.precision, asked.threads, knobs)
    if only_shapes(asked.artifact):
        write_assessment(directory, _assess_alone(session, asked))
        return
    requests, references = read_requests(asked.calibration), read_answers(asked.calibration)
    found = compare_answers(
        references[: len(requests)],
        [session.run(request) for request in requests],
        inputs=asked.inputs,
        has_classes=has_classes(asked.reference),
        are_embeddings=has_modules(asked.reference),
        together=_together(session, requests, references, asked.reference),
    )
    if asked.evaluation is not None and not found.fault:
        found = replace(found, labelled=_labelled(session, asked.evaluation))
    session.close()
    write_assessment(directory, found)


def _assess_alone(session: Session, asked: Assess) -> Assessment:
    """Compare an artifact that holds for some shapes alone, on random requests of these.

    Raises:
        UnsupportedError: there are labelled texts, which are of all lengths.
    """
    shapes = only_shapes(asked.artifact)
    if asked.evaluation is not None:
        raise UnsupportedError(
            f"{asked.backend} takes this model at {', '.join(f'{b} x {t}' for b, t in shapes)} tokens alone,"
            " and quality.data has texts of other lengths",
            remedy=f"leave {asked.backend} out of search.backends, or quality.data out of the study",
        )
    seeds = range(-(-ALONE_SEQUENCES // sum(batch for batch, _ in shapes)))
    requests = [make_inputs(asked.reference, *shape, seed) for seed in seeds for shape in shapes]
    answers = [session.run(request) for request in requests]
    session.close()
    references = list(reference_answers(asked.reference, requests))
    classes = has_classes(asked.reference)
    return compare_answers(references, answers, inputs="random", has_classes=classes)


def _together(
    session: Session, requests: Sequence[Request], references: Sequence[Array], reference: Path
) -> Pairs:
    """What the reference and the engine answer to sequences in one batch; nothing where it was not asked."""
    batch = filled_together(requests, read_inputs(reference))
    if batch is None or len(references) == len(requests):
        return ()
    alone = [references[place] for place in batch.sequences]
    both = (references[-1], session.run(batch.request))
    return list(zip(*(row_by_row(answer, alone) for answer in both), strict=True))


def _labelled(session: Session, evaluation: Path) -> LabelledScore:
    described = read_evaluation(evaluation)
    answers = (session.run(request) for request in read_requests(evaluation))
    value = score_answers(described.metric, described.head, described.truths, answers)
    return LabelledScore(described.metric, len(described.truths), described.reference, value)
