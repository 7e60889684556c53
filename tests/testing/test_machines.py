"""Built machines are what was asked for, and as consistent as read ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.machine.machine import Machine
from autotune.testing.machines import USUAL, MachineShape, build_machine


@pytest.mark.parametrize(
    ("numbering", "cores"),
    [("adjacent", [(0, 1), (2, 3), (4, 5), (6, 7)]), ("split", [(0, 4), (1, 5), (2, 6), (3, 7)])],
)
def test_siblings_are_numbered_either_way(numbering: Any, cores: list[tuple[int, ...]]) -> None:
    machine = build_machine(packages=2, nodes_per_package=1, cores_per_node=2, numbering=numbering)
    assert [core.cpus for core in machine.cores] == cores
    assert [core.package for core in machine.cores] == [0, 0, 1, 1]


def test_offline_cpus_leave_their_siblings_and_take_lone_cores_along() -> None:
    machine = build_machine(packages=1, nodes_per_package=1, cores_per_node=2, offline=[0, 1, 2])
    assert [core.cpus for core in machine.cores] == [(3,)]
    assert machine.packages == machine.l3 == (frozenset({3}),)


def test_memory_only_nodes_come_last_and_numbers_may_have_gaps() -> None:
    machine = build_machine(packages=1, nodes_per_package=2, memory_only_nodes=1, node_numbers=[0, 4, 9])
    assert [(node.number, bool(node.cpus)) for node in machine.nodes] == [(0, True), (4, True), (9, False)]
    assert machine.nodes[1].distances == ((0, 12), (4, 10), (9, 21))
    assert machine.allowed_nodes == {0, 4, 9}


def test_efficiency_cores_have_no_siblings_and_follow_the_others() -> None:
    machine = build_machine(
        packages=1,
        nodes_per_package=1,
        cores_per_node=1,
        numbering="adjacent",
        efficiency_cores_per_node=2,
    )
    assert [(core.cpus, core.kind) for core in machine.cores] == [
        ((0, 1), "performance"),
        ((2,), "efficiency"),
        ((3,), "efficiency"),
    ]


@given(
    st.builds(
        build_machine,
        packages=st.integers(1, 3),
        nodes_per_package=st.integers(1, 3),
        cores_per_node=st.integers(3, 6),
        threads_per_core=st.integers(1, 4),
        numbering=st.sampled_from(("adjacent", "split")),
        l3_per_node=st.integers(1, 3),
        offline=st.sets(st.integers(0, 8), max_size=8),
    )
)
def test_every_cpu_is_in_one_core_package_node_and_l3_group(machine: Machine) -> None:
    for parts in (
        [core.cpus for core in machine.cores],
        machine.packages,
        [node.cpus for node in machine.nodes],
        machine.l3,
    ):
        assert sorted(cpu for part in parts for cpu in part) == sorted(machine.online)
    for ordered in ([core.cpus for core in machine.cores], machine.packages, machine.l3):
        assert [min(part) for part in ordered] == sorted(min(part) for part in ordered)
    for core in machine.cores:
        assert set(core.cpus) <= machine.packages[core.package] & machine.l3[core.l3]


def test_every_part_of_a_shape_has_a_usual_value() -> None:
    assert set(USUAL) == set(MachineShape.__annotations__)
