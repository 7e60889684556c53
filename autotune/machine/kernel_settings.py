"""Reads how the kernel is set up, where that decides how steady measurements are; changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from autotune.machine.sysfs import Tree
from autotune.machine.topology import CPUS

_CLOCK = "sys/devices/system/clocksource/clocksource0/current_clocksource"
_HUGE_PAGES = "sys/kernel/mm/transparent_hugepage/enabled"
_BALANCING = "proc/sys/kernel/numa_balancing"


@dataclass(frozen=True)
class KernelSettings:
    """How the kernel of a machine is set up; None or empty = it does not say.

    Attributes:
        governors: of the cpus' frequency, each once; none on most virtual machines.
        boosts: whether cpus may run faster than their nominal frequency for a while.
        smt: whether cores run several threads at once.
        huge_pages: when memory is given in large pages: `always`, `madvise` or `never`.
        balances_nodes: whether pages are moved to the node of who uses them, while it runs.
        clock: what tells the kernel the time, such as `tsc`.
        load: mean number of tasks that ran or waited in the last minute.
        swap_bytes, swap_used_bytes: room on disks for memory, and what is taken of it.
        available_bytes: memory that can be had without swapping.
    """

    governors: tuple[str, ...] = ()
    boosts: bool | None = None
    smt: bool | None = None
    huge_pages: str = ""
    balances_nodes: bool | None = None
    clock: str = ""
    load: float | None = None
    swap_bytes: int | None = None
    swap_used_bytes: int | None = None
    available_bytes: int | None = None


def read_kernel_settings(cpus: Iterable[int], root: Path = Path("/")) -> KernelSettings:
    """Read how the kernel below `root` is set up.

    Args:
        cpus: whose governors count.

    Raises:
        MachineError: the root is no folder.
    """
    tree = Tree(root)
    governors = {tree.text(f"{CPUS}/cpu{cpu}/cpufreq/scaling_governor") for cpu in cpus}
    swap, free = _memory(tree, "SwapTotal"), _memory(tree, "SwapFree")
    return KernelSettings(
        governors=tuple(sorted(governor for governor in governors if governor)),
        boosts=_boosts(tree),
        smt=_is_one(tree, f"{CPUS}/smt/active"),
        huge_pages=_chosen(tree.text(_HUGE_PAGES)),
        balances_nodes=_is_one(tree, _BALANCING),
        clock=tree.text(_CLOCK) or "",
        load=_load(tree),
        swap_bytes=swap,
        swap_used_bytes=None if swap is None or free is None else swap - free,
        available_bytes=_memory(tree, "MemAvailable"),
    )


def _boosts(tree: Tree) -> bool | None:
    """Intel's driver says whether it may not, others whether they may."""
    barred = _is_one(tree, f"{CPUS}/intel_pstate/no_turbo")
    return _is_one(tree, f"{CPUS}/cpufreq/boost") if barred is None else not barred


def _is_one(tree: Tree, file: str) -> bool | None:
    number = tree.integer(file)
    return None if number is None else number != 0


def _chosen(text: str | None) -> str:
    """The word in brackets: `always [madvise] never`."""
    found = re.search(r"\[(\w+)\]", text or "")
    return found[1] if found else ""


def _load(tree: Tree) -> float | None:
    found = re.match(r"([0-9]{1,9}\.[0-9]{1,9}) ", tree.text("proc/loadavg") or "")
    return float(found[1]) if found else None


def _memory(tree: Tree, name: str) -> int | None:
    found = re.search(rf"^{name}: +([0-9]{{1,15}}) kB$", tree.text("proc/meminfo") or "", re.MULTILINE)
    return int(found[1]) * 1024 if found else None
