"""`autotune series`: series of points measured beside each other, as the sources' studies are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autotune.cli import exits, output
from autotune.units import format_duration

if TYPE_CHECKING:
    from autotune.series.file import SeriesFile
    from autotune.series.judging import Judgement
    from autotune.series.result import SeriesResult
    from autotune.series.running import Outlook
    from autotune.series.standing import PointStanding
    from autotune.statistics.paired import Interval

SCHEMA = "autotune.study-run/1"
OUTLOOK_SCHEMA = "autotune.study-outlook/1"

RESULT_FOLDER = "result"
"""Beside a series' file."""

STUDIES = Path("studies")

VERDICTS = {"agrees": "agrees", "differs": "does not agree", "unknown": "cannot be told here"}
BESIDE = {"agrees": "so it is", "differs": "not so", "unknown": "cannot be told here"}
TARGETS = {"agrees": "met", "differs": "missed", "unknown": "cannot be told here"}

series = typer.Typer(no_args_is_help=True, help="Measure series of points beside each other.")

FORMER_NAME = "study"
"""What the group of commands was called in version 0.1; it goes with version 0.3."""

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def tell_former_name() -> None:
    """Say on stderr that the commands have another name now, and let them run."""
    output.message("`autotune study` is called `autotune series` now: version 0.3 will know that name alone")


@series.command()
def run(
    series: Annotated[
        Path, typer.Argument(metavar="SERIES", help="The series' folder, or its file.", show_default=False)
    ],
    *,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Where the result goes; by default `result` beside the series.",
        ),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="How often each point is measured; by default as the series says."),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure anew what is there already.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be measured, and for how long; measure nothing.")
    ] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Never download a model.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure every point of a series in fresh processes, in rounds of random order.

    Writes result.json, table.md, picture.svg and README.md: the figures, and what agrees with the source.
    """
    from autotune.series.file import load_series

    file = load_series(series, known=STUDIES)
    if dry_run:
        _print_outlook(file, rounds, as_json=as_json)
        return
    target = folder or file.folder / RESULT_FOLDER
    result = _run(file, target, rounds, fresh=fresh, offline=offline)
    if as_json:
        output.result_json(result_document(result, target))
    else:
        _print(result, target)
    if result.stopped:
        raise typer.Exit(exits.INTERRUPTED)


@series.command("list")
def list_series(
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="The folder that holds the series' folders.")
    ] = STUDIES,
    as_json: AsJson = False,
) -> None:
    """List the series of a folder, and what their results say of the source."""
    from autotune.series.file import find_series, load_series

    rows = [_listed(path, load_series(path)) for path in find_series(folder)]
    if as_json:
        output.result_json(rows)
    elif rows:
        columns = ("series", "title", "points", "result")
        output.result_table(
            "", columns, [(one["series"], one["title"], one["points"], one["result"]) for one in rows]
        )
    else:
        output.message(f"{folder} holds no series")


def _listed(path: Path, file: SeriesFile) -> dict[str, Any]:
    from autotune.series.record import read_record
    from autotune.series.result import RESULT, conclude

    record = read_record(path / RESULT_FOLDER / RESULT)
    if record is None:
        found = "none"
    elif {point.name for point in record.points} != {point.name for point in file.series.points}:
        found = "of other points"
    else:
        found = _tally(conclude(file.series, record))
    return {
        "series": str(path),
        "title": file.series.title,
        "points": len(file.series.points),
        "result": found,
    }


def _tally(result: SeriesResult) -> str:
    """How many claims agree: `3 agree, 1 does not, 2 cannot be told`."""
    counts = {name: sum(one.verdict == name for one in result.claims) for name in VERDICTS}
    told = f"{counts['agrees']} agree, {counts['differs']} do not, {counts['unknown']} cannot be told"
    return told if result.standings.record.is_complete else f"{told}, unfinished"


def _run(file: SeriesFile, folder: Path, rounds: int | None, *, fresh: bool, offline: bool) -> SeriesResult:
    """Run a series in the terminal's sight."""
    from autotune.cli.interruption import Interruption
    from autotune.cli.progress import show_of_series
    from autotune.series.running import run_series
    from autotune.stop import Stop

    stop = Stop()
    with Interruption(stop):
        return run_series(
            file, folder, rounds=rounds, fresh=fresh, offline=offline, emit=show_of_series, stop=stop
        )


