"""What became of a trial, in few words."""

from __future__ import annotations

from typing import Literal

from autotune.measurement.measurement import Failure, FailureKind, Measurement
from autotune.store.records import ConfirmationRecord, TrialRecord

Ending = Literal["measured", "raced out", "misses a limit", "failed", "disturbed"]
"""`raced out`: stopped early, as it was clearly worse than the best; its score stands on few blocks."""

LaunchRecord = TrialRecord | ConfirmationRecord


def outcome(record: LaunchRecord) -> Ending:
    """What became of it."""
    if isinstance(record.result, Failure):
        return "disturbed" if record.result.kind is FailureKind.DISTURBED else "failed"
    if any(by > 0 for by in record.violations.values()):
        return "misses a limit"
    return "raced out" if record.result.stopped == "worse" else "measured"


def is_feasible(record: LaunchRecord) -> bool:
    """Whether it was measured and meets every limit."""
    return record.score is not None and outcome(record) in ("measured", "raced out")


def is_searched(record: LaunchRecord) -> bool:
    """Whether the search chose its values: baseline and defaults leave threads and cpus to others."""
    return record.configuration.placement != "unpinned"


def outcome_in_words(record: LaunchRecord) -> str:
    """What became of it, with the reason where it has no score."""
    result = record.result
    if isinstance(result, Failure):
        return f"{result.kind}: {result.reason}"
    missed = [f"misses the {name} limit by {by:.1%}" for name, by in record.violations.items() if by > 0]
    return ", ".join([*missed, *_STOPPED.get(result.stopped, ())]) or _blocks(result)


_STOPPED: dict[str, tuple[str, ...]] = {
    "worse": ("stopped early: clearly worse than the best",),
    "time": ("stopped by its time limit",),
    "disturbed": ("stopped after too many blocks that do not count",),
}


def _blocks(result: Measurement) -> str:
    dropped = f", {len(result.dropped)} not counted" if result.dropped else ""
    return f"{len(result.blocks)} blocks{dropped}"
