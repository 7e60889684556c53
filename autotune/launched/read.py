"""Reads back what a running process really has: masks, memory, threads, variables, files. Changes nothing.

The kernel tells of another process less than of one's own. `get_mempolicy` asks for the own policy alone; of
others, `numa_maps` writes the policy of each stretch of memory, which is that of the thread under whose name
it is read unless the stretch has one of its own. The program's own text, which comes first, never has.
Source: Linux, fs/proc/task_mmu.c (show_numa_map), mm/mempolicy.c (mpol_to_str).
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from autotune.errors import MachineError
from autotune.launched.proc import ProcFiles
from autotune.launched.versions import loaded_versions
from autotune.machine.cpus import format_cpu_list, parse_cpu_list

_POLICY: Final = re.compile(
    r"[0-9a-f]+ (?P<mode>prefer \(many\)|weighted interleave|[a-z]+)"
    r"(?:=[a-z|]+)*(?:\+[a-z|]+)*(?::(?P<nodes>[0-9,-]+))?(?: |$)"
)
"""The start of a line of numa_maps: address, policy, flags, nodes."""

_FIRST_LINES: Final = 4_096
"""So many bytes hold the first stretch of memory; a whole file walks over every page of the process."""

_PAGES: Final = re.compile(r" N([0-9]{1,5})=([0-9]{1,15})")
_PAGE_SIZE: Final = re.compile(r" kernelpagesize_kB=([0-9]{1,9})")
_USUAL_PAGE_BYTES: Final = 4_096

_HELD: Final = {"T": "stopped by a signal", "t": "stopped by a debugger"}
"""By the state that the kernel writes. Source: proc_pid_status(5)."""

_ENDED: Final = (FileNotFoundError, ProcessLookupError, NotADirectoryError)


@dataclass(frozen=True)
class MemoryPolicy:
    """Where a thread's memory comes from.

    Attributes:
        mode: in the kernel's words: `default`, `bind`, `prefer`, `interleave`, `local` and others.
        nodes: ascending; empty where the mode names none.
    """

    mode: str
    nodes: tuple[int, ...] = ()

    @property
    def in_words(self) -> str:
        """As `bind 0-1`."""
        return f"{self.mode} {format_cpu_list(self.nodes)}".rstrip()


@dataclass(frozen=True)
class RunningThread:
    """One thread.

    Attributes:
        cpus: that it may run on, ascending.
        policy: None where the kernel does not tell it.
        cpu_s: seconds that it has computed, to 10 ms.
    """

    id: int
    name: str
    cpus: tuple[int, ...]
    policy: MemoryPolicy | None
    cpu_s: float


@dataclass(frozen=True)
class RunningProcess:
    """What a process really has.

    Attributes:
        threads: the main thread is the first.
        allowed_nodes: memory nodes that its cpuset leaves it; None where the kernel does not say.
        memory_bytes: by node, where its own memory lies (heap, stacks and the like, not files); None where
            that cannot be read.
        environment: what it was started with; None where that cannot be read.
        mapped: paths of the files in its memory; None where they cannot be read.
        versions: of the distributions that were asked for and have a library in its memory, by name.
        unread: why one of these is None, as the kernel says it: by `memory`, `environment`, `files`.
        inner_pid: its id inside its container; None where it is in none.
        held: in words, why none of its threads goes on: a signal, or a debugger; empty where they may.
    """

    pid: int
    threads: tuple[RunningThread, ...]
    allowed_nodes: tuple[int, ...] | None = None
    memory_bytes: Mapping[int, int] | None = None
    environment: Mapping[str, str] | None = None
    mapped: frozenset[str] | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
    inner_pid: int | None = None
    held: str = ""

    @property
    def main(self) -> RunningThread:
        """Its first thread."""
        return self.threads[0]

    @property
    def cpus(self) -> frozenset[int]:
        """Where any of its threads may run."""
        return frozenset(cpu for thread in self.threads for cpu in thread.cpus)


def read_process(pid: int, files: ProcFiles, distributions: Collection[str] = ()) -> RunningProcess | None:
    """Read a process back; None where it has ended, or ends meanwhile.

    Args:
        distributions: whose versions are looked for.
    """
    try:
        status = files.fields(pid, "status")
        threads = tuple(_threads(pid, files))
    except (OSError, MachineError):
        return None
    if not threads or status.get("State", "").startswith(("Z", "X")):
        return None
    unread: dict[str, str] = {}
    environment = _or_why(unread, "environment", lambda: files.environment(pid))
    mapped = _or_why(unread, "files", lambda: frozenset(_mapped(files.text(pid, "maps"))))
    memory = _or_why(unread, "memory", lambda: own_memory_bytes(files.text(pid, "numa_maps")))
    if unread and not files.is_there(pid):
        return None
    return RunningProcess(
        pid=pid,
        threads=threads,
        allowed_nodes=_numbers(status.get("Mems_allowed_list", "")),
        memory_bytes=memory,
        environment=environment,
        mapped=mapped,
        versions=loaded_versions(mapped or (), distributions, partial(files.inside, pid)),
        unread=unread,
        inner_pid=_inner_pid(status.get("NSpid", "")),
        held=_HELD.get(status.get("State", "")[:1], ""),
    )


Content = TypeVar("Content")


def _or_why(unread: dict[str, str], name: str, read: Callable[[], Content]) -> Content | None:
    """Read; where that is not permitted, keep the kernel's reason under the name."""
    try:
        return read()
    except OSError as error:
        unread[name] = error.strerror or str(error)
        return None


