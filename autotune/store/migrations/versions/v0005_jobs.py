"""Jobs that were asked for, what is told of them, and what is to be verified every so often."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

RUNNING = "state = 'running'"


def upgrade() -> None:
    """Make the tables; what was run before was asked for on a command line, and is no job."""
    _make_jobs()
    _make_events()
    _make_schedules()


def _make_jobs() -> None:
    op.create_table(
        "autotune_jobs",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("client_key", sa.String(128)),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("study", sa.String(64), nullable=False),
        sa.Column("machine", sa.String(255), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("asked_by", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("asked_s", sa.Double(), nullable=False),
        sa.Column("started_s", sa.Double()),
        sa.Column("ended_s", sa.Double()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("stop_asked", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("holder_host", sa.String(255)),
        sa.Column("holder_boot", sa.String(64)),
        sa.Column("holder_pid", sa.BigInteger()),
        sa.Column("holder_ticks", sa.BigInteger()),
        sa.Column("held_until_s", sa.Double()),
        sa.Column("plan", sa.String(80), nullable=False, server_default=""),
        sa.Column("result", sa.JSON()),
        sa.Column("fault", sa.JSON()),
        sa.PrimaryKeyConstraint("id", name="pk_autotune_jobs"),
        sa.UniqueConstraint("client_key", name="uq_autotune_jobs_client_key"),
    )
    op.create_index("ix_autotune_jobs_study", "autotune_jobs", ["study"])
    op.create_index("ix_autotune_jobs_asked_s", "autotune_jobs", ["asked_s"])
    op.create_index("ix_autotune_jobs_plan", "autotune_jobs", ["plan"])
    op.create_index("ix_autotune_jobs_state_asked_s", "autotune_jobs", ["state", "asked_s"])
    op.create_index(
        "uq_autotune_jobs_running",
        "autotune_jobs",
        ["machine"],
        unique=True,
        sqlite_where=sa.text(RUNNING),
        postgresql_where=sa.text(RUNNING),
    )


def _make_events() -> None:
    op.create_table(
        "autotune_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("told_s", sa.Double(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_autotune_events"),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["autotune_jobs.id"],
            name="fk_autotune_events_job_id_autotune_jobs",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("job_id", "number", name="uq_autotune_events_job_id_number"),
    )


def _make_schedules() -> None:
    op.create_table(
        "autotune_schedules",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("study", sa.String(64), nullable=False),
        sa.Column("machine", sa.String(255), nullable=False),
        sa.Column("every_s", sa.Double()),
        sa.Column("on_change", sa.Boolean(), nullable=False),
        sa.Column("tolerance", sa.Double(), nullable=False),
        sa.Column("minutes", sa.Double()),
        sa.Column("webhook", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("asked_by", sa.String(64), nullable=False),
        sa.Column("due_s", sa.Double()),
        sa.Column("seen", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_autotune_schedules"),
    )
    op.create_index("ix_autotune_schedules_machine", "autotune_schedules", ["machine"])
