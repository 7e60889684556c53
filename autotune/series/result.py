"""The result of a series and its files: the record, and the pages that follow from it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autotune.errors import ExportError, StudyError
from autotune.exporters.write import check_folder, replace_file
from autotune.files import write_remedy
from autotune.report.figures.picture import encoded
from autotune.series.judging import Judgement, judge
from autotune.series.page import PICTURE, TABLE, result_page, table_page
from autotune.series.picture import draw
from autotune.series.record import SeriesRecord
from autotune.series.standing import Standings
from autotune.series.values import Series

RESULT, PAGE = "result.json", "README.md"
FILES = (RESULT, TABLE, PICTURE, PAGE)


@dataclass(frozen=True)
class SeriesResult:
    """What a series has shown.

    Attributes:
        claims: what the source found, and whether it is so here.
        beside: what was asked beside that; targets: what this project asks of itself; likewise.
        stopped: it was told to stop before its end, and this is what there is.
    """

    series: Series
    standings: Standings
    claims: tuple[Judgement, ...]
    beside: tuple[Judgement, ...]
    targets: tuple[Judgement, ...]
    stopped: bool = False


def conclude(series: Series, record: SeriesRecord) -> SeriesResult:
    """Compute all that follows from the runs."""
    standings = Standings(record, series.price)
    claims, beside, targets = (
        tuple(judge(claim, standings) for claim in claims)
        for claims in (series.claims, series.beside, series.targets)
    )
    return SeriesResult(series, standings, claims, beside, targets)


def check_target(folder: Path) -> None:
    """Make sure that the result can be written into a folder.

    Raises:
        ExportError: it cannot, or the folder holds files of these names that are no result's.
    """
    check_folder(folder)
    foreign = [name for name in FILES[1:] if (folder / name).exists()]
    if foreign and not (folder / RESULT).exists():
        raise ExportError(
            f"the folder {str(folder)!r} holds {', '.join(foreign)} and no {RESULT}: they are not a result's",
            remedy=_ELSEWHERE,
        )


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the right to write a result into a folder, which is made; the kernel takes it back in any case.

    Raises:
        StudyError: another process holds it.
        ExportError: the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StudyError(
            f"another process measures a series into {str(folder)!r}",
            remedy="wait for it to end, or give another folder with -o",
        ) from None


def _unwritable(folder: Path, error: OSError) -> ExportError:
    remedy = write_remedy(error, _ELSEWHERE)
    return ExportError(f"{str(folder)!r} cannot be written: {error.strerror}", remedy=remedy)


_ELSEWHERE = "give another folder with -o"


def write_pages(result: SeriesResult, folder: Path) -> None:
    """Write what follows from the record: table, picture and page.

    Raises:
        ExportError: one cannot be written.
    """
    series, standings = result.series, result.standings
    picture = draw(standings, series.title, series.against)
    sections = (result.claims, result.beside, result.targets)
    page = result_page(series, standings, *sections, has_picture=picture is not None)
    files = {TABLE: table_page(standings).encode(), PAGE: page.encode()}
    if picture is not None:
        files[PICTURE] = encoded(picture, "svg")
    try:
        for name, content in files.items():
            replace_file(folder / name, content, mode=0o644)
    except OSError as error:
        raise _unwritable(folder, error) from error
