"""The scenario `offline` in an instance: requests back to back.

From the common start until the first completion at or after the common end. An instance that is done goes on
with unrecorded requests while others are not, so that nobody's last request has the machine to itself; it
does not where the others are done within a tenth of a request, as instances of one kind are.
"""

from __future__ import annotations

import time

from autotune.worker.board import Board, spin_until
from autotune.worker.messages import Window
from autotune.worker.window import MIN_REQUESTS, Call, Times

PATIENCE = 0.1
"""How long an instance that is done waits for the others before it goes on, as a share of its request."""


def run(request: Call, window: Window, board: Board | None) -> Times:
    """Run requests back to back, and keep up the load until all instances are done."""
    times = _back_to_back(request, window)
    if board is not None:
        _keep_load(request, window, board, patience_s=PATIENCE * _mean_s(times))
    return times


def _back_to_back(request: Call, window: Window) -> Times:
    """Run requests until the first completion at or after the end."""
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


def _mean_s(times: Times) -> float:
    starts_s, ends_s = times
    return (ends_s[-1] - starts_s[0]) / len(ends_s)
