"""A machine as a JSON document: what `autotune machine --json` prints and every plan keeps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from autotune.machine.cpus import format_cpu_list
from autotune.machine.machine import Machine

SCHEMA = "autotune.machine/1"

_GIB = 1 << 30
_SHOWN_ENTRIES = 8
"""Of a long list only so many entries go into a sentence."""

_DECISIVE: Mapping[str, str] = {
    "architecture": "the architecture",
    "model_name": "the cpu model",
    "isa": "the ISA features",
    "online": "the set of online cpus",
    "allowed": "the set of allowed cpus",
    "allowed_nodes": "the set of allowed memory nodes",
    "packages": "the packages",
    "nodes": "the NUMA nodes",
    "distances": "the NUMA distances",
    "cores": "the cores",
    "core_kinds": "the core types",
    "l3": "the L3 caches",
    "quota_cpus": "the CPU quota",
    "memory_limit_bytes": "the memory limit",
    "memory_bytes": "the installed memory",
    "node_memory_bytes": "which NUMA nodes have memory",
}
"""The parts that decide speed or placement, each with its name in a sentence."""


def machine_document(m: Machine) -> dict[str, Any]:
    """Give the machine as a JSON object; cpu lists in kernel notation, sorted by first cpu.

    `l3` holds the caches that the kernel names, none for a machine without; `nodes` maps a memory-only
    node to the empty list, and `doubtful_nodes` are not among them; `allowed_nodes` may have some of these.
    """
    document = {
        "schema": SCHEMA,
        "architecture": m.architecture,
        "model_name": m.model_name,
        "online": format_cpu_list(m.online),
        "allowed": format_cpu_list(m.allowed),
        "allowed_nodes": format_cpu_list(m.allowed_nodes),
        "packages": [format_cpu_list(package) for package in m.packages],
        "nodes": {str(node.number): format_cpu_list(node.cpus) for node in m.nodes},
        "cores": [format_cpu_list(core.cpus) for core in m.cores],
        "core_kinds": _core_kinds(m),
        "l3": [format_cpu_list(group) for index, group in enumerate(m.l3) if index not in m.l3_inferred],
        "doubtful_nodes": format_cpu_list(m.doubtful_nodes),
        "distances": {str(node.number): {str(to): d for to, d in node.distances} for node in m.nodes},
        "node_memory_bytes": {str(node.number): node.memory_bytes for node in m.nodes},
        "memory_bytes": m.memory_bytes,
        "memory_limit_bytes": m.memory_limit_bytes,
        "quota_cpus": m.quota_cpus,
        "isa": sorted(m.isa),
    }
    return {"fingerprint": _digest(document), **document}


def fingerprint(m: Machine) -> str:
    """Give a short name of what decides speed and placement here; the same after a reboot."""
    return str(machine_document(m)["fingerprint"])


def machine_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Say in sentences which decisive parts of two machine documents differ; empty when none does."""
    before, after = _decisive(old), _decisive(new)
    return [
        _difference(name, title, before[name], after[name])
        for name, title in _DECISIVE.items()
        if before[name] != after[name]
    ]


def _core_kinds(m: Machine) -> dict[str, str]:
    kinds = sorted({core.kind for core in m.cores if core.kind}, reverse=True)
    return {
        kind: format_cpu_list(cpu for core in m.cores if core.kind == kind for cpu in core.cpus)
        for kind in kinds
    }


def _digest(document: Mapping[str, Any]) -> str:
    text = json.dumps(_decisive(document), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _decisive(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _STABLE.get(name, _same)(document.get(name)) for name in _DECISIVE}


def _same(value: Any) -> Any:
    return value


def _whole_gib(value: Any) -> Any:
    """Memory in GiB, rounded: what a kernel keeps for itself changes from boot to boot."""
    return round(value / _GIB) if isinstance(value, int) else None


def _with_memory(value: Any) -> Any:
    """Which nodes have memory: how much of it they show changes on virtual machines while they run."""
    return [name for name, size in value.items() if size] if isinstance(value, Mapping) else None


_STABLE: Mapping[str, Callable[[Any], Any]] = {
    "memory_bytes": _whole_gib,
    "node_memory_bytes": _with_memory,
}


def _difference(name: str, title: str, old: Any, new: Any) -> str:
    before, after = _entries(old), _entries(new)
    if isinstance(old, list | Mapping) or isinstance(new, list | Mapping):
        gone = _cut([entry for entry in before if entry not in after], "gone")
        come = _cut([entry for entry in after if entry not in before], "new")
        return f"{title} differ: {', '.join(part for part in (gone, come) if part) or 'another order'}"
    unit = " GiB" if name == "memory_bytes" else ""
    then, now = (f"{entries[0]}{unit}" if entries else "none" for entries in (before, after))
    return f"{title} differs: {then} then, {now} now"


def _entries(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{name}: {part}" for name, part in value.items()]
    if isinstance(value, list):
        return [str(part) for part in value]
    return [] if value is None or value == "" else [str(value)]


def _cut(entries: list[str], what: str) -> str:
    if not entries:
        return ""
    more = f" and {len(entries) - _SHOWN_ENTRIES} more" if len(entries) > _SHOWN_ENTRIES else ""
    return f"{' | '.join(entries[:_SHOWN_ENTRIES])}{more} {what}"
