"""A machine in words: what this host is, and what may be used of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from autotune.machine.cpus import format_cpu_list
from autotune.machine.document import fingerprint
from autotune.machine.machine import Machine

_PRECISION_FLAGS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("fp32", ("avx", "avx2", "fma", "avx512f", "asimd", "sve", "sve2", "vx")),
    ("bf16", ("avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16", "svebf16")),
    ("int8", ("avx_vnni", "avx512_vnni", "amx_int8", "avx_vnni_int8", "asimddp", "i8mm", "svei8mm")),
)
"""Per precision, the flags of /proc/cpuinfo that make it fast."""

_SHOWN_GROUPS = 8
"""Longer lists of groups are cut: a machine of 128 cores fits a screen."""


def describe(m: Machine) -> str:
    """Give a compact view for people, a fact per line, then a note per restriction."""
    facts = list(machine_facts(m))
    width = max(len(name) for name, _ in facts)
    lines = [f"{name.ljust(width)}  {text}" for name, text in facts]
    return "\n".join((*lines, *(f"note: {note}" for note in machine_notes(m))))


def machine_facts(m: Machine) -> Iterator[tuple[str, str]]:
    """Say what the machine is, fact by fact: names and texts."""
    yield "machine", f"{m.model_name or 'unknown model'} ({m.architecture})"
    yield "sockets", _groups(m.packages)
    yield "NUMA nodes", _cut([_node(m, index) for index in range(len(m.nodes))])
    yield "cores", _cores(m)
    yield "L3 caches", _l3(m)
    for name, flags in _PRECISION_FLAGS:
        found = [flag for flag in flags if flag in m.isa]
        yield f"{name} features", " ".join(found) or "none"
    yield "memory", _bytes(m.memory_bytes)
    yield "allowed", _allowed(m)
    yield "fingerprint", fingerprint(m)


def _cores(m: Machine) -> str:
    sizes = sorted({len(core.cpus) for core in m.cores})
    each = _count(sizes[0], "cpu") if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]} cpus"
    text = f"{len(m.cores)} with {each} each, {_count(len(m.online), 'cpu')} online"
    kinds = sorted({core.kind for core in m.cores if core.kind}, reverse=True)
    counts = (f"{sum(core.kind == kind for core in m.cores)} {kind}" for kind in kinds)
    return f"{text} ({', '.join(counts)})" if kinds else text


def _node(m: Machine, index: int) -> str:
    node = m.nodes[index]
    cpus = format_cpu_list(node.cpus) or "no cpus"
    return f"{node.number}: {cpus}, {_bytes(node.memory_bytes)}"


def _l3(m: Machine) -> str:
    named = [group for index, group in enumerate(m.l3) if index not in m.l3_inferred]
    return _groups(named) if named else "none named by the kernel"


def _allowed(m: Machine) -> str:
    limits = [f"{_count(len(m.allowed), 'cpu')} ({format_cpu_list(m.allowed)})"]
    if m.quota_cpus is not None:
        limits.append(f"a CPU quota of {m.quota_cpus:g}")
    if m.memory_limit_bytes is not None:
        limits.append(f"a memory limit of {_bytes(m.memory_limit_bytes)}")
    most = f"at most {_count(m.thread_budget, 'computing thread')}"
    return f"{', '.join(limits)}; {'too little for one thread' if m.quota_is_too_small else most}"


def machine_notes(m: Machine) -> Iterator[str]:
    """Say what keeps parts of the machine from being used, in sentences."""
    if m.allowed != m.online:
        barred = format_cpu_list(m.online - m.allowed)
        yield f"the affinity or cpuset of this process bars cpus {barred}; nothing will run there"
    if m.quota_is_too_small:
        yield (
            f"`autotune tune` refuses to run under a CPU quota of {m.quota_cpus:g} cpus, which would stop "
            "even one thread over and over: raise the quota of the cgroup or container to at least 1 cpu"
        )
    elif m.quota_cpus is not None and m.quota_cpus < len(m.allowed):
        yield (
            f"the cgroup's CPU quota is below the {len(m.allowed)} allowed cpus: more than "
            f"{_count(m.thread_budget, 'thread')} would be throttled"
        )
    with_memory = {node.number for node in m.nodes if node.memory_bytes != 0}
    without = {number for number, size in m.doubtful_memory if not size}
    barred_nodes = (with_memory | m.doubtful_nodes - without) - m.allowed_nodes
    if barred_nodes:
        yield f"the cpuset of this process bars memory nodes {format_cpu_list(barred_nodes)}"
    if m.doubtful_nodes:
        yield (
            f"NUMA nodes {format_cpu_list(m.doubtful_nodes)} are left out, because the kernel gives them the "
            "cpus of others (numa=fake, or a mistake of the firmware); memory will not be bound to nodes"
        )
    if m.memory_limit_bytes is not None and m.memory_bytes and m.memory_limit_bytes < m.memory_bytes:
        yield "the cgroup's memory limit is below the installed memory; what exceeds it is killed"


def _groups(groups: Iterable[frozenset[int]]) -> str:
    return _cut([format_cpu_list(group) for group in groups])


def _cut(parts: list[str]) -> str:
    shown = " | ".join(parts[:_SHOWN_GROUPS])
    more = len(parts) - _SHOWN_GROUPS
    rest = f" | {more} more" if more > 0 else ""
    return f"{len(parts)} ({shown}{rest})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _bytes(size: int | None) -> str:
    if size is None:
        return "unknown memory"
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 30 else f"{size / (1 << 20):.1f} MiB"
