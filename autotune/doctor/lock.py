"""Who measures on this host, or whether anybody can."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from autotune.bench.lock import FOLDERS, lock_holder
from autotune.doctor.diagnosis import Diagnosis


def examine_lock(folders: Sequence[Path] = FOLDERS) -> Iterator[Diagnosis]:
    """Say who holds the lock that keeps trials apart; the lock itself is not touched."""
    if not any(folder.is_dir() and os.access(folder, os.W_OK | os.X_OK) for folder in folders):
        named = " nor ".join(map(str, folders))
        yield Diagnosis(
            "lock",
            "fault",
            f"neither {named} can be written: trials cannot be kept apart",
            "make one writable",
        )
        return
    holder = lock_holder(folders)
    if holder is None:
        yield Diagnosis("lock", "ok", "nobody measures on this host")
        return
    waiting = f", and {holder.waiting} others wait for it" if holder.waiting else ""
    yield Diagnosis("lock", "note", f"{_process(holder.pid)} measures on this host{waiting}")


def _process(pid: int) -> str:
    try:
        name = Path("/proc", str(pid), "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return f"process {pid}"
    return f"process {pid} ({name})"
