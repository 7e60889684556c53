"""The names of the hosts that trials and runs of confirmations ran on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column to both tables; of what was stored before, nobody knows the host."""
    for table in ("autotune_trials", "autotune_confirmations"):
        op.add_column(table, sa.Column("host", sa.String(255), nullable=False, server_default=""))
