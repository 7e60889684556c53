"""What is asked of the tables of jobs in more than one place, and the clock on which machines agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, or_, select, text

from autotune.store.job_tables import jobs

JobSelect = Select[*tuple[Any, ...]]

CLOCKS = {
    "sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "SELECT extract(epoch FROM clock_timestamp())::double precision",
}
"""What each database says the time is, in Unix time."""


def database_clock_s(connection: Connection) -> float:
    """Give the time as the database has it: several machines agree on that clock alone."""
    return float(connection.scalar(text(CLOCKS[connection.dialect.name])) or 0.0)


def filtered(
    listed: JobSelect,
    *,
    states: Sequence[str] = (),
    study: str = "",
    machine: str = "",
    kind: str = "",
    plan: str = "",
) -> JobSelect:
    """Narrow a listing of jobs to what is named."""
    if states:
        listed = listed.where(or_(*(jobs.c.state == state for state in states)))
    wanted = {"study": study, "machine": machine, "kind": kind, "plan": plan}
    for name, value in wanted.items():
        if value:
            listed = listed.where(jobs.c[name] == value)
    return listed


def running_on(machine: str) -> JobSelect:
    """Select the job that runs on a machine."""
    return select(jobs).where(jobs.c.machine == machine, jobs.c.state == "running")


def locked(listed: JobSelect) -> JobSelect:
    """Keep rows from changing until the transaction ends; in SQLite, a writing transaction does so anyway."""
    return listed.with_for_update()
