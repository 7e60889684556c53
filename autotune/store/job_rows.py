"""Jobs ↔ rows."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sqlalchemy import Row

from autotune.store.job_records import JobFault, JobHolder, JobRecord, JobRequest
from autotune.store.job_tables import jobs

HOLD_S = 4 * 3600.0
"""How long a holder on another machine is believed to live after it was last heard of. Source: stated, as
`autotune.search.leases.LEASE_S`: no trial takes longer. On its own machine a process is looked at instead."""


def digest_of(request: JobRequest) -> str:
    """Give the SHA-256 of what is asked for, whoever asks."""
    asked = [request.kind, request.study, request.machine, dict(request.values), request.priority]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def request_row(request: JobRequest) -> dict[str, Any]:
    """Give the columns of what is asked for."""
    return {
        "client_key": request.client_key,
        "kind": request.kind,
        "study": request.study,
        "machine": request.machine,
        "request": dict(request.values),
        "priority": request.priority,
        "asked_by": request.asked_by,
    }


NO_HOLDER: dict[str, Any] = {
    "holder_host": None,
    "holder_boot": None,
    "holder_pid": None,
    "holder_ticks": None,
    "held_until_s": None,
}


def holder_columns(holder: JobHolder, now_s: float) -> dict[str, Any]:
    """Give the columns of a job that a process holds from now on."""
    return {
        "holder_host": holder.host,
        "holder_boot": holder.boot,
        "holder_pid": holder.pid,
        "holder_ticks": holder.started_ticks,
        "held_until_s": now_s + HOLD_S,
    }


def is_held_by(holder: JobHolder) -> tuple[Any, ...]:
    """Give the conditions by which a job is this process's."""
    return (
        jobs.c.holder_host == holder.host,
        jobs.c.holder_boot == holder.boot,
        jobs.c.holder_pid == holder.pid,
        jobs.c.holder_ticks == holder.started_ticks,
    )


def job_record(row: Row[Any]) -> JobRecord:
    """Read a row; a listing's lacks the request's values and the result."""
    columns = row._mapping
    request = JobRequest(
        kind=row.kind,
        study=row.study,
        machine=row.machine,
        values=columns.get("request", {}),
        priority=row.priority,
        client_key=row.client_key,
        asked_by=row.asked_by,
    )
    holder = (
        None
        if row.holder_pid is None
        else JobHolder(row.holder_host, row.holder_boot, row.holder_pid, row.holder_ticks)
    )
    return JobRecord(
        id=row.id,
        request=request,
        state=row.state,
        asked_s=row.asked_s,
        started_s=row.started_s,
        ended_s=row.ended_s,
        attempts=row.attempts,
        stop_asked=bool(row.stop_asked),
        holder=holder,
        held_until_s=row.held_until_s,
        plan=row.plan,
        result=columns.get("result"),
        fault=None if row.fault is None else JobFault(**row.fault),
    )
