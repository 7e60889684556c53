"""The placement policies: which slots the instances take, in which order.

The examples show 2 packages of 2 nodes of 2 L3 groups of 2 cores; each letter is a core of that instance.

```
package           0               1
node          0       1       2       3
L3 group    0   1   2   3   4   5   6   7
core        01  23  45  67  89  ..  ..  .f

4 instances x 1 thread
close       AB  CD  ..  ..  ..  ..  ..  ..
spread      A.  ..  C.  ..  B.  ..  D.  ..
per-node    A.  ..  B.  ..  C.  ..  D.  ..
per-l3      A.  B.  C.  D.  ..  ..  ..  ..

6 instances x 1 thread
close       AB  CD  EF  ..  ..  ..  ..  ..
spread      A.  E.  C.  ..  B.  F.  D.  ..
per-node    A.  B.  C.  D.  E.  F.  ..  ..
per-l3      A.  B.  C.  D.  E.  F.  ..  ..

2 instances x 3 threads (more than an L3 group has)
close       AA  A.  BB  B.  ..  ..  ..  ..
spread      AA  A.  ..  ..  BB  B.  ..  ..
per-node    AA  A.  BB  B.  ..  ..  ..  ..
per-l3      illegal

3 instances x 5 threads (more than a node has): illegal, each package holds one
2 instances x 5 threads
close       AA  AA  A.  ..  BB  BB  B.  ..
spread      AA  AA  A.  ..  BB  BB  B.  ..
per-node    illegal
```

* `close` fills one L3 group, node and package after the other.
* `spread` deals the instances in turn to the packages, each package's in turn to its nodes, each node's
  in turn to its L3 groups. Instances that cross L3 groups (nodes, packages) share none with each other
  for as long as there are enough.
* `per-node` gives equally many instances to as many nodes as it can, the first ones, and deals each node's in
  turn to its L3 groups. Illegal when an instance needs more than one node, or no number of nodes divides
  the instances into parts that fit.
* `per-l3` deals the instances in turn to the L3 groups, the first ones. Illegal when an instance needs more
  than one.

On a machine of one NUMA node all of them use performance cores before efficiency cores, and never mix the
two in an instance that either could hold; with more nodes, staying within a node comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain, zip_longest

from autotune.placement.packing import Slot, Slots, pack
from autotune.placement.terrain import Domain, Terrain
from autotune.spec.configuration import PlacementPolicy

Taken = tuple[Slot, ...]


class Packing:
    """The slots of one size in the orders in which the policies use them."""

    def __init__(self, terrain: Terrain, slots: Slots) -> None:
        self._root = terrain.root
        self._slots = slots

    @cached_property
    def close(self) -> Taken:
        """One domain after the other."""
        return tuple(chain.from_iterable(self._slots.values()))

    @cached_property
    def spread(self) -> Taken:
        """Dealt over packages, nodes and L3 groups."""
        return tuple(self._deal(self._root))

    @cached_property
    def by_node(self) -> tuple[Taken, ...]:
        """The slots within one node, for each node."""
        return _grouped((next(iter(slot.nodes)), slot) for slot in self._in_order() if len(slot.nodes) == 1)

    @cached_property
    def by_l3(self) -> tuple[Taken, ...]:
        """The slots within one L3 group, for each group."""
        return _grouped((next(iter(slot.l3)), slot) for slot in self._in_order() if len(slot.l3) == 1)

    @cached_property
    def per_l3(self) -> Taken:
        """Dealt over L3 groups."""
        return tuple(_in_turn(self.by_l3))

    def _in_order(self) -> Iterator[Slot]:
        """Nodes and L3 groups appear as `close` has them, each one's slots as `spread` has them."""
        firsts = {slot.nodes: None for slot in self.close}
        rank = {nodes: place for place, nodes in enumerate(firsts)}
        return iter(sorted(self.spread, key=lambda slot: rank[slot.nodes]))

    def _deal(self, domain: Domain) -> Iterator[Slot]:
        if domain in self._slots:
            return iter(self._slots[domain])
        parts = [list(self._deal(child)) for child in domain.children]
        return chain.from_iterable(parts) if domain.level == "machine" else _in_turn(parts)


class Ground:
    """Where instances may be put, and the slots for every size that was asked for."""

    def __init__(self, terrain: Terrain) -> None:
        self.terrain = terrain
        self._packings: dict[tuple[int, bool], Packing] = {}

    def take(self, policy: PlacementPolicy, instances: int, threads: int) -> Taken | None:
        """The slots of `instances` instances under a policy; None where that is illegal."""
        if policy == "close":
            return _first(self.packing(threads).close, instances)
        for apart in (True, False):
            packing = self.packing(threads, apart=apart)
            if policy == "per-node":
                taken = _equally(packing.by_node, instances)
            else:
                taken = _first(packing.spread if policy == "spread" else packing.per_l3, instances)
            if taken is not None:
                return taken
        return None

    def packing(self, threads: int, *, apart: bool = False) -> Packing:
        """The slots for `threads` threads."""
        key = (threads, apart)
        if key not in self._packings:
            self._packings[key] = Packing(self.terrain, pack(self.terrain, threads, apart=apart))
        return self._packings[key]


def _first(slots: Taken, count: int) -> Taken | None:
    return slots[:count] if len(slots) >= count else None


def _equally(groups: Sequence[Taken], instances: int) -> Taken | None:
    """The same number from each of as many groups as possible, the first ones that have it."""
    for used in range(min(len(groups), instances), 0, -1):
        share, rest = divmod(instances, used)
        able = [group for group in groups if len(group) >= share]
        if not rest and len(able) >= used:
            return tuple(chain.from_iterable(group[:share] for group in able[:used]))
    return None


def _in_turn(parts: Iterable[Sequence[Slot]]) -> Iterator[Slot]:
    return (slot for turn in zip_longest(*parts) for slot in turn if slot is not None)


def _grouped(labelled: Iterable[tuple[int, Slot]]) -> tuple[Taken, ...]:
    found: dict[int, list[Slot]] = {}
    for label, slot in labelled:
        found.setdefault(label, []).append(slot)
    return tuple(map(tuple, found.values()))
