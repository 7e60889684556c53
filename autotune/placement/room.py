"""Says how much memory the instances of a placement may use, whether it is used already or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from autotune.machine.cpus import format_cpu_list
from autotune.machine.machine import Machine
from autotune.placement.placement import Placement
from autotune.units import format_bytes


@dataclass(frozen=True)
class Room:
    """Memory that instances share.

    Attributes:
        name: of this memory, as the end of a sentence has it.
        size_bytes: how much there is.
        instances: how many instances of the placement may use nothing else.
    """

    name: str
    size_bytes: int
    instances: int

    def __str__(self) -> str:
        return f"{format_bytes(self.size_bytes)} {self.name}"


@dataclass(frozen=True)
class Rooms:
    """The memory of a placement.

    Attributes:
        smallest: where a single instance has least; None where no size is known.
        tightest: where instances have least each; None where no size is known.
    """

    smallest: Room | None
    tightest: Room | None


def rooms_of(placement: Placement, machine: Machine) -> Rooms:
    """Find the least memory of a placement's instances: that of the nodes they are bound to, or of all."""
    rooms = list(_rooms(placement, machine))
    return Rooms(
        smallest=min(rooms, key=lambda room: room.size_bytes, default=None),
        tightest=min(rooms, key=lambda room: room.size_bytes / room.instances, default=None),
    )


def _rooms(placement: Placement, machine: Machine) -> Iterator[Room]:
    everything = len(placement.instances)
    if machine.memory_limit_bytes is not None:
        yield Room("within the memory limit of the cgroup", machine.memory_limit_bytes, everything)
    usable_bytes = machine.allowed_memory_bytes
    if usable_bytes is not None:
        yield Room("on the memory nodes that this process may use", usable_bytes, everything)
    for nodes in sorted({instance.memory_nodes for instance in placement.instances if instance.memory_nodes}):
        bound_bytes = machine.bytes_of(nodes)
        if bound_bytes is not None:
            word = "node" if len(nodes) == 1 else "nodes"
            bound = sum(_is_within(instance.memory_nodes, nodes) for instance in placement.instances)
            yield Room(
                f"on memory {word} {format_cpu_list(nodes)}, to which memory is bound", bound_bytes, bound
            )


def _is_within(nodes: tuple[int, ...], others: tuple[int, ...]) -> bool:
    return bool(nodes) and set(nodes) <= set(others)
