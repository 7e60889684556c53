"""SHA-256 of files, streamed; a file that has not changed since is not read again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from autotune.model.artifacts.location import cache_root


def digest_files(files: Iterable[Path]) -> str:
    """One digest over the names and contents of `files`, in the order given.

    Raises:
        OSError: a file cannot be read.
    """
    whole = hashlib.sha256()
    for file in files:
        whole.update(f"{file.name}\0{digest_file(file)}\n".encode())
    return whole.hexdigest()


def digest_file(file: Path) -> str:
    """The file's SHA-256 in hex; remembered in the cache while size, times and inode stay the same.

    Raises:
        OSError: the file cannot be read.
    """
    state = _state(file)
    memory = _memory_of(file)
    remembered = _recall(memory, state)
    if remembered is not None:
        return remembered
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if _state(file) == state:
        _remember(memory, state, digest)
    return digest


def _state(file: Path) -> list[int]:
    status = file.stat()
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _memory_of(file: Path) -> Path:
    name = hashlib.sha256(os.fsencode(file.resolve())).hexdigest()
    return cache_root() / "digests" / f"{name}.json"


def _recall(memory: Path, state: list[int]) -> str | None:
    try:
        remembered = json.loads(memory.read_bytes())
        return str(remembered["sha256"]) if remembered["state"] == state else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(memory: Path, state: list[int], digest: str) -> None:
    """Write the memory in one step; a cache that cannot be written only costs time."""
    unfinished = memory.with_suffix(f".{os.getpid()}")
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps({"state": state, "sha256": digest}))
        unfinished.replace(memory)
    except OSError:
        with suppress(OSError):
            unfinished.unlink()
