"""Latency against the rate at which requests arrive."""

from __future__ import annotations

from matplotlib.axes import Axes

from autotune.plan.curve import Curve
from autotune.plan.evidence import LatencyPercentile
from autotune.report.dossier import Dossier
from autotune.report.figures.axes import scale_values
from autotune.report.figures.picture import (
    HUES,
    MARKERS,
    MUTED,
    Missing,
    Picture,
    drawing,
    legend_above,
    new_figure,
)
from autotune.units import format_latency, format_rate

NAME, TITLE = "curve", "Latency against the rate of requests"

DRAWN = (50.0, 95.0, 99.0)
"""The percentiles that are drawn, as far as they are known."""


def picture(dossier: Dossier) -> Picture | Missing:
    """Draw the percentiles of latency at every measured rate, and the rate that is too much."""
    curve = dossier.plan.curve
    if curve is None:
        return Missing(NAME, TITLE, "No rates were measured: `autotune curve` does that.")
    with drawing():
        figure = new_figure(4.2)
        axes = figure.add_subplot()
        for percentile, hue, marker in zip(DRAWN, HUES, MARKERS, strict=False):
            _draw(axes, curve, percentile, hue, marker)
        if (capacity := curve.capacity_per_s) is not None:
            label = f"at most {format_rate(capacity)}"
            axes.axvline(capacity, color=MUTED, linestyle=":", label=label, gid="curve-capacity")
        axes.set_xlim(left=0)
        axes.set_xlabel("requests per second")
        axes.set_ylabel("latency, ms")
        scale_values(axes.yaxis, [1000 * value for _, value, _ in _points(curve, DRAWN)])
        legend_above(axes, columns=4)
    return Picture(NAME, TITLE, _CAPTION, _description(curve), figure)


def _draw(axes: Axes, curve: Curve, percentile: float, hue: str, marker: str) -> None:
    points = _points(curve, (percentile,))
    if not points:
        return
    values = [1000 * value for _, value, _ in points]
    above = [1000 * max(0.0, upper - value) for _, value, upper in points]
    axes.errorbar(
        [rate for rate, _, _ in points],
        values,
        yerr=[[0.0] * len(values), above],
        color=hue,
        marker=marker,
        capsize=3,
        label=f"p{percentile:g}",
    )


def _points(curve: Curve, percentiles: tuple[float, ...]) -> list[tuple[float, float, float]]:
    """Give rate, latency and its bound, of every point that knows them."""
    stated = [
        (point.rate_per_s, latency)
        for point in curve.points
        for latency in point.latencies
        if latency.percentile in percentiles
    ]
    return [
        (rate, latency.value_s, _upper_s(latency, latency.value_s))
        for rate, latency in stated
        if latency.value_s is not None and latency.value_s > 0
    ]


def _upper_s(latency: LatencyPercentile, value_s: float) -> float:
    return value_s if latency.upper_s is None else latency.upper_s


def _description(curve: Curve) -> str:
    told = [
        f"p{latency.percentile:g} {format_latency(latency.value_s)} at {format_rate(point.rate_per_s)}"
        for point in curve.points
        for latency in point.latencies
        if latency.value_s is not None and latency.percentile == DRAWN[-1]
    ]
    return f"Percentiles of latency at the rates that were measured. {'; '.join(told) or 'No p99 is known'}."


_CAPTION = (
    "Latency counts from when a request was due. Whiskers lead to what the percentile does not exceed in the "
    "long run, with 95 % confidence; at rates that are too much, points are what was seen while they lasted."
)
