"""Studies, their trials and their plans as lists show them, as documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from autotune.spec.configuration import Configuration
from autotune.store.overview import StudySummary
from autotune.store.records import PlanSummary, StudyRecord, TrialSummary
from autotune.store.schedule_records import PlanStanding
from autotune.store.trial_pages import MEASURED

SCHEMA: Final = "autotune.study/1"


def study_line(summary: StudySummary) -> dict[str, Any]:
    """Write a study as a listing has it."""
    fields = asdict(summary)
    fields["model"] = fields.pop("model_source")
    return {"schema": SCHEMA, **fields, "newest_plan": summary.newest_plan or None}


def stored_study_document(
    record: StudyRecord, trials: Sequence[TrialSummary], plans: Sequence[PlanSummary], best: Mapping[str, Any]
) -> dict[str, Any]:
    """Write a study as one JSON document: what was asked, where, and how its trials stand.

    Args:
        best: the best trial's `number`, `score` and `gain`; empty without one.
    """
    states: dict[str, int] = {}
    for trial in trials:
        state = trial.failure or MEASURED
        states[state] = states.get(state, 0) + 1
    return {
        "schema": SCHEMA,
        "name": record.name,
        "created_s": record.created_s,
        "model": record.model_source,
        "model_digest": record.model_digest,
        "spec": record.spec,
        "machine": record.machine,
        "versions": record.versions,
        "trials": len(trials),
        "states": states,
        "best": dict(best) or None,
        "plans": [plan.id for plan in plans],
    }


def trial_document(trial: TrialSummary, reason: str = "") -> dict[str, Any]:
    """Write a trial without its raw values; `reason` says why it failed."""
    return {
        "number": trial.number,
        "baseline": trial.baseline,
        "configuration": trial.configuration.parameters(),
        "in_words": str(trial.configuration),
        "started_s": trial.started_s,
        "ended_s": trial.ended_s,
        "state": trial.failure or MEASURED,
        "score": trial.score,
        "violations": dict(trial.violations),
        "reason": reason or None,
    }


def trial_of(document: Mapping[str, Any], study: str) -> TrialSummary:
    """Read what `trial_document` wrote of a study's trial, but for the reason of a failure."""
    state = document["state"]
    return TrialSummary(
        study=study,
        number=document["number"],
        configuration=Configuration.from_parameters(document["configuration"]),
        baseline=document["baseline"],
        started_s=document["started_s"],
        ended_s=document["ended_s"],
        failure=None if state == MEASURED else state,
        score=document["score"],
        violations=document["violations"],
    )


def plan_line(plan: PlanSummary, standing: PlanStanding | None = None) -> dict[str, Any]:
    """Write a plan as a listing has it, as `autotune plans --json` does.

    Args:
        standing: what its newest verification has shown; None where there was none.
    """
    return {**asdict(plan), "verification": None if standing is None else standing_document(standing)}


def standing_document(standing: PlanStanding) -> dict[str, Any]:
    """Write what the newest verification of a plan has shown: one that is `worse` is not to be relied on."""
    return {"verdict": standing.verdict, "job": standing.job, "ended_s": standing.ended_s}
