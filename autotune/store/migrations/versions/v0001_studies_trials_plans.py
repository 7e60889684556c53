"""Studies, trials and plans."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the three tables."""
    _create_studies()
    _create_trials()
    _create_plans()


def _create_studies() -> None:
    op.create_table(
        "autotune_studies",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("created_s", sa.Double, nullable=False),
        sa.Column("model_source", sa.Text, nullable=False),
        sa.Column("model_digest", sa.String(64), nullable=False),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("machine", sa.JSON, nullable=False),
        sa.Column("versions", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_autotune_studies"),
        sa.UniqueConstraint("name", name="uq_autotune_studies_name"),
    )


def _create_trials() -> None:
    op.create_table(
        "autotune_trials",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("study_id", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("baseline", sa.Boolean, nullable=False),
        sa.Column("configuration", sa.JSON, nullable=False),
        sa.Column("started_s", sa.Double, nullable=False),
        sa.Column("ended_s", sa.Double, nullable=False),
        sa.Column("failure", sa.String(32), nullable=True),
        sa.Column("score", sa.Double, nullable=True),
        sa.Column("violations", sa.JSON, nullable=False),
        sa.Column("result", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_autotune_trials"),
        sa.UniqueConstraint("study_id", "number", name="uq_autotune_trials_study_id_number"),
        _of_a_study("autotune_trials"),
    )


def _create_plans() -> None:
    op.create_table(
        "autotune_plans",
        sa.Column("id", sa.String(80), nullable=False),
        sa.Column("study_id", sa.Integer, nullable=False),
        sa.Column("trial", sa.Integer, nullable=False),
        sa.Column("created_s", sa.Double, nullable=False),
        sa.Column("objective", sa.String(32), nullable=False),
        sa.Column("configuration", sa.JSON, nullable=False),
        sa.Column("score", sa.Double, nullable=False),
        sa.Column("gain", sa.Double, nullable=True),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_autotune_plans"),
        _of_a_study("autotune_plans"),
    )
    op.create_index("ix_autotune_plans_study_id", "autotune_plans", ["study_id"])
    op.create_index("ix_autotune_plans_created_s", "autotune_plans", ["created_s"])


def _of_a_study(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["study_id"],
        ["autotune_studies.id"],
        name=f"fk_{table}_study_id_autotune_studies",
        ondelete="CASCADE",
    )
