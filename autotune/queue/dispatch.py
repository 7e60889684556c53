"""The service's side of jobs: starts the next one as a process of its own, and learns of its end.

One thread waits in the kernel: for the end of the process that runs a job, for what is told on this machine,
and for its own service. While a job runs it asks nobody anything; between jobs it looks at the store now and
then, as another machine may have asked for one.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from autotune.errors import AutotuneError
from autotune.queue.holding import holder_of, is_here, send, watched
from autotune.queue.orders import JobOrders
from autotune.queue.reaping import is_dead, reap
from autotune.queue.starting import start_process
from autotune.queue.stopping import KILL_S, bury, has_ended, stop_job_here
from autotune.queue.wake import WakeListener, Waker
from autotune.store.job_records import JobRecord
from autotune.store.jobs import JobQueue
from autotune.store.store import StudyStore

IDLE_S = 30.0
"""How often the store is looked at while nothing runs here; who asks on this machine is heard at once."""

LONGEST_PAUSE_S = 60.0
"""Between two processes that could not even begin a job; the first pause is a second."""

_LOG = logging.getLogger(__name__)

News = Callable[[str], None]
"""Is told the id of a job of which something was told, from the dispatcher's thread."""

Between = Callable[[], None]
"""Is called between jobs: asks for those that are due."""


def no_news(_: str) -> None:
    """Pass over what was told."""


def nothing_between() -> None:
    """Do nothing between jobs."""


@dataclass(frozen=True)
class _Awaited:
    """What the thread waits for beside its own service: a process's end, or some seconds at most."""

    ending: int | None = None
    timeout_s: float | None = None


