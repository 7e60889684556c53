"""Alembic's entry: runs the migrations in the transaction of the connection that it is handed."""

from __future__ import annotations

from alembic import context

import autotune.store.job_tables  # its tables are of the same metadata
import autotune.store.schedule_tables  # noqa: F401 - as these are
from autotune.store.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
