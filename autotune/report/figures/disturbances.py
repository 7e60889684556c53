"""Disturbances over the study: which blocks were dropped, and under what conditions the others were kept."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from autotune.report.disturbances import SIGNS, Sign, Watched, visible_signs, watched_runs
from autotune.report.dossier import Dossier
from autotune.report.figures.axes import whole_numbers
from autotune.report.figures.picture import (
    BLUE,
    MUTED,
    RED,
    SKY,
    Missing,
    Picture,
    drawing,
    legend_above,
    new_figure,
)

NAME, TITLE = "disturbances", "Disturbances over the study"

_TRIFLE = 0.06
"""Differences from a quiet machine that an axis does not magnify."""

_ROOM = 0.7
"""Share of a run's width over which its blocks stand side by side."""


def picture(dossier: Dossier) -> Picture | Missing:
    """Draw the blocks of every run, and each condition that ever was other than on a quiet machine."""
    runs = watched_runs(dossier)
    if not runs:
        return Missing(NAME, TITLE, "The runs' conditions are in the store, which was not at hand.")
    signs = visible_signs(runs)
    with drawing():
        figure = new_figure(2.1 + 1.05 * len(signs))
        grid = figure.subplots(
            1 + len(signs), 1, sharex=True, squeeze=False, height_ratios=[1.3] + [1.0] * len(signs)
        )
        panels: list[Axes] = list(grid[:, 0])
        _draw_counts(panels[0], runs)
        for axes, name in zip(panels[1:], signs, strict=True):
            _draw_sign(axes, runs, SIGNS[name], name)
        _mark_confirmation(panels, dossier)
        panels[-1].set_xlim(0.4, len(runs) + 0.6)
        panels[-1].set_xlabel("runs in the order in which they were started: trials, then rounds")
        whole_numbers(panels[-1].xaxis)
        figure.align_ylabels()
        legend_above(panels[0])
    return Picture(NAME, TITLE, _CAPTION, _description(runs), figure)


def _draw_counts(axes: Axes, runs: Sequence[Watched]) -> None:
    numbers = range(1, len(runs) + 1)
    kept = [len(run.kept) for run in runs]
    dropped = [len(run.dropped) for run in runs]
    axes.bar(numbers, kept, color=SKY, label="blocks that count")
    if any(dropped):
        axes.bar(
            numbers,
            dropped,
            bottom=kept,
            color=RED,
            hatch="///",
            edgecolor="white",
            label="disturbed, measured again",
        )
    lost = [number for number, run in zip(numbers, runs, strict=True) if run.is_disturbed]
    if lost:
        axes.plot(
            lost,
            [0.2] * len(lost),
            "x",
            color=RED,
            markersize=8,
            label="given up as disturbed",
            gid="given-up",
        )
    axes.set_ylabel("blocks")
    whole_numbers(axes.yaxis)


def _draw_sign(axes: Axes, runs: Sequence[Watched], sign: Sign, name: str) -> None:
    kept: list[tuple[float, float]] = []
    dropped: list[tuple[float, float]] = []
    for number, run in enumerate(runs, start=1):
        blocks = [*((one, kept) for one in run.kept), *((one, dropped) for one, _ in run.dropped)]
        for index, (conditions, points) in enumerate(blocks):
            value = None if conditions is None else sign.value(conditions)
            if value is not None:
                points.append((number + _ROOM * ((index + 0.5) / len(blocks) - 0.5), value))
    for points, marker, colour, word in ((kept, ".", BLUE, "kept"), (dropped, "x", RED, "dropped")):
        if points:
            axes.plot(*zip(*points, strict=True), marker, color=colour, markersize=5, gid=f"{name}-{word}")
    axes.axhline(sign.quiet, color=MUTED, linewidth=0.8)
    axes.set_ylabel(sign.name, fontsize=7.5)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, sign.quiet - _TRIFLE), max(high, sign.quiet + _TRIFLE))


def _mark_confirmation(panels: Sequence[Axes], dossier: Dossier) -> None:
    """A line between the search and the confirmation."""
    if dossier.runs and dossier.trials:
        for axes in panels:
            axes.axvline(len(dossier.trials) + 0.5, color=MUTED, linestyle=":", linewidth=1.0)


def _description(runs: Sequence[Watched]) -> str:
    kept, dropped = sum(len(run.kept) for run in runs), sum(len(run.dropped) for run in runs)
    lost = sum(run.is_disturbed for run in runs)
    given_up = f" {lost} runs were given up as disturbed." if lost else ""
    return f"{len(runs)} runs: {kept} blocks count, {dropped} were disturbed and measured again.{given_up}"


_CAPTION = (
    "Above, how many blocks of each run count; below, what was seen of the host during each block (dots: "
    "kept, crosses: dropped), beside the line of a quiet machine. The dotted line is where the confirmation "
    "began."
)
