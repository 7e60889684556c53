"""The study that a plan was made of, as a value."""

from __future__ import annotations

from pydantic import ValidationError

from autotune.errors import PlanError
from autotune.model.stored_study import StoredStudy, read_stored_study
from autotune.plan.document import Plan
from autotune.plan.faults import fault_in_words
from autotune.spec.study import StudySpec


def spec_of(plan: Plan) -> StudySpec:
    """Give the study file's values that the plan was made of; see `stored_of`."""
    return stored_of(plan).written


def stored_of(plan: Plan) -> StoredStudy:
    """Give the study that the plan was made of; what was not known then has its default.

    Raises:
        PlanError: its values are incomplete or wrong.
    """
    try:
        return read_stored_study(plan.study.spec)
    except ValidationError as error:
        raise PlanError(
            fault_in_words(error, under=("study", "spec")),
            remedy="give a plan as `autotune tune` stores it, or tune again",
        ) from error
