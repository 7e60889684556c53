"""What a machine is doing, as counters that only grow: of its cpus, and of single processes.

Two snapshots are subtracted to say what happened in between. Whatever is absent or damaged is None, or
missing: containers, old kernels and virtual machines lack many of these files.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from autotune.machine.cgroup import Cgroups
from autotune.machine.counters import quota_files, throttling
from autotune.machine.cpus import MAX_CPU
from autotune.machine.sysfs import Tree

TICKS_PER_S = 100
"""Of /proc/stat and /proc/PID/stat. Source: USER_HZ of every architecture of Linux but alpha."""

MAX_FREQUENCIES = 16
"""Cpus whose frequency is read: some drivers take milliseconds for each."""

MAX_SENSORS = 32

_SENSOR_CHIPS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")
"""Names of the hwmon drivers that tell the temperature of processors; others may wake a disk or a bus.

Source: Linux, Documentation/hwmon.
"""

Resource = str
"""`cpu`, `memory` or `io`."""

RESOURCES: tuple[Resource, ...] = ("cpu", "memory", "io")


@dataclass(frozen=True)
class CpuTime:
    """How one cpu has spent its time since the machine was started, in steps of 10 ms.

    Attributes:
        busy_s: in programs, the kernel and interrupts; virtual machines that it runs are among the programs.
        steal_s: the hypervisor ran something else.
    """

    busy_s: float
    steal_s: float


@dataclass(frozen=True)
class HostState:
    """Counters of the machine at one moment.

    Attributes:
        at_s: CLOCK_MONOTONIC.
        cpus: by number; empty where the kernel's own counters are hidden.
        stalled_s: by resource, for how long some task has waited for it; of this process's cgroup where
            that counts by itself, of the machine otherwise.
        throttled_periods, throttled_s: how often and for how long the CPU quota has stopped this cgroup path.
        heat_throttles: how often the cpus have slowed down because of heat; None where nobody counts.
    """

    at_s: float
    cpus: Mapping[int, CpuTime]
    stalled_s: Mapping[Resource, float]
    throttled_periods: int
    throttled_s: float
    heat_throttles: int | None


@dataclass(frozen=True)
class TaskState:
    """Counters of one thread; None = not readable.

    Attributes:
        run_s, waited_s: on a cpu, and ready to run without one.
        involuntary_switches: how often it was taken off a cpu that it wanted to keep.
        migrations: from one cpu to another.
    """

    run_s: float | None
    waited_s: float | None
    involuntary_switches: int | None
    migrations: int | None


@dataclass(frozen=True)
class ProcessState:
    """Counters of one process.

    Attributes:
        cpu_s: of all threads that it has or had, in steps of 10 ms.
        major_faults: pages that had to be read from a disk.
        tasks: its threads by id.
    """

    cpu_s: float
    major_faults: int
    tasks: Mapping[int, TaskState]


@dataclass(frozen=True)
class ProcessChange:
    """What a process did between two snapshots; None = not readable.

    Attributes:
        cpu_s: CPU time; the rest as in `TaskState`, summed over its threads.
    """

    cpu_s: float
    major_faults: int
    run_s: float | None
    waited_s: float | None
    involuntary_switches: int | None
    migrations: int | None


@dataclass(frozen=True)
class HostChange:
    """What the machine did between two snapshots.

    Attributes:
        cpus: for those in both of them.
        stalled_s: for the resources in both of them.
    """

    seconds: float
    cpus: Mapping[int, CpuTime]
    stalled_s: Mapping[Resource, float]
    throttled_periods: int
    throttled_s: float
    heat_throttles: int | None


def host_change(before: HostState, after: HostState) -> HostChange:
    """Subtract; a counter that went backwards, as some do when a cpu comes back, counts as 0."""
    heat = None
    if before.heat_throttles is not None and after.heat_throttles is not None:
        heat = max(0, after.heat_throttles - before.heat_throttles)
    return HostChange(
        seconds=after.at_s - before.at_s,
        cpus={
            cpu: CpuTime(max(0.0, now.busy_s - was.busy_s), max(0.0, now.steal_s - was.steal_s))
            for cpu, now in after.cpus.items()
            if (was := before.cpus.get(cpu)) is not None
        },
        stalled_s={
            name: max(0.0, seconds - before.stalled_s[name])
            for name, seconds in after.stalled_s.items()
            if name in before.stalled_s
        },
        throttled_periods=max(0, after.throttled_periods - before.throttled_periods),
        throttled_s=max(0.0, after.throttled_s - before.throttled_s),
        heat_throttles=heat,
    )


def process_change(before: ProcessState, after: ProcessState) -> ProcessChange:
    """Subtract; a thread that began in between counts from 0, one that ended only in `cpu_s`."""
    pairs = [(before.tasks.get(task, _UNBORN), now) for task, now in after.tasks.items()]
    return ProcessChange(
        cpu_s=max(0.0, after.cpu_s - before.cpu_s),
        major_faults=max(0, after.major_faults - before.major_faults),
        run_s=_grown((was.run_s, now.run_s) for was, now in pairs),
        waited_s=_grown((was.waited_s, now.waited_s) for was, now in pairs),
        involuntary_switches=_whole(
            _grown((was.involuntary_switches, now.involuntary_switches) for was, now in pairs)
        ),
        migrations=_whole(_grown((was.migrations, now.migrations) for was, now in pairs)),
    )


_UNBORN = TaskState(0.0, 0.0, 0, 0)


def _grown(pairs: Iterable[tuple[float | None, float | None]]) -> float | None:
    """Sum of what grew; None where no pair is readable."""
    known = [max(0, now - was) for was, now in pairs if was is not None and now is not None]
    return sum(known) if known else None


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)


class StateReader:
    """Takes snapshots below a root folder."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._pressure = {resource: self._pressure_file(resource) for resource in RESOURCES}
        self._quota_files = quota_files(tree)
        self._sensors = tuple(islice(self._sensor_files(), MAX_SENSORS))

    def host(self, cpus: Sequence[int]) -> HostState:
        """Read the machine's counters; those of heat for these cpus."""
        stalled = {name: self._stalled_s(file) for name, file in self._pressure.items()}
        periods, seconds = throttling(self._tree, self._quota_files)
        return HostState(
            at_s=time.monotonic(),
            cpus=self._cpus(),
            stalled_s={name: value for name, value in stalled.items() if value is not None},
            throttled_periods=periods,
            throttled_s=seconds,
            heat_throttles=self._heat_throttles(cpus),
        )

    def process(self, pid: int) -> ProcessState | None:
        """Read a process's counters; None where it has ended or may not be looked at."""
        fields = (self._tree.text(f"proc/{pid}/stat") or "").rpartition(")")[2].split()
        # Fields 12 (major faults), 14 and 15 (time in programs and the kernel); the name is field 2.
        counts = [_number(field) for field in fields[9:13]]
        if len(counts) < 4 or None in counts:
            return None
        major, _, user, system = (count or 0 for count in counts)
        tasks = self._numbers(f"proc/{pid}/task")
        return ProcessState(
            (user + system) / TICKS_PER_S,
            major,
            {task: self._task(f"proc/{pid}/task/{task}") for task in tasks},
        )

    def frequency_hz(self, cpus: Sequence[int]) -> float | None:
        """Mean over some of these cpus, now."""
        step = max(1, len(cpus) // MAX_FREQUENCIES)
        files = (f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq" for cpu in cpus[::step])
        known = [kilohertz for file in files if (kilohertz := self._tree.integer(file))]
        return 1e3 * sum(known) / len(known) if known else None

    def temperature_c(self) -> float | None:
        """Of the hottest processor sensor, now."""
        known = [value for file in self._sensors if (value := self._tree.integer(file)) is not None]
        return max(known) / 1e3 if known else None

    def running_on(self, cpus: frozenset[int], but: frozenset[int]) -> tuple[str, ...]:
        """Processes that are running on these cpus at this moment, as `name pid`, at most three."""
        found = (self._running(pid, cpus) for pid in self._numbers("proc") if pid not in but)
        return tuple(islice((name for name in found if name), 3))

    def _running(self, pid: int, cpus: frozenset[int]) -> str:
        name, _, rest = (self._tree.text(f"proc/{pid}/stat") or "").rpartition(")")
        fields = rest.split()
        # Field 3 is the state, field 39 the cpu that it runs on.
        if len(fields) < 37 or fields[0] != "R" or _number(fields[36]) not in cpus:
            return ""
        shown = "".join(char if char.isprintable() else "?" for char in name.partition("(")[2])
        return f"{shown[:32]} {pid}"

    def _numbers(self, folder: str) -> list[int]:
        """The processes or threads in a folder of /proc."""
        return sorted(int(name) for name in self._tree.names(folder) if _number(name) is not None)

    def _cpus(self) -> dict[int, CpuTime]:
        lines = re.finditer(r"^cpu([0-9]{1,6}) ([0-9 ]+)$", self._tree.text("proc/stat") or "", re.MULTILINE)
        read = ((int(line[1]), [int(word) for word in line[2].split()]) for line in lines)
        found = {cpu: _cpu_time(ticks) for cpu, ticks in read if cpu <= MAX_CPU and len(ticks) >= 4}
        return {} if self._are_made_up(found) else found

    def _are_made_up(self, cpus: Mapping[int, CpuTime]) -> bool:
        """Whether lxcfs shows a container's cpus, counted from 0, which are others than those numbers say."""
        return self._tree.is_host and not os.sched_getaffinity(0) <= cpus.keys()

    def _stalled_s(self, file: str) -> float | None:
        found = re.search(r"^some .*total=([0-9]{1,20})$", self._tree.text(file) or "", re.MULTILINE)
        return int(found[1]) / 1e6 if found else None

    def _heat_throttles(self, cpus: Sequence[int]) -> int | None:
        folder = "sys/devices/system/cpu"
        files = (f"{folder}/cpu{cpu}/thermal_throttle/core_throttle_count" for cpu in cpus)
        known = [count for file in files if (count := self._tree.integer(file)) is not None]
        return sum(known) if known else None

    def _task(self, folder: str) -> TaskState:
        run, waited = _nanoseconds(self._tree.text(f"{folder}/schedstat"))
        return TaskState(
            run_s=run,
            waited_s=waited,
            involuntary_switches=self._after(f"{folder}/status", "nonvoluntary_ctxt_switches"),
            migrations=self._after(f"{folder}/sched", "se.nr_migrations"),
        )

    def _after(self, file: str, name: str) -> int | None:
        """The number after a name and a colon."""
        found = re.search(
            rf"^{re.escape(name)}\s*:\s*([0-9]{{1,20}})$", self._tree.text(file) or "", re.MULTILINE
        )
        return int(found[1]) if found else None

    def _pressure_file(self, resource: Resource) -> str:
        """The cgroup's own, where version 2 keeps one, else the machine's."""
        own = next(iter(Cgroups(self._tree).folders(2, "cpu")), None)
        file = f"{own}/{resource}.pressure"
        is_own = own is not None and self._stalled_s(file) is not None
        return file if is_own else f"proc/pressure/{resource}"

    def _sensor_files(self) -> Iterable[str]:
        for zone in self._tree.numbered("sys/class/thermal", "thermal_zone"):
            yield f"sys/class/thermal/thermal_zone{zone}/temp"
        for chip in self._tree.numbered("sys/class/hwmon", "hwmon"):
            folder = f"sys/class/hwmon/hwmon{chip}"
            if self._tree.text(f"{folder}/name") in _SENSOR_CHIPS:
                names = (name for name in self._tree.names(folder) if re.fullmatch(r"temp\d+_input", name))
                yield from (f"{folder}/{name}" for name in names)


def _cpu_time(ticks: Sequence[int]) -> CpuTime:
    """From user, nice, system, idle, iowait, irq, softirq, steal; guests are in user and nice already.

    Source: Linux, Documentation/filesystems/proc.rst, 1.7.
    """
    user, nice, system, _, _, irq, softirq, steal = (*ticks[:8], *[0] * (8 - len(ticks)))
    return CpuTime((user + nice + system + irq + softirq) / TICKS_PER_S, steal / TICKS_PER_S)


def _nanoseconds(schedstat: str | None) -> tuple[float | None, float | None]:
    """Seconds on a cpu and waiting for one. Source: Linux, Documentation/scheduler/sched-stats.rst."""
    words = [_number(word) for word in (schedstat or "").split()[:2]]
    if len(words) < 2 or words[0] is None or words[1] is None:
        return None, None
    return words[0] / 1e9, words[1] / 1e9


def _number(word: str) -> int | None:
    return int(word) if re.fullmatch(r"[0-9]{1,20}", word) else None
