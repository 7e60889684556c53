"""What is told of jobs, to everybody who listens: one read of the store for each event, however many listen.

A process that runs a job writes an event into the store, and then wakes the services of its machine. Only
then is anything read and sent: nothing runs on a timer while a job measures here. What keeps idle connections
alive rides on the gaps between trials, too; a timer runs only while no job does.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from anyio import to_thread

from autotune.documents.job import job_document, job_line, queue_document
from autotune.errors import BusyError, JobNotFoundError, StoreError
from autotune.queue.wake import Waker
from autotune.service.context import Context
from autotune.store.job_records import JobRecord

KEPT: Final = 1000
"""So many of a job's newest events are kept for those who listen; older ones are read again."""

PAGE: Final = 1000
"""So many events are read from the store at a time."""

BEAT_S: Final = 15.0
"""How long an idle stream is silent while no job measures. Proxies cut silent connections after a minute."""

PATIENCE: Final = 8
"""So many events may pass while a client takes nothing of what was sent to it; then it is dropped."""

BEAT: Final = b": nothing new\n\n"
"""A comment, which clients pass over. Source: the HTML standard, section 9.2.6."""

WAITING_SHOWN: Final = 100
"""So many waiting jobs are told of at once."""


ENDED: Final = ".end"
"""Follows the number of the last event in the id of a job's end: who has that needs to hear no more of it."""


def frame(event: str, data: str, identity: int | str = "") -> bytes:
    """Write one event of a stream; `data` is one line."""
    identified = "" if identity == "" else f"id: {identity}\n"
    return f"{identified}event: {event}\ndata: {data}\n\n".encode()


@dataclass(eq=False)
class Hearer:
    """One client of a stream.

    Attributes:
        after: number of the last event that it was sent.
        beat_s: how long it may be sent nothing before it is shown that the stream lives.
        is_sending: whether something is on its way to it; a client that takes nothing for long is dropped.
        missed: how many events have passed since it took anything.
        sent_s: when it was last sent anything, by the loop's clock.
        drop: ends its stream.
    """

    after: int = 0
    beat_s: float = BEAT_S
    is_sending: bool = False
    missed: int = 0
    sent_s: float = 0.0
    drop: Callable[[], Any] = lambda: None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_due(self) -> bool:
        """Whether it was sent nothing for so long that it is to be shown that the stream lives."""
        return asyncio.get_running_loop().time() - self.sent_s >= self.beat_s

    def stir(self) -> None:
        """Have it look for what is new; drop it where it takes nothing."""
        self.missed = self.missed + 1 if self.is_sending else 0
        if self.missed > PATIENCE:
            self.drop()
        self.changed.set()


