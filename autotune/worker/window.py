"""What all scenarios have in common of an instance's part of a measuring window."""

from __future__ import annotations

import time
from collections.abc import Callable

MIN_REQUESTS = 2
"""Requests of one instance in one window, however long they take."""

_SPIN_S = 0.002
"""The last bit before the start is spun: a sleep ends up to a scheduler tick late."""

Call = Callable[[], object]
Times = tuple[tuple[float, ...], tuple[float, ...]]
"""Starts and ends of requests."""


def sleep_until(start_s: float) -> None:
    """Return at `start_s` (CLOCK_MONOTONIC), or at once where it has passed."""
    nap_s = start_s - _SPIN_S - time.monotonic()
    if nap_s > 0:
        time.sleep(nap_s)
    while time.monotonic() < start_s:
        pass
