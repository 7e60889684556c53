"""Times requests of one artifact on one thread. Runs in a child process of its own."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from autotune.backends.loading import load_session
from autotune.backends.protocol import Backend, Shape
from autotune.errors import UnsupportedError
from autotune.model.inputs import make_inputs
from autotune.spec.configuration import Precision
from autotune.spec.knobs import NO_KNOBS

RUNNING_S = 0.3
"""How long requests are timed, at least, after those that warm up."""
LEAST_REQUESTS = 3
SHORT_S = 0.1
"""A request that takes less warms up twice: what compiles in a process does so at the second."""
LONG_S = 1.0
"""A request that takes longer than this is timed once, after one that warms up."""


def time_requests(backend: Backend, directory: Path, precision: Precision, shape: Shape) -> float:
    """The median cpu seconds of a request of this shape, on one thread on one cpu, after one or two others.

    Waiting for a cpu that others use meanwhile does not count: it says nothing of the engine.

    Raises:
        UnsupportedError: the engine computes at another precision than asked for.
    """
    # Before the engine starts threads, which inherit it. Interrupts come to the first cpus rather.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    session = load_session(backend, directory, precision, 1, NO_KNOBS)
    request = make_inputs(directory, *shape, seed=0)
    found = median_s(lambda: session.run(request))
    observed = session.report().precision
    if observed != precision:
        raise UnsupportedError(
            f"{backend.name} runs this model at {observed} when asked for {precision}",
            remedy=f"leave {precision} out of search.precisions",
        )
    return found


def median_s(run: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """The median seconds that `run` takes by this clock once it is warm."""

    def timed() -> float:
        begin = clock()
        run()
        return clock() - begin

    first = timed()
    if first > LONG_S:
        return timed()
    if first < SHORT_S:
        timed()
    times: list[float] = []
    while len(times) < LEAST_REQUESTS or sum(times) < RUNNING_S:
        times.append(timed())
    return statistics.median(times)
