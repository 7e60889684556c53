"""Runs of confirmations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create their table."""
    op.create_table(
        "autotune_confirmations",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("study_id", sa.Integer, nullable=False),
        sa.Column("series", sa.Integer, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("contender", sa.String(64), nullable=False),
        sa.Column("trial", sa.Integer, nullable=False),
        sa.Column("configuration", sa.JSON, nullable=False),
        sa.Column("started_s", sa.Double, nullable=False),
        sa.Column("ended_s", sa.Double, nullable=False),
        sa.Column("failure", sa.String(32), nullable=True),
        sa.Column("score", sa.Double, nullable=True),
        sa.Column("violations", sa.JSON, nullable=False),
        sa.Column("result", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_autotune_confirmations"),
        sa.UniqueConstraint(
            *("study_id", "series", "round", "position"),
            name="uq_autotune_confirmations_study_id_series_round_position",
        ),
        sa.ForeignKeyConstraint(
            ["study_id"],
            ["autotune_studies.id"],
            name="fk_autotune_confirmations_study_id_autotune_studies",
            ondelete="CASCADE",
        ),
    )
