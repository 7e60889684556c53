"""What each parameter was worth: the best that each of its values reached, the others free."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from autotune.report.dossier import Dossier
from autotune.report.effects import ParameterEffect, ValueEffect, parameter_effects
from autotune.report.figures.picture import BLUE, GREEN, INK, LINE, Missing, Picture, drawing, new_figure

NAME, TITLE = "parameters", "What each parameter was worth"

MAX_VALUES = 24
"""Of one parameter that are drawn: the best ones, where more were tried."""

_ROW_IN = 0.24
"""Height of a value's row."""


def picture(dossier: Dossier) -> Picture | Missing:
    """Draw a row for each value of each parameter that was searched."""
    effects = parameter_effects(dossier)
    if not effects:
        return Missing(NAME, TITLE, "No parameter of the search was measured with more than one value.")
    rows = [_rows(effect) for effect in effects]
    with drawing():
        figure = new_figure(0.8 + sum(_ROW_IN * len(values) + 0.42 for values in rows))
        panels = figure.subplots(
            len(rows), 1, sharex=True, squeeze=False, height_ratios=[len(values) + 0.6 for values in rows]
        )
        for axes, effect, values in zip(panels[:, 0], effects, rows, strict=True):
            _draw(axes, effect, values)
        panels[-1, 0].set_xlabel(f"{dossier.objective.merit}, as a share of the best of all trials")
        panels[-1, 0].xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        panels[-1, 0].set_xlim(0, 1.08)
    return Picture(NAME, TITLE, _CAPTION, _description(effects), figure)


def title_of(parameter: str) -> str:
    """The parameter's name for people."""
    return parameter.replace("_", " ")


def shown_value(value: object) -> str:
    """A parameter's value for people."""
    return {True: "both siblings", False: "one per core"}[value] if isinstance(value, bool) else str(value)


def _rows(effect: ParameterEffect) -> tuple[ValueEffect, ...]:
    best = sorted(effect.values, key=lambda value: -value.best)[:MAX_VALUES]
    return tuple(value for value in effect.values if value in best)


def _draw(axes: Axes, effect: ParameterEffect, values: Sequence[ValueEffect]) -> None:
    left_out = len(effect.values) - len(values)
    more = f" ({left_out} more not drawn)" if left_out else ""
    axes.set_title(f"{title_of(effect.parameter)}: worth {effect.worth:.0%}{more}")
    for row, value in enumerate(values):
        axes.plot([0, value.best], [row, row], color=LINE, linewidth=5, solid_capstyle="butt", zorder=1)
        axes.plot(value.shares, [row] * len(value.shares), "|", color=BLUE, markersize=9, alpha=0.7, zorder=2)
        is_best = value == effect.best_value
        axes.plot(
            [value.best],
            [row],
            "D" if is_best else "o",
            color=GREEN if is_best else INK,
            zorder=3,
            gid=f"best-{effect.parameter}-{row}",
        )
    axes.set_yticks(
        range(len(values)), [f"{shown_value(value.value)}  (n={len(value.shares)})" for value in values]
    )
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _description(effects: Sequence[ParameterEffect]) -> str:
    told = "; ".join(
        f"{title_of(effect.parameter)} {effect.worth:.0%} (best: {shown_value(effect.best_value.value)})"
        for effect in effects
    )
    return f"A parameter was worth what is lost with its worst value: {told}."


_CAPTION = (
    "For each value: the best that was reached with it, all other parameters being free (dot; diamond: the "
    "best value), and every trial with it (strokes). n counts the trials."
)
