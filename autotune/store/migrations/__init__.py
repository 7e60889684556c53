"""Alembic's migrations of our own tables, run by `autotune.store.schema.upgrade`."""
