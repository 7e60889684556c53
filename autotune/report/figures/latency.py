"""How long requests took: the distribution of each contender, its percentiles and their upper bounds."""

from __future__ import annotations

from matplotlib.axes import Axes

from autotune.plan.describe import format_percentile
from autotune.report.distributions import Distribution, distributions
from autotune.report.dossier import Dossier, mapping
from autotune.report.figures.axes import name_marker, scale_values
from autotune.report.figures.contenders import LineStyle, look
from autotune.report.figures.picture import (
    RED,
    Missing,
    Picture,
    drawing,
    legend_above,
    new_figure,
)
from autotune.units import format_latency

NAME, TITLE = "latency", "How long requests took"


def picture(dossier: Dossier) -> Picture | Missing:
    """Draw the share of the requests that were answered within each time."""
    found = distributions(dossier)
    if not found:
        return Missing(NAME, TITLE, "The plan has too few requests to speak of their latencies.")
    with drawing():
        figure = new_figure(4.2)
        axes = figure.add_subplot()
        for one in found:
            _draw(axes, one, look(dossier, _word(one.name)))
        _draw_limit(axes, dossier)
        axes.set_xlabel("latency, ms")
        axes.set_ylabel("share of the requests")
        axes.set_ylim(0, 1.03)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        scale_values(axes.xaxis, [1000 * value for one in found for value in _values_s(one)])
        legend_above(axes, columns=3)
    return Picture(NAME, TITLE, _CAPTION, _description(found), figure)


def _draw(axes: Axes, one: Distribution, its: LineStyle) -> None:
    label = f"{one.name}, {one.requests} requests"
    if one.points:
        latencies, shares = zip(*one.points, strict=True)
        milliseconds = [1000 * latency for latency in latencies]
        axes.step(
            [milliseconds[0], *milliseconds],
            [0.0, *shares],
            where="post",
            color=its.colour,
            linestyle=its.dash,
            label=label,
            gid=f"latency-{_id(one.name)}",
        )
    for percentile in one.supported:
        value = 1000 * (percentile.value_s or 0.0)
        upper = value if percentile.upper_s is None else max(value, 1000 * percentile.upper_s)
        bars = axes.errorbar(
            [value],
            [percentile.percentile / 100],
            xerr=[[0.0], [upper - value]],
            color=its.colour,
            marker=its.marker,
            capsize=3,
            linewidth=1.2,
            linestyle="none",
            label=None if one.points or percentile is not one.supported[0] else label,
        )
        name_marker(bars, f"percentile-{_id(one.name)}-p{percentile.percentile:g}")


def _draw_limit(axes: Axes, dossier: Dossier) -> None:
    """The study's limit on a percentile, as the corner that the curve must pass on the left."""
    limit = mapping(mapping(dossier.spec.get("limits")).get("latency"))
    percentile, max_s = limit.get("percentile"), limit.get("max_s")
    if isinstance(percentile, int | float) and isinstance(max_s, int | float):
        axes.plot(
            [1000 * max_s] * 2,
            [0, percentile / 100],
            color=RED,
            linestyle=":",
            label=f"limit: p{percentile:g} within {format_latency(max_s)}",
            gid="latency-limit",
        )
        axes.plot([1000 * max_s], [percentile / 100], color=RED, marker="4", markersize=12, linestyle="none")


def _values_s(one: Distribution) -> list[float]:
    return [latency for latency, _ in one.points] + [each.value_s for each in one.supported if each.value_s]


def _description(found: tuple[Distribution, ...]) -> str:
    told = "; ".join(f"{one.name}: {_percentiles_in_words(one)}" for one in found)
    return f"The share of the requests that were answered within each time. {told}."


_CAPTION = (
    "The share of the requests that were answered within each time. Markers are percentiles; whiskers lead "
    "to what the true percentile does not exceed, with 95 % confidence."
)


def _percentiles_in_words(one: Distribution) -> str:
    told = ", ".join(f"p{each.percentile:g} {format_percentile(each)}" for each in one.supported)
    return told or f"too few requests ({one.requests}) for a percentile"


def _word(name: str) -> str:
    """The name without its standing."""
    return name.partition(" (")[0]


def _id(name: str) -> str:
    return _word(name).replace(" ", "-")
