"""Latency distributions that keep their resolution in a kilobyte: HdrHistogram."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

LOWEST_US, HIGHEST_US = 1, 3_600_000_000
"""From a microsecond to an hour; what is longer counts as an hour."""
DIGITS = 3
"""Significant decimal digits that every latency keeps."""
MOST = 100_000_000
"""Latencies of a histogram that is read: an hour of 25,000 requests a second has fewer."""


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
    values_us = _decoded(histogram).get_percentile_to_value_dict(percentiles)
    return tuple(values_us[percentile] / 1e6 for percentile in percentiles)


def histogram_values_s(histogram: str) -> tuple[float, ...]:
    """All values of an encoded histogram, ascending, in seconds; exact to `DIGITS`.

    Raises:
        ValueError: the text is no histogram.
    """
    decoded = _decoded(histogram)

    def value_s(index: int) -> float:
        return float(decoded.get_highest_equivalent_value(decoded.get_value_from_index(index)) / 1e6)

    # The library's own iterator computes all there is to know of each of 25,000 buckets; a few have counts.
    recorded = ((value_s(index), count) for index, count in enumerate(decoded.counts) if count)
    return tuple(value for value, count in recorded for _ in range(count))


def readable_histogram(histogram: str) -> str:
    """Give the encoded histogram back if it can be read and holds latencies.

    Raises:
        ValueError: it cannot, holds none, or more than any run has.
    """
    count = _decoded(histogram).get_total_count()
    if not 0 < count <= MOST:
        raise ValueError(f"{histogram[:40]!r} is an HdrHistogram of {count} values: it needs 1 to {MOST}")
    return histogram


def _decoded(histogram: str) -> Any:
    from hdrh.histogram import HdrHistogram

    try:
        return HdrHistogram.decode(histogram)
    except Exception as error:  # the library has no root of its own: zlib, base64, struct and index errors
        raise ValueError(f"{histogram[:40]!r} is no HdrHistogram") from error
