"""What a worker does in a measuring window.

`offline`: requests back to back from the common start until the first completion at or after the common
end. An instance that is done goes on with unrecorded requests while others are not, so that nobody's last
request has the machine to itself; it does not where the others are done within a tenth of a request,
as instances of one kind are.

`single_stream`: every query is split over the instances, which begin it together and begin the next one
when all have ended it. They agree through the board alone; the parent has no part in it.

`server`: requests come through a queue that all instances share; whoever is free takes the next one.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from autotune.measurement.measurement import FailureKind
from autotune.worker.board import Board, spin_until
from autotune.worker.failures import InstanceError
from autotune.worker.messages import Serve, Served, Window
from autotune.worker.queue import next_request, open_to_take

MIN_REQUESTS = 2
"""Requests of one instance in one window, however long they take."""

PATIENCE = 0.1
"""How long an instance that is done waits for the others before it goes on, as a share of its request."""

_SPIN_S = 0.002
"""The last bit before the start is spun: a sleep ends up to a scheduler tick late."""

Call = Callable[[], object]
Times = tuple[tuple[float, ...], tuple[float, ...]]
"""Starts and ends of requests."""


def run_window(request: Call, window: Window, board: Board | None) -> Times:
    """Run this instance's part of a window; `board` is None for a single instance."""
    sleep_until(window.start_s)
    if window.scenario == "single_stream":
        return _single_stream(request, window, board)
    times = _offline(request, window)
    if board is not None:
        _keep_load(request, window, board, patience_s=PATIENCE * _mean_s(times))
    return times


def sleep_until(start_s: float) -> None:
    """Return at `start_s` (CLOCK_MONOTONIC), or at once where it has passed."""
    nap_s = start_s - _SPIN_S - time.monotonic()
    if nap_s > 0:
        time.sleep(nap_s)
    while time.monotonic() < start_s:
        pass


def _offline(request: Call, window: Window) -> Times:
    """Back to back until the first completion at or after the end."""
    starts_s: list[float] = []
    ends_s: list[float] = []
    while len(ends_s) < MIN_REQUESTS or ends_s[-1] < window.end_s:
        starts_s.append(time.monotonic())
        request()
        ends_s.append(time.monotonic())
    return tuple(starts_s), tuple(ends_s)


def _keep_load(request: Call, window: Window, board: Board, *, patience_s: float) -> None:
    """Say that this instance is done, and go on as long as others are not."""
    board.post(1)
    while time.monotonic() < window.deadline_s:
        if spin_until(lambda: board.all_reached(1), time.monotonic() + patience_s):
            return
        request()


def _single_stream(request: Call, window: Window, board: Board | None) -> Times:
    """Query by query, in step with the other instances."""
    starts_s: list[float] = []
    ends_s: list[float] = []
    while _go(len(ends_s), window, board):
        starts_s.append(time.monotonic())
        request()
        ends_s.append(time.monotonic())
    return tuple(starts_s), tuple(ends_s)


def _go(answered: int, window: Window, board: Board | None) -> bool:
    """Wait until all instances have answered as many queries; False when that was the last one.

    Instance 0 decides. Its word is twice the number of the next query, plus one to stop; the others' words
    are twice the number of the query that they are ready for.
    """
    enough = answered >= MIN_REQUESTS and time.monotonic() >= window.end_s
    if board is None:
        return not enough
    word = 2 * (answered + 1)
    if board.instance == 0:
        _meet(lambda: _followers_reached(board, word), window)
        board.post(word + enough)
        return not enough
    board.post(word)
    _meet(lambda: board.read(0) >= word, window)
    return board.read(0) == word


def _followers_reached(board: Board, word: int) -> bool:
    return all(board.read(instance) >= word for instance in range(1, board.instances))


def _meet(condition: Callable[[], bool], window: Window) -> None:
    if not spin_until(condition, window.deadline_s):
        raise InstanceError(FailureKind.TIMEOUT, "the other instances did not come to the next query")


def serve_queue(request: Call, order: Serve, samples_per_request: int) -> Served:
    """Take requests and answer them, until no more will come or it is too late to begin another."""
    requests: list[int] = []
    begun_s: list[float] = []
    ends_s: list[float] = []
    with open_to_take(order.queue) as queue:
        while time.monotonic() < order.end_s and (number := next_request(queue)) is not None:
            requests.append(number)
            begun_s.append(time.monotonic())
            request()
            ends_s.append(time.monotonic())
    return Served(samples_per_request, tuple(requests), tuple(begun_s), tuple(ends_s))


def _mean_s(times: Times) -> float:
    starts_s, ends_s = times
    return (ends_s[-1] - starts_s[0]) / len(ends_s)
