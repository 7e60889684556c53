"""Every picture of a report, in the order of the page."""

from __future__ import annotations

from autotune.report.dossier import Dossier
from autotune.report.figures import (
    confirmation,
    curve,
    disturbances,
    finalists,
    history,
    latency,
    parameters,
    placement,
    scaling,
    spent,
)
from autotune.report.figures.picture import Missing, Picture

FIGURES = (
    placement,
    latency,
    curve,
    finalists,
    confirmation,
    history,
    spent,
    scaling,
    parameters,
    disturbances,
)
NAMES: tuple[str, ...] = tuple(figure.NAME for figure in FIGURES)


def draw_all(dossier: Dossier) -> tuple[Picture | Missing, ...]:
    """Draw what there are values for, and say why of the rest."""
    return tuple(figure.picture(dossier) for figure in FIGURES)
