"""`autotune compare`: which of two plans, or of two configurations of a study, is faster."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autotune.cli import exits, output
from autotune.cli.asked_plan import StoreUrl

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotune.jobs.comparison import Comparison
    from autotune.jobs.dueling import Bounds
    from autotune.jobs.reviving import Origin
    from autotune.preflight.setup import Setup
    from autotune.spec.configuration import Configuration
    from autotune.spec.study import StudySpec

OfStudy = Annotated[
    Path | None,
    typer.Option(metavar="STUDY", help="A and B are configurations of this study file, not plans."),
]
StudyPrices = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Table of prices in which the machine type of --study stands."),
]

CODES = {"a": 0, "b": 0, "tie": 0, "undecided": exits.UNDECIDED}
"""By verdict: a tie within the indifference zone is an answer."""


def compare(
    a: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="A plan, as in `autotune show`; with --study a configuration such as "
            "2x4,close,onnxruntime,int8-dynamic[,SOCKETS][,smt][,model=SOURCE][,padding=none]"
            "[,batching=sorted][,KNOB=VALUE...], `baseline`, or a stored trial's number.",
            show_default=False,
        ),
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="The other.", show_default=False)],
    *,
    study: OfStudy = None,
    store: StoreUrl = "sqlite:///autotune.db",
    rounds: Annotated[
        int, typer.Option(min=3, max=1000, help="Rounds at most; fewer when it is clear before.")
    ] = 12,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Begin no round later than this, after the third.")
    ] = None,
    base: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder that a relative path of the model starts from; the study file's, or this one.",
        ),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never download a model.")] = False,
    prices: StudyPrices = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Run two plans, or two configurations of a study, side by side: which is faster, and how surely?

    Exit codes: 0 one is faster, or they differ by no more than the indifference zone; 22 undecided.
    """
    from autotune.jobs.dueling import Bounds
    from autotune.jobs.reviving import Origin
    from autotune.spec.load import load_study
    from autotune.spec.priced import priced

    bounds = Bounds(rounds, minutes)
    if study is None and prices is not None:
        raise typer.BadParameter("belongs to --study: plans state their own", param_hint="--prices")
    if study is None:
        found = _plans(a, b, store, bounds, Origin(base or Path(), offline))
    else:
        origin = Origin(base or study.parent, offline)
        spec = priced(load_study(study), base=origin.base, prices=prices)
        found = _configurations(spec, a, b, store, bounds, origin)
    _print(found, as_json=as_json)
    raise typer.Exit(exits.INTERRUPTED if found.stopped else CODES[found.verdict])


def _plans(a: str, b: str, store: str, bounds: Bounds, origin: Origin) -> Comparison:
    from autotune.jobs.comparison import compare_plans
    from autotune.store.reference import find_plan

    one, other = find_plan(a, store), find_plan(b, store)
    return _run(partial(compare_plans, one, other, bounds=bounds, origin=origin))


def _configurations(
    spec: StudySpec, a: str, b: str, store: str, bounds: Bounds, origin: Origin
) -> Comparison:
    from autotune.bench.here import machine_here
    from autotune.jobs.comparison import compare_configurations
    from autotune.preflight.setup import set_up
    from autotune.preflight.survey import survey

    setup = set_up(survey(spec, machine_here()), base=origin.base, offline=origin.offline)
    one, other = (_configuration(text, setup, store, hint) for text, hint in ((a, "A"), (b, "B")))
    return _run(partial(compare_configurations, setup, one, other, bounds=bounds))


def _configuration(text: str, setup: Setup, store: str, hint: str) -> Configuration:
    from autotune.jobs.spelling import find_configuration

    try:
        return find_configuration(text, setup, store)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=hint) from None


def _run(compare_both: Callable[..., Comparison]) -> Comparison:
    """Compare in the terminal's sight."""
    from autotune.cli.progress import show_of_duel
    from autotune.jobs.interruption import Interruption
    from autotune.stop import Stop

    stop = Stop()
    with Interruption(stop, on_first=output.stopping):
        return compare_both(emit=show_of_duel, stop=stop)


def _print(found: Comparison, *, as_json: bool) -> None:
    """Print who the two are, the verdict, the figures, and what there is to say of them."""
    from autotune.cli.duels import ratio_now, value_now
    from autotune.documents.comparison import comparison_document

    if as_json:
        output.result_json(comparison_document(found))
        return
    spec = found.spec
    for name, label, value in zip("AB", found.labels, found.values, strict=True):
        output.result_text(f"{name}: {label}: {value_now(spec, value)}")
    ratio = f"A / B = {ratio_now(found.ratio)}"
    if found.out:
        ratio = f"no ratio is stated, as {' and '.join(found.out)} missed a limit"
    output.result_text(f"{_headline(found)}: {ratio}")
    for sentence in (*found.notes, *found.reasons, *filter(None, [found.quietness])):
        output.result_text(sentence)


def _headline(found: Comparison) -> str:
    from autotune.jobs.comparison import margin
    from autotune.objectives.catalogue import objective_of

    if found.verdict in ("a", "b"):
        return f"{found.verdict.upper()} is {objective_of(found.spec).better}"
    if found.ratio is None or found.ratio.low <= 0:
        return "undecided"
    within = f"within {margin(found.ratio) * 100:.1f} %"
    return f"not distinguishable ({within})" if found.verdict == "tie" else f"undecided ({within})"
