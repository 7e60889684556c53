"""A report as one page of HTML that needs nothing else: no script, no network, pictures inlined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

import jinja2
from markupsafe import Markup

from autotune.plan.cost_words import cost_sentences
from autotune.plan.costs import stated_costs
from autotune.plan.describe import (
    configuration_facts,
    confirmation_sentences,
    provenance_facts,
    quality_facts,
    quietness_sentences,
    requests_facts,
    search_facts,
)
from autotune.report.dossier import Dossier
from autotune.report.figures.picture import MARK, Missing, Picture, inlined
from autotune.report.html import html_environment
from autotune.report.tables import (
    cost_table,
    curve_table,
    disturbances_table,
    evidence_table,
    finalists_table,
    latency_table,
    parameters_table,
    placement_table,
    runs_table,
    study_text,
    trials_table,
)
from autotune.report.verdict import headline, tie_sentence

LONG_TABLE: Final = 16
"""A table of more rows is folded, with the number of its rows in its heading."""


def page(dossier: Dossier, pictures: Sequence[Picture | Missing]) -> str:
    """Render the report.

    Args:
        pictures: all those of the catalogue, drawn or missing.
    """
    plan = dossier.plan
    quietness, costs = list(quietness_sentences(plan)), stated_costs(plan)
    text = (
        environment()
        .get_template("report.html")
        .render(
            mark=MARK,
            version=version("autotune"),
            plan=plan,
            headline=headline(plan),
            figures=_figures(pictures),
            configuration=list(configuration_facts(plan)),
            placement=placement_table(plan),
            evidence=evidence_table(plan),
            costs=cost_table(costs),
            cost_sentences=list(cost_sentences(costs)) if costs else [],
            quality=list(quality_facts(plan.quality)) if plan.quality else [],
            requests=list(requests_facts(plan.requests)) if plan.requests else [],
            latencies=latency_table(dossier),
            rates=curve_table(plan),
            confirmation=[text for text in confirmation_sentences(plan) if text not in quietness],
            quietness=quietness,
            search=list(search_facts(plan)),
            ties=tie_sentence(plan),
            finalists=finalists_table(plan),
            runs=runs_table(dossier),
            parameters=parameters_table(dossier),
            trials=trials_table(dossier),
            disturbances=disturbances_table(dossier),
            later=dossier.later,
            provenance=list(provenance_facts(plan)),
            study=study_text(plan),
            long_table=LONG_TABLE,
        )
    )
    return f"{text.rstrip()}\n"


def _figures(pictures: Sequence[Picture | Missing]) -> Mapping[str, dict[str, Any]]:
    return {one.name: _figure(one) for one in pictures}


def _figure(picture: Picture | Missing) -> dict[str, Any]:
    if isinstance(picture, Missing):
        return {"title": picture.title, "missing": picture.reason}
    return drawn(picture)


def drawn(picture: Picture) -> dict[str, Any]:
    """Give a picture as a template shows it."""
    svg = Markup(inlined(picture))  # matplotlib and ElementTree have escaped every text in it
    return {"title": picture.title, "svg": svg, "caption": picture.caption}


def environment() -> jinja2.Environment:
    """Give what renders the templates of pages, escaping every text."""
    return html_environment("autotune.report")
