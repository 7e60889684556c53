"""A plan's curve, as a document."""

from __future__ import annotations

from typing import Any, Final

from autotune.jobs.sweeping import SweepResult

SCHEMA: Final = "autotune.curve/1"


def curve_document(result: SweepResult) -> dict[str, Any]:
    """Write what a sweep gave as one JSON document; the curve is as in the plan's document."""
    curve = result.plan.curve if result.is_measured else None
    return {
        "schema": SCHEMA,
        "plan": result.plan.id,
        "stale": list(result.stale),
        "stopped": result.stopped,
        "capacity_per_s": None if curve is None else curve.capacity_per_s,
        "curve": None if curve is None else curve.model_dump(mode="json"),
        "failures": [{"rate_per_s": rate, "reason": reason} for rate, reason in result.failures],
        "notes": list(result.notes),
    }
