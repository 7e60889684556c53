"""Reads what the cgroups of this process allow: cpus, memory nodes, CPU bandwidth, memory.

Both versions of cgroups may be mounted at once, and a controller is in one of them. Limits hold along
the whole path, so the smallest one counts. In a container the mount may show only a part of the tree,
or the path be relative to the container: both are taken into account.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from autotune.machine.sysfs import Tree

_UNLIMITED_BYTES = 1 << 60
"""Limits from here on mean none: version 1 says PAGE_COUNTER_MAX, just below 2**63."""


@dataclass(frozen=True)
class _Mount:
    """One mounted hierarchy.

    Attributes:
        version: 2 for the unified hierarchy, 1 for the others.
        controllers: names in the mount options of version 1.
        prefix: of the names of cpuset's files; empty for the old cpuset file system.
        root: which part of the hierarchy the mount shows.
    """

    version: int
    path: str
    root: str = "/"
    controllers: frozenset[str] = frozenset()
    prefix: str = "cpuset."


class Cgroups:
    """The cgroups of the process that a /proc/self describes."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def cpus(self) -> frozenset[int] | None:
        """Give the cpus of the cpuset; None when it does not restrict."""
        return self._cpuset("cpus")

    def memory_nodes(self) -> frozenset[int] | None:
        """Give the memory nodes of the cpuset; None when it does not restrict."""
        return self._cpuset("mems")

    def quota_cpus(self) -> float | None:
        """Give the smallest CPU bandwidth along the path, in cpus; None when unlimited."""
        quotas = [self._quota_v2(folder) for folder in self.folders(2, "cpu")]
        quotas += [self._quota_v1(folder) for folder in self.folders(1, "cpu")]
        return min((quota for quota in quotas if quota is not None), default=None)

    def memory_limit_bytes(self) -> int | None:
        """Give the smallest memory limit along the path; None when unlimited."""
        limits = [self._tree.integer(f"{folder}/memory.max") for folder in self.folders(2, "memory")]
        limits += [
            self._tree.integer(f"{folder}/memory.limit_in_bytes") for folder in self.folders(1, "memory")
        ]
        return min((limit for limit in limits if limit and 0 < limit < _UNLIMITED_BYTES), default=None)

    def _quota_v2(self, folder: str) -> float | None:
        found = re.match(r"([0-9]{1,18})\s+([0-9]{1,18})", self._tree.text(f"{folder}/cpu.max") or "")
        return _cpus_of(int(found[1]), int(found[2])) if found else None

    def _quota_v1(self, folder: str) -> float | None:
        quota = self._tree.integer(f"{folder}/cpu.cfs_quota_us")
        period = self._tree.integer(f"{folder}/cpu.cfs_period_us")
        return None if quota is None or period is None else _cpus_of(quota, period)

    def _cpuset(self, what: str) -> frozenset[int] | None:
        for mount in self._cpuset_mounts():
            name = f"{mount.prefix}{what}" if mount.version == 1 else f"cpuset.{what}.effective"
            # The nearest file on the way up counts: below it the controller is not enabled.
            for folder in self._path_up(mount, "cpuset"):
                allowed = self._tree.cpu_list(f"{folder}/{name}")
                if allowed:
                    return allowed
        return None

    def _cpuset_mounts(self) -> Iterable[_Mount]:
        return (mount for mount in self._mounts if mount.version == 2 or "cpuset" in mount.controllers)

    def folders(self, version: int, controller: str) -> Iterable[str]:
        """Folders of the process's cgroup path for a controller, from its own up to the mount points."""
        for mount in self._mounts:
            if mount.version == version and (version == 2 or controller in mount.controllers):
                yield from self._path_up(mount, controller)

    def _path_up(self, mount: _Mount, controller: str) -> Iterable[str]:
        """Folders from the process's cgroup up to the mount point."""
        member = self._membership(mount.version, controller)
        path = _below(PurePosixPath(member), PurePosixPath(mount.root))
        for folder in (path, *path.parents):
            yield str(PurePosixPath(mount.path) / folder)

    def _membership(self, version: int, controller: str) -> str:
        """The process's cgroup in one hierarchy, as /proc says."""
        for line in (self._tree.text("proc/self/cgroup") or "").splitlines():
            names, _, path = line.partition(":")[2].partition(":")
            if (version == 2 and not names) or (version == 1 and controller in names.split(",")):
                return path
        cpuset = self._tree.text("proc/self/cpuset") if controller == "cpuset" or version == 2 else None
        return cpuset or "/"

    @cached_property
    def _mounts(self) -> tuple[_Mount, ...]:
        told = tuple(self._told_mounts())
        usual = tuple(mount for mount in self._usual_mounts() if mount.path not in {m.path for m in told})
        return told + usual

    def _told_mounts(self) -> Iterable[_Mount]:
        lines = (self._tree.text("proc/self/mountinfo") or "").splitlines()
        if lines:
            return _mounts_of(_parse_mountinfo(line) for line in lines)
        lines = (self._tree.text("proc/self/mounts") or self._tree.text("proc/mounts") or "").splitlines()
        return _mounts_of(_parse_mounts(line) for line in lines)

    def _usual_mounts(self) -> Iterable[_Mount]:
        """Mounts where they usually are, for a recording that tells of none."""
        if self._tree.has("sys/fs/cgroup/cgroup.controllers") or self._tree.has(
            "sys/fs/cgroup/cpuset.cpus.effective"
        ):
            yield _Mount(2, "/sys/fs/cgroup")
        for name in ("cpuset", "cpu", "cpu,cpuacct", "memory"):
            if self._tree.has(f"sys/fs/cgroup/{name}"):
                yield _Mount(1, f"/sys/fs/cgroup/{name}", controllers=frozenset(name.split(",")))
        if self._tree.has("dev/cpuset/cpus"):
            yield _Mount(1, "/dev/cpuset", controllers=frozenset(("cpuset",)), prefix="")


def _cpus_of(quota_us: int, period_us: int) -> float | None:
    return quota_us / period_us if quota_us > 0 and period_us > 0 else None


def _below(path: PurePosixPath, root: PurePosixPath) -> PurePosixPath:
    """The path relative to what the mount shows; the mount itself where it does not show the path."""
    if ".." in path.parts or ".." in root.parts or not path.is_relative_to(root):
        return PurePosixPath()
    return path.relative_to(root)


def _mounts_of(parsed: Iterable[tuple[str, str, str, str] | None]) -> Iterable[_Mount]:
    for kind, path, root, options in (entry for entry in parsed if entry):
        names = frozenset(options.split(","))
        if kind == "cgroup2":
            yield _Mount(2, path, root)
        elif kind == "cgroup":
            yield _Mount(1, path, root, names, "" if "noprefix" in names else "cpuset.")
        elif kind == "cpuset":
            yield _Mount(1, path, root, frozenset(("cpuset",)), "")


def _parse_mountinfo(line: str) -> tuple[str, str, str, str] | None:
    before, dash, after = line.partition(" - ")
    fields, source = before.split(" "), after.split(" ")
    if not dash or len(fields) < 6 or len(source) < 3:
        return None
    return source[0], _unescaped(fields[4]), _unescaped(fields[3]), source[2]


def _parse_mounts(line: str) -> tuple[str, str, str, str] | None:
    fields = line.split(" ")
    return (fields[2], _unescaped(fields[1]), "/", fields[3]) if len(fields) >= 4 else None


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), text)
