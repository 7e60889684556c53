"""The confirmation's rounds: every run of every contender."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from autotune.report.dossier import BASELINE, DEFAULT, PLAN, TWIN, Dossier
from autotune.report.figures.axes import (
    clear_of_edges,
    scale_values,
    score_label,
    shown_score,
    whole_numbers,
)
from autotune.report.figures.contenders import look
from autotune.report.figures.picture import Missing, Picture, drawing, new_figure
from autotune.store.records import ConfirmationRecord

NAME, TITLE = "confirmation", "The confirmation, round by round"

Runs = Mapping[str, Sequence[ConfirmationRecord]]

_SPREAD = 0.6
"""Share of a round's width over which its contenders stand side by side."""

FAR = 1.5
"""A baseline or default that is worse by more than this factor has a panel of its own: it would flatten the
others."""


def picture(dossier: Dossier) -> Picture | Missing:
    """Draw the score of every run, the contenders of a round beside each other."""
    if not dossier.runs:
        return Missing(NAME, TITLE, _why_missing(dossier))
    contenders = by_contender(dossier)
    with drawing():
        figure = new_figure(4.0)
        for axes, names in _panels(figure, dossier, contenders):
            for name in names:
                _draw(axes, dossier, contenders, name)
            scores = [run.score for name in names for run in contenders[name] if run.score]
            scale_values(axes.yaxis, [shown_score(dossier, score) for score in scores])
            clear_of_edges(axes)
        figure.supxlabel("round", fontsize="medium")
        figure.supylabel(score_label(dossier), fontsize="medium")
        figure.legend(loc="outside upper left", ncols=7)
    return Picture(NAME, TITLE, _CAPTION, _description(dossier, contenders), figure)


def by_contender(dossier: Dossier) -> dict[str, list[ConfirmationRecord]]:
    """The runs by the contender's name in pictures: the plan first, the default and the baseline last."""
    found: dict[str, list[ConfirmationRecord]] = {}
    for run in dossier.runs:
        found.setdefault(dossier.contender(run), []).append(run)
    order = {PLAN: -2, TWIN: -1, DEFAULT: 1, BASELINE: 2}
    return dict(sorted(found.items(), key=lambda item: (order.get(item[0], 0), item[1][0].trial)))


def _panels(figure: Figure, dossier: Dossier, contenders: Runs) -> list[tuple[Axes, list[str]]]:
    """The axes, each with the contenders that are drawn in it."""
    racing = [name for name in contenders if name not in (DEFAULT, BASELINE)]
    references = [name for name in contenders if name not in racing]
    below = [name for name in references if racing and _is_far(dossier, contenders, racing, name)]
    if below:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2.6, 1.0])
        panels = [(upper, [name for name in contenders if name not in below]), (lower, below)]
    else:
        panels = [(figure.add_subplot(), list(contenders))]
    whole_numbers(panels[-1][0].xaxis)
    return panels


def _is_far(dossier: Dossier, contenders: Runs, racing: Sequence[str], reference: str) -> bool:
    """Whether every run of those that race is far better than every run of the reference."""

    def values(names: Sequence[str]) -> list[float]:
        return [dossier.goodness(run.score) for name in names for run in contenders[name] if run.score]

    return min(values(racing), default=0.0) > FAR * max(values([reference]), default=0.0) > 0


def _draw(axes: Axes, dossier: Dossier, contenders: Runs, name: str) -> None:
    offset = _SPREAD * ((list(contenders).index(name) + 0.5) / len(contenders) - 0.5)
    its = look(dossier, name)
    measured = [run for run in contenders[name] if run.score is not None]
    axes.plot(
        [run.round + offset for run in measured],
        [shown_score(dossier, run.score or 0.0) for run in measured],
        color=its.colour,
        marker=its.marker,
        linewidth=0.8,
        label=name,
        gid=f"runs-{name.replace(' ', '-')}",
    )


def _why_missing(dossier: Dossier) -> str:
    if dossier.plan.confirmation.verdict == "unconfirmed":
        return "The plan was not confirmed: its study was stopped before."
    return "The runs of the confirmation are in the store, which was not at hand."


_CAPTION = (
    "In each round every contender ran once in fresh processes, in random order. What the runs of a round "
    "have in common cancels in the ratios."
)


def _description(dossier: Dossier, contenders: Runs) -> str:
    rounds = len({run.round for run in dossier.runs})
    failed = sum(run.score is None for run in dossier.runs)
    gone = f" {failed} of the runs gave no score." if failed else ""
    return f"The scores of {len(dossier.runs)} runs in {rounds} rounds, of {', '.join(contenders)}.{gone}"
