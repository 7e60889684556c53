"""Reads what may change of a machine while it runs, in about a millisecond, however many cpus it has."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from autotune.machine.cgroup import Cgroups
from autotune.machine.numa import NODES
from autotune.machine.sysfs import Tree
from autotune.machine.topology import CPUS

_STATUS = "proc/self/status"


@dataclass(frozen=True)
class Allowance:
    """What the kernel says of a process's share in a machine: only good for being compared with another.

    While it is the same, so is everything in a `Machine` that a running machine can change and a study
    depends on. Where it differs, the machine may still be the same.

    Attributes:
        affinity: cpus that this process may run on.
        memory_nodes: nodes that this process may have memory of.
        cpuset, cpuset_nodes: cpus and memory nodes of its cgroup; None = not restricted.
        cpus, nodes: numbers of those that the kernel has a folder for.
        online_cpus, online_nodes: the kernel's lists; None where it has none.
        quota_cpus, memory_limit_bytes: as in `Machine`.
    """

    affinity: frozenset[int] | None
    memory_nodes: frozenset[int] | None
    cpuset: frozenset[int] | None
    cpuset_nodes: frozenset[int] | None
    cpus: tuple[int, ...]
    nodes: tuple[int, ...]
    online_cpus: str | None
    online_nodes: str | None
    quota_cpus: float | None
    memory_limit_bytes: int | None


def read_allowance(root: Path = Path("/")) -> Allowance:
    """Read what the process of /proc/self below `root` may use now.

    For the running machine (`/`) the kernel is asked for the affinity of this process.

    Raises:
        MachineError: the root is no folder, or a file holds garbage.
    """
    tree = Tree(root)
    cgroups = Cgroups(tree)
    own = frozenset(os.sched_getaffinity(0)) if tree.is_host else None
    return Allowance(
        affinity=own or tree.keyed_list(_STATUS, "Cpus_allowed_list"),
        memory_nodes=tree.keyed_list(_STATUS, "Mems_allowed_list"),
        cpuset=cgroups.cpus(),
        cpuset_nodes=cgroups.memory_nodes(),
        cpus=tree.numbered(CPUS, "cpu"),
        nodes=tree.numbered(NODES, "node"),
        online_cpus=tree.text(f"{CPUS}/online"),
        online_nodes=tree.text(f"{NODES}/online"),
        quota_cpus=cgroups.quota_cpus(),
        memory_limit_bytes=cgroups.memory_limit_bytes(),
    )
