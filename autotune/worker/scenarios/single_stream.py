"""The scenario `single_stream` in an instance: its part of every query, in step with the others.

Every query is split over the instances, which begin it together and begin the next one when all have ended
it. They agree through the board alone; the parent has no part in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from autotune.measurement.measurement import FailureKind
from autotune.worker.board import Board, spin_until
from autotune.worker.failures import InstanceError
from autotune.worker.messages import Window
from autotune.worker.window import MIN_REQUESTS, Call, Times


def run(request: Call, window: Window, board: Board | None) -> Times:
    """Run query by query, in step with the other instances."""
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
