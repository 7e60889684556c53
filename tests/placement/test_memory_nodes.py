"""Memory is bound to all nodes that are equally near, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autotune.machine.machine import Machine, NumaNode
from autotune.machine.read import read_machine
from autotune.placement.place import place
from autotune.spec.configuration import POLICIES, Configuration
from autotune.testing.machines import build_machine

Case = Callable[[str], Path]


def memory_nodes(machine: Machine, policy: Any = "close", instances: int = 1, threads: int = 1) -> set[Any]:
    """What instances of a configuration are bound to."""
    sockets = "0" if len(machine.packages) == 1 else f"0-{len(machine.packages) - 1}"
    asked = Configuration(instances, threads, policy, sockets, False, "fake", "fp32")
    return {instance.memory_nodes for instance in place(asked, machine).instances}


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy != "unpinned"])
def test_nodes_of_the_same_cpus_bind_nothing(recorded_case: Case, policy: str) -> None:
    assert memory_nodes(read_machine(recorded_case("fake-numa-rpi5")), policy, instances=4) == {()}


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy != "unpinned"])
def test_cpus_without_memory_are_bound_to_all_nodes_that_are_as_near(
    recorded_case: Case, policy: str
) -> None:
    assert memory_nodes(read_machine(recorded_case("lpar-small-first")), policy) == {(0, 1, 3)}


def test_nodes_whose_memory_may_not_be_used_are_not_bound_to(recorded_case: Case) -> None:
    machine = read_machine(recorded_case("lpar-small-first"))
    assert memory_nodes(replace(machine, allowed_nodes=frozenset({1, 3}))) == {(1, 3)}
    assert memory_nodes(replace(machine, allowed_nodes=frozenset())) == {()}


FOUR_NODES: Mapping[str, Any] = {
    "packages": 2,
    "nodes_per_package": 2,
    "cores_per_node": 1,
    "threads_per_core": 1,
}
"""Distances are 10 to itself, 12 within a package and 21 to the other one."""


def test_cpus_of_a_node_with_memory_are_bound_to_that_node() -> None:
    assert memory_nodes(build_machine(**FOUR_NODES), instances=4) == {(0,), (1,), (2,), (3,)}


def test_where_one_node_alone_has_memory_nothing_is_bound() -> None:
    """There is nowhere else for memory to lie, and a launch script then needs no numactl."""
    assert memory_nodes(build_machine(packages=1, nodes_per_package=1), instances=2) == {()}
    assert memory_nodes(build_machine(**FOUR_NODES, nodes_without_memory=(1, 2, 3)), instances=4) == {()}


def test_a_cpuset_of_one_node_is_bound_to_as_the_launch_script_may_run_outside_of_it() -> None:
    machine = build_machine(**FOUR_NODES, allowed=(0,), allowed_nodes=(0,))
    assert memory_nodes(machine) == {(0,)}


def test_every_node_of_an_instance_brings_what_is_nearest_to_it() -> None:
    machine = build_machine(**FOUR_NODES, nodes_without_memory=(1, 2))
    assert memory_nodes(machine, instances=4) == {(0,), (3,)}
    assert memory_nodes(machine, threads=4) == {(0, 3)}


def test_a_node_that_is_as_near_as_the_own_one_is_bound_to_as_well() -> None:
    machine = build_machine(packages=1, nodes_per_package=1, cores_per_node=2, memory_only_nodes=1)
    assert memory_nodes(machine) == {(0,)}
    flat = tuple(
        NumaNode(node.number, node.cpus, node.memory_bytes, ((0, 10), (1, 10))) for node in machine.nodes
    )
    assert memory_nodes(replace(machine, nodes=flat)) == {(0, 1)}


def test_a_node_of_unknown_memory_counts_as_having_some() -> None:
    machine = build_machine(**FOUR_NODES)
    unknown = tuple(NumaNode(node.number, node.cpus, None, node.distances) for node in machine.nodes)
    assert memory_nodes(replace(machine, nodes=unknown), instances=4) == {(0,), (1,), (2,), (3,)}
