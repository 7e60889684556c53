"""Latency distributions that keep their resolution in a kilobyte: HdrHistogram."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

LOWEST_US, HIGHEST_US = 1, 3_600_000_000
"""From a microsecond to an hour; what is longer counts as an hour."""
DIGITS = 3
"""Significant decimal digits that every latency keeps."""


def latency_histogram(latencies_s: Iterable[float]) -> str | None:
    """The latencies in microseconds, as every HdrHistogram library reads them; None for no latencies."""
    from hdrh.histogram import HdrHistogram

    histogram = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)
    for latency_s in latencies_s:
        histogram.record_value(min(HIGHEST_US, max(LOWEST_US, round(latency_s * 1e6))))
    return histogram.encode().decode() if histogram.get_total_count() else None


def histogram_percentiles_s(histogram: str, percentiles: Sequence[float]) -> tuple[float, ...]:
    """The percentiles of an encoded histogram, in seconds.

    Raises:
        ValueError: the text is no histogram.
    """
    decoded = _decoded(histogram)
    return tuple(decoded.get_value_at_percentile(percentile) / 1e6 for percentile in percentiles)


def histogram_values_s(histogram: str) -> tuple[float, ...]:
    """All values of an encoded histogram, ascending, in seconds; exact to `DIGITS`.

    Raises:
        ValueError: the text is no histogram.
    """
    steps = _decoded(histogram).get_recorded_iterator()
    return tuple(
        step.value_iterated_to / 1e6 for step in steps for _ in range(step.count_at_value_iterated_to)
    )


def _decoded(histogram: str) -> Any:
    from hdrh.histogram import HdrHistogram

    try:
        return HdrHistogram.decode(histogram)
    except Exception as error:  # the library has no root of its own: zlib, base64, struct and index errors
        raise ValueError(f"{histogram[:40]!r} is no HdrHistogram") from error
