"""A machine as a smaller type of it would be: a number of its cores, and the memory that is near to them.

Which cores: those that an instance of so many threads would get, whole L3 groups, NUMA nodes and packages
before parts of them (`autotune.placement.packing`). They are of the same kind as the machine's others. What
a smaller machine may have less of, and these cores have still, `what_differs` says: nothing is made up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from autotune.errors import PlacementError
from autotune.machine.machine import Core, Machine
from autotune.placement.packing import Slot, pack
from autotune.placement.placement import Command
from autotune.placement.terrain import Terrain
from autotune.spec.configuration import Configuration
from autotune.units import format_bytes, format_count


def usable_cores(machine: Machine) -> int:
    """How many cores may compute at once: the allowed ones, no more than the CPU quota has cpus."""
    return min(len(machine.allowed_cores), machine.thread_budget)


def smaller(machine: Machine, cores: int) -> Machine:
    """Give the machine that has so many of this one's cores alone, with all their allowed siblings.

    Args:
        cores: 0 = all that may be used, with no bound on what a configuration takes: the machine as it is.

    Raises:
        PlacementError: it has fewer that may be used.
    """
    if not cores:
        return machine
    slot = _slot(machine, cores)
    if cores == len(machine.allowed_cores):
        return machine
    cpus = frozenset(cpu for seat in slot.seats for cpu in seat.core.cpus) & machine.allowed
    nodes = frozenset(slot.placement.memory_nodes) or machine.allowed_nodes
    return replace(machine, allowed=cpus, allowed_nodes=nodes)


def _slot(machine: Machine, cores: int) -> Slot:
    most = usable_cores(machine)
    if not 1 <= cores <= most:
        raise PlacementError(
            f"{format_count(cores, 'core')} cannot be taken: {most} may be used here",
            remedy=f"choose from 1 to {most} cores; what a larger machine does is not to be seen on this one",
        )
    terrain = Terrain(machine, range(len(machine.packages)), smt=False)
    return next(slot for slots in pack(terrain, cores, apart=False).values() for slot in slots)


def cores_taken(configuration: Configuration, commands: Sequence[Command], machine: Machine) -> int:
    """Count the cores that nobody else can use while the configuration serves.

    Where it is searched as on a smaller machine, these are all of that machine's, busy or not; else those on
    which its instances may run, of a machine under a quota no more than that.
    """
    if configuration.cores:
        return configuration.cores
    cores = machine.cores_of([cpu for command in commands for cpu in command.cpus])
    return min(cores, machine.thread_budget)


def what_differs(machine: Machine, cores: int) -> tuple[str, ...]:
    """Say in what these cores are better off here than a machine of so many cores may be; nothing of all."""
    part = smaller(machine, cores)
    taken = part.allowed_cores
    if len(taken) == len(machine.allowed_cores):
        return ()
    idle = len(machine.cores) - len(taken)
    return (
        f"Measured on {format_count(len(taken), 'core')}, as a smaller machine of the same kind, while "
        f"{format_count(idle, 'other core')} idled: {'; '.join(_advantages(machine, taken))}. "
        "A machine that has no more than these cores may be slower.",
    )


def _advantages(machine: Machine, taken: Sequence[Core]) -> Iterator[str]:
    """What they have beyond their own, as clauses."""
    groups = {core.l3 for core in taken}
    shared = [core for core in machine.cores if core.l3 in groups]
    if len(shared) > len(taken):
        yield f"they had the L3 cache of {format_count(len(shared), 'core')} to themselves"
    yield "the memory bandwidth and clock of the others were left to them"
    nodes = {core.node for core in taken}
    near = [core for core in machine.cores if core.node in nodes]
    if len(near) > len(taken) and (size := machine.bytes_of(nodes)):
        yield f"memory was that of {format_count(len(near), 'core')} ({format_bytes(size)})"
