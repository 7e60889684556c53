"""A prepared model in the cache, as a document."""

from __future__ import annotations

from typing import Any

from autotune.model.artifacts.cache import CacheEntry


def cache_entry_document(entry: CacheEntry) -> dict[str, Any]:
    """Write an entry of the cache as JSON, without the list of its files."""
    return {
        "key": entry.key,
        "directory": str(entry.directory),
        "size_bytes": entry.size_bytes,
        "last_used_s": entry.last_used_s,
        "complete": entry.manifest is not None,
        "manifest": None if entry.manifest is None else entry.manifest.model_dump(exclude={"files"}),
    }
