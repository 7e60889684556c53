"""Tells who works in a store on this host, so that nobody takes it away from under them."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autotune.errors import StudyError
from autotune.store.location import Location, parse_location

SOCKETS = Path("/proc/net/unix")
"""Lists the sockets of this network namespace, abstract ones with an `@`."""

_DIGITS = 32
"""Of a digest in a socket's name, which has 107 letters at most."""


@contextmanager
def one_run(store: str, study: str) -> Iterator[None]:
    """Hold the right to run a study of a store on this host; the kernel takes it back when the process dies.

    An abstract socket's name: taken by one process at a time, and nothing is left behind.

    Raises:
        StudyError: another process holds it.
    """
    location = parse_location(store)
    with socket.socket(socket.AF_UNIX) as held:
        if not _is_bound(held, f"{_name(location)}-study-{_digest(study)}"):
            raise StudyError(
                f"study {study!r} in {location} is being tuned by another process",
                remedy="wait for it to end, or give this study another name (--name NEW)",
            )
        yield


@contextmanager
def using_store(store: str, purpose: str) -> Iterator[None]:
    """Show everybody on this host that this process works in a store; several may at once.

    Args:
        purpose: a word for what it is, such as `service` or `job`.
    """
    location = parse_location(store)
    with socket.socket(socket.AF_UNIX) as held:
        _is_bound(
            held, f"{_name(location)}-{purpose}-{os.getpid()}"
        )  # where it is taken, this process took it
        yield


def store_users(location: Location) -> tuple[str, ...]:
    """Name what works in a store on this host: `study`, and the purposes of `using_store`; sorted.

    Another network namespace (a container's) and another host have users of their own, whom nobody sees here.
    """
    try:
        listed = SOCKETS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    found = re.findall(rf"@{re.escape(_name(location))}-(\w+)-\w+$", listed, re.MULTILINE)
    return tuple(sorted(found))


def _name(location: Location) -> str:
    place = location.path.resolve() if location.path else location
    return f"autotune-store-{_digest(str(place))}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _is_bound(unbound: socket.socket, name: str) -> bool:
    try:
        unbound.bind(f"\0{name}")
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return False
    return True
