"""Reads what the kernel tells of processes: the files of /proc, or of a recording of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")

MAX_BYTES: Final = 64 * 2**20
"""Of one file: more than the maps of any process have."""


@dataclass(frozen=True)
class ProcFiles:
    """The files below /proc; reading them is an `OSError` where a process has ended, or may not be read.

    Attributes:
        root: the folder itself, or that of a recording.
    """

    root: Path = PROC

    def pids(self) -> tuple[int, ...]:
        """Give the ids of all processes, ascending."""
        return tuple(sorted(_numbers(self.root)))

    def is_there(self, pid: int) -> bool:
        """Whether there is such a process."""
        return (self.root / str(pid)).is_dir()

    def threads(self, pid: int) -> tuple[int, ...]:
        """Give the ids of a process's threads: first the main thread's, which is the process's own.

        The others ascend. They are lower than that where the kernel has begun anew with low ids.

        Raises:
            OSError: the process has ended, or may not be read.
        """
        ids = _numbers(self.root / str(pid) / "task")
        return tuple(sorted(ids, key=lambda thread: (thread != pid, thread)))

    def content(self, pid: int, *path: str, most: int = MAX_BYTES) -> bytes:
        """Give a file of a process, as far as `most` bytes go.

        Raises:
            OSError: the process has ended, or the file may not be read.
        """
        with self.root.joinpath(str(pid), *path).open("rb", buffering=0) as file:
            chunks: list[bytes] = []
            while most > 0 and (chunk := file.read(most)):
                chunks.append(chunk)
                most -= len(chunk)
            return b"".join(chunks)

    def text(self, pid: int, *path: str, most: int = MAX_BYTES) -> str:
        """Give a file of a process as text; see `content`."""
        return os.fsdecode(self.content(pid, *path, most=most))

    def words(self, pid: int) -> tuple[str, ...]:
        """Give a process's command line; none of a thread of the kernel, or of a process that has ended.

        Raises:
            OSError: as from `content`.
        """
        return tuple(_zero_ended(self.text(pid, "cmdline")))

    def environment(self, pid: int) -> dict[str, str]:
        """Give the variables that a process was started with; what it sets itself later is not among them.

        Raises:
            OSError: as from `content`.
        """
        entries = (entry.partition("=") for entry in _zero_ended(self.text(pid, "environ")) if "=" in entry)
        return {name: value for name, _, value in entries}

    def fields(self, pid: int, *path: str) -> Mapping[str, str]:
        """Give a file of `Key: value` lines, such as `status`.

        Raises:
            OSError: as from `content`.
        """
        pairs = (line.partition(":") for line in self.text(pid, *path).splitlines())
        return {key: value.strip() for key, _, value in pairs}

    def stat(self, pid: int, *path: str) -> tuple[str, ...]:
        """Give the fields of a `stat` file that come after the name; the third of proc(5) is the first.

        Raises:
            OSError: as from `content`.
        """
        return tuple(self.text(pid, *path, "stat").rpartition(")")[2].split())

    def started_s(self, pid: int) -> float | None:
        """Give the Unix time at which a process was started; None where the kernel does not say.

        Source: proc_pid_stat(5), field 22 (starttime), and `btime` of proc_stat(5).

        Raises:
            OSError: as from `content`.
        """
        stat = self.stat(pid)
        try:
            lines = (self.root / "stat").read_text().splitlines()
            booted_s = next(int(line.split()[1]) for line in lines if line.startswith("btime "))
            return booted_s + int(stat[22 - 3]) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, IndexError, StopIteration):
            return None

    def inside(self, pid: int, path: str) -> Path:
        """Give where a file lies that a process knows by this absolute path: a container has its own root."""
        own = self.root / str(pid) / "root"
        try:
            if (own / path.lstrip("/")).exists():
                return own / path.lstrip("/")
        except OSError:
            pass  # the root of another user's process may not be entered; the path is probably the same
        return Path(path)


def _numbers(folder: Path) -> Iterator[int]:
    return (int(name) for name in os.listdir(folder) if name.isascii() and name.isdigit())  # noqa: PTH208


def _zero_ended(text: str) -> list[str]:
    return text.removesuffix("\0").split("\0") if text else []
