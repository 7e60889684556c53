"""One look for each contender in all pictures: its colour, marker and line style."""

from __future__ import annotations

from dataclasses import dataclass

from autotune.report.dossier import BASELINE, DEFAULT, PLAN, TWIN, Dossier
from autotune.report.figures.picture import BLUE, GREEN, INK, MUTED, ORANGE, PURPLE, RED, SKY

Dash = str | tuple[float, tuple[float, ...]]


@dataclass(frozen=True)
class LineStyle:
    """How a contender is drawn."""

    colour: str
    marker: str
    dash: Dash


_OWN = {
    PLAN: LineStyle(BLUE, "o", "solid"),
    TWIN: LineStyle(SKY, "D", (0, (1.5, 1.2))),
    DEFAULT: LineStyle(INK, "*", (0, (4, 1.2, 1, 1.2))),
    BASELINE: LineStyle(MUTED, "s", (0, (6, 2))),
}
_OTHERS = (
    LineStyle(ORANGE, "^", (0, (5, 1.5))),
    LineStyle(GREEN, "v", (0, (1.5, 1.2))),
    LineStyle(PURPLE, "P", (0, (6, 1.5, 1.5, 1.5))),
    LineStyle(RED, "X", (0, (3, 3))),
)


def look(dossier: Dossier, name: str) -> LineStyle:
    """The look of `plan`, `baseline`, `default`, `twin` or `trial 7`; others by their place in the plan."""
    if name in _OWN:
        return _OWN[name]
    rivals = [f"trial {rival.trial}" for rival in dossier.plan.confirmation.rivals]
    return _OTHERS[(rivals.index(name) if name in rivals else len(rivals)) % len(_OTHERS)]
