"""Figures as people read them; inside, everything is in seconds, samples per second and bytes."""

from __future__ import annotations

import math

_BINARY = ("B", "KiB", "MiB", "GiB", "TiB")


def format_duration(seconds: float) -> str:
    """A span of time in its two largest units: `45 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = math.ceil(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def format_latency(seconds: float) -> str:
    """A latency in milliseconds, three significant digits: `12.3 ms`, `1230 ms`."""
    return f"{_significant(seconds * 1000)} ms"


def format_throughput(samples_per_s: float) -> str:
    """A throughput, three significant digits: `23.6 samples/s`."""
    return f"{_significant(samples_per_s)} samples/s"


def format_bytes(count: int) -> str:
    """A size in binary units: `1.5 GiB`."""
    power = min(len(_BINARY) - 1, max(0, (count.bit_length() - 1) // 10))
    return f"{count / 1024**power:.1f} {_BINARY[power]}" if power else f"{count} B"


def _significant(value: float) -> str:
    if value == 0:
        return "0"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"
