"""Which artifacts of the cache to delete."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from autotune.model.artifacts.cache import CacheEntry


def choose_expired(
    entries: Sequence[CacheEntry], *, now_s: float, older_than_s: float | None, keep_bytes: int | None
) -> tuple[CacheEntry, ...]:
    """The entries to delete: damaged ones, those unused for too long, then the least recently used.

    Args:
        entries: least recently used first, as `ArtifactCache.entries` gives them.
        now_s: Unix time.
        older_than_s: delete what has not been used for this long; None = whatever its age.
        keep_bytes: delete until what stays takes no more on disk than this; None = whatever its size.
    """
    expired = {
        entry.key: entry
        for entry in entries
        if entry.manifest is None or (older_than_s is not None and now_s - entry.last_used_s > older_than_s)
    }
    staying = [entry for entry in entries if entry.key not in expired]
    while keep_bytes is not None and staying and disk_bytes(staying) > keep_bytes:
        oldest = staying.pop(0)
        expired[oldest.key] = oldest
    return tuple(expired.values())


def disk_bytes(entries: Sequence[CacheEntry]) -> int:
    """What the entries take on disk together; a file that they share counts once."""
    return sum({key: size for entry in entries for key, size in _files(entry.directory)}.values())


def _files(directory: Path) -> list[tuple[tuple[int, int], int]]:
    found: list[tuple[tuple[int, int], int]] = []
    for folder, _, names in os.walk(directory):
        for name in names:
            status = (Path(folder) / name).stat()
            found.append(((status.st_dev, status.st_ino), status.st_size))
    return found
