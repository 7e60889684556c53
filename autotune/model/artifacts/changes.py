"""Finds the files of an artifact that are not as its manifest says. Servers import this: no pydantic."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any


def digest_of(file: Path) -> str:
    """Give the file's SHA-256 in hex; one process reads a file once while its size, times and inode stay.

    Raises:
        OSError: it cannot be read.
    """
    state = file.stat()
    return _digest(file, (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns))


@lru_cache(maxsize=256)
def _digest(file: Path, _state: tuple[int, ...]) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def changed_files(
    directory: Path, records: Iterable[Mapping[str, Any]], *, digests: bool = False
) -> Iterator[str]:
    """Name the files of a finished artifact that are gone or were changed.

    A file whose size and time are as they were is taken for unchanged. Where the time alone is another one,
    the file may be a copy: its digest decides. Manifests of before there were digests leave it at the size.

    Args:
        records: the fields of `autotune.model.artifacts.manifest.FileRecord`, one for each file.
        digests: read every file that has a digest, whatever its time.
    """
    for record in records:
        if not _is_unchanged(directory / record["name"], record, digests=digests):
            yield str(record["name"])


def _is_unchanged(file: Path, record: Mapping[str, Any], *, digests: bool) -> bool:
    stated = record.get("sha256")
    try:
        status = file.stat()
        if status.st_size != record["size_bytes"]:
            return False
        if not stated or (status.st_mtime_ns == record["mtime_ns"] and not digests):
            return True
        return digest_of(file) == str(stated)
    except OSError:
        return False
