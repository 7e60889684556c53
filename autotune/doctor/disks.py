"""The cache of prepared models, and shared memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from autotune.doctor.diagnosis import Diagnosis
from autotune.doctor.stored import examine_room
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.artifacts.location import cache_root
from autotune.model.artifacts.pruning import disk_bytes
from autotune.units import format_bytes, format_count

SHARED = Path("/dev/shm")


def examine_disks() -> Iterator[Diagnosis]:
    """Say whether the cache can be written, what it takes, and whether its disk has room.

    Raises:
        CacheError: there is no place for a cache.
    """
    root = cache_root()
    there = next(folder for folder in (root, *root.parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        yield Diagnosis(
            "cache", "fault", f"the cache {root} cannot be written", "set AUTOTUNE_CACHE to a folder that can"
        )
        return
    entries = ArtifactCache(root).entries() if root.is_dir() else ()
    models = format_count(len(entries), "prepared model")
    yield Diagnosis("cache", "ok", f"the cache {root} holds {models}, {format_bytes(disk_bytes(entries))}")
    damaged = sum(entry.manifest is None for entry in entries)
    if damaged:
        yield Diagnosis(
            "cache",
            "note",
            f"{format_count(damaged, 'entry', 'entries')} of it was not finished",
            "run: autotune cache prune --older-than 1d",
        )
    yield from examine_room("cache", there)
    if not SHARED.is_dir() or not os.access(SHARED, os.W_OK | os.X_OK):
        yield Diagnosis(
            "disk", "warning", f"{SHARED} cannot be written: the lock lies in /tmp", "mount a tmpfs there"
        )
