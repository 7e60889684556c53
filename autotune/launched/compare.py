"""Compares all that runs of a plan with what a launch of the plan starts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from autotune.launched.environment import compare_environment
from autotune.launched.expected import Expected, merged
from autotune.launched.find import FoundProcesses
from autotune.launched.findings import (
    ASPECTS,
    READABLE,
    READABLE_TO_ROOT,
    Finding,
    alike,
    differing,
    untold,
)
from autotune.launched.libraries import compare_libraries
from autotune.launched.masks import compare_masks, shared_cpus
from autotune.launched.memory import compare_memory
from autotune.launched.read import RunningProcess
from autotune.launched.threads import compare_threads
from autotune.units import format_count

START: Final = "start it by a launch of the plan, or name its process: --pid INSTANCE=PID"
_ONE: Final = "end what is not to run any more, and look again"
_GO_ON: Final = "let it go on: kill -CONT PID, or end the debugger that holds it"
_NO_WORKERS: Final = "run one process for each instance: the plan's instances are its workers"


def compare_plan(
    expected: Sequence[Expected],
    found: FoundProcesses,
    running: Mapping[int, RunningProcess],
    *,
    by_root: bool = False,
) -> tuple[Finding, ...]:
    """Compare every instance, then what the plan says of them together.

    Args:
        expected: in the order of the instances.
        running: what was read of each process, by id; those that ended meanwhile are not there.
        by_root: root has looked, whom nobody can tell to look as root.

    Returns:
        Ordered by instance and aspect. Of an instance that runs there is at least one for each aspect, but of
        libraries only where the plan states any; of one that does not, there is one of its processes.
    """
    groups: dict[tuple[int, ...], list[Expected]] = {}
    findings: list[Finding] = []
    for part in expected:
        (index,) = part.instances
        pids = tuple(pid for pid in found.instances.get(index, ()) if pid in running)
        if pids:
            groups.setdefault(_first(pids, found.roots.get(index, ())), []).append(part)
        else:
            findings.append(_missing(index, found))
    wholes = {pids: merged(parts) for pids, parts in groups.items()}
    for pids, part in wholes.items():
        processes = [running[pid] for pid in pids]
        compared = [*_compare_processes(part, processes, found), *compare_instance(part, processes)]
        findings += [replace(finding, instance=index) for index in part.instances for finding in compared]
    findings.sort(key=lambda finding: (finding.instance or 0, ASPECTS.index(finding.aspect)))
    of_instances = {part.instances[0]: [running[pid] for pid in pids] for pids, part in wholes.items()}
    findings += [*shared_cpus(tuple(wholes.values()), of_instances), *_strays(found, len(expected))]
    return tuple(
        replace(finding, remedy=READABLE_TO_ROOT) if by_root and finding.remedy == READABLE else finding
        for finding in findings
    )


def compare_instance(expected: Expected, running: Sequence[RunningProcess]) -> Iterator[Finding]:
    """Compare what the processes of an instance have; the first of them is the one that was launched."""
    yield from compare_masks(expected, running)
    yield from compare_memory(expected, running)
    yield from compare_threads(expected.launched.threads, running)
    yield from compare_environment(expected, running)
    yield from compare_libraries(expected, running)


def _first(pids: Sequence[int], roots: Sequence[int]) -> tuple[int, ...]:
    """Give the processes with those in front that were launched."""
    return tuple(sorted(pids, key=lambda pid: (pid not in roots, pid)))


def _missing(index: int, found: FoundProcesses) -> Finding:
    if not found.instances and found.hidden:
        hidden = f"the processes that may not be looked at ({len(found.hidden)})"
        said = f"none was found, but it may be among {hidden}"
        return replace(untold("processes", said, (), READABLE), instance=index)
    return replace(differing("processes", "no process of it runs here", (), START), instance=index)


def _compare_processes(
    expected: Expected, running: Sequence[RunningProcess], found: FoundProcesses
) -> Iterator[Finding]:
    pids = tuple(process.pid for process in running)
    index = expected.instances[0]
    roots = tuple(pid for pid in found.roots.get(index, ()) if pid in pids)
    if len(roots) > 1 and index not in found.named:
        said = f"it runs {len(roots)} times, and the plan has it once"
        yield differing("processes", said, roots, _ONE)
    held = [process for process in running if process.held]
    for why in sorted({process.held for process in held}):
        stopped = tuple(process.pid for process in held if process.held == why)
        yield differing("processes", f"it is {why}, and answers nothing", stopped, _GO_ON)
    loaded = [process for process in running if process.versions]
    if len(loaded) > 1 and len(roots) == 1:
        names = ", ".join(sorted({name for process in loaded for name in process.versions}))
        said = f"{len(loaded)} of its processes have loaded {names}, and the plan has one for each instance"
        yield differing("processes", said, tuple(process.pid for process in loaded), _NO_WORKERS)
    elif not held and (len(roots) <= 1 or index in found.named):
        started = f" and {len(pids) - 1} that it started" if len(pids) > 1 else ""
        yield alike("processes", f"process {_named(running[0])}{started}")


def _named(process: RunningProcess) -> str:
    return f"{process.pid}" if process.inner_pid is None else f"{process.pid} ({process.inner_pid} inside)"


def _strays(found: FoundProcesses, instances: int) -> Iterator[Finding]:
    for stated, pids in found.strays.items():
        said = (
            f"process {pids[0]} claims to be instance {stated!r:.40} of the plan, which has "
            f"{format_count(instances, 'instance')}, counted from 0"
        )
        yield differing("processes", said, pids)
