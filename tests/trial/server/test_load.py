"""Where the generator runs, what its lateness costs, and how the answers are put together."""

from __future__ import annotations

import fcntl
import math
import os
import signal
import sys
import termios
import time
from pathlib import Path

import pytest

from autotune.machine.sysfs import Tree
from autotune.measurement.measurement import FailureKind
from autotune.testing.fake_trial import FakeTrial
from autotune.trial.conductor import Exchange
from autotune.trial.launcher import launched
from autotune.trial.server.load import (
    Load,
    LoadGenerator,
    SentRequest,
    Site,
    generator_site,
    load_generator,
    put_under_load,
    tolerated_delay_s,
)
from autotune.worker.failures import InstanceError
from autotune.worker.messages import Ready, Send
from autotune.worker.queue import open_to_take, shared_queue

NOWHERE = Site((), is_alone=False)


def siblings_of_four(root: Path) -> Tree:
    """Two cores of two cpus each: 0 and 2, 1 and 3."""
    for cpu in range(4):
        folder = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{cpu % 2},{cpu % 2 + 2}\n")
    return Tree(root)


@pytest.mark.parametrize(
    ("instances", "site"),
    [
        ([(0, 2)], Site((1, 3), is_alone=True)),
        ([(0,)], Site((1, 3), is_alone=True)),
        ([(0,), (1,)], Site((2, 3), is_alone=False)),
        ([(0, 2), (1,)], Site((3,), is_alone=False)),
        ([(0, 1, 2, 3)], NOWHERE),
        ([()], NOWHERE),
        ([(0,), ()], NOWHERE),
    ],
)
def test_the_generator_gets_cores_of_its_own_or_else_cpus_that_no_instance_uses(
    tmp_path: Path, instances: list[tuple[int, ...]], site: Site
) -> None:
    assert generator_site(instances, frozenset(range(4)), siblings_of_four(tmp_path)) == site


def test_the_generator_stays_on_the_cpus_that_are_allowed(tmp_path: Path) -> None:
    site = generator_site([(0, 2)], frozenset({0, 1, 2}), siblings_of_four(tmp_path))
    assert site == Site((1,), is_alone=True)


def load_of(*requests: SentRequest) -> Load:
    return Load(0.0, 100.0, requests, (1,), realtime=False)


def test_being_late_costs_nothing_while_every_instance_is_busy() -> None:
    load = load_of(
        SentRequest(0.0, 0.0, 0.0, 5.0, 0),
        SentRequest(1.0, 4.0, 5.0, 6.0, 0),  # three seconds late, but nobody was free
        SentRequest(2.0, 5.5, 6.0, 7.0, 0),
    )
    assert load.late_s(100) == 3.5
    assert load.delay_s(100) == 0.0


def test_being_late_costs_the_time_for_which_an_instance_was_free() -> None:
    load = load_of(
        SentRequest(0.0, 0.0, 0.0, 5.0, 0),
        SentRequest(1.0, 7.0, 7.0, 8.0, 0),  # free since 5
        SentRequest(9.0, 9.5, 9.5, 10.0, 0),  # free since 8
        SentRequest(9.0, 9.1),  # never begun
        SentRequest(9.0, math.inf),  # there was no room
    )
    assert load.late_s(100) == 6.0
    assert sorted(load.delay_s(percentile) for percentile in (50, 75, 100)) == [0.0, 0.5, 2.0]


def test_a_delay_is_tolerated_by_the_limit_it_is_measured_for() -> None:
    assert tolerated_delay_s(0.01) == 0.001
    assert tolerated_delay_s(1.0) == 0.05


def served(folder: Path, times_s: list[float], patience_s: float = 1.0, **trial: object) -> Load:
    """What comes of these requests at real workers of the fake backend."""
    commands = FakeTrial(folder, {"serial_s": 0.02}, scenario="server", **trial).commands()  # type: ignore[arg-type]
    with load_generator(NOWHERE) as generator, launched(commands) as workers:
        channels = [worker.channel for worker in workers]
        with Exchange(channels, [generator], deadline_s=time.monotonic() + 60) as exchange:
            exchange.gather(Ready)
            return put_under_load(exchange, generator, times_s, patience_s)


