"""Jobs in words and figures, as lists and their own pages show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from autotune.event_lines import lines_of
from autotune.events import (
    Event,
    Progress,
    RateBegan,
    RateEnded,
    RoundBegan,
    RunEnded,
    SearchEnded,
    TrialBegan,
    from_json,
)
from autotune.service.context import Context
from autotune.store.job_records import JobRecord, ToldEvent
from autotune.store.newest_events import newest_events

STATES: Final[Mapping[str, str]] = {
    "queued": "waiting",
    "running": "running",
    "done": "done",
    "failed": "failed",
    "cancelled": "cancelled",
}
KINDS: Final[Mapping[str, str]] = {"tune": "Tune", "verify": "Verify", "compare": "Compare"}
COMPARED: Final[Mapping[str, str]] = {
    "a": "A is faster",
    "b": "B is faster",
    "tie": "neither is faster, within a tie",
    "undecided": "not told apart",
}

LOG_LINES: Final = 200
"""So many of the last events are read for a page."""


@dataclass(frozen=True)
class LogLine:
    """A line of what was told.

    Attributes:
        told_s: Unix time.
    """

    number: int
    told_s: float
    text: str


@dataclass(frozen=True)
class JobStanding:
    """Where a job stands, by what was told of it.

    Attributes:
        now: what goes on; empty where nothing is known of that.
        lines: what has ended, in order.
        last: number of the last event; 0 before any.
        is_searched: whether its search has ended, however many trials its budget has left.
    """

    progress: Progress | None
    now: str
    lines: tuple[LogLine, ...]
    last: int
    stage: str = ""
    is_searched: bool = False


def job_standing(context: Context, job: JobRecord) -> JobStanding:
    """Read the end of what was told of a job."""
    return standing_of(newest_events(context.store, job.id, LOG_LINES), is_over=job.is_ended)


def standing_of(told: Iterable[ToldEvent], *, is_over: bool) -> JobStanding:
    """Say where a job stands; what cannot be read, as a later version wrote it, is passed over."""
    progress: Progress | None = None
    now, stage, lines, last = "", "", [], 0
    is_searched = False
    for each in told:
        last = each.number
        event = _event(each.event)
        if event is None:
            continue
        progress = getattr(event, "progress", None) or progress
        stage = _stage(event) or stage
        is_searched = (is_searched or isinstance(event, SearchEnded)) and not isinstance(event, TrialBegan)
        for line in lines_of(event):
            if line.is_passing:
                now = line.text
            else:
                now = ""
                lines.append(LogLine(each.number, each.told_s, line.text))
    return JobStanding(progress, "" if is_over else now, tuple(lines), last, stage, is_searched)


def _event(text: str) -> Event | None:
    try:
        return from_json(text)
    except ValueError:
        return None


def _stage(event: Event) -> str:
    """Say in which part of its job an event is."""
    if isinstance(event, RoundBegan | RunEnded):
        return f"round {event.number if isinstance(event, RoundBegan) else event.round} of the confirmation"
    if isinstance(event, RateBegan | RateEnded):
        return f"rate {event.number} of {event.total}"
    return ""


def outcome_words(job: JobRecord) -> str:
    """Say in a few words what came of a job."""
    if job.fault is not None:
        return job.fault.problem
    result: Mapping[str, Any] = job.result or {}
    verdict = result.get("verdict")
    if not isinstance(verdict, str):
        return ""
    if job.request.kind != "compare":
        return verdict.replace("_", " ")
    told, ratio = COMPARED.get(verdict, verdict), result.get("ratio") or {}
    if not isinstance(ratio, Mapping) or not isinstance(ratio.get("estimate"), float):
        return told
    low, high = ratio.get("low"), ratio.get("high")
    is_bounded = isinstance(low, float) and isinstance(high, float)
    between = f" (95 %: {low:.2f}x to {high:.2f}x)" if is_bounded else ""
    return f"{told}: {ratio['estimate']:.2f}x{between}"


def comparison_sides(job: JobRecord) -> tuple[str, str, int] | None:
    """Give the plans A and B of a comparison, and its most rounds, 0 where that is not said; else None."""
    if job.request.kind != "compare":
        return None
    values = job.request.values
    rounds = values.get("rounds")
    return str(values.get("a", "")), str(values.get("b", "")), rounds if isinstance(rounds, int) else 0


def whole_jobs(context: Context, listed: Iterable[JobRecord]) -> list[JobRecord]:
    """Read results and values of those jobs whose outcome they tell; lists of jobs leave them out."""
    return [context.queue.job(job.id) if job.request.kind != "tune" else job for job in listed]
