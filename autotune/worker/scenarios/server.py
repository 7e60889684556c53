"""The scenario `server` in an instance: requests from a queue that all share; who is free takes the next."""

from __future__ import annotations

import time

from autotune.worker.messages import Serve, Served
from autotune.worker.queue import next_request, open_to_take
from autotune.worker.window import Call


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
