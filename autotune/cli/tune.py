"""`autotune tune`: measure configurations and store the best one as a plan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autotune.cli import exits, output
from autotune.cli.asked_plan import StoreUrl

if TYPE_CHECKING:
    from autotune.plan.document import Plan
    from autotune.spec.study import StudySpec

KEPT = "every finished trial is kept; the same command goes on from here"
UNBEGUN = "interrupted before the search began; the same command begins again"


def tune(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="The study file (YAML).")],
    *,
    store: StoreUrl = "sqlite:///autotune.db",
    name: Annotated[
        str | None, typer.Option(help="Run the study under another name than the file's.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(help="Stop after this many trials of the study, all its runs counted.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Begin no trial later than this; counts from each start.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Check all and print what would be tried, and for how long; measure nothing.",
        ),
    ] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Never download a model.")] = False,
    prices: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            envvar="AUTOTUNE_PRICES",
            show_envvar=False,
            help="Table of prices in which the study's machine type stands.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan (or the dry run) as JSON.")] = False,
) -> None:
    """Find the fastest way to serve a study's model on this machine, by measuring.

    The out-of-box configuration is measured first. Every finished trial is kept: Ctrl-C stores the best so
    far, and the same command goes on from there.
    """
    spec = _asked(study, name, trials, minutes)
    if dry_run:
        from autotune.cli.outlook import print_outlook

        print_outlook(spec, base=study.parent, offline=offline, as_json=as_json, prices=prices)
    else:
        source = _Source(study.parent, offline, prices)
        _tune(spec, source, store=store, as_json=as_json)


def _asked(path: Path, name: str | None, trials: int | None, minutes: float | None) -> StudySpec:
    """The study file's values, with those of the command line in their place."""
    from pydantic import ValidationError

    from autotune.spec.load import load_study
    from autotune.spec.study import StudySpec

    values = load_study(path, name=name).model_dump()
    values["name"] = name if name is not None else values["name"]
    given = {"trials": trials, "minutes": minutes}
    values["budget"] |= {key: value for key, value in given.items() if value is not None}
    try:
        return StudySpec.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise typer.BadParameter(
            f"{first['input']!r}: {first['msg']}", param_hint=f"--{first['loc'][-1]}"
        ) from None


@dataclass(frozen=True)
class _Source:
    """Where a study's files, models and prices come from."""

    base: Path
    offline: bool
    prices: Path | None


def _tune(spec: StudySpec, source: _Source, *, store: str, as_json: bool) -> None:
    import optuna

    from autotune.cli.progress import show
    from autotune.jobs.interruption import Interruption, SearchHeard
    from autotune.jobs.tuning import tune
    from autotune.stop import Stop, Stopped

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    stop, heard = Stop(), SearchHeard(show)
    try:
        with Interruption(stop, on_first=output.stopping):
            tuned = tune(
                spec,
                base=source.base,
                store=store,
                offline=source.offline,
                prices=source.prices,
                emit=heard,
                stop=stop,
            )
    except (Stopped, KeyboardInterrupt):
        output.message(f"interrupted: {KEPT}" if heard.has_begun else UNBEGUN)
        raise typer.Exit(exits.INTERRUPTED) from None
    if tuned.plan is None:
        output.message(f"interrupted: {tuned.reason}")
    else:
        _print_result(tuned.plan, spec, store, as_json=as_json)
    if tuned.stopped:
        output.message(KEPT)
        raise typer.Exit(exits.INTERRUPTED)


def _print_result(plan: Plan, spec: StudySpec, store: str, *, as_json: bool) -> None:
    from autotune.cli.winner import print_winner
    from autotune.plan.document import plan_values

    for warning in plan.warnings:
        output.message(f"warning: {warning}")
    if as_json:
        output.result_json(plan_values(plan))
    else:
        print_winner(plan, spec, store)
