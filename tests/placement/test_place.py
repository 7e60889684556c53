"""Placements are legal, tight and bound to their own memory, on machines of every build."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import combinations
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from autotune.errors import PlacementError
from autotune.machine.machine import Machine
from autotune.placement.place import place
from autotune.placement.placement import InstancePlacement
from autotune.spec.configuration import POLICIES, Configuration
from autotune.testing.machines import build_machine


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    """Small machines: both numberings, restricted, with quotas, offline siblings and sparse nodes."""
    shape: dict[str, Any] = {
        "packages": draw(st.integers(1, 3)),
        "nodes_per_package": draw(st.integers(1, 2)),
        "cores_per_node": draw(st.integers(1, 5)),
        "threads_per_core": draw(st.integers(1, 2)),
        "numbering": draw(st.sampled_from(("adjacent", "split"))),
    }
    shape["l3_per_node"] = draw(st.integers(1, min(2, shape["cores_per_node"])))
    whole = build_machine(**shape)
    offline = draw(st.sets(st.sampled_from(sorted(whole.online)), max_size=3))
    assume(offline < whole.online)
    left = sorted(whole.online - offline)
    allowed = draw(st.sets(st.sampled_from(left), min_size=1)) if draw(st.booleans()) else left
    quota = draw(st.none() | st.floats(0.5, len(left) + 1))
    return build_machine(**shape, offline=offline, allowed=allowed, quota_cpus=quota)


def sockets_of(machine: Machine) -> str:
    """All sockets, as a configuration names them."""
    return "0" if len(machine.packages) == 1 else f"0-{len(machine.packages) - 1}"


def configuration(instances: int, threads: int, placement: Any, **changes: Any) -> Configuration:
    """A configuration of the fake engine."""
    values: dict[str, Any] = {"sockets": "0", "smt": False, "backend": "fake", "precision": "fp32"}
    return Configuration(instances, threads, placement, **(values | changes))


def cpus_of(instances: Iterable[InstancePlacement]) -> list[set[int]]:
    return [set(instance.cpus) for instance in instances]


configurations: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    instances=st.integers(1, 8),
    threads=st.integers(1, 8),
    placement=st.sampled_from(POLICIES),
    smt=st.booleans(),
)


@given(machine=machines(), asked=configurations)
def test_whatever_is_placed_is_legal(machine: Machine, asked: dict[str, Any]) -> None:
    instances, threads, smt = asked["instances"], asked["threads"], asked["smt"]
    one = configuration(instances, threads, asked["placement"], smt=smt, sockets=sockets_of(machine))
    try:
        placed = place(one, machine).instances
    except PlacementError:
        return
    cpus = cpus_of(placed)
    core_of = {cpu: core for core in machine.cores for cpu in core.cpus}
    node_of = {cpu: core.node for core in machine.cores for cpu in core.cpus}
    assert len(placed) == instances
    assert instances * threads <= machine.thread_budget
    assert set().union(*cpus) <= machine.allowed
    cores = [{core_of[cpu] for cpu in own} for own in cpus]
    assert all(not a & b for a, b in combinations(cores, 2)), "two instances share a core"
    for own, own_cores, instance in zip(cpus, cores, placed, strict=True):
        if smt:
            assert own == {cpu for core in own_cores for cpu in core.cpus if cpu in machine.allowed}
            assert len(own) >= threads
        else:
            assert len(own) == len(own_cores) == threads
        nodes = {node_of[cpu] for cpu in own} if len(machine.nodes) > 1 else set()
        assert instance.memory_nodes == tuple(sorted(nodes))


@given(machine=machines(), asked=configurations)
def test_a_node_is_left_only_by_an_instance_that_no_node_could_hold(
    machine: Machine, asked: dict[str, Any]
) -> None:
    assume(not asked["smt"])
    threads = asked["threads"]
    one = configuration(asked["instances"], threads, asked["placement"], sockets=sockets_of(machine))
    try:
        placed = place(one, machine).instances
    except PlacementError:
        return
    cores_of_node: dict[int, int] = {}
    for core in machine.allowed_cores:
        cores_of_node[core.node] = cores_of_node.get(core.node, 0) + 1
    largest = max(cores_of_node.values())
    node_of = {cpu: core.node for core in machine.cores for cpu in core.cpus}
    for instance in placed:
        nodes = {node_of[cpu] for cpu in instance.cpus}
        assert len(nodes) == 1 or threads > largest, f"{instance.cpus} on nodes {nodes}"


@given(machine=machines(), asked=configurations)
def test_the_same_configuration_is_always_placed_alike(machine: Machine, asked: dict[str, Any]) -> None:
    one = configuration(asked["instances"], asked["threads"], asked["placement"], sockets="0")
    try:
        first = place(one, machine)
    except PlacementError:
        with pytest.raises(PlacementError):
            place(one, machine)
        return
    assert place(one, machine) == first


NODES: dict[str, Any] = {
    "packages": 2,
    "nodes_per_package": 2,
    "cores_per_node": 4,
    "l3_per_node": 2,
    "threads_per_core": 1,
}
"""The machine that the docstring of `autotune.placement.policies` draws: cores 0-3 are node 0, and so on."""


@pytest.mark.parametrize(
    ("policy", "instances", "threads", "expected"),
    [
        ("close", 4, 1, [{0}, {1}, {2}, {3}]),
        ("spread", 4, 1, [{0}, {8}, {4}, {12}]),
        ("per-node", 4, 1, [{0}, {4}, {8}, {12}]),
        ("per-l3", 4, 1, [{0}, {2}, {4}, {6}]),
        ("spread", 6, 1, [{0}, {8}, {4}, {12}, {2}, {10}]),
        ("close", 2, 3, [{0, 1, 2}, {4, 5, 6}]),
        ("spread", 2, 3, [{0, 1, 2}, {8, 9, 10}]),
        ("close", 2, 5, [{0, 1, 2, 3, 4}, {8, 9, 10, 11, 12}]),
    ],
)
def test_policies_place_as_their_documentation_draws(
    policy: str, instances: int, threads: int, expected: list[set[int]]
) -> None:
    placed = place(configuration(instances, threads, policy, sockets="0-1"), build_machine(**NODES))
    assert sorted(map(sorted, cpus_of(placed.instances))) == sorted(map(sorted, expected))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"instances": 3, "threads": 5}, "do not fit"),
        ({"instances": 17, "threads": 1}, "more than may run here"),
        ({"instances": 0, "threads": 1}, "not a number of instances"),
        ({"instances": 1, "threads": 0}, "not a number of threads"),
        ({"instances": 2, "threads": 3, "placement": "per-l3"}, "do not fit"),
        ({"instances": 2, "threads": 5, "placement": "per-node"}, "do not fit"),
        ({"instances": 1, "threads": 1, "sockets": "7"}, "not on this machine"),
        ({"instances": 1, "threads": 1, "sockets": "x"}, "not a list of sockets"),
        ({"instances": 1, "threads": 2, "smt": True}, "SMT siblings"),
    ],
)
def test_what_is_illegal_is_refused_with_a_remedy(changes: dict[str, Any], words: str) -> None:
    values = {"placement": "close", "sockets": "0-1"} | changes
    with pytest.raises(PlacementError) as refused:
        place(configuration(**values), build_machine(**NODES))
    assert words in refused.value.problem
    assert refused.value.remedy


def test_a_quota_bounds_the_threads_and_is_named() -> None:
    machine = build_machine(**NODES, quota_cpus=2.9)
    assert place(configuration(2, 1, "close"), machine)
    with pytest.raises(PlacementError, match=r"quota of 2\.9 cpus"):
        place(configuration(3, 1, "close"), machine)


def test_smt_gives_an_instance_whole_cores_however_siblings_are_numbered() -> None:
    for numbering, siblings in (("adjacent", {0, 1, 2, 3}), ("split", {0, 1, 4, 5})):
        machine = build_machine(
            packages=1,
            nodes_per_package=1,
            cores_per_node=4,
            numbering="adjacent" if numbering == "adjacent" else "split",
        )
        placed = place(configuration(1, 4, "close", smt=True), machine)
        assert cpus_of(placed.instances) == [siblings]


def test_performance_cores_come_first_and_kinds_are_not_mixed() -> None:
    machine = build_machine(
        packages=1, nodes_per_package=1, cores_per_node=4, threads_per_core=2, efficiency_cores_per_node=4
    )
    kind = {cpu: core.kind for core in machine.cores for cpu in core.cpus}
    for policy in ("close", "spread"):
        placed = place(configuration(4, 2, policy), machine)
        kinds = [{kind[cpu] for cpu in instance.cpus} for instance in placed.instances]
        assert all(len(one) == 1 for one in kinds), policy
        assert kinds[0] == {"performance"}


def test_a_node_is_not_left_for_the_sake_of_a_core_kind() -> None:
    machine = build_machine(
        packages=1, nodes_per_package=2, cores_per_node=2, threads_per_core=1, efficiency_cores_per_node=2
    )
    for policy in POLICIES:
        placed = place(configuration(2, 4, policy), machine) if policy != "per-l3" else None
        if placed is not None:
            assert sorted(instance.memory_nodes for instance in placed.instances) == [(0,), (1,)], policy


def test_memory_of_cores_without_any_is_bound_to_the_nearest_node_that_has_some() -> None:
    machine = build_machine(**NODES, nodes_without_memory=[1])
    placed = place(configuration(2, 4, "close"), machine)
    assert [instance.memory_nodes for instance in placed.instances] == [(0,), (0,)]


def test_an_instance_larger_than_a_socket_takes_as_few_nodes_as_possible() -> None:
    machine = build_machine(**NODES)
    (instance,) = place(configuration(1, 9, "close", sockets="0-1"), machine).instances
    node_of = {cpu: core.node for core in machine.cores for cpu in core.cpus}
    assert len({node_of[cpu] for cpu in instance.cpus}) == math.ceil(9 / 4)
    assert len(instance.memory_nodes) == 3


def test_unpinned_instances_are_left_to_the_kernel() -> None:
    placed = place(configuration(2, 0, "unpinned"), build_machine(**NODES))
    assert placed.instances == (InstancePlacement((), ()),) * 2
