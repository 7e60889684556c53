"""What two sides have shown beside each other, as a document."""

from __future__ import annotations

from typing import Any, Final

from autotune.documents.figures import interval_document, runs_document, value_document
from autotune.jobs.comparison import Comparison
from autotune.objectives.catalogue import objective_of

SCHEMA: Final = "autotune.comparison/1"


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """Write what two sides have shown as one JSON document."""
    spec = comparison.spec
    return {
        "schema": SCHEMA,
        "a": comparison.labels[0],
        "b": comparison.labels[1],
        "verdict": comparison.verdict,
        "ratio": interval_document(comparison.ratio),
        "zone": comparison.zone,
        "notes": list(comparison.notes),
        "reasons": list(comparison.reasons),
        "quietness": comparison.quietness,
        "objective": objective_of(spec).name,
        "values": {
            "a": value_document(spec, comparison.values[0]),
            "b": value_document(spec, comparison.values[1]),
        },
        "runs": runs_document(spec, comparison.runs),
    }
