"""The folder of the service's own files, which nobody else may read."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from autotune.errors import ServiceError
from autotune.files import write_remedy

LOCK_FILE: Final = ".service.lock"
_OTHERS = 0o077
"""Permissions of the group and of everybody else."""


def make_state_folder(folder: Path) -> None:
    """Make the folder, for its owner alone, or make sure that nobody else may write to the one there is.

    Raises:
        ServiceError: it cannot be made, or belongs to somebody else.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise _unusable(folder, error) from error
    if status.st_uid != os.geteuid():
        raise ServiceError(
            f"the state folder {folder} belongs to another user", remedy="give one of your own with --state"
        )
    if stat.S_IMODE(status.st_mode) & 0o022:
        raise ServiceError(
            f"others may write to the state folder {folder}", remedy=f"run: chmod go-w {folder}"
        )


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other services out of a state folder; the kernel lets them in once this process has ended.

    Raises:
        ServiceError: another service runs in it, or it cannot be used.
    """
    try:
        lock = (folder / LOCK_FILE).open("a")
    except OSError as error:
        raise _unusable(folder, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServiceError(
                f"another service runs with the state folder {folder}",
                remedy="stop that one, or give this one a folder of its own: --state DIR",
            ) from None
        yield


def read_secret(path: Path) -> bytes | None:
    """Read a file that only its owner may read; None where there is none.

    Raises:
        ServiceError: others may read it, it is a link, or it cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, error) from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & _OTHERS:
            raise ServiceError(
                f"others may read the secret in {path}",
                remedy=f"delete it and start the service again: it makes another (or run: chmod 600 {path})",
            )
        return file.read(2**20)


def write_secret(path: Path, content: bytes) -> None:
    """Write a file whole that only its owner may read.

    Raises:
        ServiceError: it cannot be written; nothing is left behind.
    """
    temporary: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)  # made with mode 0600
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> ServiceError:
    return ServiceError(
        f"{path} cannot be used: {error.strerror}",
        remedy=write_remedy(error, "give another folder with --state"),
    )
