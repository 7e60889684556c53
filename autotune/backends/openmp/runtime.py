"""Which OpenMP runtime a process has, and what is left of one that ended by a signal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from autotune.machine.mapped import MappedFile, home_of

GNU: Final = "libgomp"
INTEL: Final = "libiomp5"
RUNTIMES: Final = (INTEL, GNU)
"""Stems of the files of the runtimes that knobs speak of."""


def runtime_file(mapped: Sequence[MappedFile]) -> str:
    """Give the file of the runtime that a call from a library loaded from here on leads to, such as torch's.

    Where there is none, the one that an engine keeps to itself; empty where none is loaded.
    """
    return home_of("omp_get_max_threads", mapped) or next(
        (file.path for file in mapped if file.name.startswith(RUNTIMES)), ""
    )


def runtime_of(file: str) -> str:
    """Give the runtime's stem, or the path of one that no knob speaks of."""
    return next((stem for stem in RUNTIMES if Path(file).name.startswith(stem)), file)


def registration_file(pid: int) -> Path:
    """Name the file by which Intel's runtime finds another one of its process.

    It stays where a signal ends the process.
    """
    return Path("/dev/shm") / f"__KMP_REGISTERED_LIB_{pid}_{os.getuid()}"
