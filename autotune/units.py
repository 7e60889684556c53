"""Figures as people read and write them; inside, everything is in seconds, samples per second and bytes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal

_NUMBER = r"[0-9]{1,15}(\.[0-9]{1,15})?"

# U+00B5 and U+03BC, which look alike, are both typed for micro.
DURATION_PATTERN = rf"^{_NUMBER} ?(us|\u00b5s|\u03bcs|ms|s|min|h)$"
RATE_PATTERN = r"^[0-9]{1,15}(\.[0-9]{1,15})?([eE][+-]?[0-9]{1,3})? ?(/ ?(s|min|h|day))?$"
_MOST_PER_S = 1e9
"""Of requests a second that anybody may ask for: more than all of a large company's machines see."""
SIZE_PATTERN = rf"^{_NUMBER} ?([kKmMgGtT][iI]?)?[bB]$"
"""What `parse_duration_s` and `parse_bytes` read, as regular expressions that JSON Schema shares."""

_SECONDS = {
    "us": Decimal("1e-6"),
    "\u00b5s": Decimal("1e-6"),
    "\u03bcs": Decimal("1e-6"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "min": Decimal(60),
    "h": Decimal(3600),
}
_BYTES = {f"{prefix}b": 1000**power for power, prefix in enumerate(("", "k", "m", "g", "t"))} | {
    f"{prefix}ib": 1024**power for power, prefix in enumerate(("k", "m", "g", "t"), start=1)
}
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB")


def parse_duration_s(text: str) -> float:
    """Seconds of a duration with its unit: `50ms`, `0.05 s`, `2min`.

    Raises:
        ValueError: the text is none.
    """
    if not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError(f"{text!r} is not a duration: write a number and us, ms, s, min or h, such as 50ms")
    return float(_scaled(text, _SECONDS))


def parse_rate_per_s(text: str) -> float:
    """Requests per second of a rate with its unit: `100/s`, `6000/min`, `1e9/day`; of a number alone, `/s`.

    Raises:
        ValueError: the text is none, or the rate is 0 or above a billion a second.
    """
    if not re.fullmatch(RATE_PATTERN, text):
        raise ValueError(f"{text!r} is not a rate: write a number and /s, /min, /h or /day, such as 100/s")
    number, _, unit = text.partition("/")
    rate_per_s = float(number) / _RATE_SECONDS[unit.strip() or "s"]
    if not 0 < rate_per_s <= _MOST_PER_S:
        raise ValueError(f"a rate of {text} is none to serve: write more than 0 and at most 1e9/s")
    return rate_per_s


_RATE_SECONDS = {"s": 1, "min": 60, "h": 3_600, "day": 86_400}


def parse_bytes(text: str) -> int:
    """Bytes of a size with its unit, rounded down: `4GiB` (of 1024**3 bytes), `512 MB` (of 1000**2).

    Raises:
        ValueError: the text is none.
    """
    if not re.fullmatch(SIZE_PATTERN, text):
        raise ValueError(f"{text!r} is not a size: write a number and its unit, such as 4GiB or 512MB")
    return int(_scaled(text.lower(), _BYTES))


def parse_share(text: str) -> float:
    """Read `30%`, `30 %` or `0.3`.

    Raises:
        ValueError: it is none of them.
    """
    number = text.strip().removesuffix("%")
    try:
        return float(number) / (100 if text.strip() != number else 1)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a share: write 30% or 0.3") from error


def format_duration(seconds: float) -> str:
    """A span of time in its two largest units: `45 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = math.ceil(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def format_count(count: float, noun: str, plural: str = "") -> str:
    """So many of something: `1 trial`, `2.5 minutes`, and of `study` with its plural `2 studies`."""
    told = str(count) if isinstance(count, int) else f"{count:g}"
    return f"{told} {noun if count == 1 else plural or f'{noun}s'}"


def format_latency(seconds: float) -> str:
    """A latency in milliseconds, three significant digits: `12.3 ms`, `1230 ms`."""
    return f"{format_significant(seconds * 1000)} ms"


def format_throughput(samples_per_s: float) -> str:
    """A throughput, three significant digits: `23.6 samples/s`."""
    return f"{format_significant(samples_per_s)} samples/s"


def format_rate(requests_per_s: float) -> str:
    """A rate of requests, three significant digits: `120 requests/s`."""
    return f"{format_significant(requests_per_s)} requests/s"


def format_bytes(count: int) -> str:
    """A size in binary units: `1.5 GiB`."""
    power = min(len(_BINARY) - 1, max(0, (count.bit_length() - 1) // 10))
    return f"{count / 1024**power:.1f} {_BINARY[power]}" if power else f"{count} B"


def format_significant(value: float) -> str:
    """A number with three significant digits and no exponent: `12.3`, `1230`, `0.0123`."""
    if value == 0:
        return "0"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def _scaled(text: str, units: Mapping[str, Decimal | int]) -> Decimal:
    """Number times unit, in decimal so that `50ms` and `0.05s` are one value."""
    number = re.match(_NUMBER, text)
    assert number is not None
    return Decimal(number[0]) * units[text[number.end() :].strip()]
