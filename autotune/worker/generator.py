"""Sends the requests of the `server` scenario: `PYTHON -P -m autotune.worker.generator [--alone]`.

A process of its own, so that nothing of it waits for what it measures. Sleeps until each intended time,
writes a record into the queue that all instances share, and notes when it was there; it never waits for an
answer, so that a slow one delays no later request. On cores of its own (`--alone`) it spins over the last
bit. Among instances it asks the kernel to preempt them for it, as a network card would: two busy instances
on two cpus made it 8 to 17 ms late (p99) without that, and 0.2 ms with it.

Why not MLCommons LoadGen (`mlcommons-loadgen` 6.0.17), which was tried: it sends in the process that it
measures, by a Python callback under the interpreter's lock, and answers must come back to that process. It
judges no lateness: stopped for 0.5 s in the middle of a run, it blamed the system ("Reduce target QPS to
improve latency", no warnings). It has no bound in time when overloaded: a run of 3 s at twice the capacity
took 15.6 s. Single latencies are only in its trace, 1.5 kB for each request. Its bound of a percentile is the
binomial one, which queues do not obey (`autotune.statistics.queueing`). Its wheels are for x86-64 and Python
up to 3.13.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import time

from autotune.worker.messages import Send, Sent, format_message, parse_message
from autotune.worker.queue import RECORD, end_queue, open_to_put

SPIN_S = 0.0005
"""The last bit before a request, on cores of its own: a sleep ends some 50 µs late, sometimes 500 µs."""

_PR_SET_TIMERSLACK = 29  # Source: include/uapi/linux/prctl.h


def main() -> int:
    """Send what is asked until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    alone = "--alone" in sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    realtime = not alone and ask_for_preemption()
    gc.disable()
    for line in sys.stdin.buffer:
        order = parse_message(line)
        if not isinstance(order, Send):
            return 0
        sent_s = send(order, spin_s=SPIN_S if alone else 0.0)
        sys.stdout.buffer.write(format_message(Sent(sent_s, realtime)))
        sys.stdout.buffer.flush()
    return 0


def ask_for_preemption() -> bool:
    """Run before everything else, if the kernel permits it (root, or CAP_SYS_NICE)."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        return False
    return True


def send(order: Send, spin_s: float) -> tuple[float, ...]:
    """Put every request into the queue at its time; give when each was there, up to one that had no room.

    A queue that nobody will read any more has none either.
    """
    sent_s: list[float] = []
    with open_to_put(order.queue) as queue:
        for number, time_s in enumerate(order.times_s):
            _wait_until(time_s, spin_s)
            try:
                os.write(queue, RECORD.pack(number))
            except (BlockingIOError, BrokenPipeError):
                break
            sent_s.append(time.monotonic())
        end_queue(queue, order.instances)
    return tuple(sent_s)


def _wait_until(time_s: float, spin_s: float) -> None:
    nap_s = time_s - spin_s - time.monotonic()
    if nap_s > 0:
        time.sleep(nap_s)
    while time.monotonic() < time_s:
        pass


if __name__ == "__main__":
    raise SystemExit(main())
