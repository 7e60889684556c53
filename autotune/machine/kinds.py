"""Tells performance cores from efficiency cores on a hybrid machine."""

from __future__ import annotations

from autotune.machine.machine import CoreKind
from autotune.machine.sysfs import Tree
from autotune.machine.topology import CPUS

_SPEED_FILES = ("cpu_capacity", "cpufreq/base_frequency")
"""Per cpu, how fast it is beside the others: Arm's relative capacity, Intel's guaranteed frequency.

The maximal frequency is no sign: favoured cores of one type differ in it.
"""
_SAME_TYPE = 0.9
"""Cores within 10 % of the fastest count as the same type. Source: hwloc, `cpukinds_maxfreq_adjust`."""


def read_kinds(tree: Tree, online: frozenset[int]) -> dict[int, CoreKind]:
    """Give the type of each online cpu; empty where all cores are of one type."""
    efficient = _listed_efficient(tree, online)
    for name in _SPEED_FILES:
        efficient = efficient or _slow(tree, online, name)
    if not efficient or efficient == online:
        return {}
    return {cpu: "efficiency" if cpu in efficient else "performance" for cpu in online}


def _listed_efficient(tree: Tree, online: frozenset[int]) -> frozenset[int]:
    """Cpus that Intel's performance counters list as Atom or low-power, beside a list of the others."""
    if not tree.cpu_list("sys/devices/cpu_core/cpus"):
        return frozenset()
    lists = (tree.cpu_list(f"sys/devices/{name}/cpus") for name in ("cpu_atom", "cpu_lowpower"))
    return frozenset().union(*(cpus for cpus in lists if cpus)) & online


def _slow(tree: Tree, online: frozenset[int], name: str) -> frozenset[int]:
    speeds: dict[int, int] = {}
    for cpu in online:
        speed = tree.integer(f"{CPUS}/cpu{cpu}/{name}")
        if speed is None or speed <= 0:
            return frozenset()
        speeds[cpu] = speed
    fastest = max(speeds.values())
    return frozenset(cpu for cpu, speed in speeds.items() if speed < _SAME_TYPE * fastest)
