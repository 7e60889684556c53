"""The files that a process has mapped into its memory, and which of them a function comes from."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple


class MappedFile(NamedTuple):
    """A stretch of memory that holds a part of a file."""

    start: int
    end: int
    path: str

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return Path(self.path).name


def read_mapped_files() -> Iterator[MappedFile]:
    """Read which parts of files this process has mapped. Source: proc_pid_maps(5)."""
    for line in Path("/proc/self/maps").read_text(errors="replace").splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5].startswith("/"):
            start, _, end = fields[0].partition("-")
            yield MappedFile(int(start, 16), int(end, 16), fields[5])


def home_of(symbol: str, mapped: Sequence[MappedFile]) -> str:
    """Find the file of what a symbol stands for in libraries loaded from here on; empty if unknown."""
    try:
        function = getattr(ctypes.CDLL(None), symbol)
    except AttributeError:
        return ""
    address = ctypes.cast(function, ctypes.c_void_p).value or 0
    return next((file.path for file in mapped if file.start <= address < file.end), "")
