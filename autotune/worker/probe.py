"""Measures how fast cpus compute right now: `python -P -m autotune.worker.probe`.

A neighbour behind the hypervisor can slow a virtual machine down by a factor without any counter inside
saying so; only work of a known amount shows it. And only work of the workers' kind: where a multiplication
of matrices took twice as long, a hash was as fast as ever.

Reads lines `{"cpus": [0, 1]}` from stdin and answers each with a line `{"seconds": {"0": 0.0011, ...}}`: the
median CPU time of one multiplication on each of them, all at once, each in a thread pinned there. A cpu that
it may not run on is missing. CPU time and not the clock's, so that a process that shares the cpu does not
count; those have counters. Ends with the end of stdin, and at once where multiplying is no measure.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

SIZE = 384
"""Rows and columns of the matrices: a millisecond on a server's core, within its level-2 cache."""

REPEATS = 5
"""Of which the median counts."""

MAX_S = 0.02
"""A multiplication that takes longer is not done by a BLAS that uses the cpu, and tells nothing of it."""

Multiply = Callable[[], object]


def main() -> int:
    """Answer until stdin ends."""
    multiply = _multiplication()
    if min(_cpu_seconds(multiply) for _ in range(REPEATS)) > MAX_S:
        return 1
    multiplications: dict[int, Multiply] = {}
    for line in sys.stdin:
        cpus = [int(cpu) for cpu in json.loads(line)["cpus"]]
        for cpu in cpus:
            multiplications.setdefault(cpu, _multiplication())
        answer = json.dumps({"seconds": probe(cpus, multiplications)})
        os.write(1, answer.encode() + b"\n")
    return 0


def probe(cpus: Sequence[int], multiplications: dict[int, Multiply]) -> dict[int, float]:
    """Median CPU seconds of one multiplication, by cpu, all cpus at the same time."""
    found: dict[int, float] = {}
    threads = [threading.Thread(target=_measure, args=(cpu, multiplications[cpu], found)) for cpu in cpus]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def _measure(cpu: int, multiply: Multiply, found: dict[int, float]) -> None:
    try:
        os.sched_setaffinity(0, {cpu})  # of this thread alone
    except OSError:
        return
    multiply()  # brings the matrices into this core's cache
    found[cpu] = statistics.median(_cpu_seconds(multiply) for _ in range(REPEATS))


def _cpu_seconds(multiply: Multiply) -> float:
    start_s = time.thread_time()
    multiply()
    return time.thread_time() - start_s


def _multiplication() -> Multiply:
    """A multiplication of matrices of its own: nothing is allocated, and nothing shared, when it runs."""
    left, right = (np.full((SIZE, SIZE), 0.5, np.float32) for _ in range(2))
    product = np.empty_like(left)
    return lambda: np.dot(left, right, out=product)


if __name__ == "__main__":
    raise SystemExit(main())
