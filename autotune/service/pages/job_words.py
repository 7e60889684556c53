"""Jobs in words and figures, as lists and their own pages show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from autotune.event_lines import lines_of
from autotune.events import Event, Progress, RateBegan, RateEnded, RoundBegan, RunEnded, from_json
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
    """

    progress: Progress | None
    now: str
    lines: tuple[LogLine, ...]
    last: int
    stage: str = ""


def job_standing(context: Context, job: JobRecord) -> JobStanding:
    """Read the end of what was told of a job."""
    return standing_of(newest_events(context.store, job.id, LOG_LINES), is_over=job.is_ended)


def standing_of(told: Iterable[ToldEvent], *, is_over: bool) -> JobStanding:
    """Say where a job stands; what cannot be read, as a later version wrote it, is passed over."""
    progress: Progress | None = None
    now, stage, lines, last = "", "", [], 0
    for each in told:
        last = each.number
        event = _event(each.event)
        if event is None:
            continue
        progress = getattr(event, "progress", None) or progress
        stage = _stage(event) or stage
        for line in lines_of(event):
            if line.is_passing:
                now = line.text
            else:
                now = ""
                lines.append(LogLine(each.number, each.told_s, line.text))
    return JobStanding(progress, "" if is_over else now, tuple(lines), last, stage)


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
    return "" if not isinstance(verdict, str) else verdict.replace("_", " ")
