"""Schedules of verifications as documents."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from autotune.documents.webhook import hidden_webhook
from autotune.store.schedule_records import ScheduleRecord

SCHEMA: Final = "autotune.schedule/1"


def schedule_document(schedule: ScheduleRecord, *, whole: bool = False) -> dict[str, Any]:
    """Write a schedule as one JSON document, without what was last seen of the machine.

    Args:
        whole: with all of its webhook, whose path and query may be a secret; else its host alone.
    """
    fields = asdict(schedule)
    del fields["seen"]
    webhook = schedule.webhook if whole or not schedule.webhook else hidden_webhook(schedule.webhook)
    return {"schema": SCHEMA, **fields, "webhook": webhook or None}
