"""The confirmation's rounds: every run of every contender."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autotune.report.dossier import BASELINE, PLAN, TWIN, Dossier
from autotune.report.figures.axes import (
    clear_of_edges,
    scale_values,
    score_label,
    shown_score,
    whole_numbers,
)
from autotune.report.figures.picture import (
    HUES,
    INK,
    MARKERS,
    MUTED,
    Missing,
    Picture,
    drawing,
    legend_above,
    new_figure,
)
from autotune.store.records import ConfirmationRecord

NAME, TITLE = "confirmation", "The confirmation, round by round"

_SPREAD = 0.5
"""Share of a round's width over which its contenders stand side by side."""


def picture(dossier: Dossier) -> Picture | Missing:
    """Draw the score of every run, the contenders of a round beside each other in order."""
    if not dossier.runs:
        return Missing(NAME, TITLE, _why_missing(dossier))
    contenders = by_contender(dossier)
    failed = [run for run in dossier.runs if run.score is None]
    with drawing():
        figure = new_figure(3.8)
        axes = figure.add_subplot()
        for index, (name, runs) in enumerate(contenders.items()):
            offset = _SPREAD * ((index + 0.5) / len(contenders) - 0.5)
            colour, marker = look(name, index)
            measured = [run for run in runs if run.score is not None]
            axes.plot(
                [run.round + offset for run in measured],
                [shown_score(dossier, run.score or 0.0) for run in measured],
                color=colour,
                marker=marker,
                linewidth=0.8,
                alpha=0.95,
                label=name,
                gid=f"runs-{name.replace(' ', '-')}",
            )
        scores = [shown_score(dossier, run.score) for run in dossier.runs if run.score]
        axes.set_xlabel("round")
        axes.set_ylabel(score_label(dossier))
        whole_numbers(axes.xaxis)
        clear_of_edges(axes)
        scale_values(axes.yaxis, scores)
        legend_above(axes, columns=6)
    return Picture(NAME, TITLE, _description(dossier, contenders, failed), figure)


def by_contender(dossier: Dossier) -> dict[str, list[ConfirmationRecord]]:
    """The runs by the contender's name in pictures: the plan first, the baseline last."""
    found: dict[str, list[ConfirmationRecord]] = {}
    for run in dossier.runs:
        found.setdefault(dossier.contender(run), []).append(run)
    order = {PLAN: -2, TWIN: -1, BASELINE: 1}
    return dict(sorted(found.items(), key=lambda item: (order.get(item[0], 0), item[1][0].trial)))


def look(name: str, index: int) -> tuple[str, str]:
    """Colour and marker of a contender: the baseline's stand back."""
    if name == BASELINE:
        return MUTED, "s"
    if name == PLAN:
        return INK, "*"
    return HUES[index % len(HUES)], MARKERS[index % len(MARKERS)]


def _why_missing(dossier: Dossier) -> str:
    if dossier.plan.confirmation.verdict == "unconfirmed":
        return "The plan was not confirmed: its study was stopped before."
    return "The runs of the confirmation are in the store, which was not at hand."


def _description(
    dossier: Dossier,
    contenders: Mapping[str, Sequence[ConfirmationRecord]],
    failed: Sequence[ConfirmationRecord],
) -> str:
    rounds = len({run.round for run in dossier.runs})
    gone = f" {len(failed)} of the runs gave no score." if failed else ""
    return (
        f"The score of {len(dossier.runs)} runs in {rounds} rounds; in each, {', '.join(contenders)} ran "
        f"once in fresh processes, in random order.{gone} What the runs of a round have in common cancels "
        "in the ratios."
    )
