"""The search trial by trial: what each reached, and the best so far."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from matplotlib.axes import Axes
from matplotlib.transforms import blended_transform_factory

from autotune.plan.formats import format_objective_value
from autotune.report.dossier import Dossier
from autotune.report.figures.axes import (
    clear_of_edges,
    name_marker,
    scale_values,
    score_label,
    shown_score,
    whole_numbers,
)
from autotune.report.figures.picture import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    RED,
    Missing,
    Picture,
    drawing,
    legend_above,
    new_figure,
)
from autotune.report.outcome import Ending, is_feasible, outcome
from autotune.store.records import TrialRecord

NAME, TITLE = "history", "The search, trial by trial"

_MARKS: dict[Ending, tuple[str, str, str, str]] = {
    "measured": ("o", BLUE, BLUE, "measured"),
    "raced out": ("v", PAPER, BLUE, "stopped early: clearly worse"),
    "misses a limit": ("D", PAPER, ORANGE, "misses a limit"),
    "failed": ("x", RED, RED, "failed"),
    "disturbed": ("P", PAPER, RED, "disturbed"),
}
"""Marker, its face and edge colour, and its name in the legend."""


def picture(dossier: Dossier) -> Picture | Missing:
    """Draw the score of every trial in order, what became of the others, and the best so far."""
    if not dossier.trials:
        return Missing(NAME, TITLE, "The trials of the search are in the store, which was not at hand.")
    with drawing():
        figure = new_figure(4.0)
        axes = figure.add_subplot()
        _draw_scores(axes, dossier)
        _mark_plan(axes, dossier)
        _draw_unmeasured(axes, dossier.trials)
        _draw_best(axes, dossier)
        _draw_references(axes, dossier)
        axes.set_xlabel("trial")
        axes.set_ylabel(score_label(dossier))
        whole_numbers(axes.xaxis)
        clear_of_edges(axes)
        scale_values(axes.yaxis, [shown_score(dossier, one.score) for one in dossier.trials if one.score])
        legend_above(axes, columns=5)
    return Picture(NAME, TITLE, _CAPTION, _description(dossier), figure)


def best_so_far(dossier: Dossier) -> list[tuple[int, float]]:
    """After each trial that meets the limits: its number, and the best score until then."""
    feasible = [trial for trial in dossier.trials if is_feasible(trial)]
    scores = [trial.score for trial in feasible if trial.score is not None]

    def better(one: float, other: float) -> float:
        return one if dossier.is_better(one, other) else other

    best = accumulate(scores, better)
    return list(zip((trial.number for trial in feasible), best, strict=True))


def _draw_scores(axes: Axes, dossier: Dossier) -> None:
    for kind, (marker, face, edge, label) in _MARKS.items():
        mine = [one for one in dossier.trials if outcome(one) == kind and one.score is not None]
        if mine:
            axes.scatter(
                [one.number for one in mine],
                [shown_score(dossier, one.score or 0.0) for one in mine],
                marker=marker,
                facecolors=face,
                edgecolors=edge,
                s=34,
                zorder=3,
                label=label,
                gid=f"trials-{kind.replace(' ', '-')}",
            )


def _mark_plan(axes: Axes, dossier: Dossier) -> None:
    """A ring around what the search had measured of the plan's configuration."""
    for one in dossier.trials:
        if one.number == dossier.plan.trial and one.score is not None:
            axes.scatter(
                [one.number],
                [shown_score(dossier, one.score)],
                facecolors="none",
                edgecolors=INK,
                s=130,
                zorder=4,
                label="the plan's trial",
                gid="trial-of-plan",
            )


def _draw_unmeasured(axes: Axes, trials: Sequence[TrialRecord]) -> None:
    """On the lower edge, where they stand for no value."""
    at_edge = blended_transform_factory(axes.transData, axes.transAxes)
    for kind in ("failed", "disturbed"):
        numbers = [trial.number for trial in trials if outcome(trial) == kind]
        marker, _, edge, label = _MARKS[kind]
        if numbers:
            axes.scatter(
                numbers,
                [0.02] * len(numbers),
                transform=at_edge,
                color=edge,
                marker=marker,
                s=38,
                clip_on=False,
                zorder=4,
                label=label,
                gid=f"trials-{kind}",
            )


def _draw_best(axes: Axes, dossier: Dossier) -> None:
    steps = best_so_far(dossier)
    if steps:
        numbers, scores = zip(*steps, strict=True)
        shown = [shown_score(dossier, score) for score in scores]
        last = dossier.trials[-1].number
        axes.step([*numbers, last], [*shown, shown[-1]], where="post", color=GREEN, label="best so far")


def _draw_references(axes: Axes, dossier: Dossier) -> None:
    """The levels of baseline and best default in the search, and what was confirmed of the plan."""
    default = _default(dossier)
    if default is not None and default.score is not None:
        level = shown_score(dossier, default.score)
        axes.axhline(level, color=MUTED, linestyle="-.", linewidth=1.1, label="best default", gid="default")
    baseline = next((one for one in dossier.trials if one.baseline and one.score is not None), None)
    if baseline is not None and baseline.score is not None:
        level = shown_score(dossier, baseline.score)
        axes.axhline(level, color=MUTED, linestyle="--", linewidth=1.1, label="baseline", gid="baseline")
    estimate = dossier.plan.estimate
    if dossier.plan.confirmation.verdict != "unconfirmed":
        span = estimate.objective_range
        value = shown_score(dossier, estimate.objective_value)
        ends = (
            (value, value) if span is None else tuple(shown_score(dossier, x) for x in (span.low, span.high))
        )
        bars = axes.errorbar(
            [dossier.trials[-1].number + 1],
            [value],
            yerr=[[value - ends[0]], [ends[1] - value]],
            color=INK,
            marker="*",
            markersize=10,
            capsize=4,
            linestyle="none",
            label="the plan, confirmed (95 %)",
        )
        name_marker(bars, "confirmed")


def _default(dossier: Dossier) -> TrialRecord | None:
    """The trial of the best default; None where it is the plan or the baseline, which are drawn already."""
    default = dossier.plan.confirmation.default
    if default is None or default.said == "plan":
        return None
    return next((one for one in dossier.trials if one.number == default.trial and not one.baseline), None)


_CAPTION = (
    "One launch of each configuration, in the order in which the search chose them. What failed stands on "
    "the lower edge."
)


def _description(dossier: Dossier) -> str:
    kinds = [outcome(trial) for trial in dossier.trials]
    others = [f"{kinds.count(kind)} {kind}" for kind in _MARKS if kind != "measured" and kinds.count(kind)]
    steps = best_so_far(dossier)
    best = ""
    if steps:
        score = format_objective_value(dossier.plan.objective, steps[-1][1])
        best = f" The best score of the search is {score}, found at trial {_found(steps)}."
    return f"The score of {len(kinds)} trials in order{': ' if others else ''}{', '.join(others)}.{best}"


def _found(steps: Sequence[tuple[int, float]]) -> int:
    return next(number for number, score in steps if score == steps[-1][1])
