"""Counters of this process's cgroups that tell whether the kernel interfered with what ran.

Every level of the path is read, because a limit acts at the level that has it. A counter that does not
exist counts as 0; that there is none at all is told of kills alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from autotune.machine.cgroup import Cgroups
from autotune.machine.sysfs import Tree


@dataclass(frozen=True)
class OomKills:
    """How many processes the kernel has killed for want of memory, up to a moment.

    Attributes:
        count: in this process's cgroup path and on the host; None where the kernel does not tell.
    """

    count: int | None

    def since(self, earlier: OomKills) -> bool | None:
        """Whether it has killed one since that earlier moment; None where it does not tell."""
        if self.count is None or earlier.count is None:
            return None
        return self.count > earlier.count


def throttled_periods(root: Path = Path("/")) -> int:
    """How often this process's cgroup path has run out of CPU quota."""
    tree = Tree(root)
    return throttling(tree, quota_files(tree))[0]


def quota_files(tree: Tree) -> tuple[str, ...]:
    """Where the levels of this process's cgroup path count how often the quota stopped them."""
    return _along_path(tree, "cpu", "cpu.stat")


def throttling(tree: Tree, files: Iterable[str]) -> tuple[int, float]:
    """How often the quota has stopped somebody according to these files, and for how many seconds in all.

    Version 2 counts microseconds, version 1 nanoseconds.
    """
    texts = [tree.text(file) for file in files]
    seconds = _total(texts, "throttled_usec") / 1e6 + _total(texts, "throttled_time") / 1e9
    return _total(texts, "nr_throttled"), seconds


def oom_kills(root: Path = Path("/")) -> OomKills:
    """How many processes the kernel has killed for want of memory up to now.

    It counts one before it sends the signal, so that who has seen such an end finds it counted.
    Source: `__oom_kill_process` in the kernel's mm/oom_kill.c.
    """
    tree = Tree(root)
    files = _along_path(tree, "memory", "memory.events", "memory.oom_control")
    counts = _numbers([tree.text(file) for file in (*files, "proc/vmstat")], "oom_kill")
    return OomKills(sum(counts) if counts else None)


def _along_path(tree: Tree, controller: str, *names: str) -> tuple[str, ...]:
    cgroups = Cgroups(tree)
    folders = [folder for version in (1, 2) for folder in cgroups.folders(version, controller)]
    return tuple(f"{folder}/{name}" for folder in folders for name in names)


def _total(texts: Iterable[str | None], name: str) -> int:
    return sum(_numbers(texts, name))


def _numbers(texts: Iterable[str | None], name: str) -> list[int]:
    """The numbers after a name, in texts of `name number` lines."""
    found = (re.search(rf"^{name} ([0-9]{{1,20}})$", text or "", re.MULTILINE) for text in texts)
    return [int(match[1]) for match in found if match]
