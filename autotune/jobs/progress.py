"""Turns trials and runs into what is told of them."""

from __future__ import annotations

from collections.abc import Sequence

from autotune.events import (
    Emit,
    Excess,
    FilesRead,
    ModelsNoted,
    ModelsServed,
    Progress,
    RoomWeighed,
    RunEnded,
    Summary,
    TrialEnded,
)
from autotune.measurement.measurement import Failure, TrialResult
from autotune.model.texts.files_read import file_in_words
from autotune.objectives.scores import format_score
from autotune.preflight.setup import Setup, noting
from autotune.rounds.running import Run
from autotune.search.score import score
from autotune.spec.study import StudySpec
from autotune.store.ranking import best, gain, measured_baseline
from autotune.store.records import TrialRecord


def tell_of_setup(setup: Setup, emit: Emit) -> None:
    """Tell what models and files were found to be, and what has no room in memory."""
    emit(ModelsServed(setup.found.served))
    emit(FilesRead(tuple(map(file_in_words, setup.found.files))))
    emit(ModelsNoted(setup.found.notes))
    emit(RoomWeighed(setup.left_out, setup.warnings))


def noting_aloud(setup: Setup, emit: Emit) -> Setup:
    """Add what the references show of the models to a set-up, and tell it."""
    known = noting(setup)
    if fresh := tuple(note for note in known.found.notes if note not in setup.found.notes):
        emit(ModelsNoted(fresh))
    return known


def progress_of(
    spec: StudySpec, records: Sequence[TrialRecord], *, total: int, left_s: float | None
) -> Progress:
    """Say where a study stands with these trials; see `Progress`."""
    leader = best(records, spec)
    if leader is None:
        return Progress(len(records), total, left_s=left_s)
    return Progress(
        finished=len(records),
        total=total,
        best=leader.number,
        best_score=leader.score,
        best_in_words=format_score(spec, leader.score or 0.0),
        gain=gain(leader, measured_baseline(records), spec),
        left_s=left_s,
    )


def trial_ended(
    spec: StudySpec, record: TrialRecord, progress: Progress, half_width: float | None
) -> TrialEnded:
    """Say what a trial gave."""
    return TrialEnded(
        number=record.number,
        name=_name(record),
        configuration=str(record.configuration),
        outcome=outcome_of(spec, record.result, record.score),
        progress=progress,
        excesses=tuple(Excess(limit, by) for limit, by in record.violations.items() if by > 0),
        half_width=half_width,
        host=record.host,
    )


def run_ended(spec: StudySpec, run: Run) -> RunEnded:
    """Say what a run of a round gave."""
    measured = None if isinstance(run.result, Failure) else score(spec, run.result)
    return RunEnded(
        round=run.round,
        name=run.entrant.name,
        configuration=str(run.entrant.configuration),
        outcome=outcome_of(spec, run.result, measured),
    )


def outcome_of(spec: StudySpec, result: TrialResult, measured: float | None) -> Summary:
    """Say what was measured, as a score, or what went wrong."""
    if isinstance(result, Failure):
        return Summary(f"{result.kind}: {result.reason}", failure=str(result.kind), reason=result.reason)
    return Summary(format_score(spec, measured or 0.0), measured)


def _name(record: TrialRecord) -> str:
    """What people start today has a name: nothing else of a study is left unpinned."""
    if record.baseline:
        return "baseline"
    return "default" if record.configuration.placement == "unpinned" else ""
