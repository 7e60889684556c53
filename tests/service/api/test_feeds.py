"""What is told of jobs comes to all who listen: in order, once read, and to no one who does not listen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import Engine, event

from autotune.errors import BusyError
from autotune.events import RateEnded, to_json
from autotune.queue.requests import TuneValues, tune_request
from autotune.service.api.event_stream import EventStream
from autotune.service.context import Context, open_context
from autotune.service.feeds import PATIENCE, Feeds
from autotune.service.settings import ServiceSettings
from autotune.spec.load import parse_study
from autotune.store.job_records import JobHolder, JobRecord
from tests.service.api.conftest import MACHINE, STUDY_TEXT, ServedStore, tune_body

HOLDER = JobHolder(MACHINE, "boot", 1, 1)
WAIT_S = 30.0


@pytest.fixture
def context(settings: ServiceSettings) -> Iterator[Context]:
    with open_context(settings, MACHINE) as opened:
        yield opened


def begun(context: Context, name: str = "told") -> JobRecord:
    """A job that this process runs."""
    values = TuneValues(study=parse_study(STUDY_TEXT, name=name))
    context.queue.enqueue(tune_request(values, MACHINE))
    job = context.queue.begin(MACHINE, HOLDER)
    assert job is not None
    return job


def tell(context: Context, job: JobRecord, count: int = 1) -> None:
    for _ in range(count):
        context.queue.tell(job.id, HOLDER, to_json(RateEnded(1.0, 1, 1, "good")))


def in_a_loop(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, WAIT_S))


@asynccontextmanager
async def listening(feeds: Feeds, frames: AsyncIterator[bytes]) -> AsyncIterator[Heard]:
    heard = Heard()
    task = asyncio.create_task(heard.listen(frames))
    try:
        yield heard
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Heard:
    """What one client was sent."""

    def __init__(self) -> None:
        self.text = ""
        self.is_ended = False
        self._more = asyncio.Event()

    async def listen(self, frames: AsyncIterator[bytes]) -> None:
        async for sent in frames:
            self.text += sent.decode()
            self._more.set()
        self.is_ended = True
        self._more.set()

    @property
    def events(self) -> list[dict[str, str]]:
        blocks = [block for block in self.text.split("\n\n") if block and not block.startswith(":")]
        return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]

    async def until(self, true: Callable[[Heard], bool]) -> None:
        while not true(self):
            self._more.clear()
            await self._more.wait()


@contextmanager
def counted_reads() -> Iterator[list[int]]:
    """Counts the transactions that are begun on any database."""
    count = [0]

    def one_more(_: Any) -> None:
        count[0] += 1

    event.listen(Engine, "begin", one_more)
    try:
        yield count
    finally:
        event.remove(Engine, "begin", one_more)


def test_a_jobs_events_come_in_order_and_end_with_the_job(context: Context) -> None:
    async def test() -> None:
        feeds, job = Feeds(context), begun(context)
        tell(context, job, 2)
        async with feeds.running(), listening(feeds, feeds.job(job.id, feeds.admit())) as heard:
            await heard.until(lambda heard: len(heard.events) == 2)
            tell(context, job)
            feeds.woken(job.id)
            await heard.until(lambda heard: len(heard.events) == 3)
            context.queue.end(job.id, HOLDER, "done", plan="told-1", result={"schema": "x"})
            feeds.woken(job.id)
            await heard.until(lambda heard: heard.is_ended)
        assert [told["id"] for told in heard.events] == ["1", "2", "3", "3.end"]
        assert [told["event"] for told in heard.events] == ["rate_ended"] * 3 + ["job"]
        assert json.loads(heard.events[0]["data"])["schema"] == "autotune.event/1"
        end = json.loads(heard.events[-1]["data"])
        assert (end["state"], end["plan"], end["result"]) == ("done", "told-1", {"schema": "x"})

    in_a_loop(test())


def test_a_client_goes_on_where_it_stopped_and_misses_nothing(context: Context) -> None:
    async def test() -> None:
        feeds, job = Feeds(context), begun(context)
        tell(context, job, 5)
        async with feeds.running():
            for after in (0, 3, 5):
                async with listening(feeds, feeds.job(job.id, feeds.admit(after))) as heard:
                    tell(context, job)
                    feeds.woken(job.id)
                    newest = str(len(context.queue.events(job.id)))
                    await heard.until(lambda heard: bool(heard.events) and heard.events[-1]["id"] == newest)  # noqa: B023
                ids = [int(told["id"]) for told in heard.events]
                assert ids == list(range(after + 1, int(newest) + 1))

    in_a_loop(test())


def test_more_events_than_are_kept_are_all_told(context: Context) -> None:
    async def test() -> None:
        feeds, job = Feeds(context), begun(context)
        with context.store.transaction() as connection:
            from autotune.store.job_tables import events as table

            rows = [
                {"job_id": job.id, "number": number, "told_s": 0.0, "event": '{"event":"x"}'}
                for number in range(1, 2501)
            ]
            connection.execute(table.insert(), rows)
        context.queue.end(job.id, HOLDER, "done")
        async with feeds.running(), listening(feeds, feeds.job(job.id, feeds.admit())) as heard:
            await heard.until(lambda heard: heard.is_ended)
        assert [told["id"] for told in heard.events[:-1]] == [str(number) for number in range(1, 2501)]

    in_a_loop(test())


@pytest.mark.parametrize("clients", [1, 100])
def test_an_event_is_read_once_however_many_listen(context: Context, clients: int) -> None:
    async def test() -> None:
        feeds, job = Feeds(context), begun(context)
        tell(context, job)
        async with feeds.running():
            heard = [Heard() for _ in range(clients)]
            tasks = [asyncio.create_task(one.listen(feeds.job(job.id, feeds.admit()))) for one in heard]
            for one in heard:
                await one.until(lambda one: len(one.events) == 1)
            tell(context, job)
            with counted_reads() as reads:
                feeds.woken(job.id)
                for one in heard:
                    await one.until(lambda one: len(one.events) == 2)
            assert reads[0] <= 5
            context.queue.end(job.id, HOLDER, "cancelled")
            feeds.woken(job.id)
            await asyncio.gather(*tasks)
        assert all(one.events[-1]["event"] == "job" for one in heard)

    in_a_loop(test())


def test_nothing_is_read_of_what_nobody_listens_to(context: Context) -> None:
    async def test() -> None:
        feeds, job = Feeds(context, beat_s=0.01), begun(context)
        async with feeds.running():
            tell(context, job)
            with counted_reads() as reads:
                feeds.woken(job.id)
                await asyncio.sleep(0.2)
            assert reads == [0]
            hearer = feeds.admit()
            async with listening(feeds, feeds.queue(hearer)) as heard:
                await heard.until(lambda heard: len(heard.events) == 1)
                with counted_reads() as reads:
                    await asyncio.sleep(0.2)
                assert reads == [0]
            feeds.release(hearer)

    in_a_loop(test())


def test_a_client_that_takes_nothing_is_dropped_and_the_others_hear_on(context: Context) -> None:
    async def test() -> None:
        feeds, job = Feeds(context), begun(context)

        async def never(*_: Any) -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                await never()

        async with feeds.running():
            slow = feeds.admit()
            stuck = asyncio.create_task(
                EventStream(feeds, slow, feeds.job(job.id, slow))({"type": "http"}, never, send)
            )
            async with listening(feeds, feeds.job(job.id, feeds.admit())) as heard:
                for number in range(1, PATIENCE + 3):
                    tell(context, job)
                    feeds.woken(job.id)
                    await heard.until(lambda heard: len(heard.events) == number)  # noqa: B023
                await stuck
                assert feeds.streams == 1

    in_a_loop(test())


def test_a_client_that_leaves_is_forgotten(context: Context) -> None:
    async def test() -> None:
        feeds, job = Feeds(context), begun(context)

        async def gone() -> dict[str, str]:
            return {"type": "http.disconnect"}

        async def send(_: Any) -> None:
            return

        async with feeds.running():
            hearer = feeds.admit()
            await EventStream(feeds, hearer, feeds.job(job.id, hearer))({"type": "http"}, gone, send)
            assert feeds.streams == 0

    in_a_loop(test())


def test_only_so_many_clients_listen_as_the_operator_allows(served: ServedStore) -> None:
    feeds: Feeds = served.client.app._app.state.feeds
    job = served.client.post("/api/v1/jobs", json=tune_body()).json()["id"]
    for _ in range(served.context.settings.clients):
        feeds.admit()
    with pytest.raises(BusyError):
        feeds.admit()
    for path in (f"/api/v1/jobs/{job}/events", "/api/v1/events"):
        answer = served.client.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")


def test_streams_end_when_the_service_does(context: Context) -> None:
    async def test() -> None:
        feeds, job = Feeds(context), begun(context)
        async with feeds.running():
            one, other = Heard(), Heard()
            tasks = [
                asyncio.create_task(one.listen(feeds.job(job.id, feeds.admit()))),
                asyncio.create_task(other.listen(feeds.queue(feeds.admit()))),
            ]
            await other.until(lambda other: bool(other.events))
            feeds.end()
            await asyncio.gather(*tasks)
        assert one.is_ended
        assert other.is_ended

    in_a_loop(test())


def test_the_queues_stream_begins_with_the_queue_and_tells_of_every_change(context: Context) -> None:
    async def test() -> None:
        feeds, job = Feeds(context), begun(context)
        async with feeds.running(), listening(feeds, feeds.queue(feeds.admit())) as heard:
            await heard.until(lambda heard: len(heard.events) == 1)
            tell(context, job)
            feeds.woken(job.id)
            await heard.until(lambda heard: len(heard.events) == 2)
            context.queue.end(job.id, HOLDER, "done")
            feeds.woken(job.id)
            await heard.until(lambda heard: len(heard.events) == 3)
            context.queue.delete(job.id)
            feeds.woken(job.id)
            await heard.until(lambda heard: len(heard.events) == 4)
        first, *changes = heard.events
        assert first["event"] == "queue"
        assert json.loads(first["data"])["running"]["id"] == job.id
        assert [json.loads(change["data"])["state"] for change in changes] == ["running", "done", "deleted"]

    in_a_loop(test())


def test_an_idle_stream_is_kept_alive_while_no_job_measures_here(context: Context) -> None:
    async def test() -> None:
        feeds = Feeds(context, beat_s=0.01)
        async with feeds.running(), listening(feeds, feeds.queue(feeds.admit())) as heard:
            await heard.until(lambda heard: heard.text.count(": nothing new") > 2)

    in_a_loop(test())


def test_nothing_runs_on_a_timer_while_a_job_measures_here(context: Context) -> None:
    async def test() -> None:
        begun(context)
        feeds = Feeds(context, beat_s=0.01)
        async with feeds.running(), listening(feeds, feeds.queue(feeds.admit())) as heard:
            await heard.until(lambda heard: len(heard.events) == 1)
            with counted_reads() as reads:
                await asyncio.sleep(0.3)
            assert (reads, heard.text.count(": nothing new")) == ([0], 0)

    in_a_loop(test())


def test_a_job_that_has_ended_is_not_told_again_to_who_knows(served: ServedStore) -> None:
    job = served.client.post("/api/v1/jobs", json=tune_body()).json()["id"]
    served.client.post(f"/api/v1/jobs/{job}/cancel")
    told = served.client.get(f"/api/v1/jobs/{job}/events")
    assert told.headers["content-type"].startswith("text/event-stream")
    assert told.headers["cache-control"] == "no-store"
    assert told.text.startswith("id: 0.end\nevent: job\ndata: {")
    again = served.client.get(f"/api/v1/jobs/{job}/events", headers={"Last-Event-ID": "0.end"})
    assert (again.status_code, again.content) == (204, b"")
    served.client.post(f"/api/v1/jobs/{job}/resume")
    served.client.post(f"/api/v1/jobs/{job}/cancel")


@pytest.mark.parametrize("identity", ["x", "-1", "1.5", "9999999999", "1.end.end"])
def test_a_wrong_id_of_an_event_is_refused(served: ServedStore, identity: str) -> None:
    job = served.client.post("/api/v1/jobs", json=tune_body()).json()["id"]
    answer = served.client.get(f"/api/v1/jobs/{job}/events", headers={"Last-Event-ID": identity})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "Last-Event-ID"
