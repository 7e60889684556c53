"""Has jobs end early: one that somebody cancels, and that of a machine whose service ends with it."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress

from autotune.queue.holding import children_of, is_here, send, watched
from autotune.queue.reaping import is_dead, reap
from autotune.store.job_records import JobHolder, JobRecord
from autotune.store.jobs import JobQueue

KILL_S = 2.0
"""Of the time to stop, what is kept for ending at once what did not end by itself."""


def end_early(queue: JobQueue, job_id: str) -> JobRecord:
    """End a job that waits; have one that runs end before its next trial, or at once where it waits for one.

    What it has found until then is stored as a plan. One on another machine hears of it at its next event.

    Raises:
        JobNotFoundError: there is none of this id.
    """
    job = queue.cancel(job_id)
    if job.state == "running" and job.holder is not None and is_here(job.holder):
        send(job.holder, signal.SIGTERM)
    return job


def stop_job_here(queue: JobQueue, machine: str, within_s: float = 10.0) -> JobRecord | None:
    """Have the job that runs on this machine end, with all its processes, and wait again.

    Nothing else may start one meanwhile. Its finished trials are kept; the trial that runs is marked as
    cancelled, and run again when the job goes on. One that does not end in time is killed.

    Returns:
        The job as it is now; None where none runs on this host.
    """
    job = queue.running(machine)
    if job is None or job.holder is None or not is_here(job.holder):
        return None
    give_up_s = time.monotonic() + within_s
    send(job.holder, signal.SIGTERM)
    if not has_ended(job.holder, max(0.0, within_s - KILL_S)):
        _kill(job.holder, max(KILL_S, give_up_s - time.monotonic()))
    after = queue.job(job.id)
    if after.state == "running" and after.holder == job.holder and is_dead(queue, after):
        return reap(queue, after, status=-signal.SIGKILL) or queue.job(job.id)
    return after


def _kill(keeper: JobHolder, timeout_s: float) -> None:
    """Kill the process of a job, so that its keeper ends all that it has started; at last the keeper, too."""
    for child in children_of(keeper.pid):
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    send(keeper, signal.SIGCONT)
    if not has_ended(keeper, timeout_s / 2):
        send(keeper, signal.SIGKILL)
        has_ended(keeper, timeout_s / 2)


def has_ended(holder: JobHolder, timeout_s: float | None) -> bool:
    """Wait until a holder of this host has ended, for as long as that; say whether it has."""
    with watched(holder) as descriptor:
        if descriptor is None:
            return True
        ready, _, _ = select.select([descriptor], [], [], timeout_s)
        return bool(ready)


def bury(pid: int) -> int | None:
    """Take note of the end of a child, so that it is no zombie; give its status, None before that."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if ended else None
