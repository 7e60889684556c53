"""Writes the files that a kernel would show for a machine: the inverse of `autotune.machine.read`.

Tests change or remove single files of such a recording; `autotune machine --root DIR` shows it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from autotune.machine.cpus import format_cpu_list
from autotune.machine.machine import Core, Machine, NumaNode

CGROUP = "/job"
"""The cgroup (version 2) that the recorded process is in."""

_PERIOD_US = 100_000

LOCAL_DISTANCE = 10
"""Of a node to itself, and to one that shares its cpus. Source: include/linux/topology.h."""


def write_recording(root: Path, machine: Machine) -> Path:
    """Write the machine's sys and proc folders below `root`, as a Linux 6 has them, and give `root`.

    Reading it gives an equal machine, but for memory that is no whole number of KiB and quotas that are
    no whole number of microseconds in 0.1 s.
    """
    _write_cpus(root / "sys/devices/system/cpu", machine)
    _write_nodes(root / "sys/devices/system/node", machine)
    _write_kinds(root / "sys/devices", machine)
    _write_proc(root / "proc", machine)
    _write_cgroup(root / "sys/fs/cgroup", machine)
    return root


def format_cpu_mask(cpus: Iterable[int]) -> str:
    """Write cpus as a kernel bitmap: hexadecimal words of 32 bits, the highest first."""
    bits = sum(1 << cpu for cpu in set(cpus))
    words = [f"{bits >> shift & 0xFFFFFFFF:08x}" for shift in range(0, max(bits.bit_length(), 1), 32)]
    return ",".join(reversed(words))


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{value}\n")


def _write_set(folder: Path, mask_name: str, list_name: str, cpus: Iterable[int]) -> None:
    members = frozenset(cpus)
    _write(folder / mask_name, format_cpu_mask(members))
    _write(folder / list_name, format_cpu_list(members))


def _write_cpus(folder: Path, machine: Machine) -> None:
    for name in ("online", "possible", "present"):
        _write(folder / name, format_cpu_list(machine.online))
    for number, core in enumerate(machine.cores):
        for cpu in core.cpus:
            _write_topology(folder / f"cpu{cpu}" / "topology", number, core, machine)
            if core.l3 not in machine.l3_inferred:
                _write_l3(folder / f"cpu{cpu}" / "cache" / "index3", machine.l3[core.l3])


def _write_topology(folder: Path, core_id: int, core: Core, machine: Machine) -> None:
    _write(folder / "core_id", core_id)
    _write(folder / "physical_package_id", core.package)
    for name in ("core_cpus", "thread_siblings"):
        _write_set(folder, name, f"{name}_list", core.cpus)
    for name in ("package_cpus", "core_siblings"):
        _write_set(folder, name, f"{name}_list", machine.packages[core.package])


def _write_l3(folder: Path, sharing: frozenset[int]) -> None:
    _write(folder / "level", 3)
    _write(folder / "type", "Unified")
    _write(folder / "size", "32768K")
    _write_set(folder, "shared_cpu_map", "shared_cpu_list", sharing)


def _write_nodes(folder: Path, machine: Machine) -> None:
    numbers = (*(node.number for node in machine.nodes), *machine.doubtful_nodes)
    _write(folder / "online", format_cpu_list(numbers))
    for node in machine.nodes:
        _write_node(folder / f"node{node.number}", node, machine.doubtful_nodes)
    for number in machine.doubtful_nodes:
        _write_set(folder / f"node{number}", "cpumap", "cpulist", machine.online)
    for number, size in machine.doubtful_memory:
        _write_meminfo(folder / f"node{number}", number, size)


def _write_node(folder: Path, node: NumaNode, doubtful: frozenset[int]) -> None:
    _write_set(folder, "cpumap", "cpulist", node.cpus)
    if node.distances:
        distances = dict(node.distances) | dict.fromkeys(doubtful, LOCAL_DISTANCE)
        _write(folder / "distance", " ".join(str(distances[number]) for number in sorted(distances)))
    if node.memory_bytes is not None:
        _write_meminfo(folder, node.number, node.memory_bytes)


def _write_meminfo(folder: Path, number: int, size: int) -> None:
    _write(folder / "meminfo", f"Node {number} MemTotal: {size // 1024:>14} kB")


def _write_kinds(folder: Path, machine: Machine) -> None:
    for kind, name in (("performance", "cpu_core"), ("efficiency", "cpu_atom")):
        cpus = [cpu for core in machine.cores if core.kind == kind for cpu in core.cpus]
        if cpus:
            _write(folder / name / "cpus", format_cpu_list(cpus))


def _write_proc(folder: Path, machine: Machine) -> None:
    flags = " ".join(sorted(machine.isa))
    entries = (
        f"processor\t: {cpu}\nmodel name\t: {machine.model_name}\nflags\t\t: {flags}\n"
        for cpu in sorted(machine.online)
    )
    _write(folder / "cpuinfo", "\n".join(entries))
    _write(folder / "hwloc-nofile-info", f"OSName: Linux\nArchitecture: {machine.architecture}")
    if machine.memory_bytes is not None:
        _write(folder / "meminfo", f"MemTotal: {machine.memory_bytes // 1024:>14} kB")
    cpus, nodes = format_cpu_list(machine.allowed), format_cpu_list(machine.allowed_nodes)
    _write(folder / "self/status", f"Name:\tpython\nCpus_allowed_list:\t{cpus}\nMems_allowed_list:\t{nodes}")
    _write(folder / "self/cgroup", f"0::{CGROUP}")
    _write(folder / "self/mountinfo", "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate")


def _write_cgroup(folder: Path, machine: Machine) -> None:
    own = folder / CGROUP.lstrip("/")
    _write(folder / "cgroup.controllers", "cpuset cpu io memory pids")
    _write(folder / "cpuset.cpus.effective", format_cpu_list(machine.online))
    _write(own / "cpuset.cpus.effective", format_cpu_list(machine.allowed))
    _write(own / "cpuset.mems.effective", format_cpu_list(machine.allowed_nodes))
    quota = "max" if machine.quota_cpus is None else round(machine.quota_cpus * _PERIOD_US)
    _write(own / "cpu.max", f"{quota} {_PERIOD_US}")
    _write(own / "memory.max", "max" if machine.memory_limit_bytes is None else machine.memory_limit_bytes)
