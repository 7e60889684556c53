"""Counters of this process's cgroups that tell whether the kernel interfered with a trial.

Every level of the path is read, because a limit acts at the level that has it. A counter that does not
exist counts as 0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from autotune.machine.cgroup import Cgroups
from autotune.machine.sysfs import Tree


def throttled_periods(root: Path = Path("/")) -> int:
    """How often this process's cgroup path has run out of CPU quota."""
    return _along_path(Tree(root), "cpu", ("cpu.stat",), "nr_throttled")


def oom_kills(root: Path = Path("/")) -> int:
    """How many processes have been killed for memory, in this process's cgroup path and on the host."""
    tree = Tree(root)
    in_path = _along_path(tree, "memory", ("memory.events", "memory.oom_control"), "oom_kill")
    return in_path + _counter(tree, "proc/vmstat", "oom_kill")


def _along_path(tree: Tree, controller: str, files: Sequence[str], name: str) -> int:
    cgroups = Cgroups(tree)
    folders = [folder for version in (1, 2) for folder in cgroups.folders(version, controller)]
    return sum(_counter(tree, f"{folder}/{file}", name) for folder in folders for file in files)


def _counter(tree: Tree, path: str, name: str) -> int:
    """The number after a name, in a file of `name number` lines."""
    found = re.search(rf"^{name} ([0-9]{{1,20}})$", tree.text(path) or "", re.MULTILINE)
    return int(found[1]) if found else 0
