from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autotune.machine.document import machine_document
from autotune.machine.machine import Core, Machine, NumaNode
from autotune.machine.read import read_machine
from autotune.testing.recordings import write_recording

CPUS = "sys/devices/system/cpu"
NODES = "sys/devices/system/node"
KIB = 1 << 10


@dataclass(frozen=True)
class Shape:
    """Which cpus there are, which are online, and where each lies."""

    cores: list[list[int]]
    online: frozenset[int]
    nodes: list[int]
    node_of: dict[int, int]
    package_of: dict[int, int]


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """Regular shapes, but for offline cpus, sparse node numbers and memory-only nodes."""
    packages, per_package, per_node, threads = (draw(st.integers(1, 3)) for _ in range(4))
    count = packages * per_package * per_node
    split = draw(st.booleans())
    cores = [
        [core + thread * count if split else core * threads + thread for thread in range(threads)]
        for core in range(count)
    ]
    cpus = range(count * threads)
    core_of = {cpu: core for core, members in enumerate(cores) for cpu in members}
    homes = packages * per_package
    nodes = sorted(draw(st.sets(st.integers(0, 40), min_size=homes, max_size=homes + 3)))
    return Shape(
        cores=cores,
        online=frozenset(draw(st.sets(st.sampled_from(cpus), min_size=1))),
        nodes=nodes,
        node_of={cpu: nodes[core_of[cpu] // per_node] for cpu in cpus},
        package_of={cpu: core_of[cpu] // (per_node * per_package) for cpu in cpus},
    )


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    """Machines of those shapes, with and without L3, limits and known memory."""
    shape = draw(shapes())
    packages = _grouped(shape.online, shape.package_of)
    caches = _grouped(shape.online, shape.node_of)
    cores = [tuple(sorted(shape.online.intersection(cpus))) for cpus in shape.cores]
    memory = st.none() | st.integers(1, 1 << 30).map(lambda kib: kib * KIB)
    return Machine(
        architecture=draw(st.sampled_from(("x86_64", "aarch64"))),
        model_name=draw(st.sampled_from(("Some CPU", "Another CPU @ 3.00GHz"))),
        online=shape.online,
        allowed=frozenset(draw(st.sets(st.sampled_from(sorted(shape.online)), min_size=1))),
        allowed_nodes=frozenset(draw(st.sets(st.sampled_from(shape.nodes), min_size=1))),
        packages=tuple(packages),
        nodes=tuple(_node(number, shape, draw(memory)) for number in shape.nodes),
        cores=tuple(
            Core(cpus, _index(packages, cpus[0]), shape.node_of[cpus[0]], _index(caches, cpus[0]))
            for cpus in sorted(cpus for cpus in cores if cpus)
        ),
        l3=tuple(caches),
        isa=frozenset(draw(st.sets(st.sampled_from(("avx2", "avx512_vnni", "amx_bf16")), min_size=1))),
        quota_cpus=draw(st.none() | st.integers(1, 800).map(lambda tenths: tenths / 10)),
        memory_limit_bytes=draw(st.none() | st.integers(1, 1 << 40)),
        memory_bytes=draw(memory),
        l3_inferred=draw(st.sampled_from((frozenset(), frozenset(range(len(caches)))))),
    )


def _node(number: int, shape: Shape, memory: int | None) -> NumaNode:
    cpus = frozenset(cpu for cpu in shape.online if shape.node_of[cpu] == number)
    return NumaNode(number, cpus, memory, tuple((to, 10 + 5 * abs(to - number)) for to in shape.nodes))


def _grouped(online: frozenset[int], key_of: dict[int, int]) -> list[frozenset[int]]:
    keys = {key_of[cpu] for cpu in online}
    return sorted((frozenset(cpu for cpu in online if key_of[cpu] == key) for key in keys), key=min)


def _index(groups: list[frozenset[int]], cpu: int) -> int:
    return next(index for index, group in enumerate(groups) if cpu in group)


@given(machine=machines())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_written_machine_is_read_back_equal(tmp_path: Path, machine: Machine) -> None:
    root = tmp_path / "machine"
    shutil.rmtree(root, ignore_errors=True)
    assert read_machine(write_recording(root, machine)) == machine


def test_core_types_come_from_the_lists_of_the_performance_counters(
    tmp_path: Path, two_sockets: Machine
) -> None:
    cores = tuple(
        replace(core, kind="performance" if core.package == 0 else "efficiency") for core in two_sockets.cores
    )
    machine = replace(two_sockets, cores=cores)
    assert read_machine(write_recording(tmp_path, machine)) == machine


def test_core_types_come_from_the_capacity_on_arm(recording: Path) -> None:
    for cpu in range(16):
        capacity = 446 if cpu % 8 < 4 else 1024
        (recording / CPUS / f"cpu{cpu}/cpu_capacity").write_text(f"{capacity}\n")
    kinds = machine_document(read_machine(recording))["core_kinds"]
    assert kinds == {"performance": "4-7,12-15", "efficiency": "0-3,8-11"}


def test_favoured_cores_of_one_type_are_no_other_type(recording: Path) -> None:
    for cpu in range(16):
        capacity = 1024 if cpu else 1000
        (recording / CPUS / f"cpu{cpu}/cpu_capacity").write_text(f"{capacity}\n")
    assert machine_document(read_machine(recording))["core_kinds"] == {}


def test_without_topology_files_cores_and_packages_come_from_cpuinfo(recording: Path) -> None:
    shutil.rmtree(recording / "sys")
    entries = (
        f"processor : {cpu}\nphysical id : {cpu % 2 * 3}\nsiblings : 4\ncore id : {cpu // 4}\ncpu cores : 2\n"
        for cpu in range(8)
    )
    (recording / "proc/cpuinfo").write_text("\n".join(entries))
    (recording / "proc/self/status").unlink()
    document = machine_document(read_machine(recording))
    assert document["cores"] == ["0,2", "1,3", "4,6", "5,7"]
    assert document["packages"] == ["0,2,4,6", "1,3,5,7"]
    assert document["nodes"] == {"0": "0-7"}
    assert document["l3"] == []


def test_cores_without_smt_stay_apart_though_core_ids_repeat_in_a_package(recording: Path) -> None:
    shutil.rmtree(recording / "sys")
    entries = (
        f"processor\t: {cpu}\nphysical id\t: 0\nsiblings\t: 4\ncore id\t: {cpu % 2}\ncpu cores\t: 4\n"
        for cpu in range(4)
    )
    (recording / "proc/cpuinfo").write_text("\n".join(entries))
    (recording / "proc/self/status").unlink()
    assert machine_document(read_machine(recording))["cores"] == ["0", "1", "2", "3"]


def test_sibling_lists_serve_where_the_masks_are_missing(recording: Path, two_sockets: Machine) -> None:
    for name in ("core_cpus", "thread_siblings", "package_cpus", "core_siblings"):
        for path in (recording / CPUS).glob(f"cpu*/topology/{name}"):
            path.unlink()
    for path in (recording / CPUS).glob("cpu*/cache/*/shared_cpu_map"):
        path.unlink()
    for path in (recording / NODES).glob("node*/cpumap"):
        path.unlink()
    assert read_machine(recording) == two_sockets


def test_ids_serve_where_masks_and_lists_are_missing(recording: Path, two_sockets: Machine) -> None:
    for path in (recording / CPUS).glob("cpu*/topology/*s*"):
        if path.name not in ("physical_package_id",):
            path.unlink()
    assert read_machine(recording) == two_sockets


@pytest.mark.parametrize(
    ("kept", "online"),
    [
        ("proc/stat", "0-2"),
        ("proc/cpuinfo", "0-3"),
        (f"{CPUS}/online", "0-4"),
        (f"{CPUS}/present", "0-5"),
    ],
)
def test_any_one_file_that_lists_cpus_is_enough(tmp_path: Path, kept: str, online: str) -> None:
    contents = {
        "proc/stat": "cpu  9 9\ncpu0 1 1\ncpu1 1 1\ncpu2 1 1\nintr 5\n",
        "proc/cpuinfo": "vendor_id : IBM/S390\nprocessor 0: version = FF\nprocessor 1: x\nprocessor 2: x\n"
        "processor 3: x\n",
        f"{CPUS}/online": "0-4\n",
        f"{CPUS}/present": "0-5\n",
    }
    (tmp_path / kept).parent.mkdir(parents=True)
    (tmp_path / kept).write_text(contents[kept])
    document = machine_document(read_machine(tmp_path))
    assert document["online"] == document["allowed"] == online
    assert document["packages"] == [online]
    assert document["nodes"] == {"0": online}


def test_a_memory_only_node_is_kept_without_cpus(recording: Path) -> None:
    node = recording / NODES / "node7"
    node.mkdir()
    (node / "cpumap").write_text("00000000\n")
    (node / "meminfo").write_text("Node 7 MemTotal:  1048576 kB\n")
    (node / "distance").write_text("17 28 28 28 10\n")
    (recording / NODES / "online").write_text("0-3,7\n")
    far = read_machine(recording).nodes[-1]
    assert far == NumaNode(7, frozenset(), 1 << 30, ((0, 17), (1, 28), (2, 28), (3, 28), (7, 10)))
    assert machine_document(read_machine(recording))["nodes"]["7"] == ""


def test_the_memory_of_a_gpu_is_no_node_of_ours(recording: Path, two_sockets: Machine) -> None:
    shutil.copytree(recording / NODES / "node3", recording / NODES / "node255")
    (recording / NODES / "node255/cpumap").write_text("0\n")
    (recording / NODES / "online").write_text("0-3,255\n")
    gpu = recording / "proc/driver/nvidia/gpus/0004:04:00.0"
    gpu.mkdir(parents=True)
    (gpu / "numa_status").write_text("Node:   255\nStatus: online\n")
    assert [node.number for node in read_machine(recording).nodes] == [0, 1, 2, 3]


def test_distances_that_do_not_fit_the_nodes_are_unknown(recording: Path) -> None:
    (recording / NODES / "node1/distance").write_text("10 20\n")
    assert read_machine(recording).nodes[1].distances == ()


def test_a_level_3_cache_of_instructions_or_of_no_size_on_knights_landing_is_none(recording: Path) -> None:
    for cache in (recording / CPUS).glob("cpu*/cache/index3"):
        (cache / "size").write_text("0K\n")
    model = "vendor_id : GenuineIntel\ncpu family : 6\nmodel : 87\nflags : lm\n"
    (recording / "proc/cpuinfo").write_text(f"processor : 0\n{model}")
    assert machine_document(read_machine(recording))["l3"] == []


def test_cpus_without_a_named_l3_form_a_group_that_the_document_leaves_out(
    recording: Path, two_sockets: Machine
) -> None:
    for cpu in (0, 1, 8, 9):
        shutil.rmtree(recording / CPUS / f"cpu{cpu}/cache")
    machine = read_machine(recording)
    assert machine.l3 == two_sockets.l3
    assert machine.l3_inferred == {0}
    assert machine_document(machine)["l3"] == ["2-3,10-11", "4-5,12-13", "6-7,14-15"]


def test_arm_is_named_by_the_numbers_of_its_maker(recording: Path) -> None:
    block = "processor : {}\nFeatures : fp asimd asimddp\nCPU implementer : 0x41\nCPU part : 0xd0c\n"
    (recording / "proc/cpuinfo").write_text("\n".join(block.format(cpu) for cpu in range(16)))
    (recording / "proc/hwloc-nofile-info").unlink()
    machine = read_machine(recording)
    assert machine.model_name == "CPU implementer 0x41, CPU part 0xd0c"
    assert machine.architecture == "aarch64"
    assert machine.isa == {"fp", "asimd", "asimddp"}


def test_isa_features_are_those_that_every_cpu_has(recording: Path) -> None:
    (recording / "proc/cpuinfo").write_text(
        "processor: 0\nflags: lm AVX2 amx_bf16\n\nprocessor: 1\nflags: lm avx2\n"
    )
    assert read_machine(recording).isa == {"lm", "avx2"}


def test_the_running_machine_is_read_with_the_affinity_of_this_process() -> None:
    cpu = min(os.sched_getaffinity(0))
    program = (
        "import os; from autotune.machine.read import read_machine;"
        f"os.sched_setaffinity(0, [{cpu}]); m = read_machine();"
        "print(sorted(m.allowed), m.allowed <= m.online, m.architecture == os.uname().machine)"
    )
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == f"[{cpu}] True True"
