"""Reads which cpus are online and how they share cores, packages and level-3 caches.

Agrees with hwloc (hwloc/topology-linux.c) where the kernel describes a cpu, and falls back to ids,
then to /proc/cpuinfo, where an old kernel or a recording lacks the sibling masks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cached_property

from autotune.errors import MachineError
from autotune.machine.cpuinfo import CpuInfo
from autotune.machine.cpus import MAX_CPU
from autotune.machine.sysfs import Tree

CPUS = "sys/devices/system/cpu"

_MODULE_FAMILIES = ("21", "22")
"""AMD families whose `thread_siblings` are the two cores of a compute unit.

Source: hwloc/topology-linux.c, `is_amd_with_CU`.
"""
_KNIGHTS_MODELS = ("87", "133")
"""Intel models that report on-package memory as a level-3 cache of no size. Source: the same, `is_knl`."""

Groups = tuple[frozenset[int], ...]


def read_online(tree: Tree, cpuinfo: CpuInfo, runnable: frozenset[int] | None = None) -> frozenset[int]:
    """Give the online cpus: those that the kernel describes, else the best list that there is.

    lxcfs shows containers a made-up list in `online`, from 0 to their number of cpus - 1. The list is not
    believed where it lacks a cpu that this process may run on and whose own folder shows that it runs.

    Args:
        runnable: cpus that this process may run on; the kernel may have listed offline ones among them in a
            recording. None where nothing says.

    Raises:
        MachineError: no file names a cpu.
    """
    online = _shown_online(tree, cpuinfo, _read_list(tree, runnable or frozenset()))
    return online | _unshown(tree, online, runnable or frozenset())


def _read_list(tree: Tree, runnable: frozenset[int]) -> frozenset[int] | None:
    """The list of online cpus; None where there is none, or where it is made up."""
    listed = tree.cpu_list(f"{CPUS}/online")
    if listed is None:
        return None
    is_made_up = any(tree.is_host or _is_shown_running(tree, cpu) for cpu in runnable - listed)
    return None if is_made_up else listed


def _is_shown_running(tree: Tree, cpu: int) -> bool:
    """Whether the cpu's own folder shows that it runs: the kernel takes `topology` from one that does not."""
    state = tree.integer(f"{CPUS}/cpu{cpu}/online")
    return tree.has(f"{CPUS}/cpu{cpu}/topology") if state is None else state != 0


def _unshown(tree: Tree, online: frozenset[int], runnable: frozenset[int]) -> frozenset[int]:
    """Cpus that no file shows, but that this process runs on.

    The running kernel leaves no offline cpu in an affinity. A recorded list may have some, but never those
    alone.
    """
    if not tree.is_host and runnable & online:
        return frozenset()
    return frozenset(cpu for cpu in runnable if tree.integer(f"{CPUS}/cpu{cpu}/online") != 0)


def _shown_online(tree: Tree, cpuinfo: CpuInfo, listed: frozenset[int] | None) -> frozenset[int]:
    """The online cpus that files show.

    Args:
        listed: of `online`; None where there is no such list.

    Raises:
        MachineError: no file names a cpu.
    """
    folders = tree.numbered(CPUS, "cpu")
    present = frozenset(cpu for cpu in folders if _is_online(tree, cpu, listed))
    described = frozenset(cpu for cpu in present if tree.has(f"{CPUS}/cpu{cpu}/topology"))
    named = frozenset(processor.number for processor in cpuinfo.processors)
    for cpus in (described, present, listed, named, _cpus_in_stat(tree), tree.cpu_list(f"{CPUS}/present")):
        if cpus:
            return cpus
    raise MachineError(
        "no cpu found: neither sys/devices/system/cpu nor proc/cpuinfo names one",
        remedy="give the root folder of a Linux machine or of a recording of one (its sys and proc folders)",
    )


def _is_online(tree: Tree, cpu: int, listed: frozenset[int] | None) -> bool:
    if listed is not None:
        return cpu in listed
    # Old kernels have a file per cpu, but none for a cpu that cannot be taken offline.
    return tree.integer(f"{CPUS}/cpu{cpu}/online") != 0


def _cpus_in_stat(tree: Tree) -> frozenset[int]:
    numbers = re.findall(r"^cpu([0-9]{1,5}) ", tree.text("proc/stat") or "", re.MULTILINE)
    return frozenset(number for number in map(int, numbers) if number <= MAX_CPU)


