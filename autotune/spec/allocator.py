"""The knob of every process, whatever its engine: the library that gives out memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from autotune.machine.mapped import MappedFile, home_of
from autotune.spec.knob import Knob, Preload

_USUAL: Final = "glibc"

_GIVING: Final = ("malloc", "calloc", "realloc", "posix_memalign")
"""What every allocator offers. A program that is not position-independent, such as Debian's Python, may have
a stub of its own for one whose address it takes: that stands for it everywhere and leads to the allocator."""

_C_LIBRARY: Final = ("libc.", "libc-")
"""How the names of its files begin: `libc.so.6`, and `libc-2.31.so` before glibc 2.34."""


def allocator_in_force(mapped: Sequence[MappedFile]) -> str:
    """Read back who gives out memory in this process: `glibc`, or the path of another library."""
    program = str(Path("/proc/self/exe").readlink())
    homes = [home_of(symbol, mapped) for symbol in _GIVING]
    home = next((path for path in homes if path not in ("", program)), program)
    return _USUAL if Path(home).name.startswith(_C_LIBRARY) else home


ALLOCATOR: Final = Knob(
    "allocator",
    (_USUAL, "jemalloc", "tcmalloc", "mimalloc"),
    "which library gives out memory",
    has_paths=True,
    preloads=(
        Preload(
            "jemalloc",
            ("libjemalloc.so.2", "libjemalloc.so.1"),
            "libjemalloc",
            "apt-get install libjemalloc2",
        ),
        Preload(
            "tcmalloc",
            ("libtcmalloc_minimal.so.4", "libtcmalloc.so.4"),
            "libtcmalloc",
            "apt-get install libtcmalloc-minimal4",
        ),
        Preload(
            "mimalloc",
            ("libmimalloc.so.3", "libmimalloc.so.2", "libmimalloc.so.2.0"),
            "libmimalloc",
            "apt-get install libmimalloc2.0",
        ),
    ),
    in_force=allocator_in_force,
)
"""Its libraries are Debian's and Ubuntu's packages; other systems have them under other names."""
