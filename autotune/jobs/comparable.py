"""Which plans and configurations may be compared, and what is to be said of them beside the figures."""

from __future__ import annotations

from typing import Any

from autotune.errors import PlanError
from autotune.jobs.reviving import Origin, differences
from autotune.model.stored_study import study_document
from autotune.plan.document import Plan
from autotune.plan.study import stored_of
from autotune.search.resume import study_differences
from autotune.spec.configuration import Configuration
from autotune.spec.scenario import traits_of
from autotune.spec.study import StudySpec

COMPARED = ("problem", "objective", "scenario")
"""Parts of a study that both plans must have in common, beside `limits` where they decide the rate,
and `price` where the objective is about that."""


def notes_on_variants(a: Configuration, b: Configuration, spec: StudySpec) -> tuple[str, ...]:
    """That two configurations of a study run different models; nothing where they do not."""
    if a.model == b.model:
        return ()
    return (f"the models differ: A runs {spec.source_of(a)}, B runs {spec.source_of(b)}",)


def refuse_other_questions(a: Plan, b: Plan) -> None:
    """Refuse plans whose figures do not answer the same question.

    Raises:
        PlanError: says in what they differ.
    """
    one, other = _question(a), _question(b)
    if all(asked["problem"]["texts_file_digest"] for asked in (one, other)):
        # The tokenizer is the model's, and no part of the question.
        one, other = _of_texts_alone(one), _of_texts_alone(other)
    if different := study_differences(one, other):
        raise PlanError(
            f"the plans {a.id} and {b.id} answer different questions: {'; '.join(different)}",
            remedy="compare plans of the same problem, objective and scenario",
        )


def _question(plan: Plan) -> dict[str, Any]:
    spec = stored_of(plan)
    parts = {
        *COMPARED,
        *(["limits"] if traits_of(spec.scenario).seeks_rate else []),
        *(["price"] if spec.objective.is_priced else []),
    }
    return {part: value for part, value in study_document(spec).items() if part in parts}


def _of_texts_alone(asked: dict[str, Any]) -> dict[str, Any]:
    """A question whose texts are known by their file's digest."""
    problem = asked["problem"]
    return {**asked, "problem": {**problem, "texts_digest": problem["texts_file_digest"]}}


def notes_on(plan: Plan, origin: Origin) -> tuple[str, ...]:
    """Under what other versions the plan was made.

    Raises:
        PlanError: it was made on another machine, or of a model that is another one now.
    """
    found = differences(plan, origin)
    if stale := (*found.machine, *found.model):
        raise PlanError(
            f"the plan {plan.id} is stale: {'; '.join(stale)}", remedy="run `autotune tune` again here"
        )
    if not found.versions:
        return ()
    return (
        f"plan {plan.id} was made with other versions, and runs with today's: {'; '.join(found.versions)}",
    )


def notes_on_models(a: Plan, b: Plan) -> tuple[str, ...]:
    """That two plans run different models; nothing where they do not."""
    one, other = (str(plan.model.get("source")) for plan in (a, b))
    if a.model.get("digest") == b.model.get("digest"):
        return ()
    return (f"the models differ: A runs {one}, B runs {other}",)
