"""Compares where the threads of an instance may run with the plan's cpus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final

from autotune.launched.expected import Expected
from autotune.launched.findings import ANEW, Finding, alike, differing
from autotune.launched.read import RunningProcess, RunningThread
from autotune.machine.cpus import format_cpu_list

_NAMED: Final = 4
"""So many threads that are elsewhere, or pairs of instances, are named."""


def compare_masks(expected: Expected, running: Sequence[RunningProcess]) -> Iterator[Finding]:
    """Compare masks: a process's own is the plan's, and every thread's lies within it.

    Engines pin threads of theirs to single cpus of an instance, so that a narrower one is told, and no
    difference.
    """
    wrong = [finding for process in running for finding in _differences(expected, process)]
    yield from wrong
    if wrong:
        return
    threads = [thread for process in running for thread in process.threads]
    narrow = sum(set(thread.cpus) < expected.cpus for thread in threads)
    who = "its only thread may" if len(threads) == 1 else f"all of its {len(threads)} threads may"
    pinned = f", {narrow} of them on a part of these" if narrow else ""
    yield alike("cpus", f"{who} run on cpus {format_cpu_list(expected.cpus)}{pinned}")


def _differences(expected: Expected, process: RunningProcess) -> Iterator[Finding]:
    if said := _mask_difference(expected, process.main):
        yield differing("cpus", said, (process.pid,))
    strays = [
        thread
        for thread in process.threads[1:]
        if not set(thread.cpus) <= expected.cpus and thread.cpus != process.main.cpus
    ]
    if strays:
        yield differing("cpus", _strays(strays, expected.cpus), (process.pid,))


def _mask_difference(expected: Expected, thread: RunningThread) -> str:
    """Say how a process's own mask is another one than the plan's; empty where it is not."""
    mask, cpus = set(thread.cpus), set(expected.cpus)
    got, planned = format_cpu_list(mask), format_cpu_list(cpus)
    if mask == cpus:
        return ""
    if not expected.launched.cpus:
        return f"it may run on cpus {got} alone, and the plan leaves it {planned}" if mask < cpus else ""
    if mask < cpus:
        return f"it may run on cpus {got} alone, and the plan gives it {planned}"
    if mask > cpus:
        return f"it may run on all of cpus {got}, and the plan keeps it to {planned}"
    return f"it may run on cpus {got}, and the plan has it on {planned}"


def _strays(threads: Sequence[RunningThread], cpus: frozenset[int]) -> str:
    named = [
        f"thread {thread.id} ({thread.name!r}) may run on cpus {format_cpu_list(thread.cpus)}"
        for thread in threads[:_NAMED]
    ]
    more = f" and {len(threads) - _NAMED} more" if len(threads) > _NAMED else ""
    return f"{', '.join(named)}{more}, not within the plan's {format_cpu_list(cpus)}"


def shared_cpus(
    expected: Sequence[Expected], running: Mapping[int, Sequence[RunningProcess]]
) -> Iterator[Finding]:
    """Find instances that share cpus though the plan gives each its own.

    Args:
        running: processes by the first of an expected one's instances.
    """
    cpus = {
        part.instances: frozenset(
            cpu for process in running.get(part.instances[0], ()) for cpu in process.cpus
        )
        for part in expected
    }
    pairs: list[str] = []
    for part, other in combinations(expected, 2):
        is_apart = part.launched.cpus and other.launched.cpus
        if not is_apart or set(part.launched.cpus) & set(other.launched.cpus):
            continue
        if shared := cpus[part.instances] & cpus[other.instances]:
            names = f"{format_cpu_list(part.instances)} and {format_cpu_list(other.instances)}"
            pairs.append(f"instances {names} share cpus {format_cpu_list(shared)}")
    if pairs:
        more = f", and {len(pairs) - _NAMED} more pairs some" if len(pairs) > _NAMED else ""
        said = f"{', '.join(pairs[:_NAMED])}{more}, and the plan gives each its own"
        yield Finding(None, "cpus", "differs", said, ANEW)
