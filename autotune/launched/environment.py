"""Compares the variables that an instance's processes were started with, with those that a launch sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from autotune.launched.expected import Expected
from autotune.launched.findings import Finding, alike, differing, untold
from autotune.launched.read import RunningProcess
from autotune.placement.knobs import PRELOAD_VARIABLE


def compare_environment(expected: Expected, running: Sequence[RunningProcess]) -> Iterator[Finding]:
    """Compare variables; a difference that several processes have is told once.

    What the kernel tells is what a process was started with. A program may set variables afterwards, which
    nobody outside sees, or write over them (as `setproctitle` does).
    """
    said: dict[str, list[int]] = {}
    hidden: list[RunningProcess] = []
    for process in running:
        if not process.environment:
            hidden.append(process)
            continue
        for sentence in _differences(expected, process.environment):
            said.setdefault(sentence, []).append(process.pid)
    for sentence, pids in said.items():
        yield differing("environment", sentence, tuple(pids))
    if hidden:
        why = hidden[0].unread.get("environment", "it is empty, or was written over")
        pids = [process.pid for process in hidden]
        yield untold("environment", f"its variables cannot be read: {why}", tuple(pids))
    elif not said:
        kept, gone = len(expected.environment), len(expected.launched.unset)
        yield alike("environment", f"{kept} variables are as a launch sets them, and {gone} are not set")


def _differences(expected: Expected, environment: Mapping[str, str]) -> Iterator[str]:
    for name, value in expected.environment.items():
        found = environment.get(name)
        if found is None:
            yield f"{name} is not set, and a launch of the plan sets {value!r:.80}"
        elif name not in expected.loose and not _is_alike(name, found, value):
            yield f"{name} is {found!r:.80}, and a launch of the plan sets {value!r:.80}"
    for name in expected.launched.unset:
        if name in environment:
            yield f"{name} is {environment[name]!r:.80}, and a launch of the plan takes it away"


def _is_alike(name: str, found: str, value: str) -> bool:
    if name == PRELOAD_VARIABLE:
        return preloaded_names(found) == preloaded_names(value)
    return found == value


def preloaded_names(libraries: str) -> tuple[str, ...]:
    """Give the file names in a value of LD_PRELOAD: bundles have the same libraries in another folder."""
    return tuple(path.rpartition("/")[2] for path in libraries.replace(" ", ":").split(":") if path)