class JobFeed:
    """The events of one job, for everybody who listens to it."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.hearers: set[Hearer] = set()
        self.frames: deque[tuple[int, bytes]] = deque(maxlen=KEPT)
        self.last = 0
        self.end = b""
        self.lock = asyncio.Lock()

    def after(self, number: int) -> tuple[int, bytes] | None:
        """Give what is kept after a number, and the number that it ends with; None where it is not kept."""
        if number >= self.last:
            return number, b""
        if not self.frames or self.frames[0][0] > number + 1:
            return None
        wanted = [kept for place, kept in self.frames if place > number]
        return self.last, b"".join(wanted)


class Feeds:
    """Every stream of a service; belongs to its event loop."""

    def __init__(self, context: Context, *, beat_s: float = BEAT_S) -> None:
        self._context = context
        self._beat_s = beat_s
        self._jobs: dict[str, JobFeed] = {}
        self._hearers: set[Hearer] = set()
        self._is_ending = False
        self._told: dict[str, tuple[Any, ...]] = {}
        self._news: deque[tuple[int, bytes]] = deque(maxlen=KEPT)
        self._number = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue_read: tuple[int, asyncio.Task[bytes]] | None = None
        self._idle = asyncio.Event()
        self._is_stale = True
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve streams for as long as the service runs; all end with it."""
        self._loop = asyncio.get_running_loop()
        beating = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            self.end()
            for task in [beating, *self._tasks]:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            self._loop = None

    @property
    def streams(self) -> int:
        """How many clients listen."""
        return len(self._hearers)

    def woken(self, job_id: str) -> None:
        """Take note that something was told of a job, from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake, job_id)

    def changed(self, job_id: str) -> None:
        """Have every service of this machine look at a job that was asked for or changed, and begin it."""
        self.woken(job_id)
        Waker(self._context.settings.state).wake(job_id)

    def end(self) -> None:
        """End every stream, as the service is about to end; clients may resume at the next one."""
        self._is_ending = True
        self._stir()

    def admit(self, after: int = 0) -> Hearer:
        """Let one more client listen, from the event after a number on; `release` it at its end.

        Raises:
            BusyError: there are as many already.
        """
        if self.streams >= self._context.settings.clients:
            raise BusyError(
                f"{self.streams} clients listen to events already",
                remedy="close some of them, or ask for the job itself from time to time",
                after_s=30,
            )
        hearer = Hearer(after, self._beat_s)
        self._hearers.add(hearer)
        return hearer

    def release(self, hearer: Hearer) -> None:
        """Forget a client whose stream has ended; without any, no timer runs."""
        self._hearers.discard(hearer)
        if not self._hearers:
            self._is_stale = True
            self._idle.clear()

    async def job(self, job_id: str, hearer: Hearer) -> AsyncIterator[bytes]:
        """Give the frames of a job's events from `hearer.after` on, until it has ended."""
        await self._catch_up()
        feed = self._jobs.setdefault(job_id, JobFeed(job_id))
        feed.hearers.add(hearer)
        try:
            if feed.last == 0:
                await self._read(feed)
            while not self._is_ending:
                hearer.changed.clear()
                kept = feed.after(hearer.after)
                if kept is None:
                    kept = await to_thread.run_sync(self._read_again, job_id, hearer.after)
                hearer.after, frames = kept
                if frames:
                    yield frames
                elif feed.end:
                    yield feed.end
                    return
                else:
                    await hearer.changed.wait()
                    if not feed.end and hearer.after == feed.last and hearer.is_due:
                        yield BEAT
        finally:
            feed.hearers.discard(hearer)
            if not feed.hearers:
                self._jobs.pop(job_id, None)

    async def queue(self, hearer: Hearer) -> AsyncIterator[bytes]:
        """Give the queue as it is, then every job whose state changes."""
        await self._catch_up()
        hearer.after, frame_of_now = await self._queue_now()
        yield frame_of_now
        while not self._is_ending:
            hearer.changed.clear()
            news = [(number, kept) for number, kept in self._news if number > hearer.after]
            if news:
                hearer.after = news[-1][0]
                yield b"".join(kept for _, kept in news)
            else:
                await hearer.changed.wait()
                if hearer.after == self._number and hearer.is_due:
                    yield BEAT

    async def _queue_now(self) -> tuple[int, bytes]:
        """Give the queue's frame, and the number of the news that it follows.

        Clients that come at once, as after a restart, share one read.
        """
        if self._queue_read is None or self._queue_read[1].done():
            reading = asyncio.create_task(to_thread.run_sync(self._queue_frame))
            self._queue_read = (self._number, reading)
        number, reading = self._queue_read
        return number, await asyncio.shield(reading)

    def _wake(self, job_id: str) -> None:
        task = asyncio.ensure_future(self._tell(job_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self, job_id: str) -> None:
        """Read what is new of a job, once, and have everybody look; nothing while nobody listens."""
        if not self._hearers:
            self._is_stale = True
            return
        with suppress(StoreError):  # a store that is locked now is read at the next event
            job = await to_thread.run_sync(self._job, job_id)
            self._note(job_id, job)
            if (feed := self._jobs.get(job_id)) is not None:
                await self._read(feed)
            await self._look_whether_idle()
        self._stir()

    def _note(self, job_id: str, job: JobRecord | None) -> None:
        """Keep the news where a job is another than was last told of it."""
        state = (
            ("deleted",) if job is None else (job.state, job.stop_asked, job.request.priority, job.attempts)
        )
        if self._told.get(job_id) == state:
            return
        self._told[job_id] = state
        if job is None or job.is_ended:
            self._told.pop(job_id)
        self._number += 1
        gone = {"id": job_id, "state": "deleted"}
        self._news.append((self._number, frame("job", _line(gone if job is None else job_line(job)))))

    def _stir(self) -> None:
        for hearer in [*self._hearers]:
            hearer.stir()

    async def _read(self, feed: JobFeed) -> None:
        """Read what a job has told since, and whether it has ended: once for all who listen."""
        async with feed.lock:
            events, end = await to_thread.run_sync(self._new, feed.job_id, feed.last)
            feed.frames.extend(events)
            feed.last = events[-1][0] if events else feed.last
            feed.end = end

    def _new(self, job_id: str, after: int) -> tuple[list[tuple[int, bytes]], bytes]:
        """Give a job's events after a number, each as a frame, and the frame of its end once it has ended.

        The job is read first: what it told before its end is all there then.
        """
        job = self._job(job_id)
        if job is None:
            return [], frame("job", _line({"id": job_id, "state": "deleted"}), f"{after}{ENDED}")
        found: list[tuple[int, bytes]] = []
        while page := self._context.queue.events(job_id, after=after, limit=PAGE):
            found += [(told.number, _told_frame(told.event, told.number)) for told in page]
            after = page[-1].number
            if len(page) < PAGE:
                break
        end = frame("job", _line(job_document(job)), f"{after}{ENDED}") if job.is_ended else b""
        return found, end

    def _read_again(self, job_id: str, after: int) -> tuple[int, bytes]:
        """Read a page of events that are not kept any more."""
        page = self._context.queue.events(job_id, after=after, limit=PAGE)
        frames = b"".join(_told_frame(told.event, told.number) for told in page)
        return (page[-1].number if page else after), frames

    def _job(self, job_id: str) -> JobRecord | None:
        try:
            return self._context.queue.job(job_id)
        except JobNotFoundError:
            return None

    def _queue_frame(self) -> bytes:
        queue, machine = self._context.queue, self._context.machine
        document = queue_document(
            queue.running(machine), queue.waiting(machine, limit=WAITING_SHOWN), queue.counts()
        )
        return frame("queue", _line(document))

    async def _catch_up(self) -> None:
        """Look at what was told while nobody listened, as far as it matters to those who do now."""
        if self._is_stale:
            self._is_stale = False
            await self._look_whether_idle()

    async def _look_whether_idle(self) -> None:
        """Let the timer run only while no job does on this machine."""
        running = await to_thread.run_sync(self._context.queue.running, self._context.machine)
        if running is None:
            self._idle.set()
        else:
            self._idle.clear()

    async def _beat(self) -> None:
        """While no job measures here, show idle clients that the stream lives, and read of others' jobs."""
        while True:
            await self._idle.wait()
            await asyncio.sleep(self._beat_s)
            if self._idle.is_set() and self.streams:
                with suppress(StoreError):
                    await self._look_whether_idle()
                    for feed in [*self._jobs.values()]:
                        await self._read(feed)
                self._stir()


def _told_frame(event: str, number: int) -> bytes:
    return frame(str(json.loads(event).get("event", "told")), event, number)


def _line(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"), allow_nan=False)
