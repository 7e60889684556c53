"""Smaller machines as parts of this one: which cores they are, and in what they differ from real ones."""

from __future__ import annotations

import pytest

from autotune.errors import PlacementError
from autotune.placement.place import place
from autotune.placement.placement import Command, ServerProgram
from autotune.placement.smaller import cores_taken, smaller, usable_cores, what_differs
from autotune.spec.configuration import Configuration
from autotune.testing.machines import build_machine

MACHINE = build_machine(packages=2, nodes_per_package=1, cores_per_node=8, l3_per_node=2)
"""Two packages of one node of two L3 groups of four cores, two cpus each."""


def configuration(
    cores: int, instances: int = 1, threads: int = 1, placement: str = "close"
) -> Configuration:
    return Configuration(instances, threads, placement, "0-1", False, "fake", "fp32", cores=cores)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cores", "groups", "nodes"), [(1, 1, 1), (4, 1, 1), (5, 2, 1), (8, 2, 1), (12, 3, 2)]
)
def test_whole_caches_and_nodes_come_first(cores: int, groups: int, nodes: int) -> None:
    part = smaller(MACHINE, cores)
    taken = part.allowed_cores
    assert len(taken) == cores
    assert len({core.l3 for core in taken}) == groups
    assert len({core.node for core in taken}) == nodes
    assert all(len(core.cpus) == 2 for core in taken)
    assert part.allowed_nodes == {core.node for core in taken}


def test_a_whole_cache_is_taken_where_the_first_one_is_broken() -> None:
    broken = build_machine(
        packages=1,
        nodes_per_package=1,
        cores_per_node=8,
        l3_per_node=2,
        threads_per_core=1,
        allowed=range(2, 8),
    )
    assert smaller(broken, 4).allowed == {4, 5, 6, 7}


def test_all_cores_are_the_machine_itself() -> None:
    assert smaller(MACHINE, 0) is MACHINE
    assert smaller(MACHINE, 16) is MACHINE


@pytest.mark.parametrize("cores", [17, 1_000, -1])
def test_more_cores_than_there_are_is_refused(cores: int) -> None:
    with pytest.raises(PlacementError, match="16 may be used here") as refused:
        smaller(MACHINE, cores)
    assert "from 1 to 16" in refused.value.remedy


def test_no_more_cores_may_be_used_than_the_quota_has_cpus() -> None:
    bound = build_machine(packages=1, nodes_per_package=1, cores_per_node=8, quota_cpus=3.5)
    assert usable_cores(bound) == 3
    assert len(smaller(bound, 3).allowed_cores) == 3
    with pytest.raises(PlacementError, match="3 may be used here"):
        smaller(bound, 8)


def test_a_configuration_stays_on_its_smaller_machine() -> None:
    placed = place(configuration(4, instances=2, threads=2, placement="spread"), MACHINE)
    cpus = {cpu for instance in placed.instances for cpu in instance.cpus}
    assert cpus <= smaller(MACHINE, 4).allowed
    assert {instance.memory_nodes for instance in placed.instances} == {(0,)}
    with pytest.raises(PlacementError, match="3 x 2 = 6 threads are more than may run here"):
        place(configuration(2, instances=3, threads=2), MACHINE)


def test_what_is_not_pinned_cannot_be_kept_to_a_smaller_machine() -> None:
    with pytest.raises(PlacementError, match="not pinned cannot be kept to 4 cores"):
        place(configuration(4, placement="unpinned"), MACHINE)


def test_the_whole_smaller_machine_is_paid_for() -> None:
    def command(*cpus: int) -> Command:
        return Command(ServerProgram(("/bin/true",)), environment={}, cpus=cpus, memory_nodes=())

    assert cores_taken(configuration(4), [command(0)], MACHINE) == 4
    assert cores_taken(configuration(0), [command(0)], MACHINE) == 1
    assert cores_taken(configuration(0), [command()], MACHINE) == 16


def test_what_a_smaller_machine_may_lack_is_said() -> None:
    (of_two,) = what_differs(MACHINE, 2)
    assert of_two.startswith("Measured on 2 cores, as a smaller machine of the same kind")
    assert "while 14 other cores idled" in of_two
    assert "the L3 cache of 4 cores to themselves" in of_two
    assert "memory was that of 8 cores (64.0 GiB)" in of_two
    (of_node,) = what_differs(MACHINE, 8)
    assert "L3" not in of_node
    assert "memory was" not in of_node
    assert what_differs(MACHINE, 16) == ()
    assert what_differs(MACHINE, 0) == ()
