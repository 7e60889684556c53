"""`autotune series`: series of points measured beside each other, as the sources' studies are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autotune.cli import exits, output
from autotune.units import format_duration

if TYPE_CHECKING:
    from autotune.series.file import SeriesFile
    from autotune.series.judging import Judgement
    from autotune.series.result import SeriesResult

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
    from autotune.documents.series import series_document
    from autotune.series.file import load_series
    from autotune.series.listing import RESULT_FOLDER

    file = load_series(series, known=STUDIES)
    if dry_run:
        _print_outlook(file, rounds, as_json=as_json)
        return
    target = folder or file.folder / RESULT_FOLDER
    result = _run(file, target, rounds, fresh=fresh, offline=offline)
    if as_json:
        output.result_json(series_document(result, target))
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
    from autotune.documents.series import listing_document
    from autotune.series.listing import list_series as listed_of

    listed = listed_of(folder)
    if as_json:
        output.result_json([listing_document(line) for line in listed])
    elif listed:
        columns = ("series", "title", "points", "result")
        output.result_table(
            "", columns, [(line.folder, line.title, line.points, line.result) for line in listed]
        )
    else:
        output.message(f"{folder} holds no series")


def _run(file: SeriesFile, folder: Path, rounds: int | None, *, fresh: bool, offline: bool) -> SeriesResult:
    """Run a series in the terminal's sight."""
    from autotune.cli.progress import show_of_series
    from autotune.jobs.interruption import Interruption
    from autotune.series.running import run_series
    from autotune.stop import Stop

    stop = Stop()
    with Interruption(stop, on_first=output.stopping):
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


def _print_outlook(file: SeriesFile, rounds: int | None, *, as_json: bool) -> None:
    from autotune.documents.series import series_outlook_document
    from autotune.series.running import look_ahead

    ahead = look_ahead(file, rounds=rounds)
    if as_json:
        output.result_json(series_outlook_document(file, ahead))
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
