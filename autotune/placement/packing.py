"""Cuts the terrain into slots for instances of one size; boundaries are crossed only where they must be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from autotune.placement.placement import InstancePlacement
from autotune.placement.terrain import LEVELS, Domain, Level, Seat, Terrain

_ABOVE_PACKAGES: tuple[Level, ...] = ("machine", "kind")


@dataclass(frozen=True, eq=False)
class Slot:
    """Room for one instance.

    Attributes:
        placement: its cpus and memory nodes.
        seats: the cores that it takes.
        nodes, l3: numbers of the NUMA nodes and indices of the L3 groups that it touches.
    """

    placement: InstancePlacement
    seats: tuple[Seat, ...]
    nodes: frozenset[int]
    l3: frozenset[int]


Slots = Mapping[Domain, Sequence[Slot]]
"""Disjoint slots of one size by the domain that each lies in; all of these domains are of one level."""


def pack(terrain: Terrain, threads: int, *, apart: bool) -> Slots:
    """Cut as many slots for `threads` threads as fit, filling one domain after the other.

    A slot lies within one L3 group, node, package or core kind whenever the largest such domain can hold
    it. One that cannot be held takes as few domains of that level as possible, the nearest ones first, and
    the remainder where it leaves most unbroken. Slots that cross packages share none with each other:
    else some would touch more nodes than they need.

    Args:
        apart: slots that cross nodes or L3 groups share none with each other either; fewer may fit.
    """
    homes = _homes(terrain, threads)
    least = min((_least_children(home, threads) for home in homes), default=0)
    return {
        home: [_slot(terrain, seats) for seats in _Pool(home, terrain).cut(threads, least, apart=apart)]
        for home in homes
    }


def _homes(terrain: Terrain, threads: int) -> tuple[Domain, ...]:
    """The domains of the lowest level that can hold a slot, those that are too small left out."""
    for level in reversed(LEVELS):
        fitting = tuple(domain for domain in terrain.domains(level) if domain.capacity >= threads)
        if fitting:
            return fitting
    return ()


def _least_children(home: Domain, threads: int) -> int:
    """How many children an instance needs at least; 0 in an L3 group."""
    count = 0
    for capacity in sorted((child.capacity for child in home.children), reverse=True):
        if threads <= 0:
            break
        threads -= capacity
        count += 1
    return count


def _slot(terrain: Terrain, seats: Sequence[Seat]) -> Slot:
    nodes = frozenset(seat.core.node for seat in seats)
    cpus = tuple(sorted(cpu for seat in seats for cpu in seat.cpus))
    return Slot(
        InstancePlacement(cpus, terrain.memory_nodes(nodes)),
        tuple(seats),
        nodes,
        frozenset(seat.core.l3 for seat in seats),
    )


class _Pool:
    """What is left of a domain while slots are cut from it."""

    def __init__(self, domain: Domain, terrain: Terrain) -> None:
        self.domain = domain
        self.free = domain.capacity
        self._terrain = terrain
        self._seats = iter(domain.seats)
        self._children = [_Pool(child, terrain) for child in domain.children]

    def cut(self, threads: int, least: int, *, apart: bool) -> Iterator[list[Seat]]:
        """Slots until no more fit; each takes at most `least` children."""
        while self.free >= threads:
            if not self._children:
                yield self._take(threads)
            elif shares := self._shares(threads, least, apart=apart):
                yield self._take_shares(shares)
            else:
                return

    def _take(self, threads: int) -> list[Seat]:
        """Take the cores for `threads` threads; there are enough."""
        if self._children:
            return self._take_shares(self._remainder(threads))
        taken = []
        while threads > 0:
            seat = next(self._seats)
            taken.append(seat)
            threads -= len(seat.cpus)
            self.free -= len(seat.cpus)
        return taken

    def _take_shares(self, shares: Iterable[tuple[_Pool, int]]) -> list[Seat]:
        before = sum(child.free for child in self._children)
        taken = [seat for child, part in shares for seat in child._take(part)]
        self.free -= before - sum(child.free for child in self._children)
        return taken

    def _shares(self, threads: int, least: int, *, apart: bool) -> list[tuple[_Pool, int]] | None:
        """The children of one slot and how many threads each takes; None if none has the room left."""
        apart = apart or self.domain.level in _ABOVE_PACKAGES
        usable = [one for one in self._children if (one._is_whole() if apart else one.free)]
        tried = (self._spill(threads, self._from(start, usable)) for start in usable)
        return next((shares for shares in tried if shares is not None and len(shares) <= least), None)

    def _remainder(self, threads: int) -> list[tuple[_Pool, int]]:
        """The children for the part of a slot that ends here: the fullest one that has the room."""
        roomy = [child for child in self._children if child.free >= threads]
        if roomy:
            return [(min(roomy, key=lambda child: child.free), threads)]
        usable = [child for child in self._children if child.free]
        shares = self._spill(threads, self._from(max(usable, key=lambda child: child.free), usable))
        assert shares is not None, "a part is never larger than what its domain has left"
        return shares

    def _from(self, start: _Pool, usable: Iterable[_Pool]) -> list[_Pool]:
        """`start`, then the others: nearest first, among equally near ones the emptiest."""
        others = [child for child in usable if child is not start]
        others.sort(key=lambda child: (self._terrain.distance(start.domain, child.domain), -child.free))
        return [start, *others]

    def _is_whole(self) -> bool:
        return self.free == self.domain.capacity

    @staticmethod
    def _spill(threads: int, pools: Iterable[_Pool]) -> list[tuple[_Pool, int]] | None:
        """Fill one pool after the other; None if they are too small."""
        shares = []
        for pool in pools:
            part = min(threads, pool.free)
            shares.append((pool, part))
            threads -= part
            if not threads:
                return shares
        return None
