"""The finalists over the baseline and against the plan: ratios, their intervals, and the tie zone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes

from autotune.plan.claims import SHARED, STANDINGS, format_range, is_alone_sure
from autotune.report.dossier import Dossier
from autotune.report.figures.axes import name_marker, scale_values
from autotune.report.figures.contenders import look
from autotune.report.figures.picture import FILL, MUTED, Missing, Picture, drawing, new_figure
from autotune.report.standings import Standing, against_plan, over_baseline

NAME, TITLE = "finalists", "How sure the differences are"


def picture(dossier: Dossier) -> Picture | Missing:
    """Draw the ratios to the baseline and to the plan with their intervals."""
    to_baseline, to_plan = over_baseline(dossier), against_plan(dossier)
    panels = [panel for panel in (to_baseline, to_plan) if panel]
    if not panels:
        return Missing(NAME, TITLE, "There is nothing that the plan was compared with.")
    with drawing():
        figure = new_figure(1.0 + 0.32 * max(map(len, panels)))
        axes = list(figure.subplots(1, len(panels), squeeze=False)[0])
        if to_baseline:
            _draw(axes[0], dossier, to_baseline, "baseline")
            axes[0].set_xlabel("times as good as the baseline")
        if to_plan:
            _draw(axes[-1], dossier, to_plan, "plan")
            _draw_tie_zone(axes[-1], dossier.tie)
            axes[-1].set_xlabel("times as good as the plan")
    caption = _caption(dossier, to_plan)
    return Picture(NAME, TITLE, caption, _description(to_baseline, to_plan), figure)


def _draw(axes: Axes, dossier: Dossier, standings: Sequence[Standing], panel: str) -> None:
    """Draw one panel; `panel` tells its ids from the other's."""
    for row, one in enumerate(standings):
        reach = [[0.0], [0.0]]
        if one.range is not None:
            reach = [[max(0.0, one.ratio - one.range.low)], [max(0.0, one.range.high - one.ratio)]]
        its = look(dossier, one.name)
        bars = axes.errorbar(
            [one.ratio],
            [row],
            xerr=reach,
            color=its.colour,
            marker=its.marker,
            markersize=7,
            capsize=4,
            linestyle="none",
        )
        name_marker(bars, f"ratio-{panel}-{one.name.replace(' ', '-')}")
    axes.axvline(1.0, color=MUTED, linewidth=1.0)
    axes.set_yticks(range(len(standings)), [_row_name(one) for one in standings])
    axes.set_ylim(len(standings) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.08)
    ends = [end for one in standings if one.range for end in (one.range.low, one.range.high)]
    scale_values(axes.xaxis, [*ends, *(one.ratio for one in standings), 1.0])


def _row_name(one: Standing) -> str:
    return f"{one.name}, {STANDINGS[one.kind]}" if one.kind in STANDINGS else one.name


def _draw_tie_zone(axes: Axes, tie: float | None) -> None:
    if tie:
        axes.axvspan(1 / (1 + tie), 1 + tie, color=FILL, zorder=0, gid="tie-zone")


def _caption(dossier: Dossier, to_plan: Iterable[Standing]) -> str:
    ties = f" Differences within the shaded {100 * dossier.tie:g} % count as ties." if dossier.tie else ""
    doubted = any(one.kind in ("tied", "likely") and is_alone_sure(one.range) for one in to_plan)
    alone = f" Each is of one comparison alone; to be shown takes more, as {SHARED}." if doubted else ""
    return f"Whiskers are 95 % intervals; to the right is better.{ties}{alone}"


def _description(to_baseline: Sequence[Standing], to_plan: Sequence[Standing]) -> str:
    told = {"Over the baseline": to_baseline, "Against the plan": to_plan}
    return " ".join(f"{title}: {_in_words(standings)}." for title, standings in told.items() if standings)


def _in_words(standings: Iterable[Standing]) -> str:
    return "; ".join(
        f"{_row_name(one)}: {one.ratio:.3f}x{f' ({format_range(one.range)})' if one.range else ''}"
        for one in standings
    )
