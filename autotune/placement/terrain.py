"""What may be used of a machine, as a tree of domains: core kind, package, NUMA node, L3 group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Literal

from autotune.machine.machine import Core, Machine

Level = Literal["machine", "kind", "package", "node", "l3"]
LEVELS: tuple[Level, ...] = ("machine", "kind", "package", "node", "l3")
"""From the root to the leaves. Kinds stand above packages, so that efficiency cores come last everywhere."""

LOCAL_DISTANCE, REMOTE_DISTANCE = 10, 20
"""What Linux assumes where the firmware has no table. Source: include/linux/topology.h."""

_KEYS: Mapping[Level, Callable[[Core], int]] = {
    "kind": lambda core: int(core.kind == "efficiency"),
    "package": lambda core: core.package,
    "node": lambda core: core.node,
    "l3": lambda core: core.l3,
}


@dataclass(frozen=True)
class Seat:
    """One core that an instance may take, as a whole.

    Attributes:
        cpus: what an instance gets of it: one cpu, or with SMT every allowed sibling.
        allowed: how many of its siblings are allowed.
        core: as the machine has it.
    """

    cpus: tuple[int, ...]
    allowed: int
    core: Core


@dataclass(frozen=True, eq=False)
class Domain:
    """A part of the machine within which cores are near each other.

    Attributes:
        children: domains of the next level, ascending by number; empty for an L3 group.
        seats: its cores; in an L3 group those with most cpus first, then by number.
        capacity: threads that it takes.
    """

    level: Level
    children: tuple[Domain, ...]
    seats: tuple[Seat, ...]
    capacity: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "capacity", sum(len(seat.cpus) for seat in self.seats))

    @cached_property
    def nodes(self) -> frozenset[int]:
        """Numbers of the NUMA nodes that it touches."""
        return frozenset(seat.core.node for seat in self.seats)


class Terrain:
    """The cores of some packages of a machine that instances may take.

    Attributes:
        root: the tree, `machine` at its top.
        siblings: the most cpus that one core gives.
    """

    def __init__(self, machine: Machine, packages: Iterable[int], *, smt: bool) -> None:
        chosen = frozenset(packages)
        cores = [core for core in machine.cores if core.package in chosen]
        seats = [seat for core in cores if (seat := _seat(core, machine.allowed, smt=smt))]
        self.root = _domain("machine", seats)
        self.siblings = max((len(seat.cpus) for seat in seats), default=0)
        self._machine = machine
        self._distances = {node.number: dict(node.distances) for node in machine.nodes}
        self._memory: dict[frozenset[int], tuple[int, ...]] = {}

    def domains(self, level: Level) -> tuple[Domain, ...]:
        """Every domain of a level, depth first."""
        found: tuple[Domain, ...] = (self.root,)
        for _ in range(LEVELS.index(level)):
            found = tuple(child for domain in found for child in domain.children)
        return found

    def distance(self, a: Domain, b: Domain) -> float:
        """The mean distance between the nodes of two domains."""
        pairs = [self._node_distance(one, other) for one in a.nodes for other in b.nodes]
        return sum(pairs) / len(pairs)

    def memory_nodes(self, nodes: frozenset[int]) -> tuple[int, ...]:
        """The nodes that an instance on the cores of `nodes` binds its memory to.

        Each of its nodes brings itself, where its memory may be used, and every other node that is as near;
        where it has none, all those that are nearest. Nothing is bound where one node alone has memory, as
        there is nowhere else for memory to lie and a launch script then needs no numactl; nor where no node's
        memory may be used, nor where the kernel's account of the nodes contradicts itself.
        """
        if nodes not in self._memory:
            self._memory[nodes] = self._memory_nodes(nodes)
        return self._memory[nodes]

    def _memory_nodes(self, nodes: frozenset[int]) -> tuple[int, ...]:
        with_memory = frozenset(node.number for node in self._machine.nodes if node.memory_bytes != 0)
        if self._machine.doubtful_nodes or len(with_memory) < 2:
            return ()
        usable = with_memory & self._machine.allowed_nodes
        return tuple(sorted(frozenset[int]().union(*(self._nearest(node, usable) for node in nodes))))

    def _nearest(self, node: int, usable: frozenset[int]) -> frozenset[int]:
        """Those of the usable nodes that are nearest to a node."""
        if not usable:
            return frozenset()
        nearest = node if node in usable else min(usable, key=lambda other: self._node_distance(node, other))
        bound = self._node_distance(node, nearest)
        return frozenset(other for other in usable if self._node_distance(node, other) <= bound)

    def _node_distance(self, a: int, b: int) -> int:
        known = self._distances.get(a, {}).get(b)
        return known or (LOCAL_DISTANCE if a == b else REMOTE_DISTANCE)


def _seat(core: Core, allowed: frozenset[int], *, smt: bool) -> Seat | None:
    cpus = tuple(cpu for cpu in core.cpus if cpu in allowed)
    return Seat(cpus if smt else cpus[:1], len(cpus), core) if cpus else None


def _domain(level: Level, seats: Sequence[Seat]) -> Domain:
    if level == "l3":
        return Domain(level, (), tuple(sorted(seats, key=lambda seat: (-len(seat.cpus), seat.cpus))))
    below = LEVELS[LEVELS.index(level) + 1]

    # Core kinds are kept apart within a node only: else instances would cross nodes for the sake of a kind.
    mixes = below == "kind" and len({seat.core.node for seat in seats}) > 1

    def number(seat: Seat) -> int:
        return 0 if mixes else _KEYS[below](seat.core)

    groups = groupby(sorted(seats, key=number), key=number)
    children = tuple(_domain(below, list(group)) for _, group in groups)
    return Domain(level, children, tuple(seat for child in children for seat in child.seats))
