"""Every policy keeps its promise, and boundaries are crossed to near neighbours only."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from autotune.machine.machine import Machine
from autotune.placement.place import open_ground
from autotune.placement.policies import Taken
from autotune.spec.configuration import POLICIES, PlacementPolicy
from autotune.testing.machines import build_machine

regular = st.builds(
    build_machine,
    packages=st.integers(1, 3),
    nodes_per_package=st.integers(1, 3),
    l3_per_node=st.integers(1, 3),
    cores_per_node=st.integers(3, 8),
    threads_per_core=st.integers(1, 2),
    numbering=st.sampled_from(("adjacent", "split")),
    node_numbers=st.just(range(3, 30, 3)),
).filter(lambda machine: len(machine.cores) > 1)

counts = st.tuples(st.integers(1, 12), st.integers(1, 12))


def find(
    machine: Machine, policy: PlacementPolicy, instances: int, threads: int, **where: Any
) -> Taken | None:
    """The slots, on all sockets without SMT unless told otherwise; None where that is illegal."""
    sockets = where.get("sockets", f"0-{len(machine.packages) - 1}")
    return open_ground(machine, sockets, smt=where.get("smt", False)).take(policy, instances, threads)


def legal(machine: Machine, policy: PlacementPolicy, instances: int, threads: int, **where: Any) -> Taken:
    """Within a property: skips what is illegal."""
    taken = find(machine, policy, instances, threads, **where)
    assume(taken is not None)
    return taken or ()


def cpus(machine: Machine, policy: PlacementPolicy, instances: int, threads: int, **where: Any) -> list[Any]:
    taken = find(machine, policy, instances, threads, **where)
    assert taken is not None
    return [slot.placement.cpus for slot in taken]


def used(taken: Taken, level: str) -> list[frozenset[int]]:
    """The packages, nodes or L3 groups that each instance touches."""
    return [frozenset(getattr(seat.core, level) for seat in slot.seats) for slot in taken]


def size(machine: Machine, level: str) -> int:
    """Cores of the largest package, node or L3 group."""
    return max(Counter(getattr(core, level) for core in machine.cores).values())


@given(machine=regular, count=counts, policy=st.sampled_from(POLICIES))
def test_an_instance_leaves_a_domain_only_if_none_of_its_level_could_hold_it(
    machine: Machine, count: tuple[int, int], policy: PlacementPolicy
) -> None:
    taken = legal(machine, policy, *count)
    for level in ("package", "node", "l3"):
        if count[1] <= size(machine, level):
            assert all(len(touched) == 1 for touched in used(taken, level)), level


@given(machine=regular, count=counts, policy=st.sampled_from(POLICIES))
def test_an_instance_that_crosses_nodes_crosses_as_few_as_possible(
    machine: Machine, count: tuple[int, int], policy: PlacementPolicy
) -> None:
    taken = legal(machine, policy, *count)
    assert all(len(nodes) == -(-count[1] // size(machine, "node")) for nodes in used(taken, "node"))


@given(machine=regular, count=counts)
def test_per_node_uses_every_node_that_it_uses_equally(machine: Machine, count: tuple[int, int]) -> None:
    nodes = used(legal(machine, "per-node", *count), "node")
    assert all(len(one) == 1 for one in nodes)
    assert len(set(Counter(nodes).values())) == 1


@given(machine=regular, count=counts)
def test_per_l3_fills_the_groups_evenly(machine: Machine, count: tuple[int, int]) -> None:
    groups = used(legal(machine, "per-l3", *count), "l3")
    filled = Counter(next(iter(one)) for one in groups)
    assert all(len(one) == 1 for one in groups)
    room = {
        group: sum(core.l3 == group for core in machine.cores) // count[1] for group in range(len(machine.l3))
    }
    fullest = max(filled.values())
    assert all(filled[group] >= min(fullest - 1, room[group]) for group in room)


@given(machine=regular, count=counts)
def test_spread_leaves_no_package_behind(machine: Machine, count: tuple[int, int]) -> None:
    assume(count[1] <= size(machine, "package"))
    packages = Counter(next(iter(one)) for one in used(legal(machine, "spread", *count), "package"))
    per_package = [packages[index] for index in range(len(machine.packages))]
    assert max(per_package) - min(per_package) <= 1


@given(machine=regular, count=counts)
def test_close_uses_no_more_packages_than_any_policy(machine: Machine, count: tuple[int, int]) -> None:
    close = set().union(*used(legal(machine, "close", *count), "package"))
    spread = set().union(*used(legal(machine, "spread", *count), "package"))
    assert len(close) <= len(spread)


@given(machine=regular, count=counts, policy=st.sampled_from(POLICIES), data=st.data())
def test_only_the_chosen_sockets_are_used(
    machine: Machine, count: tuple[int, int], policy: PlacementPolicy, data: st.DataObject
) -> None:
    socket = data.draw(st.integers(0, len(machine.packages) - 1))
    taken = legal(machine, policy, *count, sockets=str(socket))
    assert set().union(*used(taken, "package")) == {socket}


def test_an_instance_crosses_to_the_nearest_package() -> None:
    machine = build_machine(packages=4, nodes_per_package=1, cores_per_node=4, threads_per_core=1)
    near = {0: 10, 1: 31, 2: 21, 3: 31}
    nodes = (replace(machine.nodes[0], distances=tuple(near.items())), *machine.nodes[1:])
    assert cpus(replace(machine, nodes=nodes), "close", 1, 8) == [(0, 1, 2, 3, 8, 9, 10, 11)]


def test_spread_instances_that_cross_l3_groups_share_none_while_there_are_enough() -> None:
    machine = build_machine(
        packages=1, nodes_per_package=1, cores_per_node=8, l3_per_node=4, threads_per_core=1
    )
    assert cpus(machine, "close", 2, 3) == [(0, 1, 2), (3, 4, 5)]
    assert cpus(machine, "spread", 2, 3) == [(0, 1, 2), (4, 5, 6)]


def test_a_node_that_spans_packages_and_an_l3_that_spans_nodes_are_placed_too() -> None:
    machine = build_machine(packages=2, nodes_per_package=2, cores_per_node=2, threads_per_core=1)
    one_node = replace(
        machine,
        nodes=(replace(machine.nodes[0], cpus=machine.online, distances=((0, 10),)),),
        cores=tuple(replace(core, node=0) for core in machine.cores),
    )
    assert cpus(one_node, "close", 2, 4) == [(0, 1, 2, 3), (4, 5, 6, 7)]
    one_l3 = replace(
        machine,
        l3=machine.packages,
        cores=tuple(replace(core, l3=core.package) for core in machine.cores),
    )
    assert cpus(one_l3, "per-l3", 2, 4) == [(0, 1, 2, 3), (4, 5, 6, 7)]


def test_kinds_are_mixed_only_in_an_instance_that_neither_kind_could_hold() -> None:
    machine = build_machine(
        packages=1, nodes_per_package=1, cores_per_node=2, efficiency_cores_per_node=4, numbering="adjacent"
    )
    assert cpus(machine, "close", 2, 2) == [(0, 2), (4, 5)]
    assert cpus(machine, "close", 1, 4) == [(4, 5, 6, 7)]
    assert cpus(machine, "close", 1, 5) == [(0, 2, 4, 5, 6)]
    assert cpus(machine, "close", 1, 6, smt=True) == [(0, 1, 2, 3, 4, 5)]


def test_with_smt_a_core_that_lost_a_sibling_comes_last() -> None:
    machine = build_machine(packages=1, nodes_per_package=1, cores_per_node=3, offline=[3])
    assert cpus(machine, "close", 1, 4, smt=True) == [(1, 2, 4, 5)]