@pytest.mark.usefixtures("nothing_left")
def test_every_request_is_answered_once_after_it_was_due(tmp_path: Path) -> None:
    times = [0.0, 0.001, 0.002, 0.05, 0.2]
    load = served(tmp_path, times, instances=2, batch_size=3)
    assert load.samples_per_request == (3, 3)
    assert [request.time_s - load.start_s for request in load.requests] == pytest.approx(times)
    for request in load.requests:
        assert request.time_s <= request.sent_s
        assert request.begun_s - request.time_s >= 0
        assert request.end_s - request.begun_s >= 0.02
    assert {request.instance for request in load.requests} == {0, 1}
    # Three at once for two instances: the third one waits for the first answer.
    assert load.requests[2].begun_s >= min(request.end_s for request in load.requests[:2])


@pytest.mark.usefixtures("nothing_left")
def test_requests_that_nobody_has_begun_when_the_run_is_given_up_stay_unanswered(tmp_path: Path) -> None:
    load = served(tmp_path, [0.0] * 100, patience_s=0.2)
    waiting = [request for request in load.requests if request.instance < 0]
    assert len(waiting) >= 85
    assert waiting == list(load.requests[-len(waiting) :])
    assert all(math.isinf(request.end_s) and not math.isinf(request.sent_s) for request in waiting)


@pytest.mark.usefixtures("nothing_left")
def test_a_generator_that_is_killed_is_told_apart_from_the_instances(tmp_path: Path) -> None:
    with (
        load_generator(NOWHERE) as generator,
        launched(FakeTrial(tmp_path, {}, scenario="server").commands()) as workers,
        Exchange(
            [worker.channel for worker in workers], [generator], deadline_s=time.monotonic() + 60
        ) as exchange,
    ):
        exchange.gather(Ready)
        os.kill(generator.pid, signal.SIGKILL)
        with pytest.raises(InstanceError, match="the load generator was killed by SIGKILL") as caught:
            put_under_load(exchange, generator, [0.0, 60.0], 1.0)
    assert (caught.value.kind, caught.value.instance) == (FailureKind.DISTURBED, None)


@pytest.mark.usefixtures("nothing_left")
def test_a_generator_that_cannot_reach_the_queue_says_why() -> None:
    with load_generator(NOWHERE) as generator:
        generator.send(Send("/nonexistent/queue", (0.0,), 1))
        with pytest.raises(InstanceError, match=r"ended with exit status 1: .*FileNotFoundError"):
            generator.report(deadline_s=time.monotonic() + 60)


@pytest.mark.usefixtures("nothing_left")
def test_a_generator_that_says_nothing_is_waited_for_until_the_deadline() -> None:
    with load_generator(NOWHERE) as generator, pytest.raises(InstanceError) as caught:
        generator.report(deadline_s=0.0)
    assert caught.value.kind is FailureKind.TIMEOUT


@pytest.mark.usefixtures("nothing_left")
def test_a_generator_stops_at_the_first_request_for_which_there_is_no_room() -> None:
    times = (0.0,) * 200_000
    with load_generator(NOWHERE) as generator:
        with shared_queue() as queue, open_to_take(queue.take) as take:
            generator.send(Send(queue.put, times, 1))
            wait_until_full(take)
        report = generator.report(deadline_s=time.monotonic() + 60)
    assert 8_192 <= len(report.sent_s) < len(times)


def wait_until_full(queue: int) -> None:
    """A queue in which nothing more arrives is full."""
    before, held = -1, 0
    while held != before or not held:
        before = held
        time.sleep(0.2)
        held = int.from_bytes(fcntl.ioctl(queue, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_a_generator_knows_its_site() -> None:
    with load_generator(Site((min(os.sched_getaffinity(0)),), is_alone=True)) as generator:
        assert isinstance(generator, LoadGenerator)
        assert generator.site.is_alone
