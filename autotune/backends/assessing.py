"""Loads an artifact as a worker would, and compares its answers. Runs in a child process."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from autotune.backends.calibration import read_answers
from autotune.backends.evaluation import has_classes, read_evaluation, score_answers
from autotune.backends.loading import load_session
from autotune.backends.protocol import Session
from autotune.backends.registry import get_backend
from autotune.model.assessment import Inputs, LabelledScore, write_assessment
from autotune.model.calibration import read_requests
from autotune.model.comparing import compare_answers
from autotune.spec.configuration import Precision
from autotune.spec.knobs import parse_knobs

ASSESSMENT = "assessment"
"""How the name begins that stands in the place of the backend where an assessment is named."""


@dataclass(frozen=True)
class Assessing:
    """What is compared with what: finished artifacts.

    Attributes:
        artifact: of the engine.
        threads: intra-op threads to load it with.
        calibration: requests, made of these `inputs`, and the reference's answers.
        evaluation: labelled texts; None where the study has none.
        knobs: that change what is answered, as `autotune.spec.knobs` writes them.
    """

    backend: str
    precision: Precision
    artifact: Path
    threads: int
    reference: Path
    calibration: Path
    inputs: Inputs
    evaluation: Path | None
    knobs: str = ""


def assess(asked: Assessing, directory: Path) -> None:
    """Write what is found into the empty `directory`."""
    backend, knobs = get_backend(asked.backend), parse_knobs(asked.knobs)
    session = load_session(backend, asked.artifact, asked.precision, asked.threads, knobs)
    found = compare_answers(
        read_answers(asked.calibration),
        [session.run(request) for request in read_requests(asked.calibration)],
        inputs=asked.inputs,
        has_classes=has_classes(asked.reference),
    )
    if asked.evaluation is not None and not found.fault:
        found = replace(found, labelled=_labelled(session, asked.evaluation))
    session.close()
    write_assessment(directory, found)


def _labelled(session: Session, evaluation: Path) -> LabelledScore:
    described = read_evaluation(evaluation)
    answers = (session.run(request) for request in read_requests(evaluation))
    value = score_answers(described.metric, described.head, described.truths, answers)
    return LabelledScore(described.metric, len(described.truths), described.reference, value)
