"""Locks on files that another process on this host may hold."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable


def lock_file(descriptor: int, on_wait: Callable[[], None]) -> float:
    """Lock an open file for this process alone, and give the seconds that somebody else kept it.

    It waits in the kernel, without polling, as long as it takes. The kernel gives the lock back when the file
    is closed or the process ends, however it ends.

    Args:
        on_wait: is called once, before it waits, if there is somebody to wait for.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        begin_s = time.monotonic()
        on_wait()
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return time.monotonic() - begin_s
    return 0.0
