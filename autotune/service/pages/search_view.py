"""A study's search as its pages show it: counts, the best so far, charts, and some of its trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import ValidationError

from autotune.errors import StoreError
from autotune.measurement.measurement import Failure
from autotune.model.stored_study import read_stored_study
from autotune.objectives.catalogue import objective_of
from autotune.objectives.scores import format_score
from autotune.report.outcome import outcome, outcome_in_words
from autotune.service.pages.charts.chart import Chart
from autotune.service.pages.charts.search import history_chart, speed_chart
from autotune.service.pages.paging import Paging
from autotune.service.pages.search_figures import (
    disturbed_words,
    latency_words,
    quietness_words,
    shown_percentile,
    speed_points,
)
from autotune.spec.study import StudySpec
from autotune.store.ranking import best, gain, measured_baseline, missed_words, nearest
from autotune.store.records import StudyRecord, TrialRecord
from autotune.store.store import StudyStore
from autotune.store.trial_points import TrialPoint, chosen_trials, trial_points

ROWS: Final = 20
"""Of the table of trials at a time: they are read whole, for the reasons of failures."""

TAIL: Final = 2_000
"""Of what a failed worker wrote, so many characters are shown."""

TrialOrder = Literal["newest", "best", "failed"]
ORDERS: Final[dict[TrialOrder, str]] = {"newest": "newest first", "best": "best first", "failed": "failures"}


@dataclass(frozen=True)
class TrialRow:
    """One trial in words.

    Attributes:
        latency: at the percentile that the view names; empty where none was measured.
        mark: `baseline`, `best` or what went wrong, else empty.
        tail: the end of what a failed worker wrote.
    """

    number: int
    configuration: str
    score: str
    gain: str
    latency: str
    outcome: str
    mark: str
    disturbed: str
    tail: str


@dataclass(frozen=True)
class SearchView:
    """What is shown of a search.

    Attributes:
        best: number of the best trial; score and gain of it in words.
        nearest: where none meets the limits, which one misses them by the least, in words.
        percentile: of the latencies in the rows.
        quiet: how quiet the machine was, of the trials that are listed.
    """

    ended: int
    failed: int
    missed: int
    best: int | None
    score: str
    gain: str
    nearest: str
    history: Chart | None
    speed: Chart | None
    rows: tuple[TrialRow, ...]
    paging: Paging
    order: TrialOrder
    percentile: str
    quiet: str


def stored_spec(record: StudyRecord) -> StudySpec:
    """Read a stored study's values.

    Raises:
        StoreError: they are of a later version, or damaged.
    """
    try:
        return read_stored_study(record.spec)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise StoreError(
            f"the values of the study {record.name!r} cannot be read: {where}: {first['msg']}",
            remedy="another version of autotune wrote them: update",
        ) from None


def search_view(
    store: StudyStore, spec: StudySpec, *, page: int = 1, order: TrialOrder = "newest"
) -> SearchView:
    """Read what is shown of a study's search.

    Raises:
        StoreError: there is no such study, or a result of it is damaged.
    """
    points = trial_points(store, spec.name)
    leading, baseline = best(points, spec), measured_baseline(points)
    listed = _ordered(points, spec, order)
    paging = Paging(len(listed), ROWS, page, "trials")
    shown = [point.number for point in listed[paging.offset : paging.offset + ROWS]]
    records = chosen_trials(store, spec.name, shown)
    missing = nearest(points) if leading is None else None
    return SearchView(
        ended=len(points),
        failed=sum(point.failure is not None for point in points),
        missed=sum(point.score is not None and not point.is_feasible for point in points),
        best=None if leading is None else leading.number,
        score="" if leading is None or leading.score is None else format_score(spec, leading.score),
        gain=_gain_words(leading, baseline, spec),
        nearest="" if missing is None else f"trial {missing.number} {missed_words(missing, spec)}",
        history=history_chart(points, spec),
        speed=speed_chart(speed_points(store, spec, points), spec, shown_percentile(spec)),
        rows=tuple(_row(record, leading, baseline, spec) for record in records),
        paging=paging,
        order=order,
        percentile=f"p{shown_percentile(spec):g}",
        quiet=quietness_words(records),
    )


def _ordered(points: Sequence[TrialPoint], spec: StudySpec, order: TrialOrder) -> list[TrialPoint]:
    if order == "failed":
        return [point for point in reversed(points) if not point.is_feasible]
    if order == "newest":
        return list(reversed(points))
    objective = objective_of(spec)
    return sorted(
        points,
        key=lambda point: (
            not point.is_feasible,
            point.score is None,
            0.0 if point.score is None else -objective.goodness(point.score),
            point.number,
        ),
    )


def _gain_words(leading: TrialPoint | None, baseline: TrialPoint | None, spec: StudySpec) -> str:
    gained = None if leading is None else gain(leading, baseline, spec)
    return "" if gained is None else f"{gained:.2f}x"


def _row(
    record: TrialRecord, leading: TrialPoint | None, baseline: TrialPoint | None, spec: StudySpec
) -> TrialRow:
    gained = None if record.score is None else gain(record, baseline, spec)
    return TrialRow(
        number=record.number,
        configuration=str(record.configuration),
        score="" if record.score is None else format_score(spec, record.score),
        gain="" if gained is None else f"{gained:.2f}x",
        latency=latency_words(record, spec),
        outcome=outcome_in_words(record),
        mark=_mark(record, leading),
        disturbed=disturbed_words(record),
        tail=record.result.stderr_tail[-TAIL:].strip() if isinstance(record.result, Failure) else "",
    )


def _mark(record: TrialRecord, leading: TrialPoint | None) -> str:
    if leading is not None and record.number == leading.number:
        return "best"
    if record.baseline:
        return "baseline"
    ending = outcome(record)
    return "" if ending == "measured" else ending
