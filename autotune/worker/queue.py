"""The queue of the `server` scenario: one pipe, into which the generator writes and all instances read.

The kernel is the queue: a free instance sleeps in `read`, and the one that has slept longest gets the next
request (pipe_read waits exclusively, in order, since Linux 5.5). Every request is one record, smaller than a
page and dividing it, so that it is written and read whole.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

RECORD = struct.Struct("<Q")
"""The number of a request."""

NO_MORE = RECORD.pack(2**64 - 1)
"""Instead of a number: no more requests will come; one for each instance."""

WANTED_BYTES = 2**20
"""Room for every request of a run, so that a generator never waits: what an unprivileged process may have.

Source: Linux, /proc/sys/fs/pipe-max-size.
"""


@dataclass(frozen=True)
class SharedQueue:
    """A queue as other processes of this user find it."""

    take: str
    put: str


@contextmanager
def shared_queue() -> Iterator[SharedQueue]:
    """Make an empty queue, which has no name in any file system and ends with its maker."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        with suppress(OSError):  # as large as it is, it holds 8192 requests
            fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, WANTED_BYTES)
        yield SharedQueue(f"/proc/{os.getpid()}/fd/{reader}", f"/proc/{os.getpid()}/fd/{writer}")
    finally:
        os.close(reader)
        os.close(writer)


@contextmanager
def open_to_take(path: str) -> Iterator[int]:
    """The end that `next_request` reads from."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def open_to_put(path: str) -> Iterator[int]:
    """The end that is written to; a write into a full queue raises BlockingIOError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def next_request(queue: int) -> int | None:
    """Sleep until there is a request, and take it; None = no more will come."""
    record = os.read(queue, RECORD.size)
    return None if record in (NO_MORE, b"") else int(RECORD.unpack(record)[0])


def end_queue(queue: int, instances: int) -> None:
    """Tell every instance that no more will come, behind all requests; waits for room."""
    os.set_blocking(queue, True)
    with suppress(BrokenPipeError):  # all have given up, and the queue is gone
        os.write(queue, NO_MORE * instances)
