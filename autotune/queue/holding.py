"""Which process holds a job, and whether it still lives, whatever any clock says."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autotune.store.job_records import JobHolder

PROC = Path("/proc")

BOOT = "sys/kernel/random/boot_id"
"""Under /proc, what the kernel calls the time since it was started. Source: Linux, random(4)."""

_STATE, _PARENT, _STARTED = 0, 1, 19
"""Places in /proc/PID/stat after the name in brackets, which may hold anything. Source: Linux, proc(5)."""

_ENDED = ("Z", "X")
"""States of a process that has ended and was not waited for yet."""


@dataclass(frozen=True)
class ProcessFacts:
    """What the kernel says of a process.

    Attributes:
        state: its letter in proc(5); one that is stopped lives.
        parent: process id of its parent.
        started_ticks: when it was started, in clock ticks since the boot.
    """

    state: str
    parent: int
    started_ticks: int

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self.state not in _ENDED


def process_facts(pid: int, proc: Path = PROC) -> ProcessFacts | None:
    """Read what the kernel says of a process; None where there is none of this id."""
    try:
        text = (proc / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return ProcessFacts(fields[_STATE], int(fields[_PARENT]), int(fields[_STARTED]))


def holder_of(pid: int, proc: Path = PROC) -> JobHolder:
    """Name a process of this host as the holder of a job."""
    facts = process_facts(pid, proc)
    return JobHolder(socket.gethostname(), _boot(proc), pid, 0 if facts is None else facts.started_ticks)


def is_here(holder: JobHolder) -> bool:
    """Say whether a holder is a process of this host, of this boot or an earlier one."""
    return holder.host == socket.gethostname()


def is_alive(holder: JobHolder, proc: Path = PROC) -> bool:
    """Say whether a holder of this host still lives: of this boot, and the process that it was.

    A process that is stopped lives. No clock is asked, which somebody may have moved.
    """
    if holder.boot != _boot(proc):
        return False
    facts = process_facts(holder.pid, proc)
    return facts is not None and facts.is_alive and facts.started_ticks == holder.started_ticks


@contextmanager
def watched(holder: JobHolder) -> Iterator[int | None]:
    """Give a descriptor that can be read once a holder of this host has ended; None where it has by now.

    The descriptor stays of that process when its id is given to another one: what is looked at after it was
    opened is what it is of. Source: Linux, pidfd_open(2).
    """
    try:
        descriptor = os.pidfd_open(holder.pid)
    except (ProcessLookupError, OverflowError):
        yield None
        return
    try:
        yield descriptor if is_alive(holder) else None
    finally:
        os.close(descriptor)


def send(holder: JobHolder, number: signal.Signals) -> bool:
    """Send a signal to a holder of this host, and to no other process; say whether it lives."""
    with watched(holder) as descriptor:
        if descriptor is None:
            return False
        try:
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return False
        return True


def children_of(parent: int, proc: Path = PROC) -> tuple[int, ...]:
    """List the processes whose parent is this one, those included that have ended and wait for it."""
    found = []
    for folder in proc.iterdir():
        if folder.name.isdecimal():
            facts = process_facts(int(folder.name), proc)
            if facts is not None and facts.parent == parent:
                found.append(int(folder.name))
    return tuple(found)


def _boot(proc: Path) -> str:
    return (proc / BOOT).read_text().strip()
