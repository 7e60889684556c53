"""What running a plan again has shown, as a document."""

from __future__ import annotations

from typing import Any, Final

from autotune.documents.figures import interval_document, runs_document, value_document
from autotune.jobs.verification import Verification
from autotune.plan.study import spec_of
from autotune.statistics.promise import Promise

SCHEMA: Final = "autotune.verification/1"


def verification_document(verification: Verification) -> dict[str, Any]:
    """Write what running a plan again has shown as one JSON document."""
    plan, spec = verification.plan, spec_of(verification.plan)
    return {
        "schema": SCHEMA,
        "plan": plan.id,
        "verdict": verification.verdict,
        "tolerance": verification.tolerance,
        "compared": verification.figure,
        "reasons": list(verification.reasons),
        "quietness": verification.quietness,
        "then": {
            **promise_document(verification.deciding.promised),
            "plan": plan.estimate.objective_value,
            "baseline": None if plan.baseline is None else plan.baseline.objective_value,
        },
        "now": {
            "goodness": interval_document(verification.deciding.now),
            "plan": value_document(spec, verification.plan_now),
            "baseline": value_document(spec, verification.baseline_now),
        },
        "figures": {
            check.figure: {
                "agreement": check.agreement,
                "then": promise_document(check.promised),
                "now": interval_document(check.now),
            }
            for check in verification.checks
        },
        "objective": plan.objective,
        "runs": runs_document(spec, verification.runs),
    }


def promise_document(promise: Promise) -> dict[str, float]:
    """Write what was stated of a figure as JSON."""
    return {"goodness": promise.value, "low": promise.low, "high": promise.high}
