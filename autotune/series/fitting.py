"""Fits a point's layout to the machine: numbers of cores, instances and threads, or why it does not fit."""

from __future__ import annotations

from dataclasses import dataclass

from autotune.machine.cpus import format_cpu_list
from autotune.machine.machine import Machine
from autotune.series.values import PointLayout
from autotune.spec.configuration import Configuration


@dataclass(frozen=True)
class Misfit:
    """A point that this machine cannot run.

    Attributes:
        reason: as a part of a sentence.
    """

    reason: str


@dataclass(frozen=True)
class Fitted:
    """A point as it runs on this machine.

    Attributes:
        cores: that it was given; its instances may leave some of them idle.
    """

    configuration: Configuration
    cores: int


def fit(layout: PointLayout, machine: Machine) -> Fitted | Misfit:
    """Turn what is relative to the machine into numbers."""
    there = cores_here(machine)
    wanted = _cores(layout.cores, machine)
    if isinstance(wanted, Misfit):
        return wanted
    if wanted > there:
        return Misfit(f"it needs {_count(wanted, 'core')}; this machine has {there}")
    instances = wanted if layout.instances == "cores" else layout.instances
    threads = max(1, wanted // instances) if layout.threads == "cores" else layout.threads
    if instances * threads > wanted:
        needs = f"{instances} x {threads} threads need {_count(instances * threads, 'core')}"
        has = f"this machine has {there}" if wanted == there else f"it is given {wanted}"
        return Misfit(f"{needs}; {has}")
    return Fitted(_configuration(layout, machine, instances, threads), wanted)


def cores_here(machine: Machine) -> int:
    """How many cores may compute at once: the allowed ones, less what a CPU quota takes away."""
    return min(len(machine.allowed_cores), machine.thread_budget)


def _cores(wanted: int | str, machine: Machine) -> int | Misfit:
    if isinstance(wanted, int):
        return wanted
    if wanted == "all":
        return cores_here(machine)
    part, slash, whole = wanted.partition("/")
    if slash:
        return _part_of_cores(int(part), int(whole), cores_here(machine))
    first, _, needed = wanted.partition(" of ")
    return _cores_of_sockets(int(first.split()[0]), int((needed or first).split()[0]), machine)


def _part_of_cores(part: int, whole: int, there: int) -> int | Misfit:
    """A part of the cores, at least one; a true part is never all of them."""
    cores = max(1, there * part // whole)
    if part < whole and cores == there:
        return Misfit(f"{part}/{whole} of its cores would be all of them; this machine has {there}")
    return cores


def _cores_of_sockets(sockets: int, needed: int, machine: Machine) -> int | Misfit:
    """The cores of the first sockets of which any may be used, where there are as many as needed."""
    used = sorted({core.package for core in machine.allowed_cores})
    if needed > len(used):
        return Misfit(f"it needs {_count(needed, 'socket')}; this machine has {len(used)}")
    return sum(core.package in used[:sockets] for core in machine.allowed_cores)


def _configuration(layout: PointLayout, machine: Machine, instances: int, threads: int) -> Configuration:
    return Configuration(
        instances=instances,
        threads_per_instance=threads,
        placement=layout.placement,
        sockets=format_cpu_list(range(len(machine.packages))),
        smt=False,
        backend=layout.engine,
        precision=layout.precision,
        knobs=layout.knobs,
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