def _print(result: SeriesResult, folder: Path) -> None:
    from autotune.series.table import columns, rows

    standings = result.standings
    output.result_table(result.series.title, columns(standings), rows(standings))
    for sentence in standings.left_out:
        output.result_text(sentence)
    for title, judgements, names in (
        ("what the source found", result.claims, VERDICTS),
        ("asked beside it", result.beside, BESIDE),
        ("what is asked here", result.targets, TARGETS),
    ):
        if judgements:
            output.result_text("\n".join(["", f"{title}:", *_judgement_lines(judgements, names)]))
    if standings.quietness:
        output.result_text(f"\n{standings.quietness}")
    if not standings.record.is_complete:
        output.result_text("unfinished: the same command goes on from here")
    elif left := standings.record.rounds_left:
        output.result_text(f"disturbed: the same command measures round {', '.join(map(str, left))} again")
    output.result_text(f"written: {folder}")


def _judgement_lines(judgements: Sequence[Judgement], names: dict[str, str]) -> Iterator[str]:
    from autotune.series.page import in_words

    for one in judgements:
        yield f"  {names[one.verdict]}: {one.claim.claim}: {in_words(one)}"


def result_document(result: SeriesResult, folder: Path) -> dict[str, Any]:
    """The result as one JSON document; the runs stand in the folder's own."""
    record = result.standings.record
    return {
        "schema": SCHEMA,
        "series": record.name,
        "title": result.series.title,
        "complete": record.is_complete,
        "rounds": record.rounds,
        "folder": str(folder),
        "points": [_point_document(one) for one in result.standings.points],
        "claims": [_judgement_document(one) for one in result.claims],
        "beside": [_judgement_document(one) for one in result.beside],
        "targets": [_judgement_document(one) for one in result.targets],
        "quietness": result.standings.quietness,
    }


def _point_document(one: PointStanding) -> dict[str, Any]:
    chosen = one.point.configuration
    return {
        "name": one.point.name,
        "configuration": None if chosen is None else chosen.parameters(),
        "cores": one.point.cores,
        "unmeasured": one.unmeasured or None,
        "throughput_sps": _interval(one.throughput),
        "median_s": _interval(one.median),
        "ratio": _interval(one.ratio),
        "missed": list(one.missed),
        "cost_per_million": _interval(one.cost),
        "latencies": [latency.model_dump(mode="json") for latency in one.latencies],
        "requests": one.requests,
        "runs": one.runs,
        "memory_bytes": one.memory_bytes,
        "hit_rate": one.hit_rate,
    }


def _judgement_document(one: Judgement) -> dict[str, Any]:
    return {
        "claim": one.claim.claim,
        "stated": one.claim.stated,
        "check": one.claim.check,
        "verdict": one.verdict,
        "found": _interval(one.found),
        "reason": one.reason,
    }


def _interval(interval: Interval | None) -> dict[str, Any] | None:
    from autotune.cli.duels import interval_document

    return interval_document(interval)


def _print_outlook(file: SeriesFile, rounds: int | None, *, as_json: bool) -> None:
    from autotune.series.running import look_ahead

    ahead = look_ahead(file, rounds=rounds)
    if as_json:
        output.result_json(outlook_document(file, ahead))
        return
    rows = [
        (one.name, str(one.configuration) if one.configuration else f"not measured: {one.skipped}")
        for one in ahead.points
    ]
    output.result_table(file.series.title, ("point", "runs as"), rows)
    measured = sum(one.configuration is not None for one in ahead.points)
    output.result_text(
        f"{measured} of {len(ahead.points)} points in {ahead.rounds} rounds, in about "
        f"{format_duration(ahead.estimate_s)}"
    )


def outlook_document(file: SeriesFile, ahead: Outlook) -> dict[str, Any]:
    """The dry run for machines."""
    return {
        "schema": OUTLOOK_SCHEMA,
        "series": file.name,
        "title": file.series.title,
        "rounds": ahead.rounds,
        "estimate_s": ahead.estimate_s,
        "points": [
            {
                "name": one.name,
                "configuration": None if one.configuration is None else one.configuration.parameters(),
                "unmeasured": one.skipped or None,
            }
            for one in ahead.points
        ],
    }
