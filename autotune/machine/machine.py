"""What a machine is and what this process may use of it, as one frozen value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

CoreKind = Literal["", "performance", "efficiency"]
"""The type of a core on a hybrid machine; empty on a machine with one type."""


@dataclass(frozen=True)
class Core:
    """One physical core.

    Attributes:
        cpus: its online SMT siblings, ascending.
        package: index into `Machine.packages`.
        node: number of its NUMA node.
        l3: index into `Machine.l3`.
    """

    cpus: tuple[int, ...]
    package: int
    node: int
    l3: int
    kind: CoreKind = ""


@dataclass(frozen=True)
class NumaNode:
    """One NUMA node; `cpus` (online ones) is empty for a memory-only node.

    Attributes:
        distances: (node number, distance) to every node, itself included (10 = local), ascending;
            empty if unknown.
    """

    number: int
    cpus: frozenset[int]
    memory_bytes: int | None = None
    distances: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Machine:
    """A machine as Linux describes it; *cpu* is one logical processor as Linux numbers it.

    Attributes:
        online: cpus that are online.
        allowed: cpus that this process may run on (affinity within cpuset), all online.
        allowed_nodes: NUMA nodes whose memory this process may use, doubtful ones too.
        packages: online cpus of each package (socket), sorted by first cpu.
        nodes: NUMA nodes, ascending by number; never empty (a machine without NUMA has node 0).
        cores: physical cores with at least one online cpu, sorted by first cpu.
        l3: online cpus that share a last-level cache, sorted by first cpu; where the kernel names no
            L3, the groups are the packages split by node. Every core lies in exactly one.
        l3_inferred: indices into `l3` of the groups that stand in for a cache that the kernel does not name.
        doubtful_nodes: numbers of NUMA nodes that are not in `nodes`, because the kernel gives them cpus that
            another node has, too. Which memory is near to which cpu is then unknown.
        doubtful_memory: their numbers and sizes in bytes, as far as these are known, ascending.
        isa: lower-case feature flags as in /proc/cpuinfo (`avx2`, `avx512_vnni`, `amx_bf16`, `asimddp`, ...).
        quota_cpus: CPU bandwidth of the cgroup path in cpus (the smallest on the path); None = unlimited.
        memory_limit_bytes: memory limit of the cgroup path; None = unlimited.
        memory_bytes: installed memory; None = unknown.
    """

    architecture: str
    model_name: str
    online: frozenset[int]
    allowed: frozenset[int]
    allowed_nodes: frozenset[int]
    packages: tuple[frozenset[int], ...]
    nodes: tuple[NumaNode, ...]
    cores: tuple[Core, ...]
    l3: tuple[frozenset[int], ...]
    isa: frozenset[str]
    quota_cpus: float | None = None
    memory_limit_bytes: int | None = None
    memory_bytes: int | None = None
    l3_inferred: frozenset[int] = frozenset()
    doubtful_nodes: frozenset[int] = frozenset()
    doubtful_memory: tuple[tuple[int, int], ...] = ()

    @cached_property
    def allowed_cores(self) -> tuple[Core, ...]:
        """The cores with at least one allowed cpu, each reduced to its allowed cpus."""
        kept = ((core, tuple(cpu for cpu in core.cpus if cpu in self.allowed)) for core in self.cores)
        return tuple(
            Core(cpus=cpus, package=core.package, node=core.node, l3=core.l3, kind=core.kind)
            for core, cpus in kept
            if cpus
        )

    @cached_property
    def allowed_memory_bytes(self) -> int | None:
        """The memory of all nodes that this process may use; None where that of one is unknown."""
        if self.doubtful_nodes and not self.allowed_nodes <= self._node_bytes.keys():
            return self.memory_bytes
        return self.bytes_of(self.allowed_nodes)

    def bytes_of(self, nodes: Iterable[int]) -> int | None:
        """The memory of nodes together; None where that of one is unknown."""
        sizes = [self._node_bytes.get(node) for node in nodes]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    @cached_property
    def _node_bytes(self) -> Mapping[int, int]:
        """Where it is known."""
        sizes = {node.number: node.memory_bytes for node in self.nodes if node.memory_bytes is not None}
        return sizes | dict(self.doubtful_memory)

    @property
    def quota_is_too_small(self) -> bool:
        """Whether the quota stops even a single thread over and over, so that no study is run."""
        return self.quota_cpus is not None and self.quota_cpus < 1

    @cached_property
    def thread_budget(self) -> int:
        """The largest number of threads that may compute at once: allowed cpus, floored quota, at least 1."""
        allowed = len(self.allowed)
        return allowed if self.quota_cpus is None else max(1, min(allowed, int(self.quota_cpus)))

    def cores_of(self, cpus: Sequence[int]) -> int:
        """How many cores these cpus belong to; every allowed core for none, which stands for unpinned."""
        if not cpus:
            return len(self.allowed_cores)
        wanted = set(cpus)
        return sum(not wanted.isdisjoint(core.cpus) for core in self.cores)
