"""From two snapshots of the host to what it did to the instances in between."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from autotune.machine.state import (
    TICKS_PER_S,
    HostChange,
    HostState,
    ProcessChange,
    ProcessState,
    host_change,
    process_change,
)
from autotune.measurement.measurement import Conditions

SAMPLING_ERRORS = 2.0
"""Standard errors taken off what others seem to have used: the kernel charges a cpu's time by looking at it
at every tick, which is exact for a cpu that is always or never busy, and a sample in between."""


@dataclass(frozen=True)
class Instance:
    """One worker and the cpus that it may run on."""

    pid: int
    cpus: frozenset[int]


@dataclass(frozen=True)
class Snapshot:
    """Counters at one moment; processes by id, those that can be read."""

    host: HostState
    processes: Mapping[int, ProcessState]


def conditions_between(
    before: Snapshot, after: Snapshot, instances: Sequence[Instance], own: Iterable[int]
) -> Conditions:
    """Say what happened; speed, frequency, temperature and culprits are for others to add.

    Args:
        own: processes that are of the trial but no workers, and may run anywhere.
    """
    host = host_change(before.host, after.host)
    changes = {
        pid: process_change(before.processes[pid], now)
        for pid, now in after.processes.items()
        if pid in before.processes
    }
    workers = [changes[instance.pid] for instance in instances if instance.pid in changes]
    own_s = sum(changes[pid].cpu_s for pid in own if pid in changes)
    taken = (_others_cpus(instance, instances, changes, host, own_s) for instance in instances)
    return Conditions(
        window_s=host.seconds,
        steal=_worst(_steal(instance, host) for instance in instances),
        waited=_worst(_waited(change) for change in workers),
        others_cpus=_worst(taken),
        throttled_periods=host.throttled_periods,
        throttled_s=host.throttled_s,
        cpu_pressure=_pressure(host, "cpu"),
        memory_pressure=_pressure(host, "memory"),
        io_pressure=_pressure(host, "io"),
        thermal_throttles=host.heat_throttles,
        involuntary_switches=_sum(workers, lambda change: change.involuntary_switches),
        major_faults=_sum(workers, lambda change: change.major_faults),
        migrations=_sum(workers, lambda change: change.migrations),
    )


def _others_cpus(
    instance: Instance,
    instances: Sequence[Instance],
    changes: Mapping[int, ProcessChange],
    host: HostChange,
    own_s: float,
) -> float | None:
    """At least so many of the instance's cpus were used by others; None where that cannot be said."""
    sharers = [other for other in instances if other.cpus & instance.cpus]
    busy = [host.cpus[cpu].busy_s for cpu in instance.cpus if cpu in host.cpus]
    if len(busy) < len(instance.cpus) or any(sharer.pid not in changes for sharer in sharers):
        return None
    workers_s = sum(_cpu_s(changes[sharer.pid]) for sharer in sharers)
    others_s = sum(busy) - workers_s - own_s - SAMPLING_ERRORS * _sampling_error_s(busy, host.seconds)
    return max(0.0, others_s) / host.seconds


def _cpu_s(change: ProcessChange) -> float:
    """The larger count: one has steps of 10 ms, the other lacks threads that have ended."""
    return max(change.cpu_s, change.run_s or 0.0)


def _sampling_error_s(busy: Iterable[float], seconds: float) -> float:
    """Standard deviation of the sum, if every tick finds a cpu busy with the probability of its own share."""
    shares = (min(1.0, one / seconds) for one in busy)
    return math.sqrt(sum(share * (1 - share) for share in shares) * seconds / TICKS_PER_S)


def _steal(instance: Instance, host: HostChange) -> float | None:
    stolen = [host.cpus[cpu].steal_s for cpu in instance.cpus if cpu in host.cpus]
    return sum(stolen) / len(stolen) / host.seconds if stolen else None


def _waited(change: ProcessChange) -> float | None:
    """Of the time in which the threads had something to do."""
    if change.run_s is None or change.waited_s is None:
        return None
    ready_s = change.run_s + change.waited_s
    return change.waited_s / ready_s if ready_s > 0 else 0.0


def _pressure(host: HostChange, resource: str) -> float | None:
    stalled_s = host.stalled_s.get(resource)
    return None if stalled_s is None else min(1.0, stalled_s / host.seconds)


def _worst(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _sum(changes: Iterable[ProcessChange], pick: Callable[[ProcessChange], int | None]) -> int | None:
    known = [value for change in changes if (value := pick(change)) is not None]
    return sum(known) if known else None
