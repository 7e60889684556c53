"""The conductor against workers played by this test, over real pipes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from autotune.measurement.measurement import FailureKind, InstanceBlock, Measurement, ThreadMask
from autotune.objectives.throughput import THROUGHPUT
from autotune.placement.placement import InstancePlacement
from autotune.spec.scenario import Scenario
from autotune.testing.fake_trial import FakeTrial
from autotune.testing.observations import build_observation
from autotune.trial.asked import Asked
from autotune.trial.conductor import Channel, Exchange, Schedule, conduct, plan_window_s
from autotune.trial.scenario import conducting
from autotune.trial.stopping import Rule
from autotune.worker.failures import InstanceError
from autotune.worker.messages import MAX_LINE_BYTES, Message, Ready, Window, format_message, parse_message

SEEN = build_observation(cpus=(0,), threads=(ThreadMask("main", (0,)),))

Play = Callable[[Window], Message]


@contextmanager
def played(plays: list[Play], request_s: float = 0.001) -> Iterator[list[Channel]]:
    """Workers in threads: each says that it is ready, and answers every window as its play says."""
    pipes = [(os.pipe(), os.pipe()) for _ in plays]
    threads = [
        threading.Thread(target=_play, args=(play, to_worker[0], from_worker[1], request_s))
        for play, (to_worker, from_worker) in zip(plays, pipes, strict=True)
    ]
    for thread in threads:
        thread.start()
    try:
        yield [
            Channel(index, from_worker[0], to_worker[1])
            for index, (to_worker, from_worker) in enumerate(pipes)
        ]
    finally:
        for to_worker, _ in pipes:
            os.close(to_worker[1])
        for thread in threads:
            thread.join()
        for _, from_worker in pipes:
            os.close(from_worker[0])


def _play(play: Play, reader: int, writer: int, request_s: float) -> None:
    with os.fdopen(reader, "rb") as incoming, os.fdopen(writer, "wb", buffering=0) as outgoing:
        outgoing.write(format_message(Ready(SEEN, request_s)))
        for line in incoming:
            window = parse_message(line)
            assert isinstance(window, Window)
            outgoing.write(format_message(play(window)))


def run(folder: Path, plays: list[Play], schedule: Schedule, **asked: object) -> Measurement:
    places = tuple(InstancePlacement((), ()) for _ in plays)
    wanted = replace(Asked("offline", FakeTrial(folder, {}).configuration, places), **asked)  # type: ignore[arg-type]
    with (
        conducting(wanted.scenario, [place.cpus for place in places], None) as conductor,
        played(plays) as channels,
        Exchange(channels, conductor.drains, schedule.deadline_s) as exchange,
    ):
        return conductor.conduct(exchange, schedule, wanted)


def schedule(
    blocks: int = 1, percentile: float | None = None, within_s: float = 30, scenario: Scenario = "offline"
) -> Schedule:
    rule = Rule(scenario, THROUGHPUT, blocks, blocks, percentile)
    return Schedule(0.01, rule, time.monotonic() + within_s)


def requests(count: int) -> Play:
    """Claim so many requests, evenly over the window."""

    def play(window: Window) -> InstanceBlock:
        step = (window.end_s - window.start_s) / count
        starts = tuple(window.start_s + index * step for index in range(count))
        return InstanceBlock(1, starts, tuple(start + step for start in starts))

    return play


def test_blocks_hold_what_the_workers_said_in_their_order(tmp_path: Path) -> None:
    measurement = run(tmp_path, [requests(3), requests(5)], schedule(blocks=4))
    assert [[len(part.ends_s) for part in block.instances] for block in measurement.blocks] == [[3, 5]] * 4
    starts = [block.start_s for block in measurement.blocks]
    assert starts == sorted(starts)
    assert measurement.measuring_s == pytest.approx(4 * 0.01)
    assert measurement.observations == (SEEN, SEEN)


@pytest.mark.parametrize(
    ("percentile", "per_block", "blocks"), [(None, 1, 2), (50.0, 1, 6), (90.0, 40, 2), (99.0, 1, 20)]
)
def test_blocks_are_added_for_a_percentile_up_to_ten_times_the_plan(
    tmp_path: Path, percentile: float | None, per_block: int, blocks: int
) -> None:
    measurement = run(tmp_path, [requests(per_block)] * 2, schedule(2, percentile))
    assert len(measurement.blocks) == blocks


def test_a_window_that_begins_before_the_common_start_is_refused(tmp_path: Path) -> None:
    def early(window: Window) -> InstanceBlock:
        return InstanceBlock(1, (window.start_s - 1,), (window.end_s,))

    with pytest.raises(InstanceError, match="before the common start") as caught:
        run(tmp_path, [requests(1), early], schedule())
    assert caught.value.instance == 1


def test_split_queries_of_different_number_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InstanceError, match="different numbers of queries"):
        run(
            tmp_path, [requests(2), requests(3)], schedule(scenario="single_stream"), scenario="single_stream"
        )


def test_nothing_is_measured_where_the_proof_fails(tmp_path: Path) -> None:
    def never(window: Window) -> InstanceBlock:
        raise AssertionError(window)

    places = (InstancePlacement((7,), ()),)
    with pytest.raises(InstanceError, match="runs on cpus 0, not 7") as caught:
        run(tmp_path, [never], schedule(), instances=places)
    assert caught.value.kind is FailureKind.PLACEMENT


def test_a_worker_that_does_not_answer_is_named_at_the_deadline(tmp_path: Path) -> None:
    answer = threading.Event()

    def slow(window: Window) -> InstanceBlock:
        answer.wait()
        return InstanceBlock(1, (window.start_s,), (window.end_s,))

    with played([requests(1), slow]) as channels, Exchange(channels, (), time.monotonic() + 0.5) as exchange:
        places = (InstancePlacement((), ()),) * 2
        asked = Asked("offline", FakeTrial(tmp_path, {}).configuration, places)
        with pytest.raises(InstanceError, match="during measuring, waiting for instance 1") as caught:
            conduct(exchange, replace(schedule(), deadline_s=exchange.deadline_s), asked)
        answer.set()
    assert caught.value.kind is FailureKind.TIMEOUT


@pytest.mark.parametrize(("request_s", "window_s"), [(0.001, 1.5), (1.0, 1.5), (4.0, 6.0), (1e-6, 0.1)])
def test_a_window_holds_enough_requests_but_not_too_many(request_s: float, window_s: float) -> None:
    planned = plan_window_s(replace(schedule(), block_s=1.5), request_s)
    assert planned == pytest.approx(window_s)


def test_the_largest_block_fits_a_line() -> None:
    times = tuple(1e8 + index / 3 for index in range(100_000))
    assert len(format_message(InstanceBlock(65_536, times, times))) < MAX_LINE_BYTES / 2


@pytest.mark.parametrize(
    ("cycle", "request_s", "planned_s"),
    [(64, 0.01, 1.0), (64, 0.02, 1.28), (64, 10.0, 15.0), (640, 0.02, 5.0)],
)
def test_a_window_holds_a_cycle_of_requests_that_differ_unless_that_takes_too_long(
    cycle: int, request_s: float, planned_s: float
) -> None:
    planned = plan_window_s(replace(schedule(), block_s=1.0), request_s, cycle)
    assert planned == pytest.approx(planned_s)
