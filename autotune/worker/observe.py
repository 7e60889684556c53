"""Reads back what a worker really got from the kernel: masks, memory policy, memory.

Runs in the worker, about itself.
"""

from __future__ import annotations

import ctypes
import os
import platform
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from autotune.backends.protocol import Backend, EngineReport
from autotune.machine.cpus import parse_cpu_list
from autotune.measurement.measurement import Observation, ThreadMask
from autotune.worker.knobs import process_knobs

_GET_MEMPOLICY: Mapping[str, int] = {
    "x86_64": 239,
    "aarch64": 236,
    "riscv64": 236,
    "loongarch64": 236,
    "ppc64": 260,
    "ppc64le": 260,
    "s390x": 269,
}
"""Number of the system call. Source: Linux, arch/*/…/syscall tables and include/uapi/asm-generic/unistd.h."""

_POLICIES = (
    "default",
    "preferred",
    "bind",
    "interleave",
    "local",
    "preferred_many",
    "weighted_interleave",
)
"""By number. Source: Linux, include/uapi/linux/mempolicy.h."""

_MODE_FLAGS = 0b111 << 13
"""Flags that the kernel adds to the mode (static, relative, numa balancing). Source: the same header."""

_MAX_NODES = 4096
"""Bits of the node mask handed to the kernel, which asks for at least its own MAX_NUMNODES (<= 1024)."""


def observe(
    report: EngineReport, *, load_s: float, warmup_s: float, export: str = "", backend: Backend | None = None
) -> Observation:
    """Read everything back; called when the engine has run, so that all its threads exist.

    Args:
        backend: of the engine, whose knobs are looked for in the process.
        export: as in `Observation`.
    """
    policy, nodes = memory_policy()
    memory_bytes, peak_bytes = memory_use()
    return Observation(
        pid=os.getpid(),
        cpus=tuple(sorted(os.sched_getaffinity(0))),
        threads=tuple(thread_masks()),
        memory_policy=policy,
        memory_nodes=nodes,
        engine=report.engine,
        engine_version=report.version,
        precision=report.precision,
        engine_threads=report.threads,
        memory_bytes=memory_bytes,
        peak_memory_bytes=peak_bytes,
        load_s=load_s,
        warmup_s=warmup_s,
        knobs={**process_knobs(backend), **report.knobs},
        export=export,
    )


def thread_masks() -> Iterator[ThreadMask]:
    """The mask of every thread of this process: the main thread's first, then by their ids."""
    tasks = [(int(path.name), path) for path in Path("/proc/self/task").iterdir()]
    for _, task in sorted(tasks, key=lambda pair: (pair[0] != os.getpid(), pair[0])):
        try:
            status = _fields(task / "status")
        except (FileNotFoundError, ProcessLookupError):
            continue  # the thread ended after it was listed
        yield ThreadMask(status["Name"], tuple(sorted(parse_cpu_list(status["Cpus_allowed_list"]))))


def memory_policy() -> tuple[str, tuple[int, ...]]:
    """This thread's memory policy and its nodes; `unknown` where the kernel does not say."""
    number = _GET_MEMPOLICY.get(platform.machine())
    if number is None:
        return "unknown", ()
    mode = ctypes.c_int()
    mask = (ctypes.c_ulong * (_MAX_NODES // (8 * ctypes.sizeof(ctypes.c_ulong))))()
    libc = ctypes.CDLL(None, use_errno=True)
    refused = libc.syscall(
        ctypes.c_long(number), ctypes.byref(mode), mask, ctypes.c_ulong(_MAX_NODES), None, ctypes.c_ulong(0)
    )
    if refused:
        return "unknown", ()
    index = mode.value & ~_MODE_FLAGS
    return (_POLICIES[index] if index < len(_POLICIES) else f"mode {index}"), tuple(_bits(mask))


def _bits(words: ctypes.Array[ctypes.c_ulong]) -> Iterator[int]:
    """Numbers of the bits that are set."""
    width = 8 * ctypes.sizeof(ctypes.c_ulong)
    for position, word in enumerate(words):
        yield from (position * width + bit for bit in range(width) if word >> bit & 1)


def memory_use() -> tuple[int, int]:
    """Proportional set size and the high-water mark of the resident set, in bytes.

    Kernels before 4.14 and some sandboxes have no `smaps_rollup`; the resident set stands in for it.
    """
    status = _fields(Path("/proc/self/status"))
    try:
        proportional = _fields(Path("/proc/self/smaps_rollup"))["Pss"]
    except (OSError, KeyError):
        proportional = status["VmRSS"]
    return _kib(proportional), _kib(status.get("VmHWM", proportional))


def process_age_s() -> float:
    """Seconds since this process was started (not since it was last exec'ed), to 10 ms."""
    after_name = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    # Field 22 is the start time in clock ticks since boot; the third field is the first after the name.
    started_s = int(after_name[22 - 3]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_s


def _fields(path: Path) -> dict[str, str]:
    """Read a file of `Key: value` lines."""
    pairs = (line.partition(":") for line in path.read_text(errors="replace").splitlines())
    return {key: value.strip() for key, _, value in pairs}


def _kib(text: str) -> int:
    """Read `123 kB` as bytes."""
    return int(text.removesuffix("kB")) * 1024