def _threads(pid: int, files: ProcFiles) -> Iterator[RunningThread]:
    for thread in files.threads(pid):
        folder = ("task", str(thread))
        try:
            status, stat = files.fields(pid, *folder, "status"), files.stat(pid, *folder)
        except _ENDED:
            continue  # it ended after it was listed
        yield RunningThread(
            id=thread,
            name=status.get("Name", ""),
            cpus=tuple(sorted(parse_cpu_list(status.get("Cpus_allowed_list", "")))),
            policy=_policy_of(pid, folder, files),
            cpu_s=_cpu_s(stat),
        )


def _policy_of(pid: int, folder: Sequence[str], files: ProcFiles) -> MemoryPolicy | None:
    try:
        return parse_policy(files.text(pid, *folder, "numa_maps", most=_FIRST_LINES))
    except OSError:
        return None


def parse_policy(numa_maps: str) -> MemoryPolicy | None:
    """Read the policy of the first stretch of memory; None where there is none, or it is garbage."""
    found = _POLICY.match(numa_maps)
    return None if found is None else MemoryPolicy(found["mode"], _numbers(found["nodes"] or "") or ())


def own_memory_bytes(numa_maps: str) -> dict[int, int]:
    """Add up by node what a process has that is of no file: pages, times their size."""
    found: Counter[int] = Counter()
    for line in numa_maps.splitlines():
        if " anon=" not in line or " file=" in line:
            continue
        size = _PAGE_SIZE.search(line)
        for node, pages in _PAGES.findall(line):
            found[int(node)] += int(pages) * (1024 * int(size[1]) if size else _USUAL_PAGE_BYTES)
    return dict(sorted(found.items()))


def _mapped(maps: str) -> Iterator[str]:
    """Give the paths of the files in a process's memory. Source: proc_pid_maps(5)."""
    for line in maps.splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5].startswith("/"):
            yield fields[5].removesuffix(" (deleted)")


def _cpu_s(stat: Sequence[str]) -> float:
    """Seconds in the program and in the kernel: fields 14 and 15, counted from 1 with the name."""
    try:
        return (int(stat[14 - 3]) + int(stat[15 - 3])) / os.sysconf("SC_CLK_TCK")
    except (IndexError, ValueError):
        return 0.0


def _numbers(text: str) -> tuple[int, ...] | None:
    """Read a list of nodes; None where it is empty, or none."""
    try:
        return tuple(sorted(parse_cpu_list(text))) or None
    except MachineError:
        return None


def _inner_pid(text: str) -> int | None:
    """Read the ids that a process has, from the outermost namespace to its own."""
    pids = text.split()
    return int(pids[-1]) if len(pids) > 1 and pids[-1].isdigit() else None
