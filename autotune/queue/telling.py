"""Tells of a job that runs: every event goes into the store, and then whoever listens is woken."""

from __future__ import annotations

from dataclasses import dataclass

from autotune.errors import JobConflictError
from autotune.events import Event, to_json
from autotune.queue.job_log import bound_log
from autotune.queue.trying import patiently
from autotune.queue.wake import Waker
from autotune.stop import Stop
from autotune.store.job_records import JobHolder
from autotune.store.jobs import JobQueue


class JobLost(BaseException):
    """Ends a job that is somebody else's by now: nothing more of it may be written.

    No `Exception`, and no `Stopped`: whoever clears up after those would write into a study that another
    process goes on with.
    """


@dataclass(frozen=True)
class Telling:
    """What a job emits its events to. It is called between trials: all that it does delays only the next one.

    Attributes:
        stop: is set where somebody has asked for the job's end.
    """

    queue: JobQueue
    job_id: str
    holder: JobHolder
    waker: Waker
    stop: Stop

    def __call__(self, event: Event) -> None:
        """Keep an event, and wake those who listen.

        Raises:
            JobLost: the job is not this process's any more.
            StoreError: the store cannot be written for long.
        """
        line = to_json(event)
        try:
            patiently(lambda: self.queue.tell(self.job_id, self.holder, line))
        except JobConflictError as error:
            raise JobLost from error
        self.waker.wake(self.job_id)
        bound_log()
        if self.queue.is_stop_asked(self.job_id):
            self.stop.set()
