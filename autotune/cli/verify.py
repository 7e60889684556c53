"""`autotune verify`: whether a stored plan still does what it states."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autotune.cli import exits, output
from autotune.cli.asked_plan import PlanRef, StoreUrl
from autotune.cli.launched import (
    BodiesOption,
    LaunchedOption,
    PidOptions,
    RateOption,
    SecondsOption,
    UrlOptions,
    read_load,
    read_pids,
    refuse_of_trials,
    refuse_without_launched,
    verify_running,
)

if TYPE_CHECKING:
    from autotune.jobs.dueling import Bounds
    from autotune.jobs.reviving import Origin
    from autotune.jobs.verification import Verification
    from autotune.plan.document import Plan

CODES = {"holds": 0, "better": 0, "worse": exits.WORSE, "stale": exits.STALE, "undecided": exits.UNDECIDED}
"""By verdict, so that the command can stand in a deployment pipeline."""


OF_TRIALS = ("rounds", "minutes", "tolerance", "base", "offline")
"""Options of what is run again."""


def verify(
    context: typer.Context,
    ref: PlanRef = "latest",
    *,
    store: StoreUrl = "sqlite:///autotune.db",
    rounds: Annotated[
        int, typer.Option(min=3, max=1000, help="Rounds at most; fewer when it is clear before.")
    ] = 12,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Begin no round later than this, after the third.")
    ] = None,
    tolerance: Annotated[
        str, typer.Option(metavar="SHARE", help="How much less than stated still holds, such as 5%.")
    ] = "5%",
    base: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder that a relative path of the model starts from.")
    ] = Path(),
    offline: Annotated[bool, typer.Option("--offline", help="Never download a model.")] = False,
    launched: LaunchedOption = False,
    pids: PidOptions = None,
    urls: UrlOptions = None,
    requests: BodiesOption = None,
    rate: RateOption = None,
    seconds: SecondsOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Run a plan again beside its baseline: does it hold what it states?

    It holds or is better (exit code 0), is worse (20), stale (21: machine, versions or model differ), or
    undecided (22). With --launched nothing is started: what runs is compared with the plan, and what differs
    is said (23).
    """
    from autotune.jobs.dueling import Bounds
    from autotune.jobs.reviving import Origin
    from autotune.store.reference import find_plan

    of_launched = {"--pid": pids, "--url": urls, "--requests": requests, "--rate": rate, "--seconds": seconds}
    if launched:
        refuse_of_trials(context, OF_TRIALS)
        load, plan = read_load(urls or (), requests, rate, seconds), find_plan(ref, store)
        named = read_pids(pids or (), len(plan.instances))
        raise typer.Exit(verify_running(plan, named, load, as_json=as_json))
    refuse_without_launched(of_launched)
    share, bounds, origin = _share(tolerance), Bounds(rounds, minutes), Origin(base, offline)
    found = _verify(find_plan(ref, store), share, bounds, origin)
    _print(found, as_json=as_json)
    raise typer.Exit(exits.INTERRUPTED if found.stopped else CODES[found.verdict])


def _share(text: str) -> float:
    """`5%`, `5 %` or `0.05`, less than everything."""
    number = text.strip().removesuffix("%")
    try:
        share = float(number) / (100 if text.strip() != number else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise typer.BadParameter(f"{text!r} is not a share: write 5% or 0.05", param_hint="--tolerance")
    return share


def _verify(plan: Plan, tolerance: float, bounds: Bounds, origin: Origin) -> Verification:
    """Verify a plan in the terminal's sight."""
    from autotune.cli.progress import show_of_duel
    from autotune.jobs.interruption import Interruption
    from autotune.jobs.verification import verify
    from autotune.stop import Stop

    stop = Stop()
    with Interruption(stop, on_first=output.stopping):
        return verify(plan, tolerance=tolerance, bounds=bounds, origin=origin, emit=show_of_duel, stop=stop)


def _print(found: Verification, *, as_json: bool) -> None:
    """Print the verdict, the figures then and now, and what there is to say of them."""
    from autotune.documents.verification import verification_document

    if as_json:
        output.result_json(verification_document(found))
        return
    output.result_text(f"{found.verdict}: plan {found.plan.id}: {_headline(found)}")
    if found.runs:
        output.result_table("", ("", "then", "now"), _figures(found))
    for sentence in (*found.reasons, *filter(None, [found.quietness])):
        output.result_text(sentence)


def _headline(found: Verification) -> str:
    if found.verdict == "stale":
        return "it was made with something else, so nothing was measured"
    figure, now = "gain over the baseline" if found.figure == "gain" else "own value", found.deciding.now
    if now is None:
        return f"its {figure} could not be measured"
    change = now.estimate / found.deciding.promised.value - 1
    than = "better" if change > 0 else "worse"
    allowed = f"tolerance {found.tolerance * 100:g} %"
    return f"its {figure} is {abs(change):.1%} {than} than it states ({allowed}), in {now.count} rounds"


def _figures(found: Verification) -> Iterator[tuple[str, str, str]]:
    """A row for each figure: its name, as the plan states it, as it is now."""
    from autotune.cli.duels import ratio_now, ratio_words, value_now, value_words
    from autotune.plan.study import spec_of

    plan, spec = found.plan, spec_of(found.plan)
    gain = found.check("gain")
    if gain is not None:
        yield "gain", ratio_words(gain.promised.value, plan.gain_range), ratio_now(gain.now)
    sides = (("plan", plan.estimate, found.plan_now), ("baseline", plan.baseline, found.baseline_now))
    for name, then, now in sides:
        if then is not None and (name == "plan" or gain is not None):
            stated = value_words(spec, then.objective_value, then.objective_range)
            yield name, stated, value_now(spec, now)
