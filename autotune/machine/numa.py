"""Reads the NUMA nodes: their cpus, memory and distances."""

from __future__ import annotations

import re
from collections.abc import Mapping

from autotune.machine.machine import NumaNode
from autotune.machine.sysfs import Tree

NODES = "sys/devices/system/node"

_GPUS = "proc/driver/nvidia/gpus"


def read_nodes(
    tree: Tree, online: frozenset[int], memory_bytes: int | None
) -> tuple[tuple[NumaNode, ...], Mapping[int, int | None]]:
    """Give the NUMA nodes, ascending, and those that are left out as doubtful: by number, their bytes.

    A node whose cpus overlap an earlier node's is left out, as hwloc does: a firmware's mistake, or a kernel
    that was booted with `numa=fake`. So is a node that is the memory of a GPU, about which there is no doubt.
    Where the kernel names no node, node 0 has everything.

    Args:
        memory_bytes: installed memory of the whole machine, for a machine without nodes.
    """
    numbers = _node_numbers(tree)
    nodes: list[NumaNode] = []
    doubtful: dict[int, int | None] = {}
    taken: frozenset[int] = frozenset()
    for number in (number for number in numbers if number not in _gpu_nodes(tree)):
        cpus = _node_cpus(tree, number)
        if cpus is None:
            continue
        if cpus & taken:
            doubtful[number] = _node_bytes(tree, number)
            continue
        taken |= cpus
        nodes.append(_read_node(tree, number, cpus & online, numbers))
    kept = {node.number for node in nodes}
    if not kept:
        return (NumaNode(0, online, memory_bytes),), {}
    return tuple(_with_distances_to(node, kept) for node in nodes), doubtful


def read_memory_bytes(tree: Tree) -> int | None:
    """Give the installed memory; None when no file says."""
    return _meminfo_bytes(tree, "proc/meminfo")


def _node_numbers(tree: Tree) -> tuple[int, ...]:
    folders = tree.numbered(NODES, "node")
    listed = tree.cpu_list(f"{NODES}/online")
    return tuple(number for number in folders if listed is None or number in listed)


def _node_cpus(tree: Tree, number: int) -> frozenset[int] | None:
    folder = f"{NODES}/node{number}"
    cpus = tree.cpu_mask(f"{folder}/cpumap")
    if cpus is None:
        cpus = tree.cpu_list(f"{folder}/cpulist")
    if cpus is None:
        cpus = frozenset(tree.numbered(folder, "cpu")) or None
    return cpus


def _read_node(tree: Tree, number: int, cpus: frozenset[int], numbers: tuple[int, ...]) -> NumaNode:
    text = tree.text(f"{NODES}/node{number}/distance") or ""
    values = [int(value) for value in text.split() if re.fullmatch(r"[0-9]{1,9}", value)]
    # The file has one value per online node, in their order, whatever their numbers.
    distances = tuple(zip(numbers, values, strict=True)) if len(values) == len(numbers) else ()
    return NumaNode(number, cpus, _node_bytes(tree, number), distances)


def _node_bytes(tree: Tree, number: int) -> int | None:
    return _meminfo_bytes(tree, f"{NODES}/node{number}/meminfo")


def _with_distances_to(node: NumaNode, kept: set[int]) -> NumaNode:
    distances = tuple((number, distance) for number, distance in node.distances if number in kept)
    return NumaNode(node.number, node.cpus, node.memory_bytes, distances)


def _meminfo_bytes(tree: Tree, path: str) -> int | None:
    found = re.search(r"\bMemTotal:\s+([0-9]{1,15})", tree.text(path) or "")
    return int(found[1]) * 1024 if found else None


def _gpu_nodes(tree: Tree) -> frozenset[int]:
    statuses = (tree.text(f"{_GPUS}/{name}/numa_status") or "" for name in tree.names(_GPUS))
    found = (re.search(r"^Node:\s*([0-9]{1,5})", status, re.MULTILINE) for status in statuses)
    return frozenset(int(match[1]) for match in found if match)
