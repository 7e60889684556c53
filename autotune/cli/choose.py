"""`autotune choose`: which of the store's plans serves a rate at the lowest cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autotune.cli import output
from autotune.cli.asked_fleet import (
    P50,
    P90,
    P95,
    P99,
    AsJson,
    Headroom,
    MachineHour,
    Margins,
    Rate,
    Spare,
    Zones,
    read_budget,
    read_price,
    read_workload,
)
from autotune.cli.asked_plan import MachineType, PriceFile, StoreUrl, TypeRegion

if TYPE_CHECKING:
    from autotune.fleet.choice import Choice
    from autotune.plan.document import Plan

MostAMonth = Annotated[
    str | None,
    typer.Option(metavar="AMOUNT", help="What the fleet may cost a month, such as 5000 or 5000USD."),
]
ELSEWHERE = "give another path (-o for the page, --figure for the picture)"
Studies = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="Choose among its plans; may be repeated.")
]


def choose(
    *,
    rate: Rate,
    p50: P50 = None,
    p90: P90 = None,
    p95: P95 = None,
    p99: P99 = None,
    headroom: Headroom = "30%",
    spare: Spare = 1,
    zones: Zones = 1,
    budget: MostAMonth = None,
    price: MachineHour = None,
    machine_type: MachineType = None,
    region: TypeRegion = None,
    prices: PriceFile = None,
    study: Studies = None,
    page: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write all of it as one page of HTML."),
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the picture of all plans as an SVG file.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that no report wrote.")] = False,
    store: StoreUrl = "sqlite:///autotune.db",
    as_json: AsJson = False,
) -> None:
    """Choose among all plans of the store, imported ones too: the cheapest for a rate and a latency.

    Give one limit of latency: --p50, --p90, --p95 or --p99.
    """
    workload = read_workload(
        rate, {50.0: p50, 90.0: p90, 95.0: p95, 99.0: p99}, Margins(headroom, spare, zones)
    )
    asked = read_price(price, machine_type, region, prices)
    monthly = read_budget(budget)
    targets = [target for target in (page, figure) if target is not None]
    if targets:
        from autotune.report.write import check_targets

        check_targets(targets, force=force, elsewhere=ELSEWHERE)
    from autotune.fleet.answers import answer_choice

    choice = answer_choice(_plans(store, study or ()), workload, monthly, asked)
    if targets:
        _write(choice, page, figure)
    if as_json:
        from autotune.documents.fleet import choice_document

        output.result_json(choice_document(choice))
    else:
        _print(choice)


def _plans(store: str, names: Sequence[str]) -> list[Plan]:
    """Read the newest plan of every study, or of those that are named, of whatever machine.

    Raises:
        StoreError: there is no such study.
    """
    from autotune.store.imports import newest_plans
    from autotune.store.store import read_store

    with read_store(store) as opened:
        return newest_plans(opened, names)


def _write(choice: Choice, page: Path | None, figure: Path | None) -> None:
    """Draw the plans, and write what is asked for."""
    from autotune.report.choice import choice_page
    from autotune.report.figures.choice import picture
    from autotune.report.figures.picture import encoded
    from autotune.report.write import write_files

    drawn = picture(choice)
    files = {} if figure is None else {figure: encoded(drawn, "svg")}
    if page is not None:
        files[page] = choice_page(choice, drawn).encode()
    write_files(files, elsewhere=ELSEWHERE)


def _print(choice: Choice) -> None:
    from autotune.report.choice import choice_table, headline, sentences

    table = choice_table(choice)
    output.result_text(headline(choice))
    output.result_table("", table.columns, [row.cells for row in table.rows])
    for sentence in sentences(choice):
        output.result_text(sentence)
