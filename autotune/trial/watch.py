"""Looks at the host around every block of a trial, and says what it did meanwhile.

Everything happens between windows, and takes a few milliseconds; what cannot be read stays None.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from autotune.errors import MachineError
from autotune.machine.energy import Energy, EnergyReader, joules_between
from autotune.machine.state import StateReader
from autotune.machine.sysfs import Tree
from autotune.measurement.conditions import have_others_disturbed
from autotune.measurement.measurement import Conditions
from autotune.trial.account import Instance, Snapshot, conditions_between
from autotune.trial.speed import SecondsByCpu, SpeedProbe, UsualSpeed, mean_seconds, speed_probe

MAX_PROBED = 64
"""Cpus probed at most, evenly over the machine; always the same ones, because clocks depend on how many cores
are at work."""

FRESH_S = 0.1
"""A probe after one block is also the probe before the next one, if that follows so soon."""


class Watch:
    """What is known of the host over many trials: which cpus there are, and how fast they usually are."""

    def __init__(self, root: Path = Path("/")) -> None:
        """Look at what can be read.

        Args:
            root: of the /proc and /sys to read; speed is probed on the running machine only.

        Raises:
            MachineError: the root is not a folder that can be listed.
        """
        self._tree = Tree(root)
        self._reader = StateReader(self._tree)
        self._energy = EnergyReader(self._tree)
        self._allowed = self._allowed_cpus()
        self._probed = _spread(_first_of_each_core(self._tree, self._allowed), MAX_PROBED)
        self._usual = UsualSpeed()

    @contextmanager
    def over(self, pids: Sequence[int], cpus: Sequence[Sequence[int]]) -> Iterator[Observer]:
        """Watch one trial's workers, given by instance; an instance without cpus of its own may use all.

        They may still be loading. The probe's child is gone at the end.
        """
        allowed = frozenset(self._allowed)
        instances = [Instance(pid, frozenset(own) or allowed) for pid, own in zip(pids, cpus, strict=True)]
        if not self._tree.is_host:
            yield Observer(self._reader, instances, None, self._energy)
            return
        with speed_probe() as probe:
            prober = None if probe is None else _Prober(probe, self._probed, self._usual)
            yield Observer(self._reader, instances, prober, self._energy)

    def _allowed_cpus(self) -> tuple[int, ...]:
        if self._tree.is_host:
            return tuple(sorted(os.sched_getaffinity(0)))
        return tuple(sorted(self._reader.host(()).cpus))


class _Prober:
    """Asks for the speed of the same cpus again and again, and remembers what is usual."""

    def __init__(self, probe: SpeedProbe, cpus: Sequence[int], usual: UsualSpeed) -> None:
        self.pid = probe.pid
        self._probe = probe
        self._cpus = cpus
        self._usual = usual
        self._last: SecondsByCpu = {}
        self._last_s = -math.inf

    def fresh(self) -> SecondsByCpu:
        """What was measured just now, or is measured now."""
        return self._last if time.monotonic() - self._last_s < FRESH_S else self.now()

    def now(self) -> SecondsByCpu:
        """Measure."""
        self._last = self._probe.measure(self._cpus)
        self._last_s = time.monotonic()
        return self._last

    def judge(
        self, probes: Sequence[SecondsByCpu], cpus: frozenset[int]
    ) -> tuple[float | None, float | None]:
        """The mean seconds of these cpus in these probes, and how fast that is against what is usual."""
        probe_s = mean_seconds(probes, cpus)
        if probe_s is None:
            return None, None
        speed = self._usual.speed(probe_s)
        self._usual.learn(probe_s)
        return probe_s, speed


class Observer:
    """Watches the workers of one trial: `before` and `after` every block."""

    def __init__(
        self,
        reader: StateReader,
        instances: Sequence[Instance],
        prober: _Prober | None,
        energy: EnergyReader,
    ) -> None:
        self._reader = reader
        self._energy = energy
        self._energy_before: Energy = {}
        self._instances = instances
        self._cpus = frozenset[int]().union(*(instance.cpus for instance in instances))
        self._prober = prober
        self._own = {os.getpid(), *(() if prober is None else (prober.pid,))}
        self._before: Snapshot | None = None
        self._probe_before: SecondsByCpu = {}
        self._allowed_first = frozenset(os.sched_getaffinity(0))
        self._away_before = frozenset[int]()
        self._has_lost_cpus = False

    def adopt(self, pid: int) -> None:
        """Count a process as the trial's own that is no worker, such as a load generator."""
        self._own.add(pid)

    def before(self) -> None:
        """Look at the host; the last thing before the workers are told to measure."""
        if self._prober is not None:
            self._probe_before = self._prober.fresh()
        self._before = self._snapshot()
        self._away_before = self._away()
        self._energy_before = self._energy.read()

    def has_lost_cpus(self) -> bool:
        """Whether cpus of the instances are away now, or were at any look since the trial began."""
        self._away()
        return self._has_lost_cpus

    def after(self) -> Conditions:
        """Look again, and say what happened since `before`; the first thing when workers have answered."""
        energy_j = joules_between(self._energy_before, self._energy.read())
        after = self._snapshot()
        found = conditions_between(self._before or after, after, self._instances, self._own)
        is_shared = have_others_disturbed(found)
        cpus = sorted(self._cpus)
        probe_s, speed = self._speed()
        return replace(
            found,
            culprits=self._reader.running_on(self._cpus, self._processes()) if is_shared else (),
            frequency_hz=self._reader.frequency_hz(cpus),
            temperature_c=self._reader.temperature_c(),
            speed=speed,
            probe_s=probe_s,
            lost_cpus=len(self._lost_cpus(after)),
            energy_j=energy_j,
        )

    def _snapshot(self) -> Snapshot:
        states = {pid: self._reader.process(pid) for pid in self._processes()}
        return Snapshot(
            self._reader.host(sorted(self._cpus)),
            {pid: state for pid, state in states.items() if state is not None},
        )

    def _processes(self) -> frozenset[int]:
        return frozenset((*self._own, *(instance.pid for instance in self._instances)))

    def _speed(self) -> tuple[float | None, float | None]:
        if self._prober is None:
            return None, None
        return self._prober.judge((self._probe_before, self._prober.now()), self._cpus)

    def _lost_cpus(self, after: Snapshot) -> frozenset[int]:
        """The instances' cpus that went offline since `before`, or were away then or are now.

        What a cpuset takes away it takes from this process too; workers' own masks are their engines' affair.
        """
        before = frozenset(after.host.cpus) if self._before is None else frozenset(self._before.host.cpus)
        return (before - frozenset(after.host.cpus)) | self._away_before | self._away()

    def _away(self) -> frozenset[int]:
        """The instances' cpus that this process may not use now, and might when the trial began."""
        away = (self._allowed_first - os.sched_getaffinity(0)) & self._cpus
        self._has_lost_cpus |= bool(away)
        return away


def _first_of_each_core(tree: Tree, cpus: Sequence[int]) -> list[int]:
    """One cpu of each core, so that siblings do not slow each other down."""
    found: list[int] = []
    taken: set[int] = set()
    for cpu in cpus:
        if cpu not in taken:
            found.append(cpu)
            taken |= siblings(tree, cpu)
    return found


def siblings(tree: Tree, cpu: int) -> frozenset[int]:
    """The cpus of this cpu's core, itself among them; empty where that cannot be read."""
    try:
        return tree.cpu_list(f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") or frozenset()
    except MachineError:
        return frozenset()


def _spread(cpus: Sequence[int], count: int) -> tuple[int, ...]:
    """At most so many of them, evenly."""
    step = math.ceil(len(cpus) / count) if cpus else 1
    return tuple(cpus[::step])
