"""Wakes the services of this machine where something was told of a job, so that nobody has to poll.

Every service listens on a socket of its own in a folder that all of them share. Whoever has told something,
or changed the queue, sends each of them a datagram with the job's id. One that cannot be sent is let go: a
service whose queue is full has been woken already, and one that is dead hears nothing.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FOLDER = "wake"
"""Of the sockets, in the service's state folder."""

SOCKET = ".sock"

_MESSAGE_BYTES = 64
_MODE = 0o700


class Waker:
    """Sends word of a job to every service that listens on this machine."""

    def __init__(self, state: Path) -> None:
        """Wake the services of a state folder, which need not be there yet."""
        self._folder = state / FOLDER

    def wake(self, job_id: str = "") -> None:
        """Wake every service; without an id, those that start jobs look what there is to do."""
        with suppress(FileNotFoundError), _opened(self._folder) as near, _datagrams() as sending:
            for path in self._folder.glob(f"*{SOCKET}"):
                try:
                    sending.sendto(job_id.encode(), f"{near}/{path.name}")
                except ConnectionRefusedError:  # it is dead, and its name is in nobody's way
                    path.unlink(missing_ok=True)
                except OSError:
                    continue


class WakeListener:
    """Hears what is told on this machine. It has a `fileno`, and is given to `select` or an event loop."""

    def __init__(self, state: Path) -> None:
        """Listen in a state folder, which is made where it is not there; `close` it at the end."""
        folder = state / FOLDER
        folder.mkdir(mode=_MODE, parents=True, exist_ok=True)
        self._path = folder / f"{os.getpid()}-{secrets.token_hex(4)}{SOCKET}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        with _opened(folder) as near:
            self._socket.bind(f"{near}/{self._path.name}")

    def fileno(self) -> int:
        """What to wait on."""
        return self._socket.fileno()

    def heard(self) -> tuple[str, ...]:
        """Take what was told since the last call: ids of jobs, each once; an empty one for the queue itself.

        It waits for nothing.
        """
        ids: dict[str, None] = {}
        while True:
            try:
                ids[self._socket.recv(_MESSAGE_BYTES).decode(errors="replace")] = None
            except BlockingIOError:
                return tuple(ids)

    def close(self) -> None:
        """Hear nothing any more, and remove the socket."""
        self._socket.close()
        self._path.unlink(missing_ok=True)


@contextmanager
def _opened(folder: Path) -> Iterator[str]:
    """Give a short name of a folder: a socket's whole path may have 107 bytes. Source: Linux, unix(7)."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


@contextmanager
def _datagrams() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sending:
        yield sending
