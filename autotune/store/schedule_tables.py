"""The table of what is to be verified every so often; Core, as those of `autotune.store.tables`."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Double, Named, String, Table, Text, TypedColumns

from autotune.store.tables import HOST_LETTERS, metadata

NAME_LETTERS = 64
"""The longest name of a schedule."""


class ScheduleColumns(TypedColumns):
    """One row per schedule; see `ScheduleRecord`."""

    name: Named[str] = Column(String(NAME_LETTERS), primary_key=True)
    study: Named[str] = Column(String(64))
    machine: Named[str] = Column(String(HOST_LETTERS), index=True)
    every_s: Named[float | None] = Column(Double)
    on_change: Named[bool] = Column(Boolean)
    tolerance: Named[float] = Column(Double)
    minutes: Named[float | None] = Column(Double)
    webhook: Named[str] = Column(Text)
    priority: Named[int]
    asked_by: Named[str] = Column(String(64))
    due_s: Named[float | None] = Column(Double)
    seen: Named[str] = Column(String(64))


schedules = Table("autotune_schedules", metadata, ScheduleColumns)
