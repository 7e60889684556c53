"""What an examination of a store and its machine found, as a document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from autotune.doctor.diagnosis import Diagnosis, is_healthy

SCHEMA: Final = "autotune.doctor/1"


def doctor_document(diagnoses: Sequence[Diagnosis]) -> dict[str, Any]:
    """Write what was found as one JSON document, in the order in which it was looked at."""
    return {
        "schema": SCHEMA,
        "healthy": is_healthy(diagnoses),
        "findings": [asdict(diagnosis) for diagnosis in diagnoses],
    }
