"""The clocks: what latencies are read from, and what says which day it is."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from typing import Final

from autotune.doctor.diagnosis import Diagnosis
from autotune.machine.kernel_settings import read_kernel_settings

READINGS: Final = 20_000
SLOW_S: Final = 1e-6
"""A reading of the clock that takes longer is a system call, which costs a request more than it measures.

Source: stated; by the vDSO it takes some 50 ns.
"""
FAST_CLOCKS: Final = ("tsc", "arch_sys_counter", "kvm-clock", "hyperv_clocksource_tsc_page", "tod")
"""Those that are read without a system call. Source: Linux, vdso of x86, arm64 and s390."""
_UNSYNCHRONISED: Final = 0x0040
"""STA_UNSYNC of the kernel's status. Source: adjtimex(2)."""
_STATUS_OFFSET: Final = 40
"""Of `status` in `struct timex` on 64 bit: modes, offset, freq, maxerror, esterror come before it."""


def examine_clock() -> Iterator[Diagnosis]:
    """Say what clock the kernel reads and how fast, and whether the time of day is kept right."""
    clock = read_kernel_settings(()).clock
    took_s = _reading_s()
    words = f"the kernel reads {clock or 'an unknown clock'}; a reading takes {took_s * 1e9:.0f} ns"
    is_slow = took_s > SLOW_S or (bool(clock) and clock not in FAST_CLOCKS)
    remedy = "boot with clocksource=tsc if the machine has one that is stable" if is_slow else ""
    yield Diagnosis("clock", "warning" if is_slow else "ok", words, remedy)
    synchronised = is_synchronised()
    if synchronised is None:
        yield Diagnosis("clock", "note", "whether the time of day is kept right cannot be told here")
    elif synchronised:
        yield Diagnosis("clock", "ok", "the time of day is kept right (NTP)")
    else:
        yield Diagnosis(
            "clock",
            "note",
            "nobody keeps the time of day right; measurements do not depend on it, times in listings do",
            "run chrony or systemd-timesyncd on the host",
        )


def is_synchronised() -> bool | None:
    """Whether the kernel takes its time of day for right; None where it does not tell.

    Source: adjtimex(2), which reads without any right where no mode is set.
    """
    state = ctypes.create_string_buffer(512)
    try:
        told = ctypes.CDLL(None, use_errno=True).adjtimex(state)
    except (OSError, AttributeError):
        return None
    if told < 0:
        return None
    return not int.from_bytes(state.raw[_STATUS_OFFSET : _STATUS_OFFSET + 4], "little") & _UNSYNCHRONISED


def _reading_s() -> float:
    """What a reading of the monotonic clock takes."""
    begin_s = time.perf_counter()
    for _ in range(READINGS):
        time.monotonic()
    return (time.perf_counter() - begin_s) / READINGS
