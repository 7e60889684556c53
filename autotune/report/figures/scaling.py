"""The score against the number of instances, and against the threads of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from matplotlib.axes import Axes

from autotune.report.dossier import Dossier
from autotune.report.figures.axes import (
    clear_of_edges,
    scale_counts,
    scale_values,
    score_label,
    shown_score,
)
from autotune.report.figures.picture import HUES, MARKERS, MUTED, Missing, Picture, drawing, new_figure
from autotune.report.outcome import is_feasible, is_searched
from autotune.store.records import TrialRecord

NAME, TITLE = "scaling", "Against instances and threads"

Counted = Literal["instances", "threads_per_instance"]
"""The numbers of a configuration that are drawn."""


def picture(dossier: Dossier) -> Picture | Missing:
    """Draw every trial, and the best of each model, engine and precision for each number, as a line."""
    trials = searched(dossier)
    if not trials:
        reason = "No trial of the search but baseline and defaults gave a score that meets the limits."
        if not dossier.trials:
            reason = "The trials of the search are in the store, which was not at hand."
        return Missing(NAME, TITLE, reason)
    with drawing():
        figure = new_figure(4.2)
        left, right = figure.subplots(1, 2, sharey=True)
        _draw(left, dossier, trials, "instances")
        _draw(right, dossier, trials, "threads_per_instance")
        left.set_xlabel("instances")
        right.set_xlabel("threads of each instance")
        left.set_ylabel(score_label(dossier))
        scale_values(left.yaxis, [shown_score(dossier, one.score) for one in trials if one.score])
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=4)
    return Picture(NAME, TITLE, _CAPTION, _description(dossier, trials), figure)


def searched(dossier: Dossier) -> list[TrialRecord]:
    """The trials that met the limits, without those whose threads are the engine's own choice."""
    return [trial for trial in dossier.trials if is_feasible(trial) and is_searched(trial)]


def best_by_count(
    dossier: Dossier, trials: Sequence[TrialRecord], what: Counted
) -> dict[str, list[tuple[int, float]]]:
    """By model, engine and precision: the best score for each number, ascending."""
    found: dict[str, dict[int, float]] = {}
    for trial in trials:
        if trial.score is not None:
            mine = found.setdefault(trial.configuration.engine_in_words, {})
            at = getattr(trial.configuration, what)
            if at not in mine or dossier.is_better(trial.score, mine[at]):
                mine[at] = trial.score
    return {name: sorted(mine.items()) for name, mine in sorted(found.items())}


def _draw(axes: Axes, dossier: Dossier, trials: Sequence[TrialRecord], what: Counted) -> None:
    lines = best_by_count(dossier, trials, what)
    for index, (name, points) in enumerate(lines.items()):
        colour, marker = HUES[index % len(HUES)], MARKERS[index % len(MARKERS)]
        mine = [one for one in trials if one.configuration.engine_in_words == name and one.score is not None]
        axes.scatter(
            [getattr(one.configuration, what) for one in mine],
            [shown_score(dossier, one.score or 0.0) for one in mine],
            color=colour,
            marker=marker,
            s=16,
            alpha=0.5,
            linewidths=0,
        )
        counts, scores = zip(*points, strict=True)
        shown = [shown_score(dossier, score) for score in scores]
        axes.plot(counts, shown, color=colour, marker=marker, label=name, gid=f"{what}-{index}")
    _draw_baseline(axes, dossier)
    scale_counts(axes.xaxis, [at for points in lines.values() for at, _ in points])
    clear_of_edges(axes, 0.06)


def _draw_baseline(axes: Axes, dossier: Dossier) -> None:
    for trial in dossier.trials:
        if trial.baseline and trial.score is not None:
            level = shown_score(dossier, trial.score)
            axes.axhline(level, color=MUTED, linestyle="--", linewidth=1.1, label="baseline")


def _description(dossier: Dossier, trials: Sequence[TrialRecord]) -> str:
    lines: Mapping[str, object] = best_by_count(dossier, trials, "instances")
    return f"The scores of {len(trials)} trials, with a line for each of {', '.join(lines)}."


_CAPTION = (
    "A line joins the best for each number, the other parameters being free; faint markers are the other "
    "trials."
)
