"""Tables of jobs and of what is told of them; as those of `autotune.store.tables`, Core and not mapped."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Named,
    String,
    Table,
    Text,
    TypedColumns,
    UniqueConstraint,
    false,
    text,
)

from autotune.store.tables import HOST_LETTERS, metadata

KEY_LETTERS = 128
"""The longest key by which a client names a job."""


class JobColumns(TypedColumns):
    """One row per job; see `JobRecord`. `digest` tells whether a key is used for another request."""

    id: Named[str] = Column(String(32), primary_key=True)
    client_key: Named[str | None] = Column(String(KEY_LETTERS), unique=True)
    digest: Named[str] = Column(String(64))
    kind: Named[str] = Column(String(16))
    study: Named[str] = Column(String(64), index=True)
    machine: Named[str] = Column(String(HOST_LETTERS))
    request: Named[dict[str, Any]] = Column(JSON)
    priority: Named[int]
    asked_by: Named[str] = Column(String(64))
    state: Named[str] = Column(String(16))
    asked_s: Named[float] = Column(Double, index=True)
    started_s: Named[float | None] = Column(Double)
    ended_s: Named[float | None] = Column(Double)
    attempts: Named[int]
    stop_asked: Named[bool] = Column(Boolean, server_default=false())
    holder_host: Named[str | None] = Column(String(HOST_LETTERS))
    holder_boot: Named[str | None] = Column(String(64))
    holder_pid: Named[int | None] = Column(BigInteger)
    holder_ticks: Named[int | None] = Column(BigInteger)
    held_until_s: Named[float | None] = Column(Double)
    plan: Named[str] = Column(String(80), server_default="", index=True)
    result: Named[dict[str, Any] | None] = Column(JSON(none_as_null=True))
    fault: Named[dict[str, Any] | None] = Column(JSON(none_as_null=True))


class EventColumns(TypedColumns):
    """One row per event of a job; see `ToldEvent`."""

    id: Named[int] = Column(primary_key=True)
    job_id: Named[str] = Column(ForeignKey("autotune_jobs.id", ondelete="CASCADE"))
    number: Named[int]
    told_s: Named[float] = Column(Double)
    event: Named[str] = Column(Text)


RUNNING = "state = 'running'"

jobs = Table(
    "autotune_jobs",
    metadata,
    JobColumns,
    Index(None, "state", "asked_s"),
    # One job at a time runs on a machine: the database refuses a second one, whoever asks.
    Index(
        "uq_autotune_jobs_running",
        "machine",
        unique=True,
        sqlite_where=text(RUNNING),
        postgresql_where=text(RUNNING),
    ),
)
events = Table("autotune_events", metadata, EventColumns, UniqueConstraint("job_id", "number"))