class Topology:
    """How the online cpus of one machine are grouped; every property is a partition, sorted by first cpu."""

    def __init__(self, tree: Tree, cpuinfo: CpuInfo, online: frozenset[int]) -> None:
        self._tree = tree
        self._cpuinfo = cpuinfo
        self._online = online
        self._folders = frozenset(tree.numbered(CPUS, "cpu"))

    @cached_property
    def cores(self) -> Groups:
        """The cpus of each core: SMT siblings together, an AMD compute unit's two cores apart."""
        return partition(self._online, self._core_siblings)

    @cached_property
    def packages(self) -> Groups:
        """The cpus of each package; one package where the kernel does not say."""
        return partition(self._online, self._package_siblings)

    @cached_property
    def l3(self) -> Groups:
        """The cpus of each level-3 cache that the kernel names; may leave cpus out, all of them even."""
        groups: list[frozenset[int]] = []
        covered: set[int] = set()
        for cpu in sorted(self._online):
            if cpu not in covered and (sharing := self._l3_sharing(cpu)) is not None:
                groups.append(sharing & self._online - covered | {cpu})
                covered |= groups[-1]
        return tuple(groups)

    def _core_siblings(self, cpu: int) -> frozenset[int]:
        siblings = self._siblings(cpu, "core_cpus", "thread_siblings")
        if siblings is None:
            return self._core_mates[cpu]
        return frozenset((cpu,)) if self._is_module(cpu, siblings) else siblings

    def _package_siblings(self, cpu: int) -> frozenset[int]:
        siblings = self._siblings(cpu, "package_cpus", "core_siblings")
        return self._package_mates[cpu] if siblings is None else siblings

    def _siblings(self, cpu: int, *names: str) -> frozenset[int] | None:
        if cpu not in self._folders:
            return None
        folder = f"{CPUS}/cpu{cpu}/topology"
        for name in names:
            found = self._tree.cpu_mask(f"{folder}/{name}") or self._tree.cpu_list(f"{folder}/{name}_list")
            if found:
                return found
        return None

    def _is_module(self, cpu: int, siblings: frozenset[int]) -> bool:
        if self._cpuinfo.vendor != "AuthenticAMD" or self._cpuinfo.family not in _MODULE_FAMILIES:
            return False
        others = sorted(siblings & self._online - {cpu})
        return bool(others) and self._id(cpu, "core_id") != self._id(others[0], "core_id")

    def _l3_sharing(self, cpu: int) -> frozenset[int] | None:
        folder = f"{CPUS}/cpu{cpu}/cache"
        indices = self._tree.numbered(folder, "index") if cpu in self._folders else ()
        for index in indices:
            if self._is_l3(f"{folder}/index{index}"):
                return self._sharing(cpu, f"{folder}/index{index}")
        return None

    def _sharing(self, cpu: int, cache: str) -> frozenset[int] | None:
        mask = self._tree.cpu_mask(f"{cache}/shared_cpu_map")
        if mask is None:
            return self._tree.cpu_list(f"{cache}/shared_cpu_list")
        # IA-64 kernels give an empty map for a cache of one core.
        return mask or self._core_siblings(cpu)

    def _is_l3(self, cache: str) -> bool:
        if self._tree.integer(f"{cache}/level") != 3:
            return False
        if (self._tree.text(f"{cache}/type") or "").startswith("Instruction"):
            return False
        return not (self._is_knights and not self._tree.integer(f"{cache}/size"))

    @property
    def _is_knights(self) -> bool:
        info = self._cpuinfo
        model = info.fields.get("model", "")
        return info.vendor == "GenuineIntel" and info.family == "6" and model in _KNIGHTS_MODELS

    def _id(self, cpu: int, name: str) -> int | None:
        if cpu not in self._folders:
            return None
        number = self._tree.integer(f"{CPUS}/cpu{cpu}/topology/{name}")
        return None if number is None or number < 0 else number

    @cached_property
    def _core_mates(self) -> Mapping[int, frozenset[int]]:
        """Per cpu, the cpus with its core id in its package; itself alone where the kernel does not say."""
        told = {processor.number: processor.core_id for processor in self._cpuinfo.processors}
        keys: dict[int, Hashable] = {}
        for cpu in self._online:
            core = self._id(cpu, "core_id")
            core = told.get(cpu) if core is None else core
            known = core is not None and self._may_have_smt
            keys[cpu] = (self._package_keys[cpu], core) if known else ("cpu", cpu)
        return _mates(keys)

    @property
    def _may_have_smt(self) -> bool:
        """False where /proc/cpuinfo counts as many cores as cpus: core ids may then repeat in a package."""
        fields = self._cpuinfo.fields
        return "siblings" not in fields or fields["siblings"] != fields.get("cpu cores")

    @cached_property
    def _package_mates(self) -> Mapping[int, frozenset[int]]:
        return _mates(self._package_keys)

    @cached_property
    def _package_keys(self) -> Mapping[int, Hashable]:
        """Per cpu, what its package is called; None for all where the kernel does not say."""
        told = {processor.number: processor.package_id for processor in self._cpuinfo.processors}
        ids = {cpu: self._id(cpu, "physical_package_id") for cpu in self._online}
        return {cpu: told.get(cpu) if number is None else number for cpu, number in ids.items()}


def _mates(keys: Mapping[int, Hashable]) -> Mapping[int, frozenset[int]]:
    groups: dict[Hashable, set[int]] = {}
    for cpu, key in keys.items():
        groups.setdefault(key, set()).add(cpu)
    frozen = {key: frozenset(group) for key, group in groups.items()}
    return {cpu: frozen[key] for cpu, key in keys.items()}


def partition(cpus: Iterable[int], siblings_of: Callable[[int], frozenset[int]]) -> Groups:
    """Split the cpus into groups, first cpu first; masks that contradict each other never overlap groups."""
    left = set(cpus)
    groups: list[frozenset[int]] = []
    for cpu in sorted(left):
        if cpu in left:
            groups.append(siblings_of(cpu) & left | {cpu})
            left -= groups[-1]
    return tuple(groups)
