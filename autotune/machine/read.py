"""Reads a whole machine: the running one, or the one whose files lie below a root folder."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from autotune.errors import MachineError
from autotune.machine.cgroup import Cgroups
from autotune.machine.cpuinfo import read_architecture, read_cpuinfo
from autotune.machine.kinds import read_kinds
from autotune.machine.machine import Core, CoreKind, Machine, NumaNode
from autotune.machine.numa import read_memory_bytes, read_nodes
from autotune.machine.sysfs import Tree
from autotune.machine.topology import Groups, Topology, read_online


def read_machine(root: Path = Path("/")) -> Machine:
    """Read the machine below `root`, and what the process of its /proc/self may use of it.

    For the running machine (`/`) the kernel is asked for the affinity of this process as well.

    Raises:
        MachineError: the root is no folder, names no cpu, holds garbage, or allows no cpu.
    """
    tree = Tree(root)
    cpuinfo = read_cpuinfo(tree)
    cgroups = Cgroups(tree)
    runnable = _runnable_cpus(tree, cgroups)
    online = read_online(tree, cpuinfo, runnable)
    topology = Topology(tree, cpuinfo, online)
    memory_bytes = read_memory_bytes(tree)
    nodes, doubtful = read_nodes(tree, online, memory_bytes)
    inferred = _split(topology.packages, nodes, online.difference(*topology.l3))
    l3 = _sorted_groups((*topology.l3, *inferred))
    return Machine(
        architecture=read_architecture(tree, cpuinfo, os.uname().machine),
        model_name=cpuinfo.model_name,
        online=online,
        allowed=_allowed_cpus(online, runnable),
        allowed_nodes=_allowed_nodes(tree, cgroups, {*(node.number for node in nodes), *doubtful}),
        packages=topology.packages,
        nodes=nodes,
        cores=_cores(topology, nodes, l3, read_kinds(tree, online)),
        l3=l3,
        l3_inferred=frozenset(map(l3.index, inferred)),
        doubtful_nodes=frozenset(doubtful),
        doubtful_memory=tuple((number, size) for number, size in doubtful.items() if size is not None),
        isa=cpuinfo.isa,
        quota_cpus=cgroups.quota_cpus(),
        memory_limit_bytes=cgroups.memory_limit_bytes(),
        memory_bytes=memory_bytes,
    )


def _runnable_cpus(tree: Tree, cgroups: Cgroups) -> frozenset[int] | None:
    """What affinity and cpuset leave to this process; None where neither says."""
    limits = [limit for limit in (_affinity(tree), cgroups.cpus()) if limit is not None]
    return frozenset.intersection(*limits) if limits else None


def _allowed_cpus(online: frozenset[int], runnable: frozenset[int] | None) -> frozenset[int]:
    allowed = online if runnable is None else online & runnable
    if not allowed:
        raise MachineError(
            "no online cpu is allowed to this process: its affinity and its cpuset leave nothing",
            remedy="widen the affinity (taskset) or the cpuset of the cgroup",
        )
    return allowed


def _affinity(tree: Tree) -> frozenset[int] | None:
    if tree.is_host:
        return frozenset(os.sched_getaffinity(0))
    return _status_list(tree, "Cpus_allowed_list")


def _allowed_nodes(tree: Tree, cgroups: Cgroups, nodes: Iterable[int]) -> frozenset[int]:
    """Those of the nodes, doubtful ones too, that affinity and cpuset leave."""
    every = allowed = frozenset(nodes)
    for limit in (_status_list(tree, "Mems_allowed_list"), cgroups.memory_nodes()):
        allowed = allowed if limit is None else allowed & limit
    # Nodes that are the memory of GPUs were left out, and may be all that the list names.
    return allowed or every


def _status_list(tree: Tree, key: str) -> frozenset[int] | None:
    return tree.keyed_list("proc/self/status", key)


def _split(packages: Groups, nodes: tuple[NumaNode, ...], cpus: frozenset[int]) -> list[frozenset[int]]:
    """The cpus grouped by package and node, for where the kernel names no level-3 cache."""
    parts = [package & node.cpus & cpus for package in packages for node in nodes]
    without_node = cpus.difference(*(node.cpus for node in nodes))
    parts += [package & without_node for package in packages]
    return [part for part in parts if part]


def _sorted_groups(groups: Groups) -> Groups:
    return tuple(sorted(groups, key=min))


def _cores(
    topology: Topology, nodes: tuple[NumaNode, ...], l3: Groups, kinds: dict[int, CoreKind]
) -> tuple[Core, ...]:
    package_of = {cpu: index for index, package in enumerate(topology.packages) for cpu in package}
    l3_of = {cpu: index for index, group in enumerate(l3) for cpu in group}
    node_of = {cpu: node.number for node in reversed(nodes) for cpu in node.cpus}
    # A cpu in no node can only be given to one: the first that has cpus.
    stray = next((node.number for node in nodes if node.cpus), nodes[0].number)
    return tuple(
        Core(
            cpus=tuple(sorted(cpus)),
            package=package_of[min(cpus)],
            node=node_of.get(min(cpus), stray),
            l3=l3_of[min(cpus)],
            kind=kinds.get(min(cpus), ""),
        )
        for cpus in topology.cores
    )