@dataclass
class Dispatcher:
    """Starts the jobs of a machine, one after another; a context manager, whose thread runs inside.

    Jobs that run at its end go on: another dispatcher, of this service's next start, learns of their ends.

    Attributes:
        store: open for as long as it runs; each transaction has a connection of its own.
        orders: what a job's process is told.
        news: is told of jobs from this machine, from the dispatcher's thread.
        between: is called between jobs, and while nothing is to do.
    """

    store: StudyStore
    orders: JobOrders
    news: News = no_news
    between: Between = nothing_between
    idle_s: float = IDLE_S
    _started: int | None = field(default=None, init=False)
    _seen: str = field(default="", init=False)
    _failures: int = field(default=0, init=False)
    _not_before_s: float = field(default=0.0, init=False)
    _is_closing: bool = field(default=False, init=False)

    def __enter__(self) -> Self:
        state = Path(self.orders.state)
        self._queue = JobQueue(self.store)
        self._listener, self.waker = WakeListener(state), Waker(state)
        self._control = os.eventfd(0)
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_alive(self) -> bool:
        """Whether jobs are begun."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Start no further job, and end the thread; a job that runs goes on."""
        self._end_thread()
        self._let_go()

    def _end_thread(self) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        os.eventfd_write(self._control, 1)
        self._thread.join()
        self._listener.close()
        os.close(self._control)

    def stop_all(self, within_s: float = 10.0) -> JobRecord | None:
        """Start no further job, and have the one that runs here end within that time, to wait again.

        Returns:
            The job that was stopped, as it is now; None where none ran.
        """
        self._end_thread()
        if self._started is not None:  # it may be about to begin one, and gives that back at once
            send(holder_of(self._started), signal.SIGTERM)
        stopped = stop_job_here(self._queue, self.orders.machine, within_s)
        self._let_go()
        return stopped

    def _let_go(self) -> None:
        """Leave the process that was started last to itself; one that just clears up is waited for."""
        if self._started is None:
            return
        with suppress(AutotuneError):
            job = self._queue.running(self.orders.machine)
            if job is None or job.holder is None or job.holder.pid != self._started:
                has_ended(holder_of(self._started), KILL_S)
        bury(self._started)

    def _run(self) -> None:
        while not self._is_closing:
            with ExitStack() as opened:
                try:
                    awaited = self._look(opened)
                except AutotuneError as error:
                    _LOG.error("the queue cannot be looked at: %s", error.in_one_line)
                    awaited = _Awaited(timeout_s=self._pause_s())
                except Exception:
                    _LOG.exception("the dispatcher goes on after a bug in autotune")
                    awaited = _Awaited(timeout_s=self._pause_s())
                self._wait(awaited)

    def _wait(self, awaited: _Awaited) -> None:
        """Wait for what is awaited, or that somebody asks; pass on what is told meanwhile.

        While a process is awaited, what is told of its job says nothing new to the dispatcher.
        """
        polled = select.poll()
        polled.register(self._control, select.POLLIN)
        polled.register(self._listener, select.POLLIN)
        if awaited.ending is not None:
            polled.register(awaited.ending, select.POLLIN)
        wait_ms = None if awaited.timeout_s is None else int(awaited.timeout_s * 1000)
        while not self._is_closing:
            ready = {descriptor for descriptor, _ in polled.poll(wait_ms)}
            if self._listener.fileno() in ready:
                for job_id in filter(None, self._listener.heard()):
                    self._pass_on(job_id)
            if ready != {self._listener.fileno()} or awaited.ending is None:
                return

    def _look(self, opened: ExitStack) -> _Awaited:
        """Take jobs from the dead, start what is next, and say what to wait for.

        Args:
            opened: closes the descriptor that is waited on.
        """
        running = self._queue.running(self.orders.machine)
        self._note(running)
        status = self._buried()
        if running is not None:
            return self._of_running(running, opened, status)
        if self._started is not None:  # it is about to begin a job
            return self._of_started(opened)
        self.between()
        if not self._queue.waiting(self.orders.machine, limit=1):
            self._failures = 0
            return _Awaited(timeout_s=self.idle_s)
        pause_s = self._not_before_s - time.monotonic()
        if pause_s > 0:
            return _Awaited(timeout_s=pause_s)
        self._started = start_process(self.orders)
        return self._of_started(opened)

    def _note(self, running: JobRecord | None) -> None:
        """Pass on that another job runs than before: one that another service has started wakes only that."""
        now, before = "" if running is None else running.id, self._seen
        self._seen = now
        if now != before:
            for job_id in filter(None, (before, now)):
                self._pass_on(job_id)

    def _pass_on(self, job_id: str) -> None:
        """Tell who listens; what goes wrong there keeps no job from being begun."""
        try:
            self.news(job_id)
        except Exception:
            _LOG.exception("nobody was told of the job %s", job_id)

    def _of_running(self, job: JobRecord, opened: ExitStack, status: int | None) -> _Awaited:
        self._failures, self._not_before_s = 0, 0.0
        holder = job.holder
        if holder is not None and is_here(holder):
            descriptor = opened.enter_context(watched(holder))
            if descriptor is not None:
                return _Awaited(descriptor)
        if is_dead(self._queue, job):
            reap(self._queue, job, status=status)
            self._pass_on(job.id)
            return _Awaited(timeout_s=0.0)
        return _Awaited(timeout_s=self.idle_s)

    def _of_started(self, opened: ExitStack) -> _Awaited:
        """Wait for the end of the process that was started, which begins a job on its way, or finds none."""
        assert self._started is not None
        descriptor = os.pidfd_open(self._started)
        opened.callback(os.close, descriptor)
        return _Awaited(descriptor)

    def _buried(self) -> int | None:
        """Take note of the end of the process that was started last; give its status."""
        if self._started is None:
            return None
        status = bury(self._started)
        if status is not None:
            self._started = None
            if status != 0:
                self._not_before_s = time.monotonic() + self._pause_s()
        return status

    def _pause_s(self) -> float:
        self._failures += 1
        return min(LONGEST_PAUSE_S, float(2 ** (self._failures - 1)))
