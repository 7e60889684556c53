"""Reads back which knobs a worker's process really has, and compares them with what was asked.

Reading runs in the worker, about itself.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from autotune.placement.knobs import VARIABLES
from autotune.placement.preloads import preload_of
from autotune.spec.knobs import KNOBS, parse_knobs

_ENDLESS = 2**31 - 1
"""What `kmp_get_blocktime` gives for an infinite one. Source: LLVM, kmp.h, KMP_MAX_BLOCKTIME."""

_TORCH = "libc10.so"
"""The library of torch's that reads `THP_MEM_ALLOC_ENABLE`. Source: c10/core/impl/alloc_cpu.cpp."""

_RUNTIMES = ("libiomp5", "libgomp")
"""Stems of the OpenMP runtimes that knobs speak of."""

_GIVING = ("malloc", "calloc", "realloc", "posix_memalign")
"""What every allocator offers. A program that is not position-independent, such as Debian's Python, may have
a stub of its own for one whose address it takes: that stands for it everywhere and leads to the allocator."""

_C_LIBRARY = ("libc.", "libc-")
"""How the names of its files begin: `libc.so.6`, and `libc-2.31.so` before glibc 2.34."""


class _Mapping(NamedTuple):
    """A stretch of memory that holds a part of a file."""

    start: int
    end: int
    file: str


def process_knobs() -> dict[str, str]:
    """Values by name, of those knobs that can be read here.

    The allocator is `glibc` or the path of the library that gives out memory; the OpenMP runtime is the one
    that a call from torch leads to, if it is loaded.
    """
    mapped = tuple(_mappings())
    found = {"allocator": _allocator(mapped), **_openmp(mapped)}
    if any(Path(one.file).name == _TORCH for one in mapped):
        found["thp"] = "on" if os.environ.get(VARIABLES["thp"]) == "1" else "off"
    return found


def knob_differences(asked: str, seen: Mapping[str, str]) -> Iterator[str]:
    """What differs between a configuration's knobs and what a worker found, a sentence each."""
    for name, value in parse_knobs(asked).items():
        if name not in seen:
            yield f"{name} should be {value}, which nothing in the worker shows"
        elif not _is_as_asked(name, value, seen[name]):
            yield f"{name} is {seen[name]}, not {value}"


def _is_as_asked(name: str, value: str, seen: str) -> bool:
    preload = preload_of(name, value)
    if preload is not None:
        return Path(seen).name.startswith(preload.stem)
    return seen == (os.path.realpath(value) if value.startswith("/") else value)


def _allocator(mapped: Sequence[_Mapping]) -> str:
    program = str(Path("/proc/self/exe").readlink())
    homes = [_home_of(symbol, mapped) for symbol in _GIVING]
    home = next((one for one in homes if one not in ("", program)), program)
    return KNOBS["allocator"].usual if Path(home).name.startswith(_C_LIBRARY) else home


def _openmp(mapped: Sequence[_Mapping]) -> dict[str, str]:
    """The runtime, and how long its idle threads stay awake; nothing where none is loaded."""
    home = _home_of("omp_get_max_threads", mapped) or _loaded_runtime(mapped)
    runtime = next((stem for stem in _RUNTIMES if Path(home).name.startswith(stem)), home)
    if runtime == "libiomp5":
        milliseconds = ctypes.CDLL(home).kmp_get_blocktime()
        blocktime = "infinite" if milliseconds == _ENDLESS else str(milliseconds)
        return {"openmp": runtime, "blocktime": blocktime}
    if runtime == "libgomp":
        # It does not say what it has read; the variable was there before it was loaded.
        policy = os.environ.get(VARIABLES["wait_policy"], KNOBS["wait_policy"].usual)
        return {"openmp": runtime, "wait_policy": policy.lower()}
    return {"openmp": runtime} if runtime else {}


def _loaded_runtime(mapped: Sequence[_Mapping]) -> str:
    """The file of a runtime that its engine keeps to itself; empty where there is none."""
    return next((one.file for one in mapped if Path(one.file).name.startswith(_RUNTIMES)), "")


def _home_of(symbol: str, mapped: Sequence[_Mapping]) -> str:
    """The file that holds what a symbol stands for in libraries loaded from here on; empty if unknown."""
    try:
        function = getattr(ctypes.CDLL(None), symbol)
    except AttributeError:
        return ""
    address = ctypes.cast(function, ctypes.c_void_p).value or 0
    return next((one.file for one in mapped if one.start <= address < one.end), "")


def _mappings() -> Iterator[_Mapping]:
    """The parts of files that this process has mapped. Source: proc_pid_maps(5)."""
    for line in Path("/proc/self/maps").read_text(errors="replace").splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5].startswith("/"):
            start, _, end = fields[0].partition("-")
            yield _Mapping(int(start, 16), int(end, 16), fields[5])
