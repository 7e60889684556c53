"""Where plans were read from that were made in another store."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column; whatever was stored before was made in this store."""
    op.add_column("autotune_plans", sa.Column("origin", sa.Text(), nullable=False, server_default=""))
