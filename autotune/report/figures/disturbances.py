"""Disturbances over the study: what became of blocks, and what was seen of the host during each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from autotune.report.disturbances import (
    SIGNS,
    BlockFate,
    Sign,
    Watched,
    fates_in_words,
    visible_signs,
    watched_runs,
)
from autotune.report.dossier import Dossier
from autotune.report.figures.axes import whole_numbers
from autotune.report.figures.picture import (
    MUTED,
    ORANGE,
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

_FATES: Mapping[BlockFate, tuple[str, str, str]] = {
    "kept": (SKY, "", "."),
    "kept-disturbed": (ORANGE, "...", "^"),
    "dropped": (RED, "///", "x"),
}
"""Colour, hatching of bars, and marker, by what became of a block."""

_ROOM = 0.7
"""Share of a run's width over which its blocks stand side by side."""


def picture(dossier: Dossier) -> Picture | Missing:
    """Draw the blocks of every run, and each condition that ever was other than on a quiet machine."""
    runs = watched_runs(dossier)
    if not runs:
        return Missing(NAME, TITLE, "The runs' conditions are in the store, which was not at hand.")
    signs, words = visible_signs(runs), fates_in_words(dossier)
    with drawing():
        figure = new_figure(2.1 + 1.05 * len(signs))
        grid = figure.subplots(
            1 + len(signs), 1, sharex=True, squeeze=False, height_ratios=[1.3] + [1.0] * len(signs)
        )
        panels: list[Axes] = list(grid[:, 0])
        _draw_counts(panels[0], runs, words)
        for axes, name in zip(panels[1:], signs, strict=True):
            _draw_sign(axes, runs, SIGNS[name], name)
        _mark_confirmation(panels, dossier)
        panels[-1].set_xlim(0.4, len(runs) + 0.6)
        panels[-1].set_xlabel("runs in the order in which they were started: trials, then rounds")
        whole_numbers(panels[-1].xaxis)
        figure.align_ylabels()
        legend_above(panels[0])
    return Picture(NAME, TITLE, _CAPTION, _description(runs, words), figure)


def _draw_counts(axes: Axes, runs: Sequence[Watched], words: Mapping[BlockFate, str]) -> None:
    numbers = range(1, len(runs) + 1)
    below = [0] * len(runs)
    for fate, (colour, hatch, _) in _FATES.items():
        counts = [run.count(fate) for run in runs]
        if any(counts):
            axes.bar(
                numbers,
                counts,
                bottom=below,
                color=colour,
                hatch=hatch,
                edgecolor="white",
                linewidth=0.3,
                label=words[fate],
            )
        below = [under + count for under, count in zip(below, counts, strict=True)]
    lost = [number for number, run in zip(numbers, runs, strict=True) if run.is_disturbed]
    if lost:
        heights = [0.2] * len(lost)
        axes.plot(lost, heights, "x", color=RED, markersize=8, label="given up as disturbed", gid="given-up")
    axes.set_ylabel("blocks")
    whole_numbers(axes.yaxis)


def _draw_sign(axes: Axes, runs: Sequence[Watched], sign: Sign, name: str) -> None:
    points: dict[BlockFate, list[tuple[float, float]]] = {fate: [] for fate in _FATES}
    for number, run in enumerate(runs, start=1):
        for index, (conditions, fate) in enumerate(run.blocks):
            value = None if conditions is None else sign.value(conditions)
            if value is not None:
                at = number + _ROOM * ((index + 0.5) / len(run.blocks) - 0.5)
                points[fate].append((at, value))
    for fate, mine in points.items():
        if mine:
            colour, _, marker = _FATES[fate]
            axes.plot(*zip(*mine, strict=True), marker, color=colour, markersize=5, gid=f"{name}-{fate}")
    axes.axhline(sign.quiet, color=MUTED, linewidth=0.8)
    axes.set_ylabel(sign.name, fontsize=7.5)
    _scale(axes, [value for mine in points.values() for _, value in mine], sign.quiet)


def _scale(axes: Axes, values: Sequence[float], quiet: float) -> None:
    """From the line of a quiet machine as far as the values go, and at least so far as a trifle."""
    low, high = min([quiet, *values]), max([quiet, *values])
    low, high = (min(low, quiet - _TRIFLE), high) if quiet else (low, max(high, quiet + _TRIFLE))
    margin = 0.08 * (high - low)
    axes.set_ylim(low - margin, high + margin)


def _mark_confirmation(panels: Sequence[Axes], dossier: Dossier) -> None:
    """A line between the search and the confirmation."""
    if dossier.runs and dossier.trials:
        for axes in panels:
            axes.axvline(len(dossier.trials) + 0.5, color=MUTED, linestyle=":", linewidth=1.0)


def _description(runs: Sequence[Watched], words: Mapping[BlockFate, str]) -> str:
    told = "; ".join(
        f"{count} {words[fate]}" for fate in _FATES if (count := sum(run.count(fate) for run in runs))
    )
    lost = sum(run.is_disturbed for run in runs)
    given_up = f" {lost} runs were given up as disturbed." if lost else ""
    return f"{len(runs)} runs, and the fate of their blocks: {told}.{given_up}"


_CAPTION = (
    "Above, the blocks of each run; below, what was seen of the host during each block, "
    "beside the line of a quiet machine. Speed is that of a small calculation beside the block, against its "
    "median: 1 is as usual. The dotted line is where the confirmation began."
)
