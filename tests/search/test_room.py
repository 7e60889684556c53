"""What has no room in memory is left out or named before anything is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autotune.errors import PlacementError
from autotune.machine.machine import Machine, NumaNode
from autotune.machine.read import read_machine
from autotune.search.room import Least, with_room
from autotune.search.space import SearchSpace, build_space
from autotune.spec.configuration import Precision
from autotune.spec.load import parse_study
from autotune.spec.study import StudySpec
from autotune.testing.machines import build_machine

GIB = 1 << 30
ENGINES: Mapping[str, tuple[Precision, ...]] = {"pytorch": ("fp32", "int8-dynamic"), "onnxruntime": ("fp32",)}
MODEL = "random:minilm-l6"


def machine(*node_bytes: int | None, **changes: Any) -> Machine:
    """One package, a node of two cores for each size."""
    built = build_machine(packages=1, nodes_per_package=len(node_bytes), cores_per_node=2, threads_per_core=1)
    nodes = tuple(
        NumaNode(node.number, node.cpus, size, node.distances)
        for node, size in zip(built.nodes, node_bytes, strict=True)
    )
    total = None if None in node_bytes else sum(size or 0 for size in node_bytes)
    return replace(built, nodes=nodes, memory_bytes=total, **changes)


def study(more: str = "problem: {batch_size: 8, sequence_length: 128}") -> StudySpec:
    return parse_study(f"model: {MODEL}\n{more}", name="study")


def space(on: Machine, spec: StudySpec | None = None) -> SearchSpace:
    return build_space(spec or study(), on, ENGINES)


def fitted(
    on: Machine, weights: float, activations: float = 0.0, spec: StudySpec | None = None
) -> tuple[SearchSpace, tuple[str, ...], tuple[str, ...]]:
    chosen = spec or study()
    return with_room(space(on, chosen), on, Least({"": weights}, {"": activations}, chosen))


def test_where_there_is_room_for_all_nothing_is_left_out_or_said() -> None:
    on = machine(64 * GIB, 64 * GIB)
    assert fitted(on, 25e6) == (space(on), (), ())


def test_a_model_of_unknown_size_is_let_through() -> None:
    on = machine(GIB, GIB)
    assert with_room(space(on), on, Least({}, {}, study())) == (space(on), (), ())


def test_memory_of_unknown_size_is_let_through() -> None:
    on = machine(None, None)
    assert fitted(on, 1e12) == (space(on), (), ())


def test_what_is_bound_to_a_node_that_is_too_small_is_left_out() -> None:
    on = machine(1 * GIB, 64 * GIB)
    whole = space(on)
    found, notes, _ = fitted(on, 0.5 * GIB)
    left_out = set(whole.configurations) - set(found.configurations)
    assert left_out == {
        configuration
        for configuration, placement in whole.placements.items()
        if configuration.precision == "fp32"
        and any(instance.memory_nodes == (0,) for instance in placement.instances)
    }
    assert set(found.placements) == set(found.configurations)
    assert set(found.recipes) <= set(found.configurations)
    assert notes[0].startswith(f"{len(left_out)} configurations without room in memory: ")
    assert "needs 2.0 GiB for the weights of one instance" in notes[0]
    assert "only 1.0 GiB on memory node 0" in notes[0]


def test_instances_that_have_room_one_by_one_are_warned_of() -> None:
    on = machine(1 * GIB, 64 * GIB)
    found, left_out, (note,) = fitted(on, 0.2 * GIB)
    assert (found, left_out) == (space(on), ())
    assert "may run out of memory: " in note
    assert "needs 1.6 GiB for the weights of 2 instances, unless the engine shares them" in note
    assert "only 1.0 GiB on memory node 0" in note


@pytest.mark.parametrize(
    ("on", "words"),
    [
        (machine(GIB, GIB), "2.0 GiB on the memory nodes that this process may use"),
        (machine(64 * GIB, GIB, allowed_nodes=frozenset({1})), "1.0 GiB on the memory nodes"),
        (machine(64 * GIB, memory_limit_bytes=GIB), "1.0 GiB within the memory limit"),
        (
            replace(
                machine(64 * GIB),
                doubtful_nodes=frozenset({1}),
                allowed_nodes=frozenset({0, 1}),
                memory_bytes=GIB,
            ),
            "1.0 GiB on the memory nodes",
        ),
    ],
)
def test_a_baseline_without_room_is_refused(on: Machine, words: str) -> None:
    with pytest.raises(PlacementError, match=r"the baseline, .* needs 4\.0 GiB for the weights") as refused:
        fitted(on, GIB)
    assert words in refused.value.problem
    assert "smaller model" in refused.value.remedy


def test_engines_that_need_less_stay_where_nothing_else_has_room() -> None:
    on = machine(1 * GIB, 1 * GIB, 1 * GIB)
    found, *_ = fitted(on, 0.5 * GIB)
    bound_to_one = {one.precision for one in found.configurations if one.threads_per_instance <= 2}
    assert bound_to_one == {"int8-dynamic"}


def test_a_space_in_which_nothing_has_room_is_refused() -> None:
    on = machine(1 * GIB, 1 * GIB, 1 * GIB)
    narrow = study(
        "problem: {batch_size: 8, sequence_length: 128}\nsearch: {threads: [1], precisions: [fp32]}"
    )
    with pytest.raises(PlacementError, match=r"nothing has room in memory: .* 1\.0 GiB on memory node 0"):
        fitted(on, 0.5 * GIB, spec=narrow)


@pytest.mark.parametrize("name", ["fake-numa-rpi5", "lpar-small-first"])
def test_nodes_that_share_cpus_or_are_equally_near_have_room_together(
    recorded_case: Callable[[str], Path], name: str
) -> None:
    """Their first node has 1 GB, which two instances of the model do not fit into."""
    on = read_machine(recorded_case(name))
    whole = space(on)
    assert fitted(on, 0.2 * GIB) == (whole, (), ())
    assert {one.precision for one in whole.configurations} == {"fp32", "int8-dynamic"}


def test_of_nodes_that_share_cpus_those_count_that_the_cpuset_allows(
    recorded_case: Callable[[str], Path],
) -> None:
    """A memory container, for which `numa=fake` was made."""
    root = recorded_case("fake-numa-rpi5")
    status = root / "proc/self/status"
    status.write_text(status.read_text().replace("Mems_allowed_list:\t0-7", "Mems_allowed_list:\t6-7"))
    on = read_machine(root)
    found, left_out, (note,) = fitted(on, 0.2 * GIB)
    assert (found, left_out) == (space(on), ())
    assert "only 2.0 GiB on the memory nodes that this process may use" in note
    with pytest.raises(PlacementError, match=r"only 2\.0 GiB on the memory nodes"):
        fitted(on, 0.6 * GIB)


A_TOKEN = GIB / 4 / 1024
"""Numbers of a token, of which a request of 8 x 128 takes 1 GiB at fp32."""


def test_activations_count_for_every_instance_and_weights_once() -> None:
    on = machine(2 * GIB, 64 * GIB)
    whole = space(on)
    assert fitted(on, 0.1 * GIB, A_TOKEN * 0.8)[0] == whole
    found, notes, _ = fitted(on, 0.1 * GIB, A_TOKEN * 1.1)
    left_out = set(whole.configurations) - set(found.configurations)
    assert left_out == {
        configuration
        for configuration, placement in whole.placements.items()
        if configuration.precision == "fp32"
        and sum(instance.memory_nodes == (0,) for instance in placement.instances) == 2
    }
    assert left_out
    assert "needs 2.2 GiB for the activations of 2 instances, without any weights" in notes[0]
    assert "only 2.0 GiB on memory node 0" in notes[0]


def test_activations_and_weights_of_a_single_instance_are_weighed_together() -> None:
    on = machine(64 * GIB, memory_limit_bytes=2 * GIB)
    with pytest.raises(
        PlacementError, match=r"needs 2\.2 GiB for the weights and activations of one instance"
    ):
        fitted(on, 0.3 * GIB, A_TOKEN)
    assert fitted(on, 0.1 * GIB, A_TOKEN)[0].configurations


@pytest.mark.parametrize(
    ("more", "requests"),
    [
        ("problem: {batch_size: 8, sequence_length: 128}", 1),
        (
            "problem: {batch_size: 8, sequence_length: 128}\nscenario: single_stream\n"
            "search: {instances: [2]}",
            0.5,
        ),
        ("problem: {batch_size: 8, lengths: {values: [16, 128]}}\nsearch: {padding: [max]}", 1),
        ("problem: {batch_size: 8, lengths: {values: [16, 128]}}\nsearch: {padding: [none]}", 0),
        (
            "problem: {batch_size: 8, lengths: {values: [16, 128]}, cache: {hit_rate: 0.4}}\n"
            "search: {padding: [max]}",
            0,
        ),
    ],
)
def test_only_the_tokens_that_an_instance_is_sure_to_be_given_count(more: str, requests: float) -> None:
    on, spec = machine(64 * GIB), study(more)
    needs = Least({}, {"": A_TOKEN}, spec)
    own = {needs.own_bytes(one) for one in space(on, spec).configurations if one.precision == "fp32"}
    assert own == {requests * GIB}
