"""Machines built from numbers, for tests and benchmarks that need hardware which is not there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypedDict, Unpack

from autotune.machine.machine import Core, CoreKind, Machine, NumaNode

Numbering = Literal["adjacent", "split"]
"""How Linux numbers SMT siblings: `adjacent` 0,1 | 2,3 | ..., `split` 0,N | 1,N+1 | ... for N cores."""

ISA = frozenset({"avx", "avx2", "avx512f", "avx512_vnni", "fma", "sse4_2"})
NODE_BYTES = 64 * 2**30


@dataclass(frozen=True)
class _Seat:
    """Where one core sits, before its cpus have numbers."""

    package: int
    node: int
    l3: int
    kind: CoreKind
    threads: int


class MachineShape(TypedDict, total=False):
    """What a built machine is like; what is not said is as in `USUAL`.

    Attributes:
        cores_per_node: of the usual kind: with SMT, and `performance` on a hybrid machine.
        l3_per_node: L3 groups of each node; the first ones are one core larger where it does not divide.
        allowed: cpus that may be used; None = all online ones.
        allowed_nodes: nodes whose memory may be used; None = all.
        offline: cpus that do not run; a core without any other vanishes.
        efficiency_cores_per_node: cores without SMT, after the others; more than 0 makes it hybrid.
        nodes_without_memory: numbers of nodes that have cpus only.
        node_numbers: of all nodes, memory-only ones too, ascending; None = 0, 1, ...
    """

    packages: int
    nodes_per_package: int
    cores_per_node: int
    threads_per_core: int
    numbering: Numbering
    l3_per_node: int
    allowed: Iterable[int] | None
    allowed_nodes: Iterable[int] | None
    offline: Collection[int]
    quota_cpus: float | None
    isa: Iterable[str]
    efficiency_cores_per_node: int
    memory_only_nodes: int
    nodes_without_memory: Collection[int]
    node_numbers: Sequence[int] | None


USUAL: MachineShape = {
    "packages": 2,
    "nodes_per_package": 2,
    "cores_per_node": 4,
    "threads_per_core": 2,
    "numbering": "split",
    "l3_per_node": 1,
    "allowed": None,
    "allowed_nodes": None,
    "offline": (),
    "quota_cpus": None,
    "isa": ISA,
    "efficiency_cores_per_node": 0,
    "memory_only_nodes": 0,
    "nodes_without_memory": (),
    "node_numbers": None,
}


def build_machine(**changes: Unpack[MachineShape]) -> Machine:
    """Build a regular machine, with the irregularities that are asked for.

    Packages, nodes, L3 groups and cores are numbered depth first; memory-only nodes come last and belong to
    no package. Distances are 10 within a node, 12 within a package and 21 elsewhere.
    """
    shape: MachineShape = {**USUAL, **changes}
    per_package, groups = shape["nodes_per_package"], shape["l3_per_node"]
    count = shape["packages"] * per_package
    numbers = tuple(shape["node_numbers"] or range(count + shape["memory_only_nodes"]))
    seats = [
        seat
        for place in range(count)
        for seat in _node_seats(
            place // per_package,
            numbers[place],
            first_l3=place * groups,
            groups=groups,
            kinds=_kinds(shape["cores_per_node"], shape["efficiency_cores_per_node"]),
            threads=shape["threads_per_core"],
        )
    ]
    cores = _online(zip(seats, _cpus(seats, shape["numbering"]), strict=True), frozenset(shape["offline"]))
    return _assemble(cores, _nodes(cores, numbers, per_package, count, shape["nodes_without_memory"]), shape)


def _kinds(usual: int, efficiency: int) -> list[CoreKind]:
    kind: CoreKind = "performance" if efficiency else ""
    return [kind] * usual + ["efficiency"] * efficiency


def _node_seats(
    package: int, node: int, *, first_l3: int, groups: int, kinds: Sequence[CoreKind], threads: int
) -> list[_Seat]:
    """The cores of one node, dealt to its L3 groups in contiguous runs."""
    bounds = [-(-len(kinds) * group // groups) for group in range(groups + 1)]
    return [
        _Seat(package, node, first_l3 + group, kind, 1 if kind == "efficiency" else threads)
        for group, (start, end) in enumerate(pairwise(bounds))
        for kind in kinds[start:end]
    ]


def _cpus(seats: Sequence[_Seat], numbering: Numbering) -> list[tuple[int, ...]]:
    """The cpu numbers of every core."""
    turns = [(core, turn) for core, seat in enumerate(seats) for turn in range(seat.threads)]
    if numbering == "split":
        turns.sort(key=lambda one: (one[1], one[0]))
    found: list[list[int]] = [[] for _ in seats]
    for cpu, (core, _) in enumerate(turns):
        found[core].append(cpu)
    return [tuple(cpus) for cpus in found]


def _online(seated: Iterable[tuple[_Seat, tuple[int, ...]]], offline: frozenset[int]) -> list[Core]:
    """The cores that have an online cpu, by first cpu; L3 groups renumbered by their first cpu."""
    left = [(seat, tuple(cpu for cpu in cpus if cpu not in offline)) for seat, cpus in seated]
    left = sorted(((seat, cpus) for seat, cpus in left if cpus), key=lambda one: one[1])
    packages = _ranks(seat.package for seat, _ in left)
    groups = _ranks(seat.l3 for seat, _ in left)
    return [Core(cpus, packages[seat.package], seat.node, groups[seat.l3], seat.kind) for seat, cpus in left]


def _ranks(values: Iterable[int]) -> dict[int, int]:
    """0, 1, ... for values in the order of their first appearance."""
    return {value: rank for rank, value in enumerate(dict.fromkeys(values))}


def _nodes(
    cores: Sequence[Core],
    numbers: Sequence[int],
    per_package: int,
    with_cpus: int,
    nodes_without_memory: Collection[int],
) -> tuple[NumaNode, ...]:
    def package_of(place: int) -> int:
        return place // per_package if place < with_cpus else -1 - place

    def distance(a: int, b: int) -> int:
        return 10 if a == b else 12 if package_of(a) == package_of(b) else 21

    return tuple(
        NumaNode(
            number=number,
            cpus=frozenset(cpu for core in cores if core.node == number for cpu in core.cpus),
            memory_bytes=0 if number in nodes_without_memory else NODE_BYTES,
            distances=tuple((other, distance(place, at)) for at, other in enumerate(numbers)),
        )
        for place, number in enumerate(numbers)
    )


def _assemble(cores: Sequence[Core], nodes: tuple[NumaNode, ...], shape: MachineShape) -> Machine:
    allowed, allowed_nodes = shape["allowed"], shape["allowed_nodes"]
    online = frozenset(cpu for core in cores for cpu in core.cpus)
    return Machine(
        architecture="x86_64",
        model_name="built",
        online=online,
        allowed=online if allowed is None else online & frozenset(allowed),
        allowed_nodes=frozenset(node.number for node in nodes if node.memory_bytes)
        if allowed_nodes is None
        else frozenset(allowed_nodes),
        packages=_groups((core.package, core) for core in cores),
        nodes=nodes,
        cores=tuple(cores),
        l3=_groups((core.l3, core) for core in cores),
        isa=frozenset(shape["isa"]),
        quota_cpus=shape["quota_cpus"],
        memory_bytes=sum(node.memory_bytes or 0 for node in nodes),
    )


def _groups(labelled: Iterable[tuple[int, Core]]) -> tuple[frozenset[int], ...]:
    """The cpus of each label, by first cpu."""
    found: dict[int, set[int]] = {}
    for label, core in labelled:
        found.setdefault(label, set()).update(core.cpus)
    return tuple(frozenset(found[label]) for label in sorted(found))
