"""The series of a folder, and what their results say of the source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autotune.series.file import SeriesFile, find_series, load_series
from autotune.series.record import read_record
from autotune.series.result import RESULT, SeriesResult, conclude

RESULT_FOLDER = "result"
"""Beside a series' file."""


@dataclass(frozen=True)
class ListedSeries:
    """A series in a list.

    Attributes:
        points: how many.
        result: what its result says of the source, in words; `none` where there is none.
    """

    folder: Path
    title: str
    points: int
    result: str


def list_series(folder: Path) -> tuple[ListedSeries, ...]:
    """List the series of a folder.

    Raises:
        StudyFileError: a series' file is wrong.
        StudyError: a result is damaged.
    """
    return tuple(_listed(path, load_series(path)) for path in find_series(folder))


def _listed(path: Path, file: SeriesFile) -> ListedSeries:
    record = read_record(path / RESULT_FOLDER / RESULT)
    if record is None:
        result = "none"
    elif {point.name for point in record.points} != {point.name for point in file.series.points}:
        result = "of other points"
    else:
        result = _tally(conclude(file.series, record))
    return ListedSeries(path, file.series.title, len(file.series.points), result)


def _tally(result: SeriesResult) -> str:
    """Count the claims that agree: `3 agree, 1 do not, 2 cannot be told`."""
    agree, differ, unknown = (
        sum(judgement.verdict == verdict for judgement in result.claims)
        for verdict in ("agrees", "differs", "unknown")
    )
    told = f"{agree} agree, {differ} do not, {unknown} cannot be told"
    return told if result.standings.record.is_complete else f"{told}, unfinished"
