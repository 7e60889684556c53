"""Places the instances of a configuration on a machine."""

from __future__ import annotations

from collections.abc import Mapping

from autotune.errors import MachineError, PlacementError
from autotune.machine.cpus import format_cpu_list, parse_cpu_list
from autotune.machine.machine import Machine
from autotune.placement.placement import InstancePlacement, Placement
from autotune.placement.policies import Ground, Taken
from autotune.placement.smaller import smaller
from autotune.placement.terrain import Level, Terrain
from autotune.spec.configuration import Configuration, PlacementPolicy

UNPINNED = InstancePlacement(cpus=(), memory_nodes=())

_WITHIN: Mapping[PlacementPolicy, tuple[str, Level]] = {
    "per-node": ("NUMA node", "node"),
    "per-l3": ("L3 group", "l3"),
}
"""What one instance must lie within, by policy."""


def place(configuration: Configuration, machine: Machine) -> Placement:
    """Give every instance its cpus and memory nodes; the same answer every time.

    Instances have disjoint cores, one cpu of each; with `smt` all allowed siblings of as many whole cores
    as the threads need. No cpu lies outside `Machine.allowed`, and no more threads run than its
    `thread_budget`. `autotune.placement.policies` says which cores; memory is bound to their nodes.
    `unpinned` instances are left to the kernel. A configuration of a smaller machine stays within that.

    Raises:
        PlacementError: the configuration is illegal here; says why, and what would be legal.
    """
    instances, threads = configuration.instances, configuration.threads_per_instance
    machine = smaller(machine, configuration.cores)
    if configuration.placement == "unpinned":
        if configuration.cores:
            raise PlacementError(
                f"what is not pinned cannot be kept to {configuration.cores} cores",
                remedy="pin it: use placement close, spread, per-node or per-l3",
            )
        _check_at_least(1, "instances", instances)
        return Placement((UNPINNED,) * instances)
    _check_counts(instances, threads, machine)
    ground = open_ground(machine, configuration.sockets, smt=configuration.smt)
    taken = ground.take(configuration.placement, instances, threads)
    if taken is None:
        raise _does_not_fit(configuration, ground)
    return placement_of(taken)


def placement_of(slots: Taken) -> Placement:
    """The value that leaves this room."""
    return Placement(tuple(slot.placement for slot in slots))


def open_ground(machine: Machine, sockets: str, *, smt: bool) -> Ground:
    """Where instances may be put on some sockets.

    Raises:
        PlacementError: the machine has no such socket, none of its cpus may be used, or no SMT.
    """
    terrain = Terrain(machine, _packages(machine, sockets), smt=smt)
    if not terrain.root.capacity:
        raise PlacementError(
            f"no cpu of sockets {sockets} may be used: only {format_cpu_list(machine.allowed)} are allowed",
            remedy=f"choose among sockets {format_cpu_list(usable_packages(machine))}",
        )
    if smt and terrain.siblings == 1:
        raise PlacementError(
            f"no core of sockets {sockets} has two SMT siblings that may be used", remedy="use smt: false"
        )
    return Ground(terrain)


def usable_packages(machine: Machine) -> tuple[int, ...]:
    """Indices of the packages with an allowed cpu."""
    return tuple(index for index, cpus in enumerate(machine.packages) if cpus & machine.allowed)


def _packages(machine: Machine, sockets: str) -> frozenset[int]:
    there = range(len(machine.packages))
    try:
        packages = parse_cpu_list(sockets)
    except MachineError as error:
        raise PlacementError(f"{sockets!r} is not a list of sockets", remedy=error.remedy) from error
    if not packages or not packages <= set(there):
        raise PlacementError(
            f"sockets {sockets!r} are not on this machine", remedy=f"choose among {format_cpu_list(there)}"
        )
    return packages


def _check_at_least(least: int, name: str, value: int) -> None:
    if value < least:
        raise PlacementError(f"{value} is not a number of {name}", remedy=f"use at least {least}")


def _check_counts(instances: int, threads: int, machine: Machine) -> None:
    _check_at_least(1, "instances", instances)
    _check_at_least(1, "threads of a pinned instance", threads)
    budget = machine.thread_budget
    if instances * threads <= budget:
        return
    reason = f"{len(machine.allowed)} allowed cpus"
    if machine.quota_cpus is not None:
        reason += f" and a quota of {machine.quota_cpus:g} cpus"
    raise PlacementError(
        f"{instances} x {threads} = {instances * threads} threads are more than may run here: {reason}",
        remedy=f"instances x threads must be at most {budget}",
    )


def _does_not_fit(configuration: Configuration, ground: Ground) -> PlacementError:
    policy, threads = configuration.placement, configuration.threads_per_instance
    problem = (
        f"{configuration.instances} instances of {threads} threads do not fit on sockets "
        f"{configuration.sockets} with placement {policy}"
    )
    packing = ground.packing(threads)
    groups = {"per-node": packing.by_node, "per-l3": packing.by_l3}.get(policy, (packing.close,))
    most = sum(map(len, groups))
    if not most:
        return _too_large(problem, policy, ground)
    remedy = f"at most {most} instances of {threads} threads fit"
    if policy == "per-node":
        held = ", ".join(str(len(group)) for group in groups)
        remedy += f", equally many on every node used; the nodes hold {held}"
    return PlacementError(problem, remedy=remedy)


def _too_large(problem: str, policy: PlacementPolicy, ground: Ground) -> PlacementError:
    """For when not even one instance fits."""
    name, level = _WITHIN.get(policy, ("part of the machine", "machine"))
    largest = max(domain.capacity for domain in ground.terrain.domains(level))
    return PlacementError(
        f"{problem}: the largest {name} takes {largest}", remedy=f"use at most {largest} threads"
    )
