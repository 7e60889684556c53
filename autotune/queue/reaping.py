"""Takes jobs from processes that are dead, so that they go on."""

from __future__ import annotations

import logging
import signal

from autotune.queue.holding import is_alive, is_here
from autotune.store.job_records import JobFault, JobHolder, JobRecord
from autotune.store.jobs import JobQueue

MOST_ATTEMPTS = 3
"""So many processes may die of one job before it has failed. Source: stated; what kills two for a reason of
the machine's, such as memory that is short, seldom spares the third."""

GONE = "ProcessGone"
"""Kind of the fault of a job whose processes were lost."""

_LOG = logging.getLogger(__name__)


def is_dead(queue: JobQueue, job: JobRecord) -> bool:
    """Say whether nobody runs a running job any more.

    A process of this host is looked at. Of another one, nothing was heard for longer than a trial takes.
    """
    if job.holder is None:
        return True
    return not is_alive(job.holder) if is_here(job.holder) else queue.is_expired(job)


def reap(queue: JobQueue, job: JobRecord, *, status: int | None = None) -> JobRecord | None:
    """Take a job from its dead holder; None where it is not that holder's any more, who has ended it.

    Args:
        status: with which the holder has ended; None where nobody knows.
    """
    if job.holder is None:
        return None
    fault = JobFault(GONE, how_it_went(job.holder, status), "read the job's log; resume it to try again")
    freed = queue.free(job.id, job.holder, most_attempts=MOST_ATTEMPTS, fault=fault)
    if freed is not None:
        _LOG.warning("job %s: %s; it is %s now", job.id, fault.problem, freed.state)
    return freed


def how_it_went(holder: JobHolder, status: int | None) -> str:
    """Say in words how a holder has ended, as far as that is known."""
    name = f"its process ({holder.pid} on {holder.host})"
    if status is None:
        return f"{name} is gone: it was killed, or the machine was started anew"
    killed_by = -status if status < 0 else status - 128
    try:
        how = signal.Signals(killed_by).name
    except ValueError:
        return f"{name} has ended with status {status} before the job's end"
    memory = "; where nobody did that, the machine ran out of memory" if how == "SIGKILL" else ""
    return f"{name} was killed by {how}{memory}"
