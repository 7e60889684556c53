"""Compares where the memory of an instance comes from, and lies, with the plan's memory nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from autotune.launched.expected import Expected
from autotune.launched.findings import Finding, alike, differing, untold
from autotune.launched.read import MemoryPolicy, RunningProcess
from autotune.machine.cpus import format_cpu_list
from autotune.units import format_bytes

LEFT_ALONE: Final = ("default", "local")
"""Policies of a process whose memory nobody binds."""

MISPLACED_SHARE: Final = 0.02
"""Of a process's own memory so much may lie on other nodes, or `MISPLACED_BYTES`: what the kernel gave it
before it was bound."""
MISPLACED_BYTES: Final = 4 * 2**20

_PERMITTED: Final = (
    "start it by a launch of the plan; where the kernel does not permit it to bind memory, as in some "
    "containers, launch.sh says so (CAP_SYS_NICE permits it)"
)
_MOVED: Final = "start it anew: memory stays where it is once it is given out"


def compare_memory(expected: Expected, running: Sequence[RunningProcess]) -> Iterator[Finding]:
    """Compare memory policies and cpusets with the plan's nodes, and where memory really lies.

    Where the kernel bound no memory when the plan was measured, either, a process without is as planned.
    """
    nodes: Sequence[int] = expected.launched.memory_nodes
    policies = {process.main.policy.mode for process in running if process.main.policy is not None}
    if expected.is_unbound and policies <= {*LEFT_ALONE}:
        nodes = ()
    findings = [finding for process in running for finding in _compare(nodes, process)]
    yield from findings
    if not findings:
        yield alike("memory", _as_planned(nodes, running))


def _compare(nodes: Sequence[int], process: RunningProcess) -> Iterator[Finding]:
    policy, pids = process.main.policy, (process.pid,)
    if not nodes:
        if policy is not None and policy.mode not in LEFT_ALONE:
            said = f"its memory policy is {policy.in_words}, and the plan leaves memory alone"
            yield differing("memory", said, pids)
        return
    planned = format_cpu_list(nodes)
    if policy is None and process.allowed_nodes != tuple(nodes):
        why = process.unread.get("memory", "the kernel does not say")
        yield untold("memory", f"whether it is bound to nodes {planned} may not be read: {why}", pids)
        return
    if policy is not None and not is_bound(policy, process.allowed_nodes, nodes):
        said = f"its memory policy is {policy.in_words}, and the plan binds memory to nodes {planned}"
        yield differing("memory", said, pids, _PERMITTED)
        return
    wrong = [
        thread
        for thread in process.threads[1:]
        if thread.policy is not None and not is_bound(thread.policy, process.allowed_nodes, nodes)
    ]
    if wrong:
        first = wrong[0]
        assert first.policy is not None
        more = f", and so have {len(wrong) - 1} more" if len(wrong) > 1 else ""
        who = f"thread {first.id} ({first.name!r}) has the memory policy {first.policy.in_words}{more}"
        said = f"{who}, and the plan binds memory to nodes {planned}"
        yield differing("memory", said, pids)
    if said := _misplaced(nodes, process):
        yield differing("memory", said, pids, _MOVED)


def is_bound(policy: MemoryPolicy, allowed: tuple[int, ...] | None, nodes: Sequence[int]) -> bool:
    """Whether memory can come from these nodes alone: by the policy, or by a cpuset that leaves no others."""
    if policy.mode == "bind":
        within = set(policy.nodes) if allowed is None else set(policy.nodes) & set(allowed)
        return within == set(nodes)
    return allowed == tuple(nodes)


def _misplaced(nodes: Sequence[int], process: RunningProcess) -> str:
    """Say how much memory lies on other nodes; empty where that is little, or not known."""
    held = process.memory_bytes or {}
    total = sum(held.values())
    outside = {node: size for node, size in held.items() if node not in nodes}
    size = sum(outside.values())
    if size <= max(MISPLACED_BYTES, MISPLACED_SHARE * total):
        return ""
    where = format_cpu_list(outside)
    return (
        f"{format_bytes(size)} of its own {format_bytes(total)} lie on nodes {where}, outside the plan's "
        f"{format_cpu_list(nodes)}"
    )


def _as_planned(nodes: Sequence[int], running: Sequence[RunningProcess]) -> str:
    held: dict[int, int] = {}
    for process in running:
        for node, size in (process.memory_bytes or {}).items():
            held[node] = held.get(node, 0) + size
    lies = ", ".join(f"{format_bytes(size)} on node {node}" for node, size in sorted(held.items()) if size)
    where = f"; its own memory: {lies}" if lies else ""
    if not nodes:
        return f"left alone{where}"
    policies = {process.main.policy.mode for process in running if process.main.policy is not None}
    how = "bound" if policies == {"bind"} else "kept by its cpuset"
    return f"{how} to nodes {format_cpu_list(nodes)}{where}"
