"""Windows and the board, with instances as threads of this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from autotune.spec.scenario import Scenario
from autotune.worker.board import Board, shared_board, spin_until
from autotune.worker.failures import InstanceError
from autotune.worker.messages import Window
from autotune.worker.scenarios.registry import run_window
from autotune.worker.window import Times, sleep_until


def run_together(
    scenario: Scenario, requests: list[Callable[[], object]], seconds: float = 0.1
) -> list[Times]:
    """Run one window on as many instances as there are requests."""
    count = len(requests)
    with shared_board(count) as path, ThreadPoolExecutor(count) as pool:
        start_s = time.monotonic() + 0.05
        window = Window(scenario, start_s, start_s + seconds, start_s + 30, path)

        def run(instance: int) -> Times:
            with Board(path, instance, count) as board:
                return run_window(requests[instance], window, board)

        return list(pool.map(run, range(count)))


def sleeping(seconds: float) -> Callable[[], None]:
    return lambda: time.sleep(seconds)


def test_an_instance_that_is_done_keeps_up_the_load_until_all_are() -> None:
    calls = 0

    def fast() -> None:
        nonlocal calls
        calls += 1
        time.sleep(0.01)

    (_, fast_ends), (_, slow_ends) = run_together("offline", [fast, sleeping(0.25)])
    recorded = len(fast_ends)
    assert fast_ends[-1] < fast_ends[0] + 0.2
    assert slow_ends[-1] > fast_ends[-1] + 0.2
    # The slow instance's second request outlasts the window by at least 0.3 s.
    assert calls > recorded + 5


def test_equal_instances_run_nothing_in_vain() -> None:
    calls = [0, 0]

    def counting(instance: int) -> Callable[[], None]:
        def request() -> None:
            calls[instance] += 1
            sleep_until(begun + 0.2 * calls[instance])

        return request

    begun = time.monotonic() + 0.05
    times = run_together("offline", [counting(0), counting(1)], seconds=0.5)
    assert calls == [len(ends) for _, ends in times]


def test_split_queries_are_run_in_step_and_stop_together() -> None:
    times = run_together("single_stream", [sleeping(0.01), sleeping(0.03), sleeping(0.001)])
    assert len({len(starts) for starts, _ in times}) == 1
    assert all(len(starts) >= 2 for starts, _ in times)
    for query in range(1, len(times[0][0])):
        last_end = max(ends[query - 1] for _, ends in times)
        assert all(starts[query] >= last_end for starts, _ in times)


def test_a_query_that_another_instance_never_comes_to_ends_at_the_deadline() -> None:
    now = time.monotonic()
    with shared_board(2) as path, Board(path, 0, 2) as board:
        window = Window("single_stream", now, now + 1, now + 0.1, path)
        with pytest.raises(InstanceError, match="did not come"):
            run_window(lambda: None, window, board)


def test_a_window_that_has_passed_still_has_two_requests() -> None:
    now = time.monotonic()
    starts_s, ends_s = run_window(lambda: None, Window("offline", now - 2, now - 1, now + 1, ""), None)
    assert len(starts_s) == len(ends_s) == 2


def test_nobody_begins_before_the_start() -> None:
    start_s = time.monotonic() + 0.05
    starts_s, _ = run_window(lambda: None, Window("offline", start_s, start_s, start_s + 1, ""), None)
    assert starts_s[0] >= start_s


def test_each_instance_has_a_word_that_all_can_read() -> None:
    with shared_board(3) as path, Board(path, 0, 3) as first, Board(path, 2, 3) as third:
        first.post(2**63)
        third.post(7)
        assert [third.read(instance) for instance in range(3)] == [2**63, 0, 7]
        assert not first.all_reached(1)


def test_a_board_has_no_name_in_a_file_system_and_ends_with_its_maker() -> None:
    with shared_board(2) as path:
        assert Path(path).exists()
    assert not Path(path).exists()


def test_spinning_ends_at_the_deadline() -> None:
    assert not spin_until(lambda: False, time.monotonic() + 0.01)
    assert spin_until(lambda: True, time.monotonic() - 1)
