"""A plan's curve in words: a row for each rate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from autotune.plan.curve import PERCENTILES, Curve, CurvePoint
from autotune.plan.evidence import LatencyPercentile
from autotune.units import format_latency, format_significant

COLUMNS: Final = (
    "requests/s",
    "answered/s",
    "busy",
    *(f"p{percentile:g} (at most)" for percentile in PERCENTILES),
    "requests",
)


def curve_rows(curve: Curve) -> Iterator[tuple[str, ...]]:
    """Give a row for each rate; a bound in parentheses is that of the long run, with 95 % confidence."""
    for point in curve.points:
        yield (
            format_significant(point.rate_per_s),
            "" if point.answered_per_s is None else format_significant(point.answered_per_s),
            "" if point.utilisation is None else f"{point.utilisation:.0%}",
            *(_stated(point, percentile) for percentile in PERCENTILES),
            str(point.requests),
        )


def _stated(point: CurvePoint, percentile: float) -> str:
    latency = point.latency(percentile)
    return "" if latency is None else _in_words(latency)


def _in_words(latency: LatencyPercentile) -> str:
    if latency.value_s is None:
        return f"needs {latency.needed} requests"
    bound = "" if latency.upper_s is None else f" ({format_latency(latency.upper_s)})"
    return f"{format_latency(latency.value_s)}{bound}"
