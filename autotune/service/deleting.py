"""Forgets what somebody has asked for over HTTP: a job with its log, or a study with all that it has."""

from __future__ import annotations

from contextlib import suppress

from autotune.errors import BusyError
from autotune.queue.job_log import job_log
from autotune.service.children import ask_child
from autotune.service.context import Context


def forget_job(context: Context, job_id: str) -> None:
    """Forget a job, its events and its log; its study, trials and plans stay.

    Raises:
        JobNotFoundError: there is none of this id.
        JobConflictError: it runs.
    """
    context.queue.delete(job_id)
    with suppress(OSError):  # it was never begun, or on another machine
        job_log(context.settings.state, job_id).unlink()


def forget_study(context: Context, name: str) -> None:
    """Forget a study with its trials and plans, in a process of its own: Optuna keeps a part of them.

    Raises:
        NotStoredError: there is none of this name.
        JobConflictError: a job of it waits or runs, or a schedule watches it.
        StudyError: it is being tuned.
        BusyError: a job measures here, and the service has no cpu of its own; or others ask, too.
    """
    if not context.settings.cpus and context.queue.running(context.machine) is not None:
        raise BusyError(
            "a job measures on this machine, which this would disturb",
            remedy="ask again once it has ended",
            after_s=60,
        )
    try:
        ask_child("forget", {"store": context.settings.store, "study": name})
    except TimeoutError:
        raise BusyError(
            "it takes long, and may be done", remedy="look whether the study is still there", after_s=10
        ) from None
