"""What fewer instances took when they were measured tells which numbers of them have no room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import optuna
import pytest

from autotune.machine.machine import Machine
from autotune.measurement.measurement import Failure, FailureKind, Measurement, TrialResult
from autotune.search.crowding import Crowding
from autotune.search.space import SearchSpace, build_space
from autotune.search.study import Answer, open_search
from autotune.spec.configuration import Configuration, Precision
from autotune.spec.load import parse_study
from autotune.spec.study import StudySpec
from autotune.testing.machines import build_machine
from autotune.testing.observations import build_observation

GIB = 1 << 30
ENGINES: Mapping[str, tuple[Precision, ...]] = {"pytorch": ("fp32", "int8-dynamic")}
MACHINE = replace(
    build_machine(packages=1, nodes_per_package=1, cores_per_node=8, threads_per_core=1),
    memory_limit_bytes=4 * GIB,
)

Trial = tuple[Configuration, TrialResult]


def study(more: str = "") -> StudySpec:
    text = f"model: random:minilm-l6\nproblem: {{batch_size: 8, sequence_length: 128}}\n{more}"
    return parse_study(text, name="study")


def crowding(spec: StudySpec | None = None, machine: Machine = MACHINE) -> Crowding:
    chosen = spec or study()
    return Crowding(chosen, space_of(chosen, machine), machine)


def space_of(spec: StudySpec, machine: Machine = MACHINE) -> SearchSpace:
    return build_space(spec, machine, ENGINES)


def configuration(instances: int, threads: int, precision: Precision = "fp32") -> Configuration:
    return Configuration(instances, threads, "close", "0", False, "pytorch", precision)


def took(instances: int, threads: int, gib: float, precision: Precision = "fp32") -> Trial:
    """A trial whose instances together took so much."""
    observed = (build_observation(memory_bytes=int(gib * GIB / instances)),) * instances
    measurement = Measurement("offline", (), observed, "none", 5.0, 3.0, 1.0)
    return configuration(instances, threads, precision), measurement


def crowded(room: Crowding, *trials: Trial) -> set[tuple[int, str]]:
    return {(one.configuration.instances, one.configuration.precision) for one in room.crowded(trials)}


def test_what_further_instances_took_tells_how_many_have_no_room() -> None:
    """Each takes 0.8 GiB for itself, beside 0.2 GiB that they share: 4 have room, 8 surely have none."""
    room = crowding()
    assert crowded(room, took(1, 8, 1.0), took(2, 4, 1.8)) == {(7, "fp32"), (8, "fp32")}
    most = max(room.crowded([took(1, 8, 1.0), took(2, 4, 1.8)]), key=lambda one: one.configuration.instances)
    assert "has no room in memory: each further instance took 819.2 MiB more" in str(most)
    assert "for 8 there are only 4.0 GiB within the memory limit of the cgroup" in str(most)


@pytest.mark.parametrize(
    "trials",
    [
        (took(1, 8, 1.0),),
        (took(1, 8, 5.0),),
        (took(1, 8, 1.0), took(2, 4, 1.0)),
        (took(1, 8, 1.0), took(2, 4, 1.5)),
        (took(1, 8, 1.0), took(2, 4, 1.8, "int8-dynamic")),
        (took(1, 1, 1.0), took(2, 4, 3.8)),
        (took(2, 4, 3.6), took(2, 2, 3.8)),
    ],
    ids=["one", "one-large", "all-shared", "enough", "of-another-precision", "more-threads", "as-many"],
)
def test_what_may_have_room_is_not_left_out(trials: tuple[Trial, ...]) -> None:
    assert crowded(crowding(), *trials) == set()


def test_the_least_growth_that_was_seen_counts() -> None:
    trials = (took(1, 8, 1.0), took(2, 4, 2.0), took(4, 2, 2.4))
    assert crowded(crowding(), *trials[:2]) == {(number, "fp32") for number in (6, 7, 8)}
    assert crowded(crowding(), *trials) == set()


def test_what_ran_is_never_named() -> None:
    trials = (took(1, 8, 1.0), took(2, 4, 1.8))
    ran = [(one.configuration, took(8, 1, 3.9)[1]) for one in crowding().crowded(trials)]
    assert crowded(crowding(), *trials, *ran) == set()


def test_failures_say_nothing_and_split_requests_are_smaller_for_more_instances() -> None:
    failed = (configuration(2, 4), Failure(FailureKind.OUT_OF_MEMORY, "killed"))
    assert crowded(crowding(), took(1, 8, 1.0), failed) == set()
    split = study("scenario: single_stream")
    assert crowded(crowding(split), took(1, 8, 1.0), took(2, 4, 1.8)) == set()


def test_a_small_node_has_room_for_fewer_than_the_machine() -> None:
    """Two nodes of 4 cores, the first with 1 GiB: nothing with two instances on it is left."""
    built = build_machine(packages=1, nodes_per_package=2, cores_per_node=4, threads_per_core=1)
    sizes = (1 * GIB, 64 * GIB)
    nodes = tuple(replace(node, memory_bytes=size) for node, size in zip(built.nodes, sizes, strict=True))
    machine = replace(built, nodes=nodes, memory_bytes=sum(sizes))
    room = crowding(machine=machine)
    named = {one.configuration for one in room.crowded([took(1, 8, 1.0), took(2, 4, 1.8)])}
    assert named == {
        one
        for one, placement in room.space.placements.items()
        if one.precision == "fp32"
        and sum(instance.memory_nodes == (0,) for instance in placement.instances) > 1
    }
    assert named


def test_a_search_does_not_propose_what_has_no_room_and_says_so_once() -> None:
    spec, room = study(), crowding()
    search = open_search(spec, room.space, optuna.storages.InMemoryStorage())
    trials = [took(1, 8, 1.0), took(2, 4, 1.8)]
    told = room.leave_out(search, trials)
    assert "has no room in memory" in told
    assert room.leave_out(search, trials) == ""
    proposed = set()
    while search.untried():
        proposal = search.ask()
        proposed.add(proposal.configuration)
        search.tell(proposal.number, Answer(Failure(FailureKind.CRASH, "it broke"), None, {}))
    assert proposed == {room.space.baseline, *room.space.configurations} - room.known
    assert {one.instances for one in room.known} == {7, 8}
