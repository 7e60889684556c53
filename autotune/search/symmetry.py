"""Tells placements that are the same but for the names of equal parts of the machine."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from autotune.machine.machine import Core, Machine, NumaNode
from autotune.placement.packing import Slot
from autotune.placement.policies import Taken
from autotune.placement.terrain import Seat

Path = tuple[int, ...]
"""A part of the machine: () all of it, (package,), (package, node), (package, node, l3)."""

LEAF_DEPTH = 3

MEMORY_STEPS_PER_DOUBLING = 8
"""Nodes whose memory rounds to one step are alike: firmware keeps some of the first node's for itself."""

_Use = tuple[tuple[Path, int], ...]
"""What one instance takes: L3 groups, and a number for how much of each."""


@dataclass(frozen=True)
class _Part:
    """A part of the machine as it was built.

    Attributes:
        rank: its place among its siblings.
        build: equal for parts that some reordering of their insides makes equal.
        exact_build: equal for parts that are equal as they are.
    """

    rank: int
    build: int
    exact_build: int


class Symmetry:
    """Gives equal keys to placements that some renaming of equal hardware turns into each other.

    Instances have no order, nor have cores of one L3 group with as many siblings. L3 groups of a node,
    nodes of a package and packages may change places if they are built and allowed alike; nodes and
    packages only where all nodes of a package are equally far from each other, and all packages too. Sound,
    not complete: placements that are the same may get different keys where instances cross L3 groups.
    On machines that are hybrid or no tree, only equal cpus are equal.
    """

    def __init__(self, machine: Machine) -> None:
        self._numbers: dict[Hashable, int] = {}
        self._uses: dict[Slot, _Use] = {}
        self._parts: dict[Path, _Part] = {}
        if _is_tree(machine):
            self._describe(machine)

    def key(self, threads: int, slots: Taken) -> Hashable:
        """The key of instances of `threads` threads on these slots."""
        if not self._parts:
            return threads, frozenset(slot.placement for slot in slots)
        uses = [self._use(slot) for slot in slots]
        depth = min(map(_common_depth, uses))
        return threads, self._fold(self._used_parts(uses, depth), depth)

    def _use(self, slot: Slot) -> _Use:
        if slot not in self._uses:
            seats = sorted((_leaf(seat.core), _likeness(seat)) for seat in slot.seats)
            self._uses[slot] = tuple(
                (leaf, self._number(*(likeness for _, likeness in group)))
                for leaf, group in groupby(seats, key=lambda seat: seat[0])
            )
        return self._uses[slot]

    def _used_parts(self, uses: Iterable[_Use], depth: int) -> dict[Path, int]:
        """The parts at a depth within which the instances stay, with a number for what is taken of each."""
        found: dict[Path, list[int]] = {}
        for use in uses:
            within = ((self._ranks(leaf, depth), taken) for leaf, taken in use)
            found.setdefault(use[0][0][:depth], []).append(self._number("use", *within))
        return {
            path: self._number("part", self._parts[path].exact_build, *sorted(taken))
            for path, taken in found.items()
        }

    def _fold(self, parts: dict[Path, int], depth: int) -> int:
        """One number for the whole machine, blind to the order of like parts."""
        for length in range(depth - 1, -1, -1):
            above: dict[Path, list[int]] = {}
            for path, number in parts.items():
                above.setdefault(path[:length], []).append(number)
            parts = {
                path: self._number("whole", self._parts[path].build, *sorted(below))
                for path, below in above.items()
            }
        return parts[()]

    def _ranks(self, leaf: Path, depth: int) -> Path:
        """Where an L3 group lies within the part at a depth."""
        return tuple(self._parts[leaf[:length]].rank for length in range(depth + 1, LEAF_DEPTH + 1))

    def _describe(self, machine: Machine) -> None:
        """Fill in every part of the machine, leaves first."""
        labels = _labels(machine)
        leaves: dict[Path, list[tuple[int, int]]] = {}
        for core in machine.cores:
            allowed = sum(cpu in machine.allowed for cpu in core.cpus)
            leaves.setdefault(_leaf(core), []).append((allowed, len(core.cpus)))
        paths = sorted({leaf[:length] for leaf in leaves for length in range(LEAF_DEPTH + 1)}, key=len)
        inside: dict[Path, list[Path]] = {}
        for path in sorted(paths):
            if path:
                inside.setdefault(path[:-1], []).append(path)
        for path in sorted(paths, key=len, reverse=True):
            below = inside.get(path, [])
            own = (len(path), labels.get(path), *sorted(leaves.get(path, ())))
            self._parts[path] = _Part(
                rank=inside[path[:-1]].index(path) if path else 0,
                build=self._number("build", own, *sorted(self._parts[one].build for one in below)),
                exact_build=self._number("exact", own, *(self._parts[one].exact_build for one in below)),
            )

    def _number(self, *value: Hashable) -> int:
        """A small number for a value: equal for equal values."""
        return self._numbers.setdefault(value, len(self._numbers))


def _leaf(core: Core) -> Path:
    return core.package, core.node, core.l3


def _likeness(seat: Seat) -> tuple[int, int, int]:
    """What an instance sees of a core."""
    return len(seat.cpus), seat.allowed, len(seat.core.cpus)


def _common_depth(use: _Use) -> int:
    """The depth of the smallest part that an instance stays within."""
    first, last = use[0][0], use[-1][0]
    return next((depth for depth in range(LEAF_DEPTH) if first[depth] != last[depth]), LEAF_DEPTH)


def _is_tree(machine: Machine) -> bool:
    """Whether every L3 group lies in one node and every node in one package, all cores of one kind."""
    nodes = {core.l3: core.node for core in machine.cores}
    packages = {core.node: core.package for core in machine.cores}
    kinds = {core.kind for core in machine.cores}
    return len(kinds) == 1 and all(
        nodes[core.l3] == core.node and packages[core.node] == core.package for core in machine.cores
    )


def _labels(machine: Machine) -> dict[Path, Hashable]:
    """What tells a node from another besides its cores; its number where nodes cannot change places."""
    package_of = {core.node: core.package for core in machine.cores}
    nodes = [node for node in machine.nodes if node.number in package_of]
    alike = _is_evenly_distant(nodes, package_of)
    return {
        (package_of[node.number], node.number): (
            _memory_step(node.memory_bytes),
            node.number in machine.allowed_nodes,
            _memory_around(node, machine),
            None if alike else node.number,
        )
        for node in nodes
    }


def _memory_around(node: NumaNode, machine: Machine) -> tuple[tuple[int, int], ...]:
    """Of a node that brings no memory, how far that of nodes without cpus is, and how large; ascending."""
    usable = {other.number for other in machine.nodes if other.memory_bytes} & machine.allowed_nodes
    if node.number in usable:
        return ()
    distances = dict(node.distances)
    around = (other for other in machine.nodes if other.number in usable and not other.cpus)
    return tuple(
        sorted((distances.get(other.number, 0), _memory_step(other.memory_bytes)) for other in around)
    )


def _is_evenly_distant(nodes: Sequence[NumaNode], package_of: dict[int, int]) -> bool:
    found: dict[bool, set[int | None]] = {True: set(), False: set()}
    for node in nodes:
        distances = dict(node.distances)
        for other in nodes:
            if other is not node:
                same_package = package_of[node.number] == package_of[other.number]
                found[same_package].add(distances.get(other.number))
    return all(len(distances) <= 1 for distances in found.values())


def _memory_step(memory_bytes: int | None) -> int:
    return round(MEMORY_STEPS_PER_DOUBLING * math.log2(memory_bytes)) if memory_bytes else 0
