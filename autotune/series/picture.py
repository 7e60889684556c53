"""The picture of a series: throughput, latency and cost, row by row or against a number of the points."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from autotune.objectives.cost import Cost
from autotune.plan.make import range_of
from autotune.report.figures.axes import clear_of_edges, scale_counts, scale_values
from autotune.report.figures.picture import BLUE, HUES, MARKERS, Picture, drawing, new_figure
from autotune.series.standing import PointStanding, Standings
from autotune.series.values import Against
from autotune.statistics.paired import Interval

NAME = "series"

_NAMES: Mapping[Against, str] = {
    "cores": "cores",
    "instances": "instances",
    "batch_size": "sequences per request",
    "sequence_length": "tokens per sequence",
}

_MILLISECONDS = 1_000.0
_ROW_IN, _ROOM_IN = 0.3, 1.2
"""Height of a row, and of what is around the rows, in inches."""
_LINES_IN = 4.2


@dataclass(frozen=True)
class _Panel:
    """One quantity of all points.

    Attributes:
        value: of a point; None where it has none.
        scale: from the value to what is shown.
    """

    label: str
    value: Callable[[PointStanding], Interval | None]
    scale: float = 1.0


def _panels(standings: Standings) -> list[_Panel]:
    """What is shown; the cost, too, where there is a price."""
    shown = [
        _Panel("samples/s (higher is better)", lambda one: one.throughput),
        _Panel("median latency, ms (lower is better)", lambda one: one.median, _MILLISECONDS),
    ]
    if standings.price is not None:
        label = f"{Cost(standings.price.currency).unit} (lower is better)"
        shown.append(_Panel(label, lambda one: one.cost))
    return shown


def draw(standings: Standings, title: str, against: Against | None) -> Picture | None:
    """Draw what was measured; None where nothing was."""
    measured = [one for one in standings.points if one.is_measured]
    if not measured:
        return None
    panels = _panels(standings)
    with drawing():
        if against is None:
            figure = new_figure(_ROOM_IN + _ROW_IN * len(measured))
            for axes, panel in zip(figure.subplots(1, len(panels), sharey=True), panels, strict=True):
                _draw_rows(axes, measured, panel)
        else:
            figure = new_figure(_LINES_IN)
            lines = _lines(measured)
            all_axes = figure.subplots(1, len(panels))
            for axes, panel in zip(all_axes, panels, strict=True):
                _draw_lines(axes, lines, against, panel)
            handles, labels = all_axes[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside upper left", ncols=4)
    return Picture(
        NAME, title, " ".join((_CAPTION, *standings.left_out)), _description(measured, standings), figure
    )


def number_of(one: PointStanding, against: Against) -> int:
    """Where a point lies on the axis."""
    if against == "cores":
        return one.point.cores
    if against == "instances":
        return 0 if one.point.configuration is None else one.point.configuration.instances
    return int(one.point.study["problem"][against] or 0)


def _draw_rows(axes: Axes, points: Sequence[PointStanding], panel: _Panel) -> None:
    """A row for each point: points of a ladder lie factors apart, which bars from 0 do not show."""
    drawn: list[float] = []
    for row, one in enumerate(points):
        if (value := panel.value(one)) is not None:
            reach = _reach(value, panel.scale)
            axes.errorbar(
                [value.estimate * panel.scale], [row], xerr=reach, color=BLUE, marker="o", capsize=3
            )
            drawn += _ends(value, panel.scale)
    scale_values(axes.xaxis, drawn)
    axes.set_xlabel(panel.label)
    axes.set_yticks(range(len(points)), [one.point.name for one in points])
    axes.set_ylim(len(points) - 0.5, -0.5)
    axes.margins(x=0.08)


def _draw_lines(
    axes: Axes, lines: Mapping[str, Sequence[PointStanding]], against: Against, panel: _Panel
) -> None:
    drawn: list[float] = []
    for index, (name, points) in enumerate(lines.items()):
        ordered = sorted(points, key=lambda one: number_of(one, against))
        found = [
            (number_of(one, against), value) for one in ordered if (value := panel.value(one)) is not None
        ]
        reaches = [_reach(value, panel.scale) for _, value in found]
        axes.errorbar(
            [at for at, _ in found],
            [value.estimate * panel.scale for _, value in found],
            yerr=[[reach[end][0] for reach in reaches] for end in (0, 1)],
            color=HUES[index % len(HUES)],
            marker=MARKERS[index % len(MARKERS)],
            capsize=3,
            label=name,
        )
        drawn += [end for _, value in found for end in _ends(value, panel.scale)]
    counts = [number_of(one, against) for points in lines.values() for one in points]
    axes.set_xlabel(_NAMES[against])
    axes.set_ylabel(panel.label)
    scale_counts(axes.xaxis, counts)
    scale_values(axes.yaxis, drawn)
    clear_of_edges(axes)


def _ends(value: Interval, scale: float) -> list[float]:
    """The estimate, and where its whiskers end."""
    span = range_of(value)
    return [end * scale for end in (value.estimate, *(() if span is None else (span.low, span.high)))]


def _reach(value: Interval, scale: float) -> list[list[float]]:
    """Below and above the estimate; nothing where a single round tells nothing."""
    span = range_of(value)
    if span is None:
        return [[0.0], [0.0]]
    below, above = value.estimate - span.low, span.high - value.estimate
    return [[max(0.0, below) * scale], [max(0.0, above) * scale]]


def _lines(points: Sequence[PointStanding]) -> dict[str, list[PointStanding]]:
    found: dict[str, list[PointStanding]] = {}
    for one in points:
        found.setdefault(one.point.line or one.point.name, []).append(one)
    return found


def _description(points: Sequence[PointStanding], standings: Standings) -> str:
    told = (
        f"{one.point.name}: {one.throughput.estimate:.4g} samples/s, "
        f"median {one.median.estimate * _MILLISECONDS:.4g} ms{_told_cost(one, standings)}"
        for one in points
        if one.throughput is not None and one.median is not None
    )
    return f"{'; '.join(told)}."


def _told_cost(one: PointStanding, standings: Standings) -> str:
    if one.cost is None or standings.price is None:
        return ""
    return f", {one.cost.estimate:.4g} {Cost(standings.price.currency).unit}"


_CAPTION = "Whiskers are 95 % intervals over the rounds."
