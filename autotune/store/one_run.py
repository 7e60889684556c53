"""Lets one process at a time run a study of a store on this host."""

from __future__ import annotations

import errno
import hashlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from autotune.errors import StudyError
from autotune.store.location import parse_location


@contextmanager
def one_run(store: str, study: str) -> Iterator[None]:
    """Hold the right to run a study of a store on this host; the kernel takes it back when the process dies.

    An abstract socket's name: taken by one process at a time, and nothing is left behind.

    Raises:
        StudyError: another process holds it.
    """
    location = parse_location(store)
    identity = f"{location.path.resolve() if location.path else location}\n{study}"
    name = f"\0autotune-study-{hashlib.sha256(identity.encode()).hexdigest()}"
    with socket.socket(socket.AF_UNIX) as held:
        if not _is_bound(held, name):
            raise StudyError(
                f"study {study!r} in {location} is being tuned by another process",
                remedy="wait for it to end, or give this study another name (--name NEW)",
            )
        yield


def _is_bound(unbound: socket.socket, name: str) -> bool:
    try:
        unbound.bind(name)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return False
    return True
