"""Our tables, as typed columns. Optuna's live in the same database; ours are prefixed `autotune_`.

They are Core tables and not mapped classes: rows become the frozen values of `autotune.store.records`, and a
second class for each would be one too many (and a tenth of a second in every command that only lists).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Double,
    ForeignKey,
    MetaData,
    Named,
    String,
    Table,
    Text,
    TypedColumns,
    UniqueConstraint,
)

VERSION_TABLE = "autotune_alembic_version"
"""Ours alone: Optuna owns `alembic_version` and refuses rows that it does not know."""
TABLES_SINCE: Mapping[str, frozenset[str]] = {
    "0001": frozenset({"autotune_studies", "autotune_trials", "autotune_plans"}),
    "0002": frozenset({"autotune_confirmations"}),
    "0003": frozenset(),
    "0004": frozenset(),
    "0005": frozenset({"autotune_jobs", "autotune_events", "autotune_schedules"}),
}
"""By schema version, oldest first, the tables that came with it.

Known without importing Alembic, which only a migration needs.
"""
REVISIONS = tuple(TABLES_SINCE)

COLUMNS_SINCE: Mapping[str, frozenset[str]] = {"0003": frozenset({"host"}), "0004": frozenset({"origin"})}
"""By schema version, the columns that came with it into tables that were there: a reader does without."""
READABLE = REVISIONS[REVISIONS.index("0002") :]
"""Schema versions that can be read as they are, without bringing them up to date."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


HOST_LETTERS = 255
"""The longest name that a host can have. Source: RFC 1035, section 2.3.4."""


class StudyColumns(TypedColumns):
    """One row per study; see `StudyRecord`."""

    id: Named[int] = Column(primary_key=True)
    name: Named[str] = Column(String(64), unique=True)
    created_s: Named[float] = Column(Double)
    model_source: Named[str] = Column(Text)
    model_digest: Named[str] = Column(String(64))
    spec: Named[dict[str, Any]] = Column(JSON)
    machine: Named[dict[str, Any]] = Column(JSON)
    versions: Named[dict[str, str]] = Column(JSON)


class TrialColumns(TypedColumns):
    """One row per finished trial; listings read neither `result`, the raw values, nor what lies behind it."""

    id: Named[int] = Column(primary_key=True)
    study_id: Named[int] = Column(ForeignKey("autotune_studies.id", ondelete="CASCADE"))
    number: Named[int]
    baseline: Named[bool]
    configuration: Named[dict[str, Any]] = Column(JSON)
    started_s: Named[float] = Column(Double)
    ended_s: Named[float] = Column(Double)
    failure: Named[str | None] = Column(String(32))
    score: Named[float | None] = Column(Double)
    violations: Named[dict[str, float]] = Column(JSON)
    result: Named[dict[str, Any]] = Column(JSON)
    host: Named[str] = Column(String(HOST_LETTERS), server_default="")


class ConfirmationColumns(TypedColumns):
    """One row per run of a confirmation; see `ConfirmationRecord`."""

    id: Named[int] = Column(primary_key=True)
    study_id: Named[int] = Column(ForeignKey("autotune_studies.id", ondelete="CASCADE"))
    series: Named[int]
    round: Named[int]
    position: Named[int]
    contender: Named[str] = Column(String(64))
    trial: Named[int]
    configuration: Named[dict[str, Any]] = Column(JSON)
    started_s: Named[float] = Column(Double)
    ended_s: Named[float] = Column(Double)
    failure: Named[str | None] = Column(String(32))
    score: Named[float | None] = Column(Double)
    violations: Named[dict[str, float]] = Column(JSON)
    result: Named[dict[str, Any]] = Column(JSON)
    host: Named[str] = Column(String(HOST_LETTERS), server_default="")


class PlanColumns(TypedColumns):
    """One row per plan; `document` is its JSON text, the other columns repeat what listings show most.

    `origin` says where an imported one was read from; it is empty of those that were made in this store.
    """

    id: Named[str] = Column(String(80), primary_key=True)
    study_id: Named[int] = Column(ForeignKey("autotune_studies.id", ondelete="CASCADE"), index=True)
    trial: Named[int]
    created_s: Named[float] = Column(Double, index=True)
    objective: Named[str] = Column(String(32))
    configuration: Named[dict[str, Any]] = Column(JSON)
    score: Named[float] = Column(Double)
    gain: Named[float | None] = Column(Double)
    document: Named[str] = Column(Text)
    origin: Named[str] = Column(Text, server_default="")


studies = Table("autotune_studies", metadata, StudyColumns)
trials = Table("autotune_trials", metadata, TrialColumns, UniqueConstraint("study_id", "number"))
confirmations = Table(
    "autotune_confirmations",
    metadata,
    ConfirmationColumns,
    UniqueConstraint("study_id", "series", "round", "position"),
)
plans = Table("autotune_plans", metadata, PlanColumns)
