"""The finalists against the plan and against the baseline: ratios, their intervals, and the tie zone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from matplotlib.axes import Axes

from autotune.plan.describe import format_range
from autotune.report.dossier import Dossier
from autotune.report.figures.axes import scale_values
from autotune.report.figures.picture import (
    BLUE,
    FILL,
    GREEN,
    INK,
    MUTED,
    PURPLE,
    RED,
    Missing,
    Picture,
    drawing,
    new_figure,
)
from autotune.report.standings import Kind, Standing, against_baseline, against_plan

NAME, TITLE = "finalists", "How sure the differences are"

_LOOKS: Mapping[Kind, tuple[str, str]] = {
    "plan": ("*", INK),
    "tied": ("o", GREEN),
    "worse": ("v", RED),
    "twin": ("D", PURPLE),
    "baseline": ("s", BLUE),
}
"""Marker and colour."""


def picture(dossier: Dossier) -> Picture | Missing:
    """Draw the ratios to the plan, and where the runs are at hand to the baseline, with their intervals."""
    to_plan = against_plan(dossier)
    if len(to_plan) < 2:
        return Missing(NAME, TITLE, "There is nothing that the plan was compared with.")
    to_baseline = () if dossier.is_baseline else against_baseline(dossier)
    panels = [panel for panel in (to_baseline, to_plan) if panel]
    with drawing():
        figure = new_figure(1.1 + 0.3 * max(map(len, panels)))
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        if to_baseline:
            _draw(axes[0], to_baseline)
            axes[0].set_xlabel("times as good as the baseline, with 95 % interval")
        _draw(axes[-1], to_plan)
        _draw_tie_zone(axes[-1], dossier.tie)
        axes[-1].set_xlabel("times as good as the plan, with 95 % interval")
    return Picture(NAME, TITLE, _description(dossier, to_plan, to_baseline), figure)


def _draw(axes: Axes, standings: Sequence[Standing]) -> None:
    for row, one in enumerate(standings):
        marker, colour = _LOOKS[one.kind]
        reach = [[0.0], [0.0]]
        if one.range is not None:
            reach = [[max(0.0, one.ratio - one.range.low)], [max(0.0, one.range.high - one.ratio)]]
        axes.errorbar(
            [one.ratio],
            [row],
            xerr=reach,
            color=colour,
            marker=marker,
            markersize=9 if marker == "*" else 6,
            capsize=4,
            linestyle="none",
            gid=f"ratio-{one.name.replace(' ', '-')}",
        )
    axes.axvline(1.0, color=MUTED, linewidth=1.0)
    axes.set_yticks(range(len(standings)), [_row_name(one) for one in standings])
    axes.set_ylim(len(standings) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.08)
    ends = [end for one in standings if one.range for end in (one.range.low, one.range.high)]
    scale_values(axes.xaxis, [*ends, *(one.ratio for one in standings), 1.0])


def _row_name(one: Standing) -> str:
    return one.name if one.kind in (one.name, "plan", "twin", "baseline") else f"{one.name}, {one.kind}"


def _draw_tie_zone(axes: Axes, tie: float | None) -> None:
    if tie:
        axes.axvspan(1 / (1 + tie), 1 + tie, color=FILL, zorder=0, gid="tie-zone")


def _description(dossier: Dossier, to_plan: Sequence[Standing], to_baseline: Sequence[Standing]) -> str:
    parts = []
    if to_baseline:
        parts.append(f"Over the baseline, paired round by round: {_in_words(to_baseline)}.")
    parts.append(f"Against the plan, which is 1: {_in_words(one for one in to_plan if one.kind != 'plan')}.")
    if dossier.tie:
        parts.append(f"Differences within the shaded {100 * dossier.tie:g} % count as ties.")
    return " ".join(parts)


def _in_words(standings: Iterable[Standing]) -> str:
    return "; ".join(
        f"{_row_name(one)}: {one.ratio:.3f}x{f' ({format_range(one.range)})' if one.range else ''}"
        for one in standings
    )
