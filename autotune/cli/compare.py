"""`autotune compare`: which of two plans, or of two configurations of a study, is faster."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autotune.cli import exits, output

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotune.jobs.comparison import Comparison
    from autotune.jobs.dueling import Bounds
    from autotune.jobs.reviving import Origin
    from autotune.preflight.setup import Setup
    from autotune.spec.configuration import Configuration

SCHEMA = "autotune.comparison/1"

CODES = {"a": 0, "b": 0, "tie": 0, "undecided": exits.UNDECIDED}
"""By verdict: a tie within the indifference zone is an answer."""

BASELINE = "baseline"


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
    study: Annotated[
        Path | None,
        typer.Option(metavar="STUDY", help="A and B are configurations of this study file, not plans."),
    ] = None,
    store: Annotated[
        str, typer.Option(metavar="URL", help="Database of studies, trials and plans.")
    ] = "sqlite:///autotune.db",
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
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Run two plans, or two configurations of a study, side by side: which is faster, and how surely?

    Exit codes: 0 one is faster, or they differ by no more than the indifference zone; 22 undecided.
    """
    from autotune.jobs.dueling import Bounds
    from autotune.jobs.reviving import Origin

    bounds = Bounds(rounds, minutes)
    if study is None:
        found = _plans(a, b, store, bounds, Origin(base or Path(), offline))
    else:
        origin = Origin(base or study.parent, offline)
        found = _configurations(study, a, b, store, bounds, origin)
    if as_json:
        output.result_json(comparison_document(found))
    else:
        _print(found)
    raise typer.Exit(exits.INTERRUPTED if found.stopped else CODES[found.verdict])


def _plans(a: str, b: str, store: str, bounds: Bounds, origin: Origin) -> Comparison:
    from autotune.cli.reference import find_plan
    from autotune.jobs.comparison import compare_plans

    one, other = find_plan(a, store), find_plan(b, store)
    return _run(partial(compare_plans, one, other, bounds=bounds, origin=origin))


def _configurations(study: Path, a: str, b: str, store: str, bounds: Bounds, origin: Origin) -> Comparison:
    from autotune.jobs.comparison import compare_configurations
    from autotune.preflight.setup import set_up
    from autotune.preflight.survey import survey
    from autotune.spec.load import load_study

    setup = set_up(survey(load_study(study)), base=origin.base, offline=origin.offline)
    one, other = (_configuration(text, setup, store, hint) for text, hint in ((a, "A"), (b, "B")))
    return _run(partial(compare_configurations, setup, one, other, bounds=bounds))


def _configuration(text: str, setup: Setup, store: str, hint: str) -> Configuration:
    """What the command line means: the baseline, a stored trial's configuration, or one spelled out."""
    from autotune.spec.configuration_text import parse_configuration

    if text == BASELINE:
        return setup.space.baseline
    if text.isascii() and text.isdigit():
        return _of_trial(int(text), setup, store, hint)
    try:
        return parse_configuration(text, usual=setup.space.baseline, models=setup.spec.models)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=hint) from None


def _of_trial(number: int, setup: Setup, store: str, hint: str) -> Configuration:
    from autotune.store.store import read_store

    study = setup.spec.name
    with read_store(store) as opened:
        trials = {trial.number: trial.configuration for trial in opened.trial_summaries(study)}
    if number not in trials:
        raise typer.BadParameter(
            f"the study {study!r} has no trial {number}: it has 0 to {max(trials, default=-1)}",
            param_hint=hint,
        )
    if (model := trials[number].model) not in setup.variants:
        runs = model or "the only model that the study had then"
        raise typer.BadParameter(
            f"trial {number} runs {runs}; the study file has {', '.join(setup.spec.models)}",
            param_hint=hint,
        )
    return trials[number]


def _run(compare_both: Callable[..., Comparison]) -> Comparison:
    """Compare in the terminal's sight."""
    from autotune.cli.interruption import Interruption
    from autotune.cli.progress import show_of_duel
    from autotune.stop import Stop

    stop = Stop()
    with Interruption(stop):
        return compare_both(emit=show_of_duel, stop=stop)


def _print(found: Comparison) -> None:
    """Who the two are, the verdict, the figures, and what there is to say of them."""
    from autotune.cli.duels import ratio_now, value_now

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


def comparison_document(found: Comparison) -> dict[str, Any]:
    """The comparison as one JSON document."""
    from autotune.cli.duels import interval_document, runs_document, value_document
    from autotune.objectives.catalogue import objective_of

    spec = found.spec
    return {
        "schema": SCHEMA,
        "a": found.labels[0],
        "b": found.labels[1],
        "verdict": found.verdict,
        "ratio": interval_document(found.ratio),
        "zone": found.zone,
        "notes": list(found.notes),
        "reasons": list(found.reasons),
        "quietness": found.quietness,
        "objective": objective_of(spec).name,
        "values": {
            "a": value_document(spec, found.values[0]),
            "b": value_document(spec, found.values[1]),
        },
        "runs": runs_document(spec, found.runs),
    }
