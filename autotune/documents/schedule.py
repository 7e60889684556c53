"""Schedules of verifications as documents."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from autotune.store.schedule_records import ScheduleRecord

SCHEMA: Final = "autotune.schedule/1"


def schedule_document(schedule: ScheduleRecord) -> dict[str, Any]:
    """Write a schedule as one JSON document, without what was last seen of the machine."""
    fields = asdict(schedule)
    del fields["seen"]
    return {"schema": SCHEMA, **fields, "webhook": schedule.webhook or None}
