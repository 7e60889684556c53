from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autotune.machine.document import machine_document
from autotune.machine.machine import Machine
from autotune.machine.read import read_machine
from autotune.testing.recordings import format_cpu_mask

NAMES = (
    "16amd64-8n2c-cpusets",
    "16em64t-4s2c2t",
    "16em64t-4s2c2t-offlines",
    "20em64t-hybrid-1p6c2t+2ca4co1t",
    "256ppc-8n8s4t",
    "2arm-2c",
    "32amd64-4s2n4c-cgroup2",
    "40intel64-2g2n4c+pcilocality",
    "64amd64-4s2n4ca2co",
    "8em64t-2s2ca2c-buggynuma",
)

Hwloc = Callable[[Path], dict[str, Any]]


def assert_agrees(root: Path, hwloc: Hwloc) -> None:
    """What is doubtful to both is nothing to hwloc, whose memory a process may use all the same."""
    expected = hwloc(root)
    machine = read_machine(root)
    kept = machine.allowed_nodes - machine.doubtful_nodes
    ours = machine_document(replace(machine, allowed_nodes=kept))
    assert {name: ours[name] for name in expected} == expected


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_machine_reads_as_hwloc_reads_it(
    name: str, unpack: Callable[[str], Path], hwloc: Hwloc
) -> None:
    assert_agrees(unpack(name), hwloc)


@pytest.mark.parametrize("name", NAMES)
def test_every_core_of_a_recorded_machine_lies_in_its_package_node_and_l3_group(
    name: str, unpack: Callable[[str], Path]
) -> None:
    machine = read_machine(unpack(name))
    nodes = {node.number: node.cpus for node in machine.nodes}
    for core in machine.cores:
        assert set(core.cpus) <= machine.packages[core.package]
        assert set(core.cpus) <= nodes[core.node]
        assert set(core.cpus) <= machine.l3[core.l3]
    assert sorted(cpu for core in machine.cores for cpu in core.cpus) == sorted(machine.online)


def test_performance_cores_are_told_from_efficiency_cores_by_their_frequency(
    unpack: Callable[[str], Path],
) -> None:
    machine = read_machine(unpack("20em64t-hybrid-1p6c2t+2ca4co1t"))
    assert machine_document(machine)["core_kinds"] == {"performance": "0-11", "efficiency": "12-19"}


def test_recorded_machines_are_named_by_model_and_architecture(unpack: Callable[[str], Path]) -> None:
    machine = read_machine(unpack("64amd64-4s2n4ca2co"))
    assert (machine.model_name, machine.architecture) == ("AMD Opteron(TM) Processor 6276", "x86_64")
    assert {"lm", "avx", "fma4"} <= machine.isa


def each_cpu(root: Path) -> list[Path]:
    return sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*"))


def remove_files(root: Path, pattern: str) -> None:
    found = list((root / "sys").glob(pattern))
    assert found, pattern
    for path in found:
        path.unlink()


def rename_to_old_names(root: Path) -> None:
    remove_files(root, "devices/system/cpu/cpu*/topology/core_cpus*")
    remove_files(root, "devices/system/cpu/cpu*/topology/package_cpus*")


def leave_masks_only(root: Path) -> None:
    remove_files(root, "devices/system/cpu/cpu*/topology/*_list")
    remove_files(root, "devices/system/cpu/cpu*/cache/*/*_list")
    remove_files(root, "devices/system/node/node*/cpulist")


def take_first_siblings_offline(root: Path) -> None:
    (root / "sys/devices/system/cpu/online").write_text("1,3-15\n")
    for cpu in (0, 2):
        folder = root / f"sys/devices/system/cpu/cpu{cpu}"
        (folder / "online").write_text("0\n")
        shutil.rmtree(folder / "topology")
        shutil.rmtree(folder / "cache")


def mark_cpus_offline_one_by_one(root: Path) -> None:
    remove_files(root, "devices/system/cpu/online")
    for cpu in (3, 8):
        (root / f"sys/devices/system/cpu/cpu{cpu}/online").write_text("0\n")


def hide_the_topology_of_a_cpu(root: Path) -> None:
    remove_files(root, "devices/system/cpu/cpu5/topology/*")
    (root / "sys/devices/system/cpu/cpu5/topology").rmdir()


def forget_package_ids(root: Path) -> None:
    for cpu in each_cpu(root):
        (cpu / "topology/physical_package_id").write_text("-1\n")


def leave_maps_of_private_caches_empty(root: Path) -> None:
    for cpu in each_cpu(root):
        (cpu / "cache/index3/shared_cpu_map").write_text("00000000\n")


def make_all_nodes_the_same(root: Path) -> None:
    for node in (root / "sys/devices/system/node").glob("node*"):
        (node / "cpumap").write_text("0000ffff\n")


