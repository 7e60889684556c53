from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from autotune.machine.document import fingerprint, machine_differences, machine_document
from autotune.machine.machine import Machine, NumaNode

GIB = 1 << 30
MIB = 1 << 20

Change = Callable[[Machine], Machine]


def one_node_less(m: Machine) -> Machine:
    return replace(m, nodes=m.nodes[:3])


def far_distance(m: Machine) -> Machine:
    far = NumaNode(0, m.nodes[0].cpus, m.nodes[0].memory_bytes, ((0, 10), (1, 12), (2, 30), (3, 30)))
    return replace(m, nodes=(far, *m.nodes[1:]))


DECISIVE: list[tuple[Change, str]] = [
    (lambda m: replace(m, architecture="aarch64"), "the architecture differs: x86_64 then, aarch64 now"),
    (lambda m: replace(m, model_name=""), "the cpu model differs: Built CPU @ 2.00GHz then, none now"),
    (lambda m: replace(m, isa=m.isa - {"avx2"} | {"fma"}), "the ISA features differ: avx2 gone, fma new"),
    (
        lambda m: replace(m, online=frozenset(range(15))),
        "the set of online cpus differs: 0-15 then, 0-14 now",
    ),
    (lambda m: replace(m, allowed=frozenset((0, 8))), "the set of allowed cpus differs: 0-15 then, 0,8 now"),
    (
        lambda m: replace(m, allowed_nodes=frozenset((0,))),
        "the set of allowed memory nodes differs: 0-3 then, 0 now",
    ),
    (
        lambda m: replace(m, packages=(m.online,)),
        "the packages differ: 0-3,8-11 | 4-7,12-15 gone, 0-15 new",
    ),
    (lambda m: replace(m, cores=m.cores[:-1]), "the cores differ: 7,15 gone"),
    (
        lambda m: replace(m, cores=tuple(replace(core, kind="performance") for core in m.cores)),
        "the core types differ: performance: 0-15 new",
    ),
    (lambda m: replace(m, l3=m.packages), "the L3 caches differ: 0-1,8-9 | 2-3,10-11 | 4-5,12-13 | "),
    (lambda m: replace(m, l3_inferred=frozenset((3,))), "the L3 caches differ: 6-7,14-15 gone"),
    (one_node_less, "the NUMA nodes differ: 3: 6-7,14-15 gone"),
    (far_distance, "the NUMA distances differ: 0: {'0': 10, '1': 21, '2': 21, '3': 21} gone, "),
    (lambda m: replace(m, quota_cpus=2.5), "the CPU quota differs: none then, 2.5 now"),
    (lambda m: replace(m, memory_limit_bytes=GIB), "the memory limit differs: none then, 1073741824 now"),
    (lambda m: replace(m, memory_bytes=64 * GIB), "the installed memory differs: 32 GiB then, 64 GiB now"),
]


@pytest.mark.parametrize(("change", "sentence"), DECISIVE)
def test_what_decides_speed_or_placement_changes_the_fingerprint_and_is_said(
    two_sockets: Machine, change: Change, sentence: str
) -> None:
    other = change(two_sockets)
    assert fingerprint(other) != fingerprint(two_sockets)
    differences = machine_differences(machine_document(two_sockets), machine_document(other))
    assert [said for said in differences if said.startswith(sentence)], differences


def test_what_changes_from_boot_to_boot_leaves_the_fingerprint(two_sockets: Machine) -> None:
    nodes = tuple(replace(node, memory_bytes=8 * GIB - 90 * MIB) for node in two_sockets.nodes)
    rebooted = replace(two_sockets, memory_bytes=32 * GIB - 300 * MIB, nodes=nodes)
    assert fingerprint(rebooted) == fingerprint(two_sockets)
    assert machine_differences(machine_document(two_sockets), machine_document(rebooted)) == []


def test_a_node_that_shows_more_memory_than_before_is_the_same_machine(two_sockets: Machine) -> None:
    nodes = tuple(replace(node, memory_bytes=5 * GIB) for node in two_sockets.nodes)
    assert fingerprint(replace(two_sockets, nodes=nodes)) == fingerprint(two_sockets)
    empty = (replace(two_sockets.nodes[0], memory_bytes=0), *two_sockets.nodes[1:])
    assert fingerprint(replace(two_sockets, nodes=empty)) != fingerprint(two_sockets)


def test_a_document_survives_json_and_differs_from_itself_in_nothing(two_sockets: Machine) -> None:
    document = machine_document(two_sockets)
    stored = json.loads(json.dumps(document, allow_nan=False))
    assert stored == document
    assert machine_differences(stored, document) == []
    assert stored["fingerprint"] == fingerprint(two_sockets)


def test_a_long_list_of_changes_is_cut(two_sockets: Machine) -> None:
    old = machine_document(replace(two_sockets, isa=frozenset(f"flag{n:02}" for n in range(30))))
    (said,) = machine_differences(old, machine_document(replace(two_sockets, isa=frozenset())))
    assert said.endswith("flag07 and 22 more gone")


def test_a_document_without_a_part_is_said_to_differ_in_it(two_sockets: Machine) -> None:
    document = machine_document(two_sockets)
    without = {name: part for name, part in document.items() if name != "cores"}
    assert machine_differences(document, without) == [
        "the cores differ: 0,8 | 1,9 | 2,10 | 3,11 | 4,12 | 5,13 | 6,14 | 7,15 gone"
    ]


def test_the_document_writes_cpu_lists_in_kernel_notation(two_sockets: Machine) -> None:
    document = machine_document(two_sockets)
    assert document["online"] == document["allowed"] == "0-15"
    assert document["packages"] == ["0-3,8-11", "4-7,12-15"]
    assert document["nodes"] == {"0": "0-1,8-9", "1": "2-3,10-11", "2": "4-5,12-13", "3": "6-7,14-15"}
    assert document["cores"] == [f"{cpu},{cpu + 8}" for cpu in range(8)]
    assert document["l3"] == list(document["nodes"].values())
    assert document["distances"]["1"] == {"0": 21, "1": 10, "2": 21, "3": 21}
    assert document["isa"] == ["avx2", "avx512_vnni", "avx512f", "lm"]
