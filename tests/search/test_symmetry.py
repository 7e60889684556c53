"""Placements get equal keys only where renaming equal hardware turns one into the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations, product

import pytest

from autotune.machine.machine import Machine
from autotune.placement.place import open_ground
from autotune.placement.policies import Taken
from autotune.search.symmetry import Symmetry
from autotune.spec.configuration import POLICIES, PlacementPolicy
from autotune.testing.machines import build_machine

TREE = build_machine(packages=2, nodes_per_package=2, l3_per_node=2, cores_per_node=4, threads_per_core=1)
SOCKETS = ("0", "1", "0-1")
GIB = 1 << 30


def placed(machine: Machine, threads: int) -> Iterator[Taken]:
    """Every legal placement of up to six instances."""
    for sockets in SOCKETS:
        ground = open_ground(machine, sockets, smt=False)
        for instances, policy in product(range(1, 7), POLICIES):
            if taken := ground.take(policy, instances, threads):
                yield taken


def take(machine: Machine, policy: PlacementPolicy, instances: int, threads: int, sockets: str) -> Taken:
    taken = open_ground(machine, sockets, smt=False).take(policy, instances, threads)
    assert taken is not None
    return taken


def pictures(taken: Taken) -> set[tuple[tuple[tuple[int, ...], ...], ...]]:
    """The placement under every renaming of packages, of nodes in a package, of L3 groups in a node.

    By brute force: each renaming rewrites the path (package 0-1, node 0-1 in it, L3 group 0-1 in it) of
    every core taken; the two of a level change places or do not, for each parent on its own.
    """
    paths = [
        [(seat.core.package, seat.core.node % 2, seat.core.l3 % 2) for seat in slot.seats] for slot in taken
    ]
    found: set[tuple[tuple[tuple[int, ...], ...], ...]] = set()
    for swap in product((0, 1), repeat=7):
        renamed = (
            tuple(sorted((p ^ swap[0], n ^ swap[1 + p], g ^ swap[3 + 2 * p + n]) for p, n, g in path))
            for path in paths
        )
        found.add(tuple(sorted(renamed)))
    return found


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 5, 8, 9])
def test_equal_keys_mean_that_a_renaming_exists(threads: int) -> None:
    symmetry = Symmetry(TREE)
    by_key: dict[object, Taken] = {}
    for taken in placed(TREE, threads):
        first = by_key.setdefault(symmetry.key(threads, taken), taken)
        assert pictures(first) == pictures(taken)


@pytest.mark.parametrize("threads", [1, 2])
def test_within_l3_groups_every_renaming_is_found(threads: int) -> None:
    symmetry = Symmetry(TREE)
    by_picture: dict[object, object] = {}
    for taken in placed(TREE, threads):
        key = symmetry.key(threads, taken)
        assert by_picture.setdefault(min(pictures(taken)), key) == key


def test_the_order_of_instances_does_not_matter() -> None:
    symmetry = Symmetry(TREE)
    slots = take(TREE, "spread", 3, 1, "0-1")
    assert len({symmetry.key(1, order) for order in permutations(slots)}) == 1


def are_alike(machine: Machine, *sockets: str) -> bool:
    """Whether an instance of two threads is the same on these sockets."""
    symmetry = Symmetry(machine)
    return len({symmetry.key(2, take(machine, "close", 1, 2, one)) for one in sockets}) == 1


def test_sockets_differ_when_their_memory_does() -> None:
    small = replace(TREE.nodes[3], memory_bytes=2**30)
    nearly = replace(small, memory_bytes=63 * 2**30)
    assert are_alike(TREE, "0", "1")
    assert are_alike(replace(TREE, nodes=(*TREE.nodes[:3], nearly)), "0", "1")
    assert not are_alike(replace(TREE, nodes=(*TREE.nodes[:3], small)), "0", "1")


def test_nodes_keep_their_places_when_their_distances_differ() -> None:
    far = tuple((number, distance + 10 * (number == 3)) for number, distance in TREE.nodes[0].distances)
    uneven = replace(TREE, nodes=(replace(TREE.nodes[0], distances=far), *TREE.nodes[1:]))
    assert not are_alike(uneven, "0", "1")


def test_on_a_hybrid_machine_only_equal_cpus_are_equal() -> None:
    hybrid = build_machine(packages=2, nodes_per_package=1, efficiency_cores_per_node=2)
    assert are_alike(hybrid, "0", "0-1")
    assert not are_alike(hybrid, "0", "1")


def test_nodes_without_memory_differ_by_what_memory_is_around_them() -> None:
    machine = build_machine(
        packages=2, nodes_per_package=1, cores_per_node=1, threads_per_core=1,
        memory_only_nodes=2, nodes_without_memory=(0, 1),
    )  # fmt: skip
    assert keys_of_single_cores(machine) == 1
    near = {0: {2: 12, 3: 21}, 1: {2: 21, 3: 12}}
    nodes = tuple(
        replace(
            node,
            memory_bytes=GIB if node.number == 2 else node.memory_bytes,
            distances=tuple(
                (other, near.get(node.number, {}).get(other, distance)) for other, distance in node.distances
            ),
        )
        for node in machine.nodes
    )
    assert keys_of_single_cores(replace(machine, nodes=nodes)) == 2


def keys_of_single_cores(machine: Machine) -> int:
    """How many kinds of cores there are for one instance of one thread."""
    symmetry = Symmetry(machine)
    return len({symmetry.key(1, take(machine, "close", 1, 1, sockets)) for sockets in ("0", "1")})
