"""Where the minutes of the study went, as one bar."""

from __future__ import annotations

from autotune.plan.claims import spent_parts
from autotune.report.dossier import Dossier
from autotune.report.figures.picture import (
    BLUE,
    GREEN,
    LINE,
    ORANGE,
    PURPLE,
    SKY,
    Missing,
    Picture,
    drawing,
    legend_above,
    new_figure,
)

NAME, TITLE = "spent", "Where the time went"

_LOOKS = {
    "preparing": (ORANGE, "///"),
    "looking": (PURPLE, "xxx"),
    "loading": (SKY, "..."),
    "warming up": (GREEN, "\\\\\\"),
    "measuring": (BLUE, ""),
    "waiting": (LINE, "---"),
}
"""Colour and hatching by what was done, so that nobody needs colours to tell the parts."""


def picture(dossier: Dossier) -> Picture | Missing:
    """Draw one bar of the whole study, a part for each thing that took time."""
    spent = dossier.plan.confirmation.spent
    parts = [] if spent is None else spent_parts(spent)
    if not parts:
        return Missing(NAME, TITLE, "The plan's document does not say where the time went.")
    total_s = sum(seconds for _, seconds in parts)
    with drawing():
        figure = new_figure(1.3)
        axes = figure.add_subplot()
        left_s = 0.0
        for word, seconds in parts:
            colour, hatch = _LOOKS[word]
            label = f"{word} {seconds:.0f} s"
            name = f"spent-{word.replace(' ', '-')}"
            (bar,) = axes.barh(
                0,
                seconds,
                left=left_s,
                color=colour,
                hatch=hatch,
                edgecolor="white",
                linewidth=0.8,
                label=label,
            )
            bar.set_gid(name)
            left_s += seconds
        axes.set_yticks([])
        axes.set_xlim(0, total_s)
        axes.set_xlabel("seconds, trials and rounds together")
        axes.grid(visible=False)
        axes.spines["left"].set_visible(False)
        legend_above(axes, columns=6)
    told = ", ".join(f"{word} {seconds:.0f} s ({seconds / total_s:.0%})" for word, seconds in parts)
    return Picture(NAME, TITLE, _CAPTION, f"Of {total_s:.0f} s: {told}.", figure)


_CAPTION = (
    "Preparing: artifacts, their references, and comparing answers. Looking: at engines, with a few of the "
    "model's layers. Loading, warming up and measuring: of the slowest instance. Waiting: for other studies "
    "on this machine, between windows, and for processes to end."
)
