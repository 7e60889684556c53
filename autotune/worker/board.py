"""A page of memory on which instances tell each other how far they are, without a system call or the parent.

Every instance writes one 64-bit word of its own and reads the others'. An aligned word is read and written
whole, and no other data hangs on it, so that no order between words is needed.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

LINE_BYTES = 128
"""Room of one instance: two cache lines, because neighbouring lines are fetched in pairs.

Source: Intel 64 and IA-32 Architectures Optimization Reference Manual, spatial prefetcher.
"""

_WORDS_PER_LINE = LINE_BYTES // 8
_SPINS_PER_CHECK = 64
"""Reads between two looks at the clock, each with an offer of the cpu to whoever may share it."""


@contextmanager
def shared_board(instances: int) -> Iterator[str]:
    """Make a zeroed board and give the path under which other processes of this user open it.

    It has no name in any file system, so that nothing is left behind whatever happens.
    """
    descriptor = os.memfd_create("autotune-board", os.MFD_CLOEXEC)
    try:
        os.ftruncate(descriptor, instances * LINE_BYTES)
        yield f"/proc/{os.getpid()}/fd/{descriptor}"
    finally:
        os.close(descriptor)


class Board:
    """One instance's view of a shared board; a context manager that unmaps it."""

    def __init__(self, path: str, instance: int, instances: int) -> None:
        self.instance = instance
        self.instances = instances
        with Path(path).open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), instances * LINE_BYTES)
        self._words = memoryview(self._map).cast("Q")

    def post(self, value: int) -> None:
        """Write this instance's word."""
        self._words[self.instance * _WORDS_PER_LINE] = value

    def read(self, instance: int) -> int:
        """Read any instance's word."""
        return self._words[instance * _WORDS_PER_LINE]

    def all_reached(self, value: int) -> bool:
        """Whether every instance's word is at least `value`."""
        return all(self.read(instance) >= value for instance in range(self.instances))

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._words.release()
        self._map.close()


def spin_until(condition: Callable[[], bool], deadline_s: float) -> bool:
    """Wait on this cpu, without sleeping, until the condition holds; False when the deadline came first."""
    while True:
        for _ in range(_SPINS_PER_CHECK):
            if condition():
                return True
        if time.monotonic() >= deadline_s:
            return False
        os.sched_yield()