def make_node_numbers_sparse(root: Path) -> None:
    for number in (3, 2, 1):
        node = root / f"sys/devices/system/node/node{number}"
        node.rename(node.with_name(f"node{number * 8}"))
    (root / "sys/devices/system/node/online").write_text("0,8,16,24\n")
    (root / "sys/fs/cgroup/job/cpuset.mems.effective").write_text("0,8,16,24\n")
    (root / "proc/self/status").unlink()


def number_nodes_without_a_list(root: Path) -> None:
    make_node_numbers_sparse(root)
    remove_files(root, "devices/system/node/online")


def forget_l3(root: Path) -> None:
    for cpu in each_cpu(root):
        (cpu / "cache/index3/level").write_text("2\n")


def split_cores_into_compute_units(root: Path) -> None:
    for index, cpu in enumerate(each_cpu(root)):
        (cpu / "topology/core_id").write_text(f"{index}\n")
    cpuinfo = "".join(
        f"processor\t: {cpu}\nvendor_id\t: AuthenticAMD\ncpu family\t: 21\n\n" for cpu in range(16)
    )
    (root / "proc/cpuinfo").write_text(cpuinfo)


def restrict_by_cgroup_v1(root: Path) -> None:
    unmount_cgroup_v2(root)
    cpuset = root / "sys/fs/cgroup/cpuset/batch/7"
    cpuset.mkdir(parents=True)
    (cpuset.parents[1] / "cpuset.cpus").write_text("0-15\n")
    (cpuset / "cpuset.cpus").write_text("2-5,40\n")
    (cpuset / "cpuset.mems").write_text("1-2\n")
    (root / "proc/self/cgroup").write_text("9:memory:/\n4:cpuset:/batch/7\n1:cpu,cpuacct:/\n")
    (root / "proc/mounts").write_text("cgroup /sys/fs/cgroup/cpuset cgroup rw,nosuid,cpuset 0 0\n")


def restrict_by_old_cpuset(root: Path) -> None:
    unmount_cgroup_v2(root)
    (root / "proc/self/cgroup").unlink()
    cpuset = root / "dev/cpuset/torque"
    cpuset.mkdir(parents=True)
    (root / "dev/cpuset/cpus").write_text("0-15\n")
    (cpuset / "cpus").write_text("8-15\n")
    (cpuset / "mems").write_text("0,3\n")
    (root / "proc/self/cpuset").write_text("/torque\n")
    (root / "proc/mounts").write_text("none /dev/cpuset cgroup rw,cpuset,noprefix 0 0\n")


def mount_cgroup_v2_elsewhere(root: Path) -> None:
    (root / "sys/fs/cgroup").rename(root / "unified")
    (root / "unified/job/cpuset.cpus.effective").write_text("6-9\n")
    (root / "proc/self/mountinfo").unlink()
    (root / "proc/self/status").unlink()
    (root / "proc/mounts").write_text("none /unified cgroup2 rw 0 0\n")


def unmount_cgroup_v2(root: Path) -> None:
    for path in (root / "sys/fs/cgroup").rglob("c*.*"):
        path.unlink()
    (root / "proc/self/mountinfo").unlink()
    (root / "proc/self/status").unlink()


VARIANTS = (
    rename_to_old_names,
    leave_masks_only,
    take_first_siblings_offline,
    mark_cpus_offline_one_by_one,
    hide_the_topology_of_a_cpu,
    forget_package_ids,
    leave_maps_of_private_caches_empty,
    make_all_nodes_the_same,
    make_node_numbers_sparse,
    number_nodes_without_a_list,
    forget_l3,
    split_cores_into_compute_units,
    restrict_by_cgroup_v1,
    restrict_by_old_cpuset,
    mount_cgroup_v2_elsewhere,
)


def test_a_written_recording_reads_as_hwloc_reads_it(recording: Path, hwloc: Hwloc) -> None:
    assert_agrees(recording, hwloc)


@pytest.mark.parametrize("change", VARIANTS)
def test_a_recording_changed_as_other_kernels_would_have_it_reads_as_hwloc_reads_it(
    recording: Path, two_sockets: Machine, hwloc: Hwloc, change: Callable[[Path], None]
) -> None:
    change(recording)
    drop_offline_cpus_from_nodes(recording, two_sockets)
    assert_agrees(recording, hwloc)


def drop_offline_cpus_from_nodes(root: Path, machine: Machine) -> None:
    """As kernels do; hwloc takes a node with offline cpus for one of the whole machine."""
    online = read_machine(root).online
    for node in machine.nodes:
        path = root / f"sys/devices/system/node/node{node.number}/cpumap"
        if online != machine.online:
            path.write_text(format_cpu_mask(node.cpus & online) + "\n")
