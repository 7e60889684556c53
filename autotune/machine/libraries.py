"""Shared libraries that the dynamic linker finds on this host."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

LDCONFIG = "/sbin/ldconfig"
"""Prints the linker's cache; absolute, as /sbin is not on everybody's PATH."""

_ENTRY = re.compile(r"\s+(\S+) \(.*\) => (/.+)")
_TIMEOUT_S = 10.0


def find_library(names: Iterable[str]) -> Path | None:
    """Where the first of these shared libraries lies that a process like this one can load.

    Args:
        names: as the linker knows them, such as `libjemalloc.so.2`; best first.
    """
    own = _machine_of(Path(sys.executable))
    return next((path for name in names for path in _paths(name) if _machine_of(path) == own), None)


def _paths(name: str) -> Iterator[Path]:
    return (path for listed, path in _linker_cache() if listed == name)


@cache
def _linker_cache() -> tuple[tuple[str, Path], ...]:
    """Name and path of every library in it; nothing where there is no ldconfig, as with musl."""
    try:
        listed = subprocess.run(
            [LDCONFIG, "-p"], capture_output=True, text=True, check=True, timeout=_TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    entries = map(_ENTRY.fullmatch, listed.stdout.splitlines())
    return tuple((entry[1], Path(entry[2])) for entry in entries if entry)


def _machine_of(path: Path) -> bytes:
    """Word size and instruction set of a program or library; empty where it cannot be read.

    Source: ELF, e_ident[EI_CLASS] and e_machine.
    """
    try:
        with path.open("rb") as file:
            header = file.read(20)
    except OSError:
        return b""
    return header[:5] + header[18:20]
