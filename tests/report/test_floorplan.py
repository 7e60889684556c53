from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.machine.document import machine_document
from autotune.report.floorplan import Floorplan, Lettering, Rect, floorplan, read_hardware
from autotune.testing.machines import build_machine

LETTERING = Lettering(line=0.4, letter=0.15)


def planned(document: dict[str, Any]) -> Floorplan:
    hardware = read_hardware(document)
    assert hardware is not None
    return floorplan(hardware, LETTERING)


def lies_within(inner: Rect, outer: Rect) -> bool:
    slack = 1e-9
    return (
        inner.x >= outer.x - slack
        and inner.y >= outer.y - slack
        and inner.x + inner.width <= outer.x + outer.width + slack
        and inner.y + inner.height <= outer.y + outer.height + slack
    )


def overlap(one: Rect, other: Rect) -> bool:
    slack = 1e-9
    return (
        min(one.x + one.width, other.x + other.width) - max(one.x, other.x) > slack
        and min(one.y + one.height, other.y + other.height) - max(one.y, other.y) > slack
    )


machines = st.builds(
    build_machine,
    packages=st.integers(1, 3),
    nodes_per_package=st.integers(1, 3),
    cores_per_node=st.integers(1, 7),
    threads_per_core=st.sampled_from((1, 2, 4)),
    numbering=st.sampled_from(("adjacent", "split")),
    l3_per_node=st.just(1),
    memory_only_nodes=st.integers(0, 2),
)


@settings(max_examples=40, deadline=None)
@given(machines)
def test_every_cpu_has_a_cell_of_its_own_within_everything_it_belongs_to(machine: Any) -> None:
    drawn = planned(machine_document(machine))
    cells = {cell.cpu: cell.rect for cell in drawn.cells}
    assert len(drawn.cells) == len(cells)
    assert cells.keys() == machine.online
    assert not any(overlap(one, other) for one, other in combinations(cells.values(), 2))
    whole = Rect(0, 0, drawn.width, drawn.height)
    assert all(lies_within(rect, whole) for rect in (*cells.values(), *(one.rect for one in drawn.frames)))
    sockets = [frame.rect for frame in drawn.frames if frame.level == "socket"]
    assert len(sockets) == len(machine.packages)
    for package, socket in zip(machine.packages, sockets, strict=True):
        assert {cpu for cpu, rect in cells.items() if lies_within(rect, socket)} == package


@settings(max_examples=40, deadline=None)
@given(machines)
def test_siblings_touch_each_other_and_no_other_core(machine: Any) -> None:
    drawn = planned(machine_document(machine))
    cells = {cell.cpu: cell.rect for cell in drawn.cells}
    frames = [frame.rect for frame in drawn.frames if frame.level == "core"]
    assert len(frames) == len(machine.cores)
    inside = {tuple(sorted(c for c, rect in cells.items() if lies_within(rect, frame))) for frame in frames}
    assert inside == {core.cpus for core in machine.cores}
    assert not any(overlap(one, other) for one, other in combinations(frames, 2))


def test_l3_groups_are_framed_where_a_node_has_more_than_one() -> None:
    several = planned(machine_document(build_machine(packages=1, nodes_per_package=1, l3_per_node=2)))
    single = planned(machine_document(build_machine(packages=1, nodes_per_package=1)))
    assert [frame.label for frame in several.frames if frame.level == "l3"] == ["L3 0", "L3 1"]
    assert [frame for frame in single.frames if frame.level == "l3"] == []


def test_a_node_is_framed_where_a_socket_has_more_than_one() -> None:
    split = planned(machine_document(build_machine(packages=1, nodes_per_package=2)))
    whole = planned(machine_document(build_machine(packages=1, nodes_per_package=1)))
    assert [frame.label for frame in split.frames if frame.level == "node"] == [
        "node 0 · 64.0 GiB",
        "node 1 · 64.0 GiB",
    ]
    assert [frame.label for frame in whole.frames if frame.label] == ["socket 0 · node 0 · 64.0 GiB"]


def test_memory_without_cpus_is_drawn_too() -> None:
    drawn = planned(machine_document(build_machine(packages=1, nodes_per_package=1, memory_only_nodes=1)))
    assert "node 1 · memory only · 64.0 GiB" in {frame.label for frame in drawn.frames}


def test_a_frame_is_as_wide_as_its_label() -> None:
    drawn = planned(machine_document(build_machine(packages=1, nodes_per_package=1, cores_per_node=1)))
    frame = next(frame for frame in drawn.frames if frame.level == "socket")
    assert frame.rect.width > LETTERING.letter * len(frame.label)


@pytest.mark.parametrize(
    "damage",
    [
        {"cores": None},
        {"cores": ["0-"]},
        {"cores": ["0"], "nodes": {"0": 7}},
        {"cores": ["0"], "allowed": ["0"]},
        {"cores": ["0"], "packages": [None]},
    ],
)
def test_a_damaged_document_has_no_floorplan(damage: dict[str, Any]) -> None:
    assert read_hardware(damage) is None


def test_cores_are_enough_for_a_floorplan() -> None:
    drawn = planned({"cores": ["0-1", "2-3"]})
    assert {cell.cpu for cell in drawn.cells} == {0, 1, 2, 3}
    assert [frame.label for frame in drawn.frames if frame.label] == ["socket 0 · node 0"]
