"""One trial at a time on this host, across users and programs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from autotune.errors import StudyError
from autotune.locks import lock_file

FOLDERS = (Path("/dev/shm"), Path("/tmp"))
"""Where the lock may lie: places that every user of the host sees as the same. The first that works is it."""

NAME = "autotune-host.lock"

LOCKS = Path("/proc/locks")
"""Lists them by the process that took them: `1: FLOCK  ADVISORY  WRITE 27191 fe:00:2146819 0 EOF`."""

_EVERYONE = 0o666


@dataclass
class Waits:
    """How long a call has waited for others until now; no budget of time counts that.

    They measure on this host, or make an artifact in the cache, of another host or container perhaps.
    """

    total_s: float = 0.0


@contextmanager
def host_lock(on_wait: Callable[[str], None], folders: Sequence[Path] = FOLDERS) -> Iterator[float]:
    """Hold the host's lock; wait for it in the kernel, without polling, as long as it takes.

    Gives the seconds that it was waited for; 0 where nobody held it.

    The kernel gives it back when the process ends, however it ends. The file stays: to remove it would let
    a third process lock another file of the same name.

    Args:
        on_wait: told once, in a sentence with the holder's process id, if there is somebody to wait for.
        folders: where the lock may lie.

    Raises:
        StudyError: there is no place for the lock.
    """
    descriptor = _open_lock(folders)
    try:
        waited_s = _acquire(descriptor, on_wait)
        _sign(descriptor)
        yield waited_s
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class LockHolder:
    """A process that measures on this host, or may: it has the lock.

    Attributes:
        waiting: how many others wait for it.
    """

    pid: int
    waiting: int = 0


def lock_holder(folders: Sequence[Path] = FOLDERS, listing: Path = LOCKS) -> LockHolder | None:
    """Give who holds the host's lock, without touching it; None where nobody does, or nobody can tell.

    Args:
        folders: where the lock may lie.
        listing: of the kernel's locks.
    """
    path = next((folder / NAME for folder in folders if (folder / NAME).exists()), None)
    if path is None:
        return None
    try:
        status, text = path.stat(), listing.read_text()
    except OSError:
        return None
    file = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    found = re.findall(rf"^\d+: (-> )?FLOCK +ADVISORY +WRITE +(\d+) {file} ", text, re.MULTILINE)
    holders = [int(pid) for arrow, pid in found if not arrow]
    return LockHolder(holders[0], len(found) - len(holders)) if holders else None


def _acquire(descriptor: int, on_wait: Callable[[str], None]) -> float:
    """Lock the file, and give the seconds that somebody else kept it."""

    def tell() -> None:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
        on_wait(f"another trial runs on this host (process {holder}); waiting for it to end")

    return lock_file(descriptor, tell)


def _sign(descriptor: int) -> None:
    """Write this process's id for others to read; a file that only its owner may write stays as it is."""
    with suppress(OSError):
        os.pwrite(descriptor, f"{os.getpid():<31}\n".encode(), 0)


def _open_lock(folders: Sequence[Path]) -> int:
    refusals = []
    for folder in folders:
        try:
            return _open_in(folder / NAME)
        except OSError as error:
            refusals.append(str(error))
    raise StudyError(
        f"the lock that keeps trials apart cannot be opened: {'; '.join(refusals)}",
        remedy="make /dev/shm or /tmp writable",
    )


def _open_in(path: Path) -> int:
    """Open the file, or make it for all users.

    It is opened without O_CREAT first: in a sticky folder `fs.protected_regular` refuses O_CREAT on a file
    of somebody else. A lock needs no right to write.
    """
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    for mode in (os.O_RDWR, os.O_RDONLY):
        with suppress(FileNotFoundError, PermissionError):
            return os.open(path, flags | mode)
    try:
        descriptor = os.open(path, flags | os.O_RDWR | os.O_CREAT | os.O_EXCL, _EVERYONE)
    except FileExistsError:
        return os.open(path, flags | os.O_RDONLY)
    os.fchmod(descriptor, _EVERYONE)  # whatever the umask says
    return descriptor
