"""Runs the next job of a machine: `python -m autotune.queue.process`, which a service starts, detached.

It is two processes. The first one, the keeper, holds the job in the store and only waits. Its child does
the work. Whatever the child leaves behind when it ends, however it ends, becomes the keeper's. The keeper
ends all of that, and only then itself: who sees the keeper gone knows that nothing of the job runs any more.
Where the keeper is killed, the kernel kills the child, and with it what that has started.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
"""Source: include/uapi/linux/prctl.h."""

KILLED = 128
"""Added to the number of the signal that ended the child, as shells do."""

ORPHANED = 75
"""The keeper was gone before the child began."""

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals to the keeper that are meant for the job."""


def main() -> NoReturn:
    """Keep a child that runs the next job; end as it ended, when nothing that it started is left."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)  # until there is somebody to pass them on to
    keeper, child = os.getpid(), os.fork()
    if child == 0:
        os._exit(_work_for(keeper))

    def forward(number: int, _: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(child, number)

    for number in FORWARDED:
        signal.signal(number, forward)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    os._exit(_keep(child))


def _work_for(keeper: int) -> int:
    """Run the next job, as long as the keeper lives; give the status to end with."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:
        return ORPHANED
    try:
        from autotune.queue.working import work

        return work(sys.stdin.buffer.readline(), keeper, unblocked=FORWARDED)
    except BaseException:  # whatever it is, this is not the keeper, and must not go on as it
        sys.excepthook(*sys.exc_info())
        return 1
    finally:
        with suppress(OSError, ValueError):
            sys.stderr.flush()


def _keep(child: int) -> int:
    """Wait for the child, end all that it has left, and give the status to end with."""
    from autotune.queue.holding import children_of

    status = _wait_for(child)
    while left := children_of(os.getpid()):
        for process in left:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        for process in left:
            with suppress(ChildProcessError):
                os.waitpid(process, 0)
    return status


def _wait_for(child: int) -> int:
    """Wait until the child ends; what it has left by then is waited for, too, as it ends."""
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            return KILLED - code if code < 0 else code


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) was refused")


if __name__ == "__main__":
    main()
