"""The curve of a plan on its page."""

from __future__ import annotations

from autotune.report.dossier import Dossier
from autotune.report.figures import curve
from autotune.report.figures.catalogue import draw_all
from autotune.report.figures.picture import Missing, Picture
from autotune.report.page import page
from autotune.testing.curves import build_curve, lognormal_services_s
from autotune.testing.plans import build_plan

PLAN = build_plan(curve=build_curve(lognormal_services_s(0.01, 0.3), 2))


def test_percentiles_are_drawn_at_every_rate_beside_the_rate_that_is_too_much() -> None:
    drawn = curve.picture(Dossier(PLAN))
    assert isinstance(drawn, Picture)
    (axes,) = drawn.figure.axes
    legend = axes.get_legend()
    assert legend is not None
    assert {text.get_text() for text in legend.get_texts()} >= {"p50", "p95", "p99"}
    assert PLAN.curve is not None
    assert drawn.description.count(" requests/s") == len(PLAN.curve.points)


def test_a_plan_without_a_curve_says_how_to_measure_one() -> None:
    missing = curve.picture(Dossier(build_plan()))
    assert isinstance(missing, Missing)
    assert "autotune curve" in missing.reason


def test_the_page_has_the_picture_and_a_row_for_each_rate() -> None:
    dossier = Dossier(PLAN)
    text = page(dossier, draw_all(dossier))
    assert 'id="figure-curve"' in text
    assert "What was measured at each rate" in text
    assert "What was measured at each rate" not in page(
        Dossier(build_plan()), draw_all(Dossier(build_plan()))
    )
