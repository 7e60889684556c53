"""`autotune curve`: what a plan's processes give at rates from low to more than they bear."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autotune.cli import exits, output
from autotune.cli.asked_fleet import read_rate
from autotune.cli.asked_plan import PlanRef, StoreUrl

if TYPE_CHECKING:
    from autotune.jobs.reviving import Origin
    from autotune.jobs.sweeping import Sweep, SweepResult
    from autotune.plan.curve import Curve
    from autotune.plan.document import Plan

ELSEWHERE = "give another file with -o"


def curve(
    ref: PlanRef = "latest",
    *,
    rates: Annotated[
        str | None,
        typer.Option(
            metavar="R,R...",
            help="Requests to send: 50,100/s,6000/min; by default shares of what it bears.",
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(metavar="S", help="Measure each rate for so long, a low one for longer.")
    ] = 10.0,
    target: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the plan with its curve, too."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is not this plan.")] = False,
    base: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder that a relative path of the model starts from.")
    ] = Path(),
    offline: Annotated[bool, typer.Option("--offline", help="Never download a model.")] = False,
    store: StoreUrl = "sqlite:///autotune.db",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure a plan's throughput-latency curve: its own processes, with requests that arrive at random.

    The curve is kept with the plan in the store. Nothing is measured (exit code 21) where machine, versions
    or model are others than the plan's.
    """
    from autotune.jobs.reviving import Origin
    from autotune.jobs.sweeping import refuse_unsweepable
    from autotune.store.reference import find_plan, is_file

    sweep = _sweep(rates, seconds)
    plan = find_plan(ref, store)
    refuse_unsweepable(plan)
    if target is not None:
        _check_target(target, plan, force=force)
    elif is_file(ref):
        output.message("the plan is a file: its curve is shown and not kept (-o FILE keeps it)")
    result = _measured(plan, sweep, Origin(base, offline))
    if result.is_measured:
        _keep(result.plan, None if is_file(ref) else store, target)
    _print(result, as_json=as_json)
    raise typer.Exit(_code(result))


def _code(result: SweepResult) -> int:
    if result.stopped:
        return exits.INTERRUPTED
    if result.stale:
        return exits.STALE
    return 0 if result.is_measured else exits.UNDECIDED


def _sweep(rates: str | None, seconds: float) -> Sweep:
    from autotune.fleet.workload import HIGHEST_RATE, LOWEST_RATE
    from autotune.jobs.sweeping import MOST_RATES, MOST_SECONDS, Sweep

    if not 0.1 <= seconds <= MOST_SECONDS:
        raise typer.BadParameter(
            f"{seconds:g} seconds: give from 0.1 to {MOST_SECONDS:g}", param_hint="--seconds"
        )
    if rates is None:
        return Sweep(seconds=seconds)
    bounds = LOWEST_RATE, HIGHEST_RATE
    listed = tuple(
        sorted({read_rate(text.strip(), option="--rates", bounds=bounds) for text in rates.split(",")})
    )
    if len(listed) > MOST_RATES:
        raise typer.BadParameter(f"{len(listed)} rates: give at most {MOST_RATES}", param_hint="--rates")
    return Sweep(listed, seconds)


def _check_target(target: Path, plan: Plan, *, force: bool) -> None:
    """Refuse a file that cannot be written, or that is something else than this plan, before anything runs.

    Raises:
        ExportError: says which, and what to do.
    """
    from autotune.errors import ExportError, PlanError
    from autotune.report.write import check_targets
    from autotune.store.reference import read_plan_file

    check_targets([target], force=True, elsewhere=ELSEWHERE)
    if force or not target.exists():
        return
    try:
        is_same = read_plan_file(target).id == plan.id
    except PlanError:
        is_same = False
    if not is_same:
        raise ExportError(
            f"the file {str(target)!r} is not the plan {plan.id}", remedy="give --force to replace it"
        )


def _measured(plan: Plan, sweep: Sweep, origin: Origin) -> SweepResult:
    """Measure in the terminal's sight."""
    from autotune.cli.progress import show
    from autotune.jobs.interruption import Interruption
    from autotune.jobs.sweeping import sweep_plan
    from autotune.stop import Stop

    stop = Stop()
    with Interruption(stop):
        return sweep_plan(plan, sweep, origin=origin, emit=show, stop=stop)


def _keep(plan: Plan, store: str | None, target: Path | None) -> None:
    from autotune.plan.document import format_plan
    from autotune.report.write import write_files
    from autotune.store.imports import keep_curve
    from autotune.store.store import open_store

    if store is not None:
        with open_store(store) as opened:
            keep_curve(opened, plan)
    if target is not None:
        write_files({target: format_plan(plan).encode()}, elsewhere=ELSEWHERE)


def _print(result: SweepResult, *, as_json: bool) -> None:
    from autotune.documents.curve import curve_document

    if as_json:
        output.result_json(curve_document(result))
        return
    if result.stale:
        output.result_text(f"stale: plan {result.plan.id} was made with something else; nothing was measured")
        for sentence in result.stale:
            output.result_text(sentence)
        return
    if result.is_measured and result.plan.curve is not None:
        from autotune.plan.curve_words import COLUMNS, curve_rows

        output.result_table(f"curve of plan {result.plan.id}", COLUMNS, curve_rows(result.plan.curve))
        output.result_text(_capacity_words(result.plan.curve))
    for rate, reason in result.failures:
        output.result_text(f"{rate:g} requests/s could not be measured: {reason}")
    for note in result.notes:
        output.result_text(note)


def _capacity_words(curve: Curve) -> str:
    from autotune.units import format_rate

    capacity = curve.capacity_per_s
    return "" if capacity is None else f"It serves {format_rate(capacity)} at most."
